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
	return challenge_nonce_check(secret, wall_ns, client, guarded_copy(nonce, 16), 16);
}

Test(challenge, rfc8489_9_2_nonce_lives_and_expires)
{
	static const char *const clients[] = { "192.0.2.1:1111", "[2001:db8::1]:1111" };

	for (uint32_t i = 0; i < 2; i++) {
		struct ip_endpoint client = endpoint(clients[i]);
		char nonce[CHALLENGE_NONCE_CHARS];

		challenge_nonce_write(secret, NOW_NS, &client, nonce);
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
		// The 16 bits of the bucket come round, the nonce does not.
		cr_assert_eq(check(NOW_NS + 65536 * MINUTE_NS, &client, nonce),
			     CHALLENGE_NONCE_STALE);
	}
}

Test(challenge, rfc8489_9_2_nonce_of_another_client_or_secret)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	static const char *const others[] = { "192.0.2.2:1111", "192.0.2.1:1112",
					      "[::c000:201]:1111" };
	char nonce[CHALLENGE_NONCE_CHARS];
	uint8_t other_secret[16];

	challenge_nonce_write(secret, NOW_NS, &client, nonce);
	for (uint32_t i = 0; i < 3; i++) {
		struct ip_endpoint other = endpoint(others[i]);

		cr_assert_eq(check(NOW_NS, &other, nonce), CHALLENGE_NONCE_STALE);
	}
	memcpy(other_secret, secret, 16);
	other_secret[15] ^= 1;
	cr_assert_eq(challenge_nonce_check(other_secret, NOW_NS, &client, nonce, 16),
		     CHALLENGE_NONCE_STALE);
}

Test(challenge, every_altered_character_is_stale)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	char nonce[CHALLENGE_NONCE_CHARS];

	challenge_nonce_write(secret, NOW_NS, &client, nonce);
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

		memcpy(longer, nonce, 16);
		if (n != 16)
			cr_assert_eq(challenge_nonce_check(secret, NOW_NS, &client,
							   guarded_copy(longer, n), n),
				     CHALLENGE_NONCE_STALE);
	}
}

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
		n = challenge_build(&q, code, secret, NOW_NS, &client, "lab.turnpike", 12, answer,
				    sizeof(answer));
		// No more than it must hold: header, code, realm, nonce.
		cr_assert_eq(n, 20 + 8 + 16 + 20 + (fingerprint ? 8 : 0));
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
			challenge_nonce_check(secret, NOW_NS, &client, a.value, a.length_bytes),
			CHALLENGE_NONCE_VALID);
		cr_assert_eq(stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a), fingerprint);
		if (fingerprint)
			cr_assert(stun_fingerprint_ok(&m, &a));
		for (size_t room = 0; room < n; room++)
			cr_assert_eq(challenge_build(&q, code, secret, NOW_NS, &client,
						     "lab.turnpike", 12, guarded_copy(answer, room),
						     room),
				     0);
	}
}

Test(challenge, realm_is_bounded)
{
	struct ip_endpoint client = endpoint("192.0.2.1:1111");
	char realm[CHALLENGE_REALM_MAX + 1];
	uint8_t question[64];
	uint8_t answer[512];
	struct stun_view q = request(question, sizeof(question), false);

	memset(realm, 'r', sizeof(realm));
	cr_assert_eq(challenge_build(&q, 401, secret, NOW_NS, &client, realm, CHALLENGE_REALM_MAX,
				     answer, sizeof(answer)),
		     20 + 8 + 4 + 128 + 20);
	cr_assert_eq(challenge_build(&q, 401, secret, NOW_NS, &client, realm,
				     CHALLENGE_REALM_MAX + 1, answer, sizeof(answer)),
		     0);
}
