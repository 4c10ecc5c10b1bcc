// RFC 8489 beyond its predecessor: MESSAGE-INTEGRITY-SHA256, USERHASH, PASSWORD-ALGORITHMS, the nonce
// cookie; and what attackers tried on the authentication of others.
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/hmac.h"
#include "controlplane/turn/password_key.h"
#include "controlplane/turn/server.h"
#include "tests/unit/controlplane/turn_rig.h"
#include "tests/vectors/stun_vectors.h"

static struct rig r;

static const uint8_t offered[] = { 0, 2, 0, 0 };

static void setup(void)
{
	struct config *c = rig_config();

	for (uint32_t i = 0; i < c->n_users; i++) {
		const char *password = i == 0 ? RIG_PASSWORD : "other-secret";

		c->users[i].has_sha256 = true;
		cr_assert_eq(turn_password_key(TURN_PASSWORD_SHA256, c->users[i].name,
					       strlen(c->users[i].name), RIG_REALM, password,
					       strlen(password), c->users[i].key_sha256),
			     0);
	}
	c->offers_sha256 = true;
	rig_open(&r, c);
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_rfc8489, .init = setup, .fini = teardown);

// How a request is signed.
struct way {
	const char *username; // NULL: USERHASH of `hashed`
	const char *hashed;
	const char *password;
	bool has_list, has_choice; // PASSWORD-ALGORITHMS, PASSWORD-ALGORITHM
	const uint8_t *list;
	uint16_t list_bytes;
	uint16_t choice;
	enum turn_password_algorithm key;
	bool sha1, sha256;   // which integrity
	uint16_t tag_bytes;  // of SHA-256; 0 = 32
	uint16_t bad_tag_at; // spoils that byte + 1
};

static const struct way modern = {
	.username = "lab",
	.password = RIG_PASSWORD,
	.has_list = true,
	.has_choice = true,
	.list = offered,
	.list_bytes = sizeof(offered),
	.choice = 2,
	.key = TURN_PASSWORD_SHA256,
	.sha256 = true,
};

