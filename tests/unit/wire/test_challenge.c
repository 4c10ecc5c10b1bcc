// Stateless nonces and first answers (RFC 8489 §9.2), and the SipHash under them.
#include <criterion/criterion.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "dataplane/contract/wire/challenge.h"
#include "tests/unit/wire/guarded.h"

#define MINUTE_NS CHALLENGE_BUCKET_NS
#define NOW_NS    (29000000ull * MINUTE_NS + 12345)

static const uint8_t secret[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static struct ip_endpoint endpoint(const char *text)
{
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(text, &e), 0);
	return e;
}

// The authors' vectors: key 00..0f, message 00..n-1.
Test(challenge, siphash_2_4_128_reference)
{
	static const struct {
		size_t n;
		uint8_t out[16];
	} vectors[] = {
		{ 0,
		  { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
		    0x55, 0x02, 0x93 } },
		{ 1,
		  { 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
		    0x22, 0xfc, 0x45 } },
		{ 8,
		  { 0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3,
		    0x14, 0x97, 0xb4 } },
		{ 63,
		  { 0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97,
		    0x3f, 0xbd, 0x7c } },
	};
	uint8_t message[64];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t out[16];

		siphash128(secret, guarded_copy(message, vectors[i].n), vectors[i].n, out);
		cr_assert_arr_eq(out, vectors[i].out, 16, "%zu bytes", vectors[i].n);
	}
}

Test(challenge, siphash_agrees_with_openssl)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	size_t size_bytes = 16;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size_bytes),
				OSSL_PARAM_END };
	uint8_t message[200];

	cr_assert_not_null(mac);
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 37);
	for (size_t n = 0; n <= sizeof(message); n++) {
		EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
		uint8_t key[16];
		uint8_t ours[16];
		uint8_t theirs[16];
		size_t got;

		memcpy(key, message + n % 100, sizeof(key));
		siphash128(key, guarded_copy(message, n), n, ours);
		cr_assert_eq(EVP_MAC_init(ctx, key, sizeof(key), params), 1);
		cr_assert_eq(EVP_MAC_update(ctx, message, n), 1);
		cr_assert_eq(EVP_MAC_final(ctx, theirs, &got, sizeof(theirs)), 1);
		cr_assert_arr_eq(ours, theirs, 16, "%zu bytes", n);
		EVP_MAC_CTX_free(ctx);
	}
	EVP_MAC_free(mac);
}

static enum challenge_verdict check(uint64_t wall_ns, const struct ip_endpoint *client,
				    const char *nonce)
{
	return challenge_nonce_check(secret, wall_ns, client, 0,
				     guarded_copy(nonce, CHALLENGE_NONCE_CHARS),
				     CHALLENGE_NONCE_CHARS);
}

Test(challenge, rfc8489_9_2_nonce_lives_and_expires)
{
	static const char *const clients[] = { "192.0.2.1:1111", "[2001:db8::1]:1111" };

	for (uint32_t i = 0; i < 2; i++) {
		struct ip_endpoint client = endpoint(clients[i]);
		char nonce[CHALLENGE_NONCE_CHARS];

		challenge_nonce_write(secret, NOW_NS, &client, 0, nonce);
		for (uint32_t k = 0; k < sizeof(nonce); k++)
			cr_assert(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-_",
					 nonce[k]) != NULL &&
				  nonce[k] != '\0');
		for (uint64_t age = 0; age < 30; age++)
			cr_assert_eq(check(NOW_NS + age * MINUTE_NS, &client, nonce),
				     CHALLENGE_NONCE_VALID);
		cr_assert_eq(check(NOW_NS - MINUTE_NS, &client, nonce), CHALLENGE_NONCE_VALID,
			     "another host's clock");
		cr_assert_eq(check(NOW_NS - 2 * MINUTE_NS, &client, nonce), CHALLENGE_NONCE_STALE);
		cr_assert_eq(check(NOW_NS + 30 * MINUTE_NS, &client, nonce), CHALLENGE_NONCE_STALE);
		// The 6 bits of the bucket come round, the nonce does not.
		cr_assert_eq(check(NOW_NS + 64 * MINUTE_NS, &client, nonce), CHALLENGE_NONCE_STALE);
	}
}

Test(challenge, rfc8489_9_2_nonce_of_another_client_or_secret)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	static const char *const others[] = { "192.0.2.2:1111", "192.0.2.1:1112",
					      "[::c000:201]:1111" };
	char nonce[CHALLENGE_NONCE_CHARS];
	uint8_t other_secret[16];

	challenge_nonce_write(secret, NOW_NS, &client, 0, nonce);
	for (uint32_t i = 0; i < 3; i++) {
		struct ip_endpoint other = endpoint(others[i]);

		cr_assert_eq(check(NOW_NS, &other, nonce), CHALLENGE_NONCE_STALE);
	}
	memcpy(other_secret, secret, 16);
	other_secret[15] ^= 1;
	cr_assert_eq(challenge_nonce_check(other_secret, NOW_NS, &client, 0, nonce,
					   CHALLENGE_NONCE_CHARS),
		     CHALLENGE_NONCE_STALE);
}

