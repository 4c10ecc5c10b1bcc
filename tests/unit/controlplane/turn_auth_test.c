// General rules and authentication: RFC 8656 §5, RFC 8489 §6.3, §9.2; REST credentials.
#include "tests/unit/controlplane/turn_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig r;

static void setup(void)
{
	rig_open(&r, rig_config());
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_auth, .init = setup, .fini = teardown);

Test(turn_auth, rfc8489_9_2_4_request_without_integrity_gets_401_with_realm_and_nonce)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_request q;
	struct rig_answer a;
	struct stun_attr attr;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	a = rig_send_bytes(&r, &c, q.bytes, stun_build_end(&q.b));
	cr_assert(a.code == 401 && a.type == (TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR));
	cr_assert(rig_get(&a, STUN_ATTR_REALM, &attr));
	cr_assert(attr.length_bytes == strlen(RIG_REALM));
	cr_assert(rig_get(&a, STUN_ATTR_NONCE, &attr));
	cr_assert_not(rig_get(&a, STUN_ATTR_MESSAGE_INTEGRITY, &attr));
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_auth, rfc8489_9_2_4_integrity_without_username_realm_or_nonce_gets_400)
{
	static const uint16_t attributes[] = { STUN_ATTR_USERNAME, STUN_ATTR_REALM,
					       STUN_ATTR_NONCE };

	for (int missing = 0; missing < 3; missing++) {
		struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
		struct rig_request q;
		struct rig_answer a;
		size_t covered;

		rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
		for (int i = 0; i < 3; i++) {
			if (i != missing)
				stun_build_attr(&q.b, attributes[i], "text", 4);
		}
		stun_build_integrity(&q.b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
		a = rig_send_bytes(&r, &c, q.bytes, stun_build_end(&q.b));
		cr_assert_eq(a.code, 400, "without 0x%04x: %u", attributes[missing], a.code);
	}
}

Test(turn_auth, rfc8489_9_2_4_wrong_key_gets_401_unsigned)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", "wrong");
	struct rig_answer a = rig_allocate(&r, &c);

	cr_assert(a.code == 401 && !a.is_signed);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_auth, rfc8489_9_2_4_unknown_user_gets_the_same_401_as_a_wrong_key)
{
	struct rig_client unknown = rig_client("203.0.113.5:40000", "nobody", "x");
	struct rig_client wrong = rig_client("203.0.113.5:40000", "lab", "x");
	struct rig_answer a = rig_allocate(&r, &unknown);
	struct rig_answer b = rig_allocate(&r, &wrong);

	cr_assert(a.code == 401 && b.code == 401 && a.length_bytes == b.length_bytes);
}

Test(turn_auth, rfc8489_9_2_4_truncated_integrity_is_no_integrity)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_request q;
	struct rig_answer a;
	size_t covered;

	rig_allocate(&r, &c);
	rig_refresh(&r, &c, 0);
	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	stun_build_attr(&q.b, STUN_ATTR_USERNAME, "lab", 3);
	stun_build_attr(&q.b, STUN_ATTR_REALM, RIG_REALM, sizeof(RIG_REALM) - 1);
	stun_build_attr(&q.b, STUN_ATTR_NONCE, c.nonce, (uint16_t)strlen(c.nonce));
	stun_build_integrity(&q.b, STUN_ATTR_MESSAGE_INTEGRITY, 4, &covered);
	a = rig_send_bytes(&r, &c, q.bytes, stun_build_end(&q.b));
	cr_assert_eq(a.code, 401);
}

Test(turn_auth, rfc8489_9_2_4_stale_nonce_gets_438_with_a_fresh_one)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_answer a = rig_allocate(&r, &c);
	struct stun_attr nonce;

	cr_assert_eq(a.code, 0);
	rig_advance(&r, 45 * 60);
	rig_client("203.0.113.5:40001", "lab", RIG_PASSWORD);
	a = rig_refresh(&r, &c, 600);
	cr_assert_eq(a.code, 438);
	cr_assert(rig_get(&a, STUN_ATTR_NONCE, &nonce));
	cr_assert(memcmp(nonce.value, c.nonce, nonce.length_bytes) != 0);
	cr_assert(rig_get(&a, STUN_ATTR_REALM, &nonce));
}