static void nonce_fetch(struct rig_client *c)
{
	struct rig_request q;
	struct stun_attr a;
	struct rig_answer answer;

	rig_begin(&q, c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	answer = rig_send_bytes(&r, c, q.bytes, stun_build_end(&q.b));
	cr_assert(answer.code == 401 && rig_get(&answer, STUN_ATTR_NONCE, &a));
	memset(c->nonce, 0, sizeof(c->nonce));
	memcpy(c->nonce, a.value, a.length_bytes);
}

// Adds credentials as `w` says and sends. Fills key and its length for the answer's check.
static struct rig_answer send_by(struct rig_client *c, struct rig_request *q, const struct way *w,
				 uint8_t key[32], size_t *key_bytes)
{
	const char *name = w->username != NULL ? w->username : w->hashed;
	size_t covered;
	uint8_t *tag;

	if (c->nonce[0] == '\0')
		nonce_fetch(c);
	*key_bytes = turn_password_key_bytes(w->key);
	turn_password_key(w->key, name, strlen(name), RIG_REALM, w->password, strlen(w->password),
			  key);
	if (w->username != NULL) {
		stun_build_attr(&q->b, STUN_ATTR_USERNAME, name, (uint16_t)strlen(name));
	} else {
		uint8_t hash[32];

		turn_userhash(name, strlen(name), RIG_REALM, hash);
		stun_build_attr(&q->b, STUN_ATTR_USERHASH, hash, sizeof(hash));
	}
	stun_build_attr(&q->b, STUN_ATTR_REALM, RIG_REALM, sizeof(RIG_REALM) - 1);
	stun_build_attr(&q->b, STUN_ATTR_NONCE, c->nonce, (uint16_t)strlen(c->nonce));
	if (w->has_list)
		stun_build_attr(&q->b, STUN_ATTR_PASSWORD_ALGORITHMS, w->list, w->list_bytes);
	if (w->has_choice)
		stun_build_u32(&q->b, STUN_ATTR_PASSWORD_ALGORITHM, (uint32_t)w->choice << 16);
	if (w->sha1) {
		tag = stun_build_integrity(&q->b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
		HMAC(EVP_sha1(), key, (int)*key_bytes, q->b.w.base, covered, tag, NULL);
	}
	if (w->sha256) {
		uint16_t tag_bytes = w->tag_bytes != 0 ? w->tag_bytes : 32;
		uint8_t whole[32];

		tag = stun_build_integrity(&q->b, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, tag_bytes,
					   &covered);
		HMAC(EVP_sha256(), key, (int)*key_bytes, q->b.w.base, covered, whole, NULL);
		memcpy(tag, whole, tag_bytes < 32 ? tag_bytes : 32);
		if (w->bad_tag_at != 0)
			tag[w->bad_tag_at - 1] ^= 1;
	}
	return rig_send_bytes(&r, c, q->bytes, stun_build_end(&q->b));
}

static struct rig_answer allocate_by(struct rig_client *c, const struct way *w, uint8_t key[32],
				     size_t *key_bytes)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	return send_by(c, &q, w, key, key_bytes);
}

static struct rig_client client_at(const char *endpoint)
{
	return rig_client(endpoint, "lab", RIG_PASSWORD);
}

// The code of an Allocate from an endpoint of its own; the allocation goes again.
static uint16_t code_of(const struct way *w)
{
	static uint16_t port = 20000;
	struct rig_client c;
	struct rig_answer a;
	char endpoint[32];
	size_t key_bytes;
	uint8_t key[32];

	snprintf(endpoint, sizeof(endpoint), "203.0.113.9:%u", port++);
	c = client_at(endpoint);
	a = allocate_by(&c, w, key, &key_bytes);
	return a.code;
}

static bool signed_by_sha256(const struct rig_answer *a, const uint8_t *key, size_t key_bytes)
{
	struct stun_attr i, other;
	uint8_t copy[1024], tag[32];

	if (!rig_get(a, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, &i) || i.length_bytes != 32 ||
	    rig_get(a, STUN_ATTR_MESSAGE_INTEGRITY, &other))
		return false;
	memcpy(copy, a->bytes, a->length_bytes);
	bytes_put_be16(copy + 2, (uint16_t)(i.offset_bytes + 4 + 32 - 20));
	HMAC(EVP_sha256(), key, (int)key_bytes, copy, i.offset_bytes, tag, NULL);
	return memcmp(tag, i.value, 32) == 0;
}

Test(turn_rfc8489, rfc8489_9_2_1_challenge_offers_sha256_and_says_so_in_the_nonce)
{
	struct rig_client c = client_at("203.0.113.5:1");

	nonce_fetch(&c);
	cr_assert(strncmp(c.nonce, "obMatJos2gAAA", 13) == 0, "%s", c.nonce);
}

Test(turn_rfc8489, rfc8489_14_6_sha256_integrity_is_checked_and_answered_alike)
{
	struct rig_client c = client_at("203.0.113.5:1");
	struct rig_request q;
	struct rig_answer a;
	size_t key_bytes;
	uint8_t key[32];

	a = allocate_by(&c, &modern, key, &key_bytes);
	cr_assert_eq(a.code, 0);
	cr_assert(signed_by_sha256(&a, key, key_bytes));
	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	a = send_by(&c, &q, &modern, key, &key_bytes);
	cr_assert(a.code == 0 && signed_by_sha256(&a, key, key_bytes));
	rig_begin(&q, &c, TURN_CHANNEL_BIND_REQUEST); // errors too
	a = send_by(&c, &q, &modern, key, &key_bytes);
	cr_assert(a.code == 400 && signed_by_sha256(&a, key, key_bytes));
}

Test(turn_rfc8489, rfc8489_14_6_integrity_may_be_shortened_to_16_bytes_by_words)
{
	for (uint16_t n = 1; n <= 40; n++) {
		struct way w = modern;
		bool good = n >= 16 && n <= 32 && n % 4 == 0;

		w.tag_bytes = n;
		cr_assert_eq(code_of(&w), good ? 0 : 401, "%u bytes", n);
		w.bad_tag_at = n;
		cr_assert_eq(code_of(&w), 401, "the last of %u bytes is wrong", n);
	}
}

Test(turn_rfc8489, rfc8489_9_2_4_old_clients_mean_md5)
{
	struct way w = {
		.username = "lab", .password = RIG_PASSWORD, .key = TURN_PASSWORD_MD5, .sha1 = true
	};

	cr_assert_eq(code_of(&w), 0);
	// With the new integrity and the old key, too.
	w.sha1 = false;
	w.sha256 = true;
	cr_assert_eq(code_of(&w), 0);
	// A SHA-256 key that nobody spoke of.
	w.key = TURN_PASSWORD_SHA256;
	cr_assert_eq(code_of(&w), 401);
}

Test(turn_rfc8489, rfc8489_9_2_4_both_integrities_sha256_counts)
{
	struct rig_client c = client_at("203.0.113.5:1");
	struct way w = modern;
	struct rig_answer a;
	size_t key_bytes;
	uint8_t key[32];

	w.sha1 = true;
	a = allocate_by(&c, &w, key, &key_bytes);
	cr_assert(a.code == 0 && signed_by_sha256(&a, key, key_bytes));
	w.bad_tag_at = 32; // though MESSAGE-INTEGRITY is right
	cr_assert_eq(code_of(&w), 401);
}

// Bid-down: whoever shortens the list, or picks what is not on it, gets 400.
Test(turn_rfc8489, rfc8489_9_2_4_password_algorithms_come_back_as_they_were_or_400)
{
	static const uint8_t md5_only[] = { 0, 1, 0, 0 };
	static const uint8_t both[] = { 0, 2, 0, 0, 0, 1, 0, 0 };
	static const uint8_t parameters[] = { 0, 2, 0, 4, 1, 2, 3, 4 };
	struct way w = modern;

	cr_assert_eq(code_of(&w), 0);
	w.has_list = false;
	cr_assert_eq(code_of(&w), 400, "no list");
	w.has_list = true;
	w.has_choice = false;
	cr_assert_eq(code_of(&w), 400, "no choice");
	w.has_choice = true;
	w.list = md5_only;
	cr_assert_eq(code_of(&w), 400, "another list");
	w.list = both;
	w.list_bytes = sizeof(both);
	cr_assert_eq(code_of(&w), 400, "a longer list");
	w.list = parameters;
	cr_assert_eq(code_of(&w), 400, "with parameters");
	w.list_bytes = 0;
	cr_assert_eq(code_of(&w), 400, "an empty list");
	w.list = offered;
	w.list_bytes = sizeof(offered);
	w.choice = 1;
	cr_assert_eq(code_of(&w), 400, "a choice that is not on the list");
	w.choice = 77;
	cr_assert_eq(code_of(&w), 400);
}

Test(turn_rfc8489, rfc8489_9_2_1_a_nonce_without_its_cookie_is_stale)
{
	struct rig_client c = client_at("203.0.113.5:1");
	struct rig_answer a;
	size_t key_bytes;
	uint8_t key[32];

	nonce_fetch(&c);
	memmove(c.nonce, c.nonce + 13, strlen(c.nonce) - 12);
	a = allocate_by(&c, &modern, key, &key_bytes);
	cr_assert_eq(a.code, 438);
	nonce_fetch(&c);
	memcpy(c.nonce + 9, "AAAA", 4); // without the features
	a = allocate_by(&c, &modern, key, &key_bytes);
	cr_assert_eq(a.code, 438);
}

Test(turn_rfc8489, rfc8489_14_4_userhash_finds_users_of_the_configuration)
{
	struct rig_client c = client_at("203.0.113.5:1");
	struct way w = modern;
	struct rig_answer a;
	size_t key_bytes;
	uint8_t key[32];

	w.username = NULL;
	w.hashed = "lab";
	a = allocate_by(&c, &w, key, &key_bytes);
	cr_assert_eq(a.code, 0);
	cr_assert_eq(turn_server_user_allocations(r.engine.turn, "lab", 3), 1);
	w.hashed = "nobody";
	cr_assert_eq(code_of(&w), 401);
	w.hashed = "other"; // whose password is another
	cr_assert_eq(code_of(&w), 401);
	w.password = "other-secret";
	cr_assert_eq(code_of(&w), 0);
}

// A REST name is made up by a third party and stands in no list that could be hashed.
Test(turn_rfc8489, rfc8489_14_4_userhash_of_a_rest_name_finds_nobody)
{
	char name[32], password[32];
	struct way w = modern;

	snprintf(name, sizeof(name), "%llu:x", (unsigned long long)(r.wall_ns / RIG_S + 600));
	rig_rest_client("203.0.113.5:1", name, RIG_SECRET, password);
	w.username = name;
	w.password = password;
	cr_assert_eq(code_of(&w), 0);
	w.hashed = name;
	w.username = NULL;
	cr_assert_eq(code_of(&w), 401);
}

// ---- REST credentials by SHA-256

static void rest_sha256(const char *name, const char *secret, char password[64])
{
	uint8_t mac[32];

	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)name, strlen(name), mac,
	     NULL);
	EVP_EncodeBlock((unsigned char *)password, mac, 32);
}

