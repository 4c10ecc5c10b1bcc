// The server over a shared store (here one of the test's own) and with realms: RFC 8489 §9.2.4.
#include <stdio.h>
#include <string.h>

#include "controlplane/turn/password_key.h"
#include "controlplane/turn/store/store.h"
#include "controlplane/turn/waiting.h"
#include "tests/unit/controlplane/turn_rig.h"

static struct rig r;

// ---- a store that answers what it is told to

static struct {
	enum turn_store_result result;
	struct turn_keys keys;
	struct turn_store_limits limits;
	uint32_t n_asked;
} fake;

static enum turn_store_result fake_user(void *arg, uint8_t realm_idx, const char *name,
					size_t name_bytes, struct turn_keys *out)
{
	fake.n_asked++;
	*out = fake.keys;
	return fake.result;
}

static enum turn_store_result fake_secrets(void *arg, uint8_t realm_idx,
					   struct turn_store_secrets *inout)
{
	return TURN_STORE_ABSENT;
}

static enum turn_store_result fake_oauth(void *arg, const char *kid, size_t kid_bytes,
					 struct turn_store_oauth_key *out)
{
	return TURN_STORE_ABSENT;
}

static void fake_limits(void *arg, uint8_t realm_idx, struct turn_store_limits *inout)
{
	*inout = fake.limits;
}

static const struct turn_store_backend backend = { NULL, fake_user, fake_secrets, fake_oauth,
						   fake_limits };

static void key_make(const char *name, const char *password)
{
	uint8_t key[TURN_KEY_BYTES_MAX];

	cr_assert_eq(turn_password_key(TURN_PASSWORD_MD5, name, strlen(name), RIG_REALM, password,
				       strlen(password), key),
		     0);
	memcpy(fake.keys.md5, key, 16);
	fake.keys.has_md5 = true;
}

static void init(void)
{
	memset(&fake, 0, sizeof(fake));
	rig_open(&r, rig_config());
	turn_server_attach_store(r.engine.turn, &backend);
	key_make("gorst", "hero");
}

static void fini(void)
{
	rig_close(&r);
}

TestSuite(realms, .init = init, .fini = fini);

Test(realms, users_of_the_file_need_no_store)
{
	struct rig_client c = rig_client("192.0.2.10:5000", "lab", RIG_PASSWORD);
	struct rig_answer a = rig_allocate(&r, &c);

	fake.result = TURN_STORE_WAIT;
	cr_assert_eq(a.code, 0);
	cr_expect_eq(fake.n_asked, 0);
}

Test(realms, rfc8489_9_2_4_a_user_of_the_store_is_authenticated_by_its_key)
{
	struct rig_client c = rig_client("192.0.2.10:5000", "gorst", "hero");
	struct rig_client wrong = rig_client("192.0.2.11:5000", "gorst", "zero");

	fake.result = TURN_STORE_FOUND;
	cr_expect_eq(rig_allocate(&r, &c).code, 0);
	cr_expect_eq(rig_allocate(&r, &wrong).code, 401);
	fake.result = TURN_STORE_ABSENT;
	c = rig_client("192.0.2.12:5000", "gorst", "hero");
	cr_expect_eq(rig_allocate(&r, &c).code, 401);
}

Test(realms, a_request_without_a_way_back_is_dropped_while_its_user_is_asked_for)
{
	struct rig_client c = rig_client("192.0.2.10:5000", "gorst", "hero");

	fake.result = TURN_STORE_WAIT;
	cr_expect_eq(rig_allocate(&r, &c).length_bytes, 0);
	cr_expect_eq(turn_server_n_allocations(r.engine.turn), 0);
	fake.result = TURN_STORE_FOUND;
	cr_expect_eq(rig_allocate(&r, &c).code, 0); // the retransmission
}

// ---- requests that wait

static uint32_t n_again;

static void again(void *arg, const struct turn_request *in)
{
	uint8_t answer[TURN_ANSWER_BYTES_MAX];

	n_again++;
	if (turn_server_handle(r.engine.turn, in, answer, sizeof(answer)) > 0)
		*(uint32_t *)arg += 1;
}

