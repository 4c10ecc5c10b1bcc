// Tokens: what is ours, what it grants, and everything that must not pass for one. RFC 7519, RFC 7518 §3.2.
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/signaling/token.h"

#define SECRET "a-secret-of-more-than-thirty-two-bytes"
#define NOW    1800000000

static const char *const secrets[] = { "another-secret-that-has-been-rotated-out", SECRET };
static struct token_claims claims;
static const char *reason;

static void to_base64url(const void *bytes, size_t n, char *out)
{
	int len = EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);

	while (len > 0 && out[len - 1] == '=')
		out[--len] = '\0';
	for (char *c = out; *c != '\0'; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

// Signs whatever header and claims, as somebody with the secret could.
static enum token_verdict check_signed(const char *header, const char *json, const EVP_MD *md)
{
	static char token[8192];
	unsigned char mac[64];
	unsigned int n_mac;
	char part[4096];

	to_base64url(header, strlen(header), part);
	strcpy(token, part);
	strcat(token, ".");
	to_base64url(json, strlen(json), part);
	strcat(token, part);
	HMAC(md, SECRET, strlen(SECRET), (unsigned char *)token, strlen(token), mac, &n_mac);
	to_base64url(mac, n_mac, part);
	strcat(token, ".");
	strcat(token, part);
	return token_check(secrets, 2, token, NOW, &claims, &reason);
}

static enum token_verdict check_claims(const char *json)
{
	return check_signed("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", json, EVP_sha256());
}

static char *make(int64_t expires_at_s)
{
	struct token_claims c = { .may_publish = true, .expires_at_s = expires_at_s };
	char *token;

	strcpy(c.room, "lobby");
	strcpy(c.participant, "alice");
	cr_assert_eq(token_make(SECRET, &c, NOW, &token), 0);
	return token;
}

Test(token, what_is_made_is_accepted)
{
	char *token = make(NOW + 60);

	cr_assert_eq(token_check(secrets, 2, token, NOW, &claims, &reason), TOKEN_GOOD, "%s",
		     reason);
	cr_expect_str_eq(claims.participant, "alice");
	cr_expect_str_eq(claims.room, "lobby");
	cr_expect(claims.may_publish);
	cr_expect_not(claims.may_watch);
	cr_expect_eq(claims.expires_at_s, NOW + 60);
	cr_expect(token_claims_cover(&claims, "lobby"));
	cr_expect_not(token_claims_cover(&claims, "lobby2"));
	free(token);
}

Test(token, rfc7519_4_1_4_expires)
{
	char *token = make(NOW);

	cr_expect_eq(token_check(secrets, 2, token, NOW, &claims, &reason), TOKEN_EXPIRED);
	cr_expect_eq(token_check(secrets, 2, token, NOW - 1, &claims, &reason), TOKEN_GOOD);
	free(token);
}

Test(token, rfc7519_4_1_5_not_before)
{
	cr_expect_eq(check_claims("{\"room\":\"a\",\"exp\":1800009999,\"nbf\":1800000031}"),
		     TOKEN_NOT_YET);
	cr_expect_eq(check_claims("{\"room\":\"a\",\"exp\":1800009999,\"nbf\":1800000030}"),
		     TOKEN_GOOD);
	cr_expect_eq(check_claims("{\"room\":\"a\",\"exp\":1800009999,\"nbf\":\"soon\"}"),
		     TOKEN_UNUSABLE);
}

Test(token, an_end_is_needed)
{
	cr_expect_eq(check_claims("{\"room\":\"a\"}"), TOKEN_UNUSABLE);
	cr_expect_eq(check_claims("{\"room\":\"a\",\"exp\":null}"), TOKEN_UNUSABLE);
	cr_expect_eq(check_claims("{\"room\":\"a\",\"exp\":1800000000.5}"), TOKEN_EXPIRED);
	cr_expect_eq(check_claims("{\"room\":\"a\",\"exp\":1800000001.5}"), TOKEN_GOOD);
	cr_expect_eq(check_claims("{\"room\":\"a\",\"exp\":1e300}"), TOKEN_UNUSABLE);
}

Test(token, rfc7518_3_2_other_algorithms_are_refused)
{
	const char *json = "{\"room\":\"*\",\"publish\":true,\"exp\":1800009999}";

	cr_expect_eq(check_signed("{\"alg\":\"HS256\"}", json, EVP_sha256()), TOKEN_GOOD);
	cr_expect_eq(check_signed("{\"alg\":\"HS512\"}", json, EVP_sha512()), TOKEN_REFUSED);
	cr_expect_eq(check_signed("{\"alg\":\"HS384\"}", json, EVP_sha384()), TOKEN_REFUSED);
	cr_expect_eq(check_signed("{\"alg\":\"RS256\"}", json, EVP_sha256()), TOKEN_REFUSED);
	cr_expect_eq(check_signed("{\"alg\":\"none\"}", json, EVP_sha256()), TOKEN_REFUSED);
	cr_expect_eq(check_signed("{}", json, EVP_sha256()), TOKEN_REFUSED);
	cr_expect_eq(check_signed("no json", json, EVP_sha256()), TOKEN_REFUSED);
}

Test(token, rfc7519_6_unsecured_is_refused)
{
	char token[512] = "", part[256];
	const char *const headers[] = { "{\"alg\":\"none\"}", "{\"alg\":\"NONE\"}",
					"{\"alg\":\"\"}" };

	for (int i = 0; i < 3; i++) {
		to_base64url(headers[i], strlen(headers[i]), token);
		strcat(token, ".");
		to_base64url("{\"room\":\"*\",\"exp\":1900000000}", 31, part);
		strcat(token, part);
		cr_expect_eq(token_check(secrets, 2, token, NOW, &claims, &reason), TOKEN_REFUSED);
		strcat(token, ".");
		cr_expect_eq(token_check(secrets, 2, token, NOW, &claims, &reason), TOKEN_REFUSED);
	}
}

Test(token, every_changed_character_is_noticed)
{
	char *token = make(NOW + 60);
	size_t n = strlen(token);

	// The last one also carries two bits beyond the signature's end; those are no part of it.
	for (size_t i = 0; i + 1 < n; i++) {
		char kept = token[i];

		token[i] = kept == 'A' ? 'B' : 'A';
		cr_expect_neq(token_check(secrets, 2, token, NOW, &claims, &reason), TOKEN_GOOD,
			      "character %zu", i);
		token[i] = kept;
	}
	for (size_t i = 1; i < n; i++) {
		char kept = token[i];

		token[i] = '\0';
		cr_expect_neq(token_check(secrets, 2, token, NOW, &claims, &reason), TOKEN_GOOD);
		token[i] = kept;
	}
	free(token);
}

Test(token, without_secrets_nothing_is_ours)
{
	char *token = make(NOW + 60);

	cr_expect_eq(token_check(secrets, 1, token, NOW, &claims, &reason), TOKEN_REFUSED);
	cr_expect_eq(token_check(NULL, 0, token, NOW, &claims, &reason), TOKEN_REFUSED);
	cr_expect_eq(token_check(secrets, 2, "", NOW, &claims, &reason), TOKEN_REFUSED);
	cr_expect_eq(token_check(secrets, 2, "..", NOW, &claims, &reason), TOKEN_REFUSED);
	free(token);
}

Test(token, too_long_is_refused)
{
	char *token = malloc(TOKEN_BYTES_MAX + 2);

	memset(token, 'a', TOKEN_BYTES_MAX + 1);
	token[TOKEN_BYTES_MAX + 1] = '\0';
	cr_expect_eq(token_check(secrets, 2, token, NOW, &claims, &reason), TOKEN_REFUSED);
	free(token);
}

Test(token, video_grants)
{
	cr_assert_eq(check_claims("{\"sub\":\"bob\",\"exp\":1800009999,\"video\":{\"room\":\"r\","
				  "\"roomJoin\":true,\"canPublish\":false}}"),
		     TOKEN_GOOD, "%s", reason);
	cr_expect_str_eq(claims.room, "r");
	cr_expect_not(claims.may_publish);
	cr_expect(claims.may_watch);
	cr_expect_eq(check_claims("{\"exp\":1800009999,\"video\":{\"room\":\"r\"}}"),
		     TOKEN_UNUSABLE);
	cr_expect_eq(check_claims("{\"exp\":1800009999,\"video\":7,\"room\":\"r\"}"),
		     TOKEN_UNUSABLE);
}

Test(token, grants_are_true_or_not_given)
{
	cr_assert_eq(check_claims("{\"room\":\"*\",\"exp\":1800009999,\"publish\":1,\"watch\":"
				  "\"true\"}"),
		     TOKEN_GOOD);
	cr_expect_not(claims.may_publish);
	cr_expect_not(claims.may_watch);
	cr_expect(token_claims_cover(&claims, "any"));
}

Test(token, names_are_checked)
{
	cr_expect_eq(check_claims("{\"room\":\"a/b\",\"exp\":1800009999}"), TOKEN_UNUSABLE);
	cr_expect_eq(check_claims("{\"room\":\"\",\"exp\":1800009999}"), TOKEN_UNUSABLE);
	cr_expect_eq(check_claims("{\"room\":\"a\",\"sub\":\"*\",\"exp\":1800009999}"),
		     TOKEN_UNUSABLE);
	// What the library's own reading of JSON already refuses or folds is refused here once more.
	cr_expect_neq(check_claims("{\"room\":\"a\\u0000b\",\"exp\":1800009999}"), TOKEN_GOOD);
	cr_expect_neq(check_claims("[]"), TOKEN_GOOD);
	cr_expect_eq(token_claims_read("{\"room\":\"a\\u0000b\",\"exp\":1800009999}", NOW, &claims,
				       &reason),
		     TOKEN_UNUSABLE);
	cr_expect_eq(token_claims_read("{\"room\":\"a\",\"room\":\"*\",\"exp\":1800009999}", NOW,
				       &claims, &reason),
		     TOKEN_UNUSABLE);
	cr_expect_eq(token_claims_read("[]", NOW, &claims, &reason), TOKEN_UNUSABLE);
}