Test(turn_rfc8489, rest_password_by_hmac_sha256_is_accepted_beside_hmac_sha1)
{
	char name[32], password[64];

	snprintf(name, sizeof(name), "%llu:alice", (unsigned long long)(r.wall_ns / RIG_S + 600));
	for (int how = 0; how < 4; how++) {
		struct way w = modern;

		w.username = name;
		w.password = password;
		if (how & 1)
			w = (struct way){ .username = name,
					  .password = password,
					  .key = TURN_PASSWORD_MD5,
					  .sha1 = true };
		if (how & 2)
			rest_sha256(name, RIG_SECRET, password);
		else
			rig_rest_client("203.0.113.5:1", name, RIG_SECRET, password);
		cr_assert_eq(code_of(&w), 0, "way %d", how);
		password[3] ^= 1;
		cr_assert_eq(code_of(&w), 401, "way %d", how);
	}
	rest_sha256(name, "another-secret", password);
	struct way w = modern;
	w.username = name;
	w.password = password;
	cr_assert_eq(code_of(&w), 401);
}

// ---- counters, records

Test(turn_rfc8489, how_clients_sign_is_counted_per_allocation)
{
	struct way old = {
		.username = "lab", .password = RIG_PASSWORD, .key = TURN_PASSWORD_MD5, .sha1 = true
	};
	struct turn_server *s = r.engine.turn;

	for (int i = 0; i < 3; i++)
		code_of(&modern);
	code_of(&old);
	cr_assert_eq(turn_server_counter(s, TURN_COUNTER_KEY_SHA256), 3);
	cr_assert_eq(turn_server_counter(s, TURN_COUNTER_KEY_MD5), 1);
	cr_assert_eq(turn_server_counter(s, TURN_COUNTER_INTEGRITY_SHA256), 3);
	cr_assert_eq(turn_server_counter(s, TURN_COUNTER_INTEGRITY_SHA1), 1);
}