Test(turn_auth, rfc8489_9_2_4_nonce_of_another_client_gets_438)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_client thief = rig_client("203.0.113.6:40000", "lab", RIG_PASSWORD);

	rig_allocate(&r, &c);
	memcpy(thief.nonce, c.nonce, sizeof(c.nonce));
	cr_assert_eq(rig_allocate(&r, &thief).code, 438);
}

Test(turn_auth, rfc8489_9_2_4_answers_are_signed_errors_too)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_answer a = rig_refresh(&r, &c, 600);

	cr_assert(a.code == 437 && a.is_signed);
	a = rig_allocate(&r, &c);
	cr_assert(a.code == 0 && a.is_signed);
}

Test(turn_auth, rfc8489_14_7_fingerprint_is_checked_and_answered)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_request q;
	struct rig_answer a;
	struct stun_attr attr;
	size_t n;

	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	n = rig_sign(&r, &c, &q, true);
	a = rig_send_bytes(&r, &c, q.bytes, n);
	cr_assert_eq(a.code, 437);
	cr_assert(rig_get(&a, STUN_ATTR_FINGERPRINT, &attr));
	q.bytes[n - 1] ^= 1;
	cr_assert_eq(rig_send_bytes(&r, &c, q.bytes, n).length_bytes, 0);
	a = rig_refresh(&r, &c, 600);
	cr_assert_not(rig_get(&a, STUN_ATTR_FINGERPRINT, &attr));
}

Test(turn_auth, rfc8489_14_5_attributes_after_integrity_are_ignored)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_request q;
	struct rig_answer a;
	size_t covered;

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	rig_sign(&r, &c, &q, false);
	// An attacker appends LIFETIME 0: it must not delete the allocation.
	stun_build_u32(&q.b, TURN_ATTR_LIFETIME, 0);
	a = rig_send_bytes(&r, &c, q.bytes, stun_build_end(&q.b));
	cr_assert_eq(a.code, 0);
	cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 600);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	(void)covered;
}

Test(turn_auth, rfc8489_6_3_1_unknown_required_attributes_get_420_by_name)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_request q;
	struct rig_answer a;
	struct stun_attr attr;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	rig_add_u32(&q, 0x7ffe, 1);
	rig_add_u32(&q, 0x7ffd, 1);
	rig_add_u32(&q, 0x8fff, 1); // comprehension-optional: ignored
	a = rig_send(&r, &c, &q);
	cr_assert(a.code == 420 && a.is_signed);
	cr_assert(rig_get(&a, STUN_ATTR_UNKNOWN_ATTRIBUTES, &attr));
	cr_assert_eq(attr.length_bytes, 4);
	cr_assert_eq(bytes_get_be16(attr.value), 0x7ffe);
	cr_assert_eq(bytes_get_be16(attr.value + 2), 0x7ffd);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_auth, rfc8489_6_3_1_unknown_method_gets_400_once_authenticated)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_request q;

	rig_begin(&q, &c, 0x0007);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
}

Test(turn_auth, rfc8656_5_requests_without_allocation_get_437)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);

	cr_assert_eq(rig_refresh(&r, &c, 600).code, 437);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 437);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 437);
}

Test(turn_auth, rfc8656_5_another_user_on_a_live_allocation_gets_441)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_client other = rig_client("203.0.113.5:40000", "other", "other-secret");

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(rig_refresh(&r, &other, 0).code, 441);
	cr_assert_eq(rig_permit(&r, &other, "9.9.9.9:1").code, 441);
	cr_assert_eq(rig_bind(&r, &other, 0x4000, "9.9.9.9:1").code, 441);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}

Test(turn_auth, indications_and_answers_are_never_answered)
{
	static const uint16_t types[] = { STUN_BINDING_INDICATION, TURN_SEND_INDICATION,
					  TURN_DATA_INDICATION,
					  TURN_ALLOCATE_REQUEST | STUN_CLASS_SUCCESS,
					  TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR };
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct rig_request q;

		rig_begin(&q, &c, types[i]);
		cr_assert_eq(rig_send(&r, &c, &q).length_bytes, 0);
	}
}

