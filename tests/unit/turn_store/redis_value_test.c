// What somebody else wrote into Redis is checked before it is used.
#include <criterion/criterion.h>
#include <string.h>

#include "controlplane/turn/store/redis_store_private.h"

#define KEY "7da2270ccfa49786e0115366d3a3d14d" // coturn's sample: gorst:north.gov:hero

Test(redis_value, keys_are_hexadecimal_md5_or_sha256)
{
	static const uint8_t first[4] = { 0x7d, 0xa2, 0x27, 0x0c };
	struct turn_keys k;

	cr_assert_eq(redis_value_key(KEY, 32, &k), 0);
	cr_expect(k.has_md5 && !k.has_sha256);
	cr_expect_arr_eq(k.md5, first, 4);
	cr_assert_eq(redis_value_key("7DA2" KEY KEY + 4, 32, &k), 0);
	cr_assert_eq(redis_value_key(KEY KEY, 64, &k), 0);
	cr_expect(!k.has_md5 && k.has_sha256);
	cr_expect_arr_eq(k.sha256, first, 4);
	cr_expect_lt(redis_value_key(KEY, 31, &k), 0);
	cr_expect_lt(redis_value_key("", 0, &k), 0);
	cr_expect_lt(redis_value_key("7da2270ccfa49786e0115366d3a3d14x", 32, &k), 0);
	cr_expect(!k.has_md5 && !k.has_sha256);
	cr_expect_lt(redis_value_key(KEY KEY KEY, 96, &k), 0);
}

Test(redis_value, numbers_are_decimal_and_bounded)
{
	uint32_t n;

	cr_assert_eq(redis_value_number("500000", 6, &n), 0);
	cr_expect_eq(n, 500000);
	cr_assert_eq(redis_value_number("99999999999999999999999", 23, &n), 0);
	cr_expect_eq(n, UINT32_MAX);
	cr_expect_lt(redis_value_number("", 0, &n), 0);
	cr_expect_lt(redis_value_number("-1", 2, &n), 0);
	cr_expect_lt(redis_value_number("1 ", 2, &n), 0);
}

// HGETALL's answer from a list of texts.
static int oauth(const char *const *texts, size_t n, struct turn_store_oauth_key *out,
		 const redisReply **realm)
{
	static redisReply text[16], *element[16], all;

	for (size_t i = 0; i < n; i++) {
		text[i] = (redisReply){ .type = REDIS_REPLY_STRING,
					.str = (char *)texts[i],
					.len = (int)strlen(texts[i]) };
		element[i] = &text[i];
	}
	all = (redisReply){ .type = REDIS_REPLY_ARRAY, .elements = n, .element = element };
	return redis_value_oauth(&all, out, realm);
}
#define OAUTH(...)                                                                                 \
	oauth((const char *const[]){ __VA_ARGS__ },                                                \
	      sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), &key, &realm)

// RFC 7635 §4: the key that a relay shares with the authorization server.
Test(redis_value, rfc7635_4_oauth_keys_as_coturn_keeps_them)
{
	struct turn_store_oauth_key key;
	const redisReply *realm;

	cr_assert_eq(OAUTH("ikm_key", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK", "as_rs_alg",
			   "A256GCM"),
		     0);
	cr_expect_eq(key.key_bytes, 33);
	cr_expect_arr_eq(key.key, "12345678901234567890123456789012\n", 33);
	cr_expect_eq(key.tag_bits, 256);
	cr_expect_eq(key.valid_until_s, 0);
	cr_expect_null(realm);

	cr_assert_eq(OAUTH("as_rs_alg", "A128GCM", "ikm_key", "MTIzNDU2Nzg5MDEyMzQ1Ng==", "realm",
			   "north.gov", "timestamp", "1000", "lifetime", "60"),
		     0);
	cr_expect_eq(key.key_bytes, 16);
	cr_expect_eq(key.tag_bits, 128);
	cr_expect_eq(key.valid_from_s, 1000);
	cr_expect_eq(key.valid_until_s, 1060);
	cr_assert_not_null(realm);
	cr_expect_str_eq(realm->str, "north.gov");

	cr_expect_lt(OAUTH("as_rs_alg", "A128GCM"), 0);
	cr_expect_lt(OAUTH("ikm_key", "MTIz", "as_rs_alg", "ROT13"), 0);
	cr_expect_lt(OAUTH("ikm_key", "M"), 0);
	cr_expect_lt(OAUTH("ikm_key", "=="), 0);
	cr_expect_lt(OAUTH("ikm_key", "????"), 0);
	cr_expect_lt(OAUTH("ikm_key", "MT=zMTIz"), 0);
	cr_expect_lt(OAUTH("ikm_key", "MTIz\n\n\n\n"), 0);
	cr_expect_lt(OAUTH("ikm_key", "MTI=="), 0);
	// The later of two counts, and nothing is left of the longer one.
	cr_assert_eq(OAUTH("ikm_key", "MTIzNDU2", "ikm_key", "MTIz"), 0);
	cr_expect_eq(key.key_bytes, 3);
	cr_expect_arr_eq(key.key, "123\0\0\0", 6);
	cr_expect_lt(OAUTH("ikm_key", "MTIz", "lifetime", "x"), 0);
	cr_expect_lt(
		OAUTH("ikm_key",
		      "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3"
		      "ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTA="),
		0);
}