// ---- vectors, through the functions that check requests

static void vector_fits(const uint8_t *bytes, size_t n, uint16_t type, enum turn_hash hash,
			const void *key, size_t key_bytes)
{
	struct turn_hmac *h;
	uint8_t tag[TURN_TAG_BYTES_MAX], head[20];
	struct stun_view m;
	struct stun_attr a;

	cr_assert_eq(turn_hmac_new(&h), 0);
	cr_assert_eq(stun_parse(bytes, n, &m), STUN_OK);
	cr_assert(stun_attr_find(&m, type, &a));
	cr_assert_eq(a.length_bytes, turn_hmac_bytes(hash));
	memcpy(head, bytes, 20);
	bytes_put_be16(head + 2, (uint16_t)(a.offset_bytes + 4 + a.length_bytes - 20));
	cr_assert(turn_hmac_compute(h, hash, key, key_bytes, head, 20, bytes + 20,
				    a.offset_bytes - 20u, tag));
	cr_assert_arr_eq(tag, a.value, a.length_bytes);
	turn_hmac_free(h);
}

Test(turn_vectors, rfc5769_2_4_long_term_key_and_integrity)
{
	uint8_t key[32];

	cr_assert_eq(turn_password_key(TURN_PASSWORD_MD5, VECTOR_LONG_TERM_USER,
				       strlen(VECTOR_LONG_TERM_USER), "example.org", "TheMatrIX", 9,
				       key),
		     0);
	vector_fits(rfc5769_2_4_long_term, sizeof(rfc5769_2_4_long_term),
		    STUN_ATTR_MESSAGE_INTEGRITY, TURN_HASH_SHA1, key, 16);
}