Test(challenge, every_altered_character_is_stale)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	char nonce[CHALLENGE_NONCE_CHARS];

	challenge_nonce_write(secret, NOW_NS, &client, 0, nonce);
	for (uint32_t k = 0; k < sizeof(nonce); k++) {
		char kept = nonce[k];

		for (uint32_t c = 0; c < 256; c++) {
			nonce[k] = (char)c;
			cr_assert_eq(check(NOW_NS, &client, nonce),
				     (char)c == kept ? CHALLENGE_NONCE_VALID
						     : CHALLENGE_NONCE_STALE,
				     "character %u = %u", k, c);
		}
		nonce[k] = kept;
	}
	for (size_t n = 0; n < 40; n++) {
		char longer[40] = { 0 };

		memcpy(longer, nonce, sizeof(nonce));
		if (n != sizeof(nonce))
			cr_assert_eq(challenge_nonce_check(secret, NOW_NS, &client, 0,
							   guarded_copy(longer, n), n),
				     CHALLENGE_NONCE_STALE);
	}
}

static const struct challenge_offer plain = { .realm = "lab.turnpike", .realm_bytes = 12 };

static struct stun_view request(uint8_t *buf, size_t room, bool fingerprint)
{
	static const uint8_t id[12] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2 };
	struct stun_builder b;
	struct stun_view m;

	stun_build_begin(&b, buf, room, TURN_ALLOCATE_REQUEST, id);
	stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT, TURN_TRANSPORT_UDP << 24);
	if (fingerprint)
		stun_build_fingerprint(&b);
	cr_assert_eq(stun_parse(buf, stun_build_end(&b), &m), STUN_OK);
	return m;
}

Test(challenge, rfc8489_9_2_4_answer)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");

	for (uint32_t i = 0; i < 4; i++) {
		bool fingerprint = i & 1;
		uint16_t code = i & 2 ? 438 : 401;
		uint8_t question[64];
		uint8_t answer[128];
		struct stun_view q = request(question, sizeof(question), fingerprint);
		struct stun_view m;
		struct stun_attr a;
		size_t n;

		memset(answer, 0xee, sizeof(answer));
		n = challenge_build(&q, code, secret, NOW_NS, &client, &plain, CHALLENGE_UNLIMITED,
				    answer, sizeof(answer));
		// No more than it must hold: header, code, realm, nonce.
		cr_assert_eq(n, 20 + 8 + 16 + 16 + (fingerprint ? 8 : 0));
		cr_assert_eq(challenge_answer_bytes(12, 0), 20 + 8 + 16 + 16);
		cr_assert_eq(stun_parse(answer, n, &m), STUN_OK);
		cr_assert_eq(m.type, TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR);
		cr_assert_arr_eq(m.transaction_id, q.transaction_id, 12);
		cr_assert(stun_attr_find(&m, STUN_ATTR_ERROR_CODE, &a));
		cr_assert_eq(a.length_bytes, 4);
		cr_assert_eq(a.value[2] * 100 + a.value[3], code);
		cr_assert(stun_attr_find(&m, STUN_ATTR_REALM, &a));
		cr_assert_eq(a.length_bytes, 12);
		cr_assert_arr_eq(a.value, "lab.turnpike", 12);
		cr_assert(stun_attr_find(&m, STUN_ATTR_NONCE, &a));
		cr_assert_eq(
			challenge_nonce_check(secret, NOW_NS, &client, 0, a.value, a.length_bytes),
			CHALLENGE_NONCE_VALID);
		cr_assert_eq(stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a), fingerprint);
		if (fingerprint)
			cr_assert(stun_fingerprint_ok(&m, &a));
		for (size_t room = 0; room < n; room++)
			cr_assert_eq(challenge_build(&q, code, secret, NOW_NS, &client, &plain,
						     CHALLENGE_UNLIMITED,
						     guarded_copy(answer, room), room),
				     0);
	}
}

