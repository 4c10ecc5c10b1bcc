// The requests that turnpikectl probe makes: signed as RFC 8489 §9.2.5 says, answers verified, REST passwords.
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "controlplane/ctl/probe/message.h"

static const uint8_t id[12] = "probe-test-1";
static uint8_t buffer[2048];

// A 401 with that nonce and, when given, PASSWORD-ALGORITHMS.
static struct stun_view challenge(const char *realm, const char *nonce, const void *algorithms,
				  uint16_t algorithms_bytes)
{
	struct stun_builder b;
	struct stun_view m;

	stun_build_begin(&b, buffer, sizeof(buffer), TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR, id);
	stun_build_error_code(&b, 401, "");
	if (realm)
		stun_build_attr(&b, STUN_ATTR_REALM, realm, (uint16_t)strlen(realm));
	if (nonce)
		stun_build_attr(&b, STUN_ATTR_NONCE, nonce, (uint16_t)strlen(nonce));
	if (algorithms)
		stun_build_attr(&b, STUN_ATTR_PASSWORD_ALGORITHMS, algorithms, algorithms_bytes);
	cr_assert_eq(stun_parse(buffer, stun_build_end(&b), &m), STUN_OK);
	return m;
}

static const uint8_t both[] = { 0, 1, 0, 0, 0, 2, 0, 0 };
static const uint8_t md5_only[] = { 0, 1, 0, 0 };

// "gAAA": the bit of password algorithms alone; "AAAA": none.
#define COOKIE_WITH    "obMatJos2gAAAnonce"
#define COOKIE_WITHOUT "obMatJos2AAAAnonce"

static struct stun_view request(const struct probe_credentials *c, uint8_t *out)
{
	struct probe_request r = { .type = TURN_ALLOCATE_REQUEST };
	struct stun_view m;
	size_t n = probe_request_build(&r, c, id, out, 1024);

	cr_assert_eq(stun_parse(out, n, &m), STUN_OK);
	return m;
}

// The HMAC computed apart from the code under test.
static void expect_integrity(const struct stun_view *m, uint16_t type, const char *key_text)
{
	bool is_sha256 = type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256;
	const EVP_MD *md = is_sha256 ? EVP_sha256() : EVP_sha1();
	uint8_t key[32], tag[32], copy[1024];
	unsigned key_bytes;
	struct stun_attr a;

	cr_assert(stun_attr_find(m, type, &a), "no integrity of type %04x", type);
	cr_assert_eq(a.length_bytes, is_sha256 ? 32 : 20);
	EVP_Digest(key_text, strlen(key_text), key, &key_bytes,
		   is_sha256 ? EVP_sha256() : EVP_md5(), NULL);
	memcpy(copy, m->msg, a.offset_bytes);
	bytes_put_be16(copy + 2, (uint16_t)(a.offset_bytes + 4 + a.length_bytes - 20));
	HMAC(md, key, (int)key_bytes, copy, a.offset_bytes, tag, NULL);
	cr_assert_arr_eq(tag, a.value, a.length_bytes);
}

Test(probe_message, rfc8489_9_2_5_without_the_cookie_md5_and_sha1)
{
	static const char *const nonce[] = { "abcdef", COOKIE_WITHOUT, "obMatJos2!!!!x", "obMat" };

	for (size_t i = 0; i < 4; i++) {
		struct probe_credentials c = { .user = "u", .password = "p" };
		struct stun_view answer = challenge("example.org", nonce[i], both, sizeof(both)), m;
		uint8_t out[1024];
		struct stun_attr a;

		cr_assert_eq(probe_credentials_challenged(&c, &answer), 0);
		cr_assert_not(c.is_sha256, "%s", nonce[i]);
		m = request(&c, out);
		expect_integrity(&m, STUN_ATTR_MESSAGE_INTEGRITY, "u:example.org:p");
		cr_assert_not(stun_attr_find(&m, STUN_ATTR_PASSWORD_ALGORITHMS, &a));
	}
}