// An Allocate request of a user of the store, from there, that can be answered later.
static void hand_in(const char *endpoint, uint32_t *n_answers)
{
	struct rig_client c = rig_client(endpoint, "gorst", "hero");
	struct rig_request q;
	struct turn_request in = {
		.client = c.endpoint,
		.local_port_be = __builtin_bswap16(3478),
		.again = again,
		.again_arg = n_answers,
		.now_ns = r.now_ns,
		.wall_ns = r.wall_ns,
	};
	uint8_t answer[TURN_ANSWER_BYTES_MAX];

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	in.len_bytes = rig_sign(&r, &c, &q, false);
	in.bytes = q.bytes;
	cr_assert_eq(turn_server_handle(r.engine.turn, &in, answer, sizeof(answer)), 0);
}

Test(realms, a_waiting_request_is_answered_once_the_store_has)
{
	uint32_t n_answers = 0;

	n_again = 0;
	fake.result = TURN_STORE_WAIT;
	hand_in("192.0.2.10:5000", &n_answers);
	turn_server_retry(r.engine.turn, r.now_ns, r.wall_ns); // nothing new: it waits on
	cr_expect_eq(n_again, 1);
	cr_expect_eq(n_answers, 0);
	fake.result = TURN_STORE_FOUND;
	turn_server_retry(r.engine.turn, r.now_ns, r.wall_ns);
	cr_expect_eq(n_answers, 1);
	cr_expect_eq(turn_server_n_allocations(r.engine.turn), 1);
	turn_server_retry(r.engine.turn, r.now_ns, r.wall_ns);
	cr_expect_eq(n_again, 2);
}

Test(realms, waiting_requests_are_bounded_in_number_and_time)
{
	uint32_t n_answers = 0;
	char endpoint[64];

	n_again = 0;
	fake.result = TURN_STORE_WAIT;
	for (int i = 0; i < 300; i++) {
		snprintf(endpoint, sizeof(endpoint), "192.0.2.%d:%d", i % 100, 5000 + i);
		hand_in(endpoint, &n_answers);
	}
	turn_server_retry(r.engine.turn, r.now_ns, r.wall_ns);
	cr_expect_eq(n_again, 256);
	turn_server_retry(r.engine.turn, r.now_ns + 10 * RIG_S, r.wall_ns + 10 * RIG_S);
	cr_expect_eq(n_again, 512);
	turn_server_retry(r.engine.turn, r.now_ns + 11 * RIG_S, r.wall_ns + 11 * RIG_S);
	cr_expect_eq(n_again, 512); // given up
	cr_expect_eq(turn_server_waiting(r.engine.turn)->n_dropped_full, 300 - 256);
	cr_expect_eq(turn_server_waiting(r.engine.turn)->n_dropped_late, 256);
}

Test(realms, waiting_requests_of_one_source_leave_room_to_others)
{
	uint32_t n_answers = 0;
	char endpoint[64];

	n_again = 0;
	fake.result = TURN_STORE_WAIT;
	for (int i = 0; i < 300; i++) {
		// One IPv4 address, and one /64.
		snprintf(endpoint, sizeof(endpoint),
			 i % 2 == 0 ? "192.0.2.10:%d" : "[2001:db8::%x]:5000", 5000 + i);
		hand_in(endpoint, &n_answers);
	}
	for (int i = 0; i < 3; i++) {
		snprintf(endpoint, sizeof(endpoint), "192.0.2.%d:5000", 11 + i);
		hand_in(endpoint, &n_answers);
	}
	turn_server_retry(r.engine.turn, r.now_ns, r.wall_ns);
	cr_expect_eq(n_again, 16 + 16 + 3);
	// They wait on without being one too many.
	turn_server_retry(r.engine.turn, r.now_ns, r.wall_ns);
	cr_expect_eq(n_again, 2 * (16 + 16 + 3));
	cr_expect_eq(turn_server_waiting(r.engine.turn)->n_dropped_source, 300 - 16 - 16);
}

Test(realms, limits_of_the_store_hold)
{
	struct rig_client a = rig_client("192.0.2.10:5000", "gorst", "hero");
	struct rig_client b = rig_client("192.0.2.11:5000", "gorst", "hero");

	fake.result = TURN_STORE_FOUND;
	fake.limits.quota_per_user = 1;
	cr_expect_eq(rig_allocate(&r, &a).code, 0);
	cr_expect_eq(rig_allocate(&r, &b).code, 486);
	fake.limits.quota_per_user = 0;
	fake.limits.quota_total = 1;
	cr_expect_eq(rig_allocate(&r, &b).code, 486);
	fake.limits.quota_total = 2;
	cr_expect_eq(rig_allocate(&r, &b).code, 0);
}