Test(challenge, realm_and_oauth_name_are_bounded)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	char long_text[CHALLENGE_REALM_MAX + 1];
	struct challenge_offer o = { .realm = long_text, .realm_bytes = CHALLENGE_REALM_MAX };
	uint8_t question[64];
	uint8_t answer[512];
	struct stun_view q = request(question, sizeof(question), false);

	memset(long_text, 'r', sizeof(long_text));
	cr_assert_eq(challenge_build(&q, 401, secret, NOW_NS, &client, &o, CHALLENGE_UNLIMITED,
				     answer, sizeof(answer)),
		     20 + 8 + 4 + 128 + 16);
	o.realm_bytes++;
	cr_assert_eq(challenge_build(&q, 401, secret, NOW_NS, &client, &o, CHALLENGE_UNLIMITED,
				     answer, sizeof(answer)),
		     0);
	o = (struct challenge_offer){ .oauth_name = long_text,
				      .oauth_name_bytes = CHALLENGE_OAUTH_NAME_MAX + 1 };
	cr_assert_eq(challenge_build(&q, 401, secret, NOW_NS, &client, &o, CHALLENGE_UNLIMITED,
				     answer, sizeof(answer)),
		     0);
}

// ---- features

Test(challenge, rfc8489_9_2_1_nonce_cookie_carries_the_security_features)
{
	static const struct {
		uint32_t features;
		const char *start;
	} cases[] = {
		{ CHALLENGE_F_ALGORITHMS, "obMatJos2gAAA" }, // bit 0 is the leftmost of 24
		{ CHALLENGE_F_USERHASH, "obMatJos2QAAA" },
		{ CHALLENGE_F_ALGORITHMS | CHALLENGE_F_USERHASH, "obMatJos2wAAA" },
	};
	struct ip_endpoint client = endpoint("192.0.2.1:1111");

	for (uint32_t i = 0; i < 3; i++) {
		char nonce[CHALLENGE_NONCE_CHARS_MAX];

		cr_assert_eq(
			challenge_nonce_write(secret, NOW_NS, &client, cases[i].features, nonce),
			20);
		cr_assert_arr_eq(nonce, cases[i].start, 13);
		for (uint32_t k = 0; k < 3; k++)
			cr_assert_eq(challenge_nonce_check(secret, NOW_NS, &client,
							   cases[k].features, nonce, 20),
				     k == i ? CHALLENGE_NONCE_VALID : CHALLENGE_NONCE_STALE);
		cr_assert_eq(challenge_nonce_check(secret, NOW_NS, &client, 0, nonce, 20),
			     CHALLENGE_NONCE_STALE);
	}
}

// Whoever takes a feature out of the nonce on its way to the client (RFC 8489 §9.2.1: bid-down) has the
// client return one that was never given out.
Test(challenge, rfc8489_9_2_1_every_altered_character_of_the_cookie_is_stale)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	char nonce[CHALLENGE_NONCE_CHARS_MAX];

	challenge_nonce_write(secret, NOW_NS, &client, CHALLENGE_F_ALGORITHMS, nonce);
	for (uint32_t k = 0; k < sizeof(nonce); k++) {
		char kept = nonce[k];

		for (uint32_t c = 0; c < 256; c++) {
			nonce[k] = (char)c;
			cr_assert_eq(challenge_nonce_check(secret, NOW_NS, &client,
							   CHALLENGE_F_ALGORITHMS, nonce, 20),
				     (char)c == kept ? CHALLENGE_NONCE_VALID
						     : CHALLENGE_NONCE_STALE);
		}
		nonce[k] = kept;
	}
}

Test(challenge, rfc8489_14_11_password_algorithms_stand_beside_the_nonce)
{
	static const uint8_t list[] = { 0x00, 0x02, 0x00, 0x00 };
	static const uint8_t both[] = { 0, 2, 0, 0, 0, 1, 0, 0 };
	struct challenge_offer o = plain;
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	uint8_t question[64], answer[128];
	struct stun_view q = request(question, sizeof(question), false);
	struct stun_view m;
	struct stun_attr a;
	size_t n;

	o.features = CHALLENGE_F_ALGORITHMS;
	n = challenge_build(&q, 401, secret, NOW_NS, &client, &o, CHALLENGE_UNLIMITED, answer,
			    sizeof(answer));
	cr_assert_eq(n, challenge_answer_bytes(12, CHALLENGE_F_ALGORITHMS));
	cr_assert_eq(stun_parse(answer, n, &m), STUN_OK);
	cr_assert(stun_attr_find(&m, STUN_ATTR_PASSWORD_ALGORITHMS, &a));
	cr_assert_eq(a.length_bytes, 4);
	cr_assert_arr_eq(a.value, list, 4);
	cr_assert(challenge_algorithms_match(a.value, a.length_bytes));
	cr_assert_not(challenge_algorithms_match(both, 8));
	cr_assert_not(challenge_algorithms_match(both + 4, 4));
	cr_assert_not(challenge_algorithms_match(list, 0));
}