Test(probe_message, rfc8489_9_2_5_sha256_where_it_is_offered)
{
	struct probe_credentials c = { .user = "u", .password = "p" };
	struct stun_view answer = challenge("example.org", COOKIE_WITH, both, sizeof(both)), m;
	uint8_t out[1024];
	struct stun_attr a;

	cr_assert_eq(probe_credentials_challenged(&c, &answer), 0);
	cr_assert(c.is_sha256);
	m = request(&c, out);
	expect_integrity(&m, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, "u:example.org:p");
	cr_assert(stun_attr_find(&m, STUN_ATTR_PASSWORD_ALGORITHMS, &a));
	cr_assert_eq(a.length_bytes, sizeof(both));
	cr_assert_arr_eq(a.value, both, sizeof(both), "the list must be echoed");
	cr_assert(stun_attr_find(&m, STUN_ATTR_PASSWORD_ALGORITHM, &a));
	cr_assert_eq(bytes_get_be32(a.value), 2u << 16);
	cr_assert_not(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a));
}

Test(probe_message, rfc8489_9_2_5_md5_when_nothing_else_is_offered)
{
	struct probe_credentials c = { .user = "u", .password = "p" };
	struct stun_view answer = challenge("r", COOKIE_WITH, md5_only, sizeof(md5_only)), m;
	uint8_t out[1024];
	struct stun_attr a;

	cr_assert_eq(probe_credentials_challenged(&c, &answer), 0);
	m = request(&c, out);
	expect_integrity(&m, STUN_ATTR_MESSAGE_INTEGRITY, "u:r:p");
	cr_assert(stun_attr_find(&m, STUN_ATTR_PASSWORD_ALGORITHM, &a));
	cr_assert_eq(bytes_get_be32(a.value), 1u << 16);
}

Test(probe_message, absurd_challenges_are_refused)
{
	struct probe_credentials c = { .user = "u", .password = "p" };
	char longest[200];
	struct stun_view m;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	m = challenge(NULL, "nonce", NULL, 0);
	cr_assert_lt(probe_credentials_challenged(&c, &m), 0);
	m = challenge("realm", NULL, NULL, 0);
	cr_assert_lt(probe_credentials_challenged(&c, &m), 0);
	m = challenge("realm", "", NULL, 0);
	cr_assert_lt(probe_credentials_challenged(&c, &m), 0);
	m = challenge(longest, "nonce", NULL, 0);
	cr_assert_lt(probe_credentials_challenged(&c, &m), 0);
	m = challenge("realm", longest, NULL, 0);
	cr_assert_lt(probe_credentials_challenged(&c, &m), 0);
	// Algorithms that end in the middle of one, and longer than what is kept.
	for (uint16_t n = 0; n < 120; n++) {
		m = challenge("realm", COOKIE_WITH, longest, n);
		cr_assert_eq(probe_credentials_challenged(&c, &m), 0);
		cr_assert_not(c.is_sha256);
	}
}

Test(probe_message, rfc8489_14_5_a_forged_answer_is_seen)
{
	struct probe_credentials c = { .user = "u", .password = "p" };

	for (int is_sha256 = 0; is_sha256 < 2; is_sha256++) {
		struct stun_view answer =
			challenge("r", is_sha256 ? COOKIE_WITH : "n", both, sizeof(both));
		uint8_t out[256];
		struct stun_builder b;
		struct stun_view m;
		size_t covered, n;
		uint8_t *tag;

		cr_assert_eq(probe_credentials_challenged(&c, &answer), 0);
		stun_build_begin(&b, out, sizeof(out), 0x0103, id);
		stun_build_u32(&b, TURN_ATTR_LIFETIME, 600);
		tag = stun_build_integrity(&b,
					   is_sha256 ? STUN_ATTR_MESSAGE_INTEGRITY_SHA256
						     : STUN_ATTR_MESSAGE_INTEGRITY,
					   is_sha256 ? 32 : 20, &covered);
		HMAC(is_sha256 ? EVP_sha256() : EVP_sha1(), c.key, c.key_bytes, out, covered, tag,
		     NULL);
		n = stun_build_end(&b);
		cr_assert_eq(stun_parse(out, n, &m), STUN_OK);
		cr_assert(probe_answer_verify(&c, &m));
		for (size_t i = 20; i < n; i++) {
			out[i] ^= 1;
			cr_assert_not(stun_parse(out, n, &m) == STUN_OK &&
					      probe_answer_verify(&c, &m),
				      "byte %zu", i);
			out[i] ^= 1;
		}
	}
}