Test(turn_vectors, rfc5769_2_1_to_2_3_short_term_integrity)
{
	static const struct {
		const uint8_t *bytes;
		size_t n;
	} v[] = { { rfc5769_2_1_request, sizeof(rfc5769_2_1_request) },
		  { rfc5769_2_2_response_v4, sizeof(rfc5769_2_2_response_v4) },
		  { rfc5769_2_3_response_v6, sizeof(rfc5769_2_3_response_v6) } };

	for (int i = 0; i < 3; i++)
		vector_fits(v[i].bytes, v[i].n, STUN_ATTR_MESSAGE_INTEGRITY, TURN_HASH_SHA1,
			    RFC5769_PASSWORD, strlen(RFC5769_PASSWORD));
}

Test(turn_vectors, rfc8489_b_1_userhash_key_and_sha256_integrity)
{
	uint8_t key[32], hash[32];
	struct stun_view m;
	struct stun_attr a;

	cr_assert_eq(turn_userhash(VECTOR_LONG_TERM_USER, strlen(VECTOR_LONG_TERM_USER),
				   "example.org", hash),
		     0);
	cr_assert_eq(stun_parse(rfc8489_b_1_sha256, sizeof(rfc8489_b_1_sha256), &m), STUN_OK);
	cr_assert(stun_attr_find(&m, STUN_ATTR_USERHASH, &a));
	cr_assert_arr_eq(a.value, hash, 32);
	cr_assert_eq(turn_password_key(TURN_PASSWORD_SHA256, VECTOR_LONG_TERM_USER,
				       strlen(VECTOR_LONG_TERM_USER), "example.org", "TheMatrIX", 9,
				       key),
		     0);
	vector_fits(rfc8489_b_1_sha256, sizeof(rfc8489_b_1_sha256),
		    STUN_ATTR_MESSAGE_INTEGRITY_SHA256, TURN_HASH_SHA256, key, 32);
}

// ---- what attackers tried on others