// Amplification: of the first answer, in bytes of IP packets.
Test(challenge, the_first_answer_weighs_at_most_1_9_times_its_request)
{
	static const uint8_t id[12] = { 1 };
	struct ip_endpoint client = endpoint("192.0.2.1:1111");

	for (uint32_t i = 0; i < 16; i++) {
		struct challenge_offer o = { .realm = "lab.turnpike", .realm_bytes = 12 };
		bool is_v4 = i & 1, fingerprint = i & 2;
		uint32_t header_bytes = is_v4 ? 28 : 48;
		uint32_t n_answered = 0;

		o.features = i & 4 ? CHALLENGE_F_ALGORITHMS | CHALLENGE_F_USERHASH : 0;
		o.oauth_name = "oauth.example.org";
		o.oauth_name_bytes = i & 8 ? 17 : 0;
		for (uint32_t filler = 0; filler <= 100; filler += 4) {
			uint8_t question[256], answer[256];
			static const uint8_t zero[100];
			struct stun_builder b;
			struct stun_view m;
			size_t n;

			stun_build_begin(&b, question, sizeof(question), TURN_ALLOCATE_REQUEST, id);
			if (filler >= 4)
				stun_build_attr(&b, STUN_ATTR_SOFTWARE, zero,
						(uint16_t)(filler - 4));
			if (fingerprint)
				stun_build_fingerprint(&b);
			cr_assert_eq(stun_parse(question, stun_build_end(&b), &m), STUN_OK);
			n = challenge_build(&m, 401, secret, NOW_NS, &client, &o,
					    challenge_limit_bytes(m.length_bytes, is_v4), answer,
					    sizeof(answer));
			if (n == 0) {
				cr_assert_lt(m.length_bytes - (fingerprint ? 8u : 0),
					     CHALLENGE_REQUEST_BYTES_MIN);
				continue;
			}
			n_answered++;
			cr_assert_leq((n + header_bytes) * 10,
				      (m.length_bytes + header_bytes) * 19u,
				      "%zu for %u bytes, case %u", n, m.length_bytes, i);
		}
		cr_assert_geq(n_answered, 24);
	}
}

Test(challenge, rfc7635_6_1_third_party_authorization_where_it_fits)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	struct challenge_offer o = plain;
	uint8_t question[64], answer[256];
	struct stun_view q = request(question, sizeof(question), false);
	struct stun_view m;
	struct stun_attr a;
	size_t n;

	o.oauth_name = "oauth.example.org";
	o.oauth_name_bytes = 17;
	n = challenge_build(&q, 401, secret, NOW_NS, &client, &o, CHALLENGE_UNLIMITED, answer,
			    sizeof(answer));
	cr_assert_eq(stun_parse(answer, n, &m), STUN_OK);
	cr_assert(stun_attr_find(&m, STUN_ATTR_THIRD_PARTY_AUTHORIZATION, &a));
	cr_assert_eq(a.length_bytes, 17);
	cr_assert_arr_eq(a.value, "oauth.example.org", 17);
	cr_assert_eq(challenge_build(&q, 401, secret, NOW_NS, &client, &o, n - 1, answer,
				     sizeof(answer)),
		     challenge_answer_bytes(12, 0));
}

// Nonces tell nothing of each other: of neighbouring ports, addresses and times.
Test(challenge, predictable_nonces_2025)
{
	static const uint32_t features[] = { 0, CHALLENGE_F_ALGORITHMS };
	uint8_t other_secret[16];

	memcpy(other_secret, secret, 16);
	other_secret[0] ^= 0x80;
	for (uint32_t f = 0; f < 2; f++) {
		uint32_t n_tail = f == 0 ? 11 : 6, first = f == 0 ? 1 : 14;
		uint32_t seen[11][64] = { 0 };
		char last[CHALLENGE_NONCE_CHARS_MAX] = "";

		for (uint32_t port = 1; port <= 16384; port++) {
			struct ip_endpoint client = endpoint("192.0.2.1:1");
			char nonce[CHALLENGE_NONCE_CHARS_MAX], theirs[CHALLENGE_NONCE_CHARS_MAX];

			bytes_put_be16(&client.port_be, (uint16_t)port);
			challenge_nonce_write(secret, NOW_NS, &client, features[f], nonce);
			challenge_nonce_write(other_secret, NOW_NS, &client, features[f], theirs);
			cr_assert(memcmp(nonce + first, theirs + first, n_tail) != 0);
			cr_assert(memcmp(nonce + first, last + first, n_tail) != 0);
			memcpy(last, nonce, sizeof(last));
			for (uint32_t k = 0; k < n_tail; k++)
				seen[k][(uint8_t)nonce[first + k] & 63]++;
		}
		// 256 of each expected; characters that share their low six bits make it 512.
		for (uint32_t k = 0; k < n_tail; k++)
			for (uint32_t v = 0; v < 64; v++)
				cr_assert_leq(seen[k][v], 700, "character %u", k);
	}
}
