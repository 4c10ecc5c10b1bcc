// password_algorithms (RFC 8489 §9.2.1), users' SHA-256 keys and the section `oauth` (RFC 7635).
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/config.h"

#define MD5_HEX    "00112233445566778899aabbccddeeff"
#define SHA256_HEX MD5_HEX MD5_HEX
#define KEY_32     "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

static const char rest[] = "listeners: [{ address: 198.51.100.1 }]\n"
			   "relay: { addresses: [198.51.100.1] }\n"
			   "ports: [{ device: net_null0, gateway_mac: \"02:00:00:00:00:01\" }]\n";
static char error[400];

static struct config *parse(const char *realm, const char *text)
{
	char path[] = "/tmp/turnpike-auth-XXXXXX";
	int fd = mkstemp(path);
	struct config *c = NULL;
	FILE *f;

	cr_assert_geq(fd, 0);
	f = fdopen(fd, "w");
	fprintf(f, "realm: %s\n%s%s", realm, rest, text);
	fclose(f);
	if (config_parse(path, &c, error, sizeof(error)) < 0)
		c = NULL;
	unlink(path);
	return c;
}

static void expect_error(const char *text, const char *key, const char *what)
{
	struct config *c = parse("lab.turnpike", text);

	cr_assert_null(c, "%s", text);
	cr_assert(strstr(error, key) != NULL && strstr(error, what) != NULL, "%s", error);
}

Test(config_auth, sha256_is_offered_where_all_can_use_it_and_the_answer_stays_short)
{
	static const struct {
		const char *realm, *text;
		bool offers, userhash, refuses_md5;
	} cases[] = {
		{ "lab.turnpike", "users: [{ name: a, password: b }]\n", true, true, false },
		{ "lab.turnpike", "users: [{ name: a, key: " MD5_HEX " }]\n", false, false, false },
		{ "lab.turnpike",
		  "users: [{ name: a, key: " MD5_HEX ", key_sha256: " SHA256_HEX " }]\n", true,
		  true, false },
		{ "lab.turnpike", "rest_secrets: [a-long-secret]\n", true, false, false },
		// One byte more and a 28-byte Allocate would get 1.93 times as much.
		{ "lab.turnpike1", "users: [{ name: a, password: b }]\n", false, false, false },
		{ "lab.turnpike1",
		  "users: [{ name: a, password: b }]\npassword_algorithms: [sha256, md5]\n", true,
		  true, false },
		{ "lab.turnpike", "users: [{ name: a, password: b }]\npassword_algorithms: [md5]\n",
		  false, false, false },
		{ "lab.turnpike",
		  "users: [{ name: a, password: b }]\npassword_algorithms: [sha256]\n", true, true,
		  true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *c = parse(cases[i].realm, cases[i].text);

		cr_assert_not_null(c, "%zu: %s", i, error);
		cr_assert_eq(c->offers_sha256, cases[i].offers, "%zu", i);
		cr_assert_eq(c->offers_userhash, cases[i].userhash, "%zu", i);
		cr_assert_eq(c->refuses_md5, cases[i].refuses_md5, "%zu", i);
		config_free(c);
	}
}

Test(config_auth, mistakes_are_refused_where_they_stand)
{
	expect_error("users: [{ name: a, password: b }]\npassword_algorithms: [sha1]\n",
		     "password_algorithms[0]", "sha256 and md5");
	expect_error("users: [{ name: a, key: " MD5_HEX " }]\npassword_algorithms: [sha256]\n",
		     "users[0]", "no SHA-256 key");
	expect_error("users: [{ name: a, password: b, key_sha256: " SHA256_HEX " }]\n", "users[0]",
		     "beside 'key'");
	expect_error("users: [{ name: a, key: " MD5_HEX ", key_sha256: " MD5_HEX " }]\n",
		     "users[0].key_sha256", "64 hexadecimal digits");
}

#define USER "users: [{ name: a, password: b }]\n"

Test(config_auth, rfc7635_keys_of_tokens)
{
	struct config *c = parse("lab.turnpike",
				 USER "oauth:\n  server_name: turn.example.org\n  keys:\n"
				      "    - { kid: north, key: " KEY_32 " }\n"
				      "    - { kid: union, key: " KEY_32
				      ", algorithm: A128GCM, not_before: 1000, lifetime: 60 }\n");

	cr_assert_not_null(c, "%s", error);
	cr_assert_str_eq(c->oauth.server_name, "turn.example.org");
	cr_assert_eq(c->oauth.n_keys, 2);
	cr_assert_eq(c->oauth.keys[0].key_bytes, 32);
	cr_assert_arr_eq(c->oauth.keys[0].key, "01234567890123456789012345678901", 32);
	cr_assert_eq(c->oauth.keys[0].valid_until_s, 0);
	cr_assert_eq(c->oauth.keys[1].key_bytes, 16);
	cr_assert_eq(c->oauth.keys[1].valid_from_s, 1000);
	cr_assert_eq(c->oauth.keys[1].valid_until_s, 1060);
	config_free(c);
	c = parse("lab.turnpike", USER);
	cr_assert_null(c->oauth.server_name);
	config_free(c);
}

Test(config_auth, oauth_mistakes_are_refused_where_they_stand)
{
	expect_error(USER "oauth: { server_name: '', keys: [{ kid: a, key: " KEY_32 " }] }\n",
		     "oauth.server_name", "1 to 63");
	expect_error(USER "oauth: { server_name: t }\n", "oauth.keys", "no token");
	expect_error(USER "oauth: { server_name: t, keys: [{ kid: '', key: " KEY_32 " }] }\n",
		     "oauth.keys[0].kid", "1 to 128");
	expect_error(USER "oauth: { server_name: t, keys: [{ kid: a, key: QUJD }] }\n",
		     "oauth.keys[0].key", "32 bytes");
	expect_error(USER "oauth: { server_name: t, keys: [{ kid: a, key: '?' }] }\n",
		     "oauth.keys[0].key", "base64");
	expect_error(USER "oauth: { server_name: t, keys: [{ kid: a, key: " KEY_32
			  ", algorithm: AES }] }\n",
		     "oauth.keys[0].algorithm", "A256GCM");
	expect_error(USER "oauth: { server_name: t, keys: [{ kid: a, key: " KEY_32
			  " }, { kid: a, key: " KEY_32 " }] }\n",
		     "oauth.keys[1].kid", "twice");
}