// CVE-2020-4067: bytes of former answers in the padding. The same question into buffers of other garbage
// gets the same answer.
Test(turn_rfc8489, cve_2020_4067_answers_hold_nothing_but_what_was_written)
{
	static const uint8_t fills[] = { 0x00, 0xff, 0xa5 };
	static const uint16_t types[] = { TURN_ALLOCATE_REQUEST, TURN_REFRESH_REQUEST,
					  TURN_CREATE_PERMISSION_REQUEST, TURN_CHANNEL_BIND_REQUEST,
					  0x0007 };

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		for (int how = 0; how < 3; how++) {
			struct rig_client c = client_at("203.0.113.5:77");
			uint8_t answer[3][TURN_ANSWER_BYTES_MAX];
			size_t n[3], key_bytes;
			struct rig_request q;
			uint8_t key[32];

			rig_begin(&q, &c, types[t]);
			stun_build_attr(&q.b, STUN_ATTR_SOFTWARE, "a test", 6);
			if (how == 2) // 420
				rig_add_u32(&q, 0x7001, 1);
			if (how > 0)
				send_by(&c, &q, &modern, key, &key_bytes);
			for (int f = 0; f < 3; f++) {
				struct turn_request in = { .client = c.endpoint,
							   .local_port_be = __builtin_bswap16(3478),
							   .bytes = q.bytes,
							   .len_bytes = stun_build_end(&q.b),
							   .now_ns = r.now_ns,
							   .wall_ns = r.wall_ns };

				memset(answer[f], fills[f], sizeof(answer[f]));
				n[f] = turn_server_handle(r.engine.turn, &in, answer[f],
							  sizeof(answer[f]));
			}
			cr_assert(n[0] > 0 && n[0] == n[1] && n[0] == n[2]);
			cr_assert_arr_eq(answer[0], answer[1], n[0]);
			cr_assert_arr_eq(answer[0], answer[2], n[0]);
		}
	}
}

// CVE-2026-40613: requests at every alignment; the sanitizers judge.
Test(turn_rfc8489, cve_2026_40613_requests_at_any_alignment)
{
	struct rig_client c = client_at("203.0.113.5:78");
	struct rig_request q;
	uint8_t key[32];
	size_t key_bytes, n;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	send_by(&c, &q, &modern, key, &key_bytes);
	n = stun_build_end(&q.b);
	for (size_t shift = 0; shift < 16; shift++) {
		static uint8_t room[2048] __attribute__((aligned(16)));
		uint8_t answer[TURN_ANSWER_BYTES_MAX + 16];
		struct turn_request in = { .client = c.endpoint,
					   .local_port_be = __builtin_bswap16(3478),
					   .bytes = room + shift,
					   .len_bytes = n,
					   .now_ns = r.now_ns,
					   .wall_ns = r.wall_ns };

		memcpy(room + shift, q.bytes, n);
		cr_assert_gt(turn_server_handle(r.engine.turn, &in, answer + shift,
						TURN_ANSWER_BYTES_MAX),
			     0);
	}
}

// GHSA-4g7c-p5wg-j4hp: names and realms that a printf would take for orders.
Test(turn_rfc8489, ghsa_4g7c_p5wg_j4hp_format_strings_in_username_and_realm)
{
	static const char *const names[] = { "%n%n%n%n", "%s%s%s%s%s%s", "%999999999d", "%x%%\n" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rig_client c = client_at("203.0.113.5:79");
		struct way w = modern;
		struct rig_request q;
		struct rig_answer a;
		size_t covered;

		w.username = names[i];
		cr_assert_eq(code_of(&w), 401);
		nonce_fetch(&c);
		rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
		stun_build_attr(&q.b, STUN_ATTR_USERNAME, "lab", 3);
		stun_build_attr(&q.b, STUN_ATTR_REALM, names[i], (uint16_t)strlen(names[i]));
		stun_build_attr(&q.b, STUN_ATTR_NONCE, c.nonce, (uint16_t)strlen(c.nonce));
		stun_build_integrity(&q.b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
		a = rig_send_bytes(&r, &c, q.bytes, stun_build_end(&q.b));
		cr_assert_eq(a.code, 401);
	}
}

// Attributes behind MESSAGE-INTEGRITY-SHA256 are not covered by it.
Test(turn_rfc8489, attributes_after_message_integrity_are_not_honoured)
{
	struct rig_client c = client_at("203.0.113.5:80");
	struct rig_request q;
	struct rig_answer a;
	size_t key_bytes;
	uint8_t key[32];

	cr_assert_eq(allocate_by(&c, &modern, key, &key_bytes).code, 0);
	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	send_by(&c, &q, &modern, key, &key_bytes);
	stun_build_u32(&q.b, TURN_ATTR_LIFETIME, 0);
	a = rig_send_bytes(&r, &c, q.bytes, stun_build_end(&q.b));
	cr_assert_eq(a.code, 0);
	cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 600);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}