// An answer signed with less than was agreed upon is no answer.
Test(probe_message, rfc8489_9_2_5_sha1_is_no_answer_to_sha256)
{
	struct probe_credentials c = { .user = "u", .password = "p" };
	struct stun_view answer = challenge("r", COOKIE_WITH, both, sizeof(both)), m;
	struct stun_builder b;
	uint8_t out[256], *tag;
	size_t covered;

	cr_assert_eq(probe_credentials_challenged(&c, &answer), 0);
	stun_build_begin(&b, out, sizeof(out), 0x0103, id);
	tag = stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
	HMAC(EVP_sha1(), c.key, c.key_bytes, out, covered, tag, NULL);
	cr_assert_eq(stun_parse(out, stun_build_end(&b), &m), STUN_OK);
	cr_assert_not(probe_answer_verify(&c, &m));
}

// The filter answers requests of at most 108 bytes of attributes, and an answer of it has at most 96 bytes over IPv4.
Test(probe_message, rfc5780_a_binding_request_pays_for_its_answer)
{
	for (uint32_t change = 0; change < 8; change += 2) {
		uint8_t out[PROBE_BINDING_MAX], first[12], transaction_id[12];
		struct stun_view m;
		struct stun_attr a;

		probe_binding_build(change, first, out);
		cr_assert_eq(stun_parse(out, probe_binding_build(change, transaction_id, out), &m),
			     STUN_OK);
		cr_assert_eq(m.type, STUN_BINDING_REQUEST);
		cr_assert_arr_eq(m.transaction_id, transaction_id, 12);
		cr_assert_arr_neq(transaction_id, first, 12);
		cr_assert_eq(stun_attr_find(&m, STUN_ATTR_CHANGE_REQUEST, &a), change != 0);
		if (change != 0)
			cr_assert_eq(bytes_get_be32(a.value), change);
		cr_assert_geq((28 + m.length_bytes) * 7 / 8, 96);
		if (change == 0)
			cr_assert_leq(m.length_bytes, 20 + 108);
	}
}

Test(probe_message, requests_say_what_they_ask)
{
	struct probe_request r = { .type = TURN_CHANNEL_BIND_REQUEST,
				   .channel = 0x4001,
				   .has_peer = true };
	uint8_t out[1024];
	struct ip_endpoint told;
	struct stun_view m;
	struct stun_attr a;

	ip_endpoint_parse("[2001:db8::5]:77", &r.peer);
	cr_assert_eq(stun_parse(out, probe_request_build(&r, NULL, id, out, sizeof(out)), &m),
		     STUN_OK);
	cr_assert(stun_attr_find(&m, TURN_ATTR_CHANNEL_NUMBER, &a));
	cr_assert_eq(bytes_get_be32(a.value), 0x40010000);
	cr_assert(stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &a));
	cr_assert_eq(stun_xor_address_get(&m, &a, &told), 0);
	cr_assert(ip_endpoint_equal(&told, &r.peer));

	r = (struct probe_request){ .type = TURN_REFRESH_REQUEST, .has_lifetime = true };
	cr_assert_eq(stun_parse(out, probe_request_build(&r, NULL, id, out, sizeof(out)), &m),
		     STUN_OK);
	cr_assert(stun_attr_find(&m, TURN_ATTR_LIFETIME, &a));
	cr_assert_eq(bytes_get_be32(a.value), 0);
	cr_assert_eq(probe_request_build(&r, NULL, id, out, 24), 0, "it does not fit");
}

// printf '%s' 1700000000:probe | openssl dgst -sha1 -hmac secret -binary | base64
Test(probe_message, rest_password)
{
	char password[29];

	probe_rest_password("secret", "1700000000:probe", password);
	cr_assert_str_eq(password, "moI1OzgNPpaJytfCCVKxd1dC7+Y=");
}