Test(turn_auth, no_truncation_of_a_valid_request_is_accepted)
{
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_request q;
	size_t n;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	n = rig_sign(&r, &c, &q, true);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(rig_send_bytes(&r, &c, q.bytes, i).length_bytes, 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

// ---- REST credentials

static void rest_name(char out[32], int64_t offset_s, const char *id)
{
	snprintf(out, 32, "%lld%s%s", (long long)(r.wall_ns / RIG_S) + (long long)offset_s,
		 id[0] != '\0' ? ":" : "", id);
}

Test(turn_auth, rest_credential_of_the_secret_is_accepted)
{
	char name[32], password[32];

	rest_name(name, 60, "alice");
	struct rig_client c = rig_rest_client("203.0.113.5:1", name, RIG_SECRET, password);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(turn_server_user_allocations(r.engine.turn, "alice", 5), 1);
	rest_name(name, 60, "");
	c = rig_rest_client("203.0.113.5:2", name, RIG_SECRET, password);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
}

Test(turn_auth, rest_credential_of_another_secret_gets_401)
{
	char name[32], password[32];

	rest_name(name, 60, "alice");
	struct rig_client c = rig_rest_client("203.0.113.5:1", name, "another", password);
	cr_assert_eq(rig_allocate(&r, &c).code, 401);
}

Test(turn_auth, expired_rest_credential_gets_401_but_keeps_its_live_allocation)
{
	char name[32], password[32];

	rest_name(name, -1, "alice");
	struct rig_client c = rig_rest_client("203.0.113.5:1", name, RIG_SECRET, password);
	cr_assert_eq(rig_allocate(&r, &c).code, 401);

	rest_name(name, 60, "alice");
	c = rig_rest_client("203.0.113.5:2", name, RIG_SECRET, password);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	rig_advance(&r, 120);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 0);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	cr_assert_eq(rig_allocate(&r, &c).code, 401);
}

Test(turn_auth, rest_names_that_are_no_time_get_401)
{
	static const char *const names[] = { "", ":", ":x", "12x", "x12", "9999999999999999999:x" };
	char password[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rig_client c =
			rig_rest_client("203.0.113.5:1", names[i], RIG_SECRET, password);

		cr_assert_eq(rig_allocate(&r, &c).code, 401, "%s", names[i]);
	}
}

Test(turn_auth_secrets, several_secrets_are_accepted_at_once)
{
	struct config *config = rig_config();
	char name[32], password[32];

	config->rest_secrets = realloc(config->rest_secrets, 2 * sizeof(char *));
	config->rest_secrets[1] = strdup("the-next-secret");
	config->n_rest_secrets = 2;
	rig_open(&r, config);
	for (int i = 0; i < 3; i++) {
		struct rig_client c;

		rest_name(name, 600 + i, "alice");
		c = rig_rest_client("203.0.113.5:1", name,
				    i % 2 == 0 ? "the-next-secret" : RIG_SECRET, password);
		cr_assert_eq(rig_allocate(&r, &c).code, 0);
		cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	}
	rig_close(&r);
}

Test(turn_auth_secrets, a_rest_session_survives_the_last_secret)
{
	struct config *without;
	struct rig_client c, d;
	char password[32], name[32];

	rig_open(&r, rig_config());
	snprintf(name, sizeof(name), "%llu:bob", (unsigned long long)(r.wall_ns / RIG_S + 3600));
	c = rig_rest_client("203.0.113.5:40000", name, RIG_SECRET, password);
	d = c;
	d.endpoint.port_be = 1;
	d.nonce[0] = '\0';
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	rig_leave(&r);
	without = rig_config();
	free(without->rest_secrets[0]);
	without->n_rest_secrets = 0;
	rig_reopen(&r, without);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 0);
	cr_assert_eq(rig_allocate(&r, &d).code, 401);
	rig_close(&r);
}
