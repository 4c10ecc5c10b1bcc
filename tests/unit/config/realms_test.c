// The sections realms and redis: what is read and what is refused, with its line.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/config/section_fixture.h"

const char section_head[] = "realm: relay.example\n"
			    "relay:\n"
			    "  addresses: [192.0.2.2]\n"
			    "users: [{name: alice, password: secret}]\n"
			    "ports: [{device: af_xdp, interface: eth7}]\n";
#define LISTENER "listeners: [{address: 192.0.2.1}]\n" // line 6
#define REALM                                                                                      \
	"realms:\n"                                                                                \
	"  - name: one.example\n"                                                                  \
	"    users: [{name: alice, password: other}]\n"

Test(realms, each_has_users_secrets_quotas_and_rules_of_its_own)
{
	// MD5 and SHA-256 of alice:one.example:other
	static const uint8_t md5[4] = { 0xec, 0xa0, 0xa5, 0xf5 };
	static const uint8_t sha256[4] = { 0x93, 0xca, 0x13, 0xae };
	struct config *c = section_accepted(
		REALM "    rest_secrets: [a-secret-of-one]\n"
		      "    quota: {total: 7, per_user: 2}\n"
		      "    peers: {allow: [10.0.0.0/8], deny: [10.1.0.0/16]}\n"
		      "  - name: two.example\n"
		      "    rest_secrets: [a-secret-of-two]\n"
		      "    peers: {deny: [10.0.0.0/8]}\n"
		      "peers: {allow: [10.0.0.0/8]}\n"
		      "listeners:\n"
		      "  - {address: 192.0.2.1}\n"
		      "  - {address: 192.0.2.1, port: 3480, realm: two.example}\n"
		      "  - {address: 192.0.2.1, port: 3481, realm: relay.example}\n");

	cr_assert_eq(c->n_realms, 2);
	cr_expect_str_eq(c->realms[0].name, "one.example");
	cr_assert_eq(c->realms[0].n_users, 1);
	cr_expect_arr_eq(c->realms[0].users[0].key, md5, 4);
	cr_expect(c->realms[0].users[0].has_sha256);
	cr_expect_arr_eq(c->realms[0].users[0].key_sha256, sha256, 4);
	cr_expect_str_eq(c->realms[0].rest_secrets[0], "a-secret-of-one");
	cr_expect_eq(c->realms[0].quota_total, 7);
	cr_expect_eq(c->realms[0].quota_per_user, 2);
	cr_expect_eq(c->realms[1].n_users, 0);
	cr_expect_eq(c->listeners[0].realm_idx, 0);
	cr_expect_eq(c->listeners[1].realm_idx, 2);
	cr_expect_eq(c->listeners[2].realm_idx, 0);
	cr_assert_eq(c->n_peer_rules, 4);
	cr_expect_eq(c->peer_rules[0].realm_idx, SHM_REALM_ANY);
	cr_expect_eq(c->peer_rules[1].realm_idx, 1);
	cr_expect_eq(c->peer_rules[2].realm_idx, 1);
	cr_expect_eq(c->peer_rules[2].action, SHM_PEER_DENY);
	cr_expect_eq(c->peer_rules[3].realm_idx, 2);
	config_free(c);
}

Test(realms, refused)
{
	section_refused(
		LISTENER REALM "  - name: one.example\n    users: [{name: a, password: b}]\n",
		":10: realms[1].name: 'one.example' is listed twice; give each realm a name of its "
		"own");
	section_refused(
		LISTENER "realms:\n  - name: relay.example\n    users: [{name: a, password: b}]\n",
		":8: realms[0].name: 'relay.example' is the default realm; give each realm a name "
		"of its own");
	section_refused(
		LISTENER "realms:\n  - name: one.example\n",
		":8: realms[0]: nobody could allocate in it; add 'users', 'rest_secrets' or the "
		"section 'redis'");
	section_refused(LISTENER "realms:\n  - name: one.example\n    users: [{name: a}]\n",
			":9: realms[0].users[0]: give either 'password' or 'key'");
	section_refused(LISTENER "realms:\n  - name: one.example\n    rest_secrets: [short]\n",
			":9: realms[0].rest_secrets[0]: shorter than 8 characters");
	section_refused(LISTENER REALM "    peers: {deny: [10.0.0.1/8]}\n",
			":10: realms[0].peers.deny[0]: '10.0.0.1/8' is no prefix");
	section_refused(LISTENER REALM "    peers: {deny: [10.0.0.0/8], allow: [10.0.0.0/8]}\n",
			"realms[0].peers.deny[0]: '10.0.0.0/8' is both allowed and denied");
	section_refused(
		"listeners:\n  - {address: 192.0.2.1, realm: nobody.example}\n" REALM,
		":7: listeners[0].realm: 'nobody.example' is neither the default realm nor one of "
		"'realms'; add it there");
}

static const char *password_file(const char *text)
{
	static char path[] = "/tmp/turnpike-password-XXXXXX";
	int fd;

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

Test(redis, is_off_without_its_section)
{
	struct config *c = section_accepted(LISTENER);

	cr_expect_not(c->redis.is_enabled);
	config_free(c);
}

Test(redis, is_read)
{
	const char *file = password_file("sesame open\n");
	struct config *c;
	char text[512];

	snprintf(text, sizeof(text),
		 LISTENER "redis:\n  url: redis://[2001:db8::9]:6380/3\n  user: turn\n"
			  "  password_file: %s\n  cache_seconds: 5\n  statistics: true\n"
			  "  statistics_seconds: 2\n",
		 file);
	c = section_accepted(text);
	unlink(file);
	cr_expect(c->redis.is_enabled);
	cr_expect_str_eq(c->redis.host, "2001:db8::9");
	cr_expect_eq(c->redis.port, 6380);
	cr_expect_eq(c->redis.database, 3);
	cr_expect_str_eq(c->redis.user, "turn");
	cr_expect_str_eq(c->redis.password, "sesame open");
	cr_expect_eq(c->redis.cache_s, 5);
	cr_expect(c->redis.publishes_statistics);
	cr_expect_eq(c->redis.statistics_s, 2);
	config_free(c);

	c = section_accepted(LISTENER "redis: {url: 'unix:/run/redis.sock', database: 2}\n");
	cr_expect_str_eq(c->redis.path, "/run/redis.sock");
	cr_expect_null(c->redis.host);
	cr_expect_eq(c->redis.database, 2);
	cr_expect_eq(c->redis.cache_s, 60);
	cr_expect_not(c->redis.publishes_statistics);
	config_free(c);

	c = section_accepted(LISTENER "redis: {url: redis.example}\n");
	cr_expect_str_eq(c->redis.host, "redis.example");
	cr_expect_eq(c->redis.port, 6379);
	config_free(c);
}

Test(redis, nobody_needs_to_stand_in_the_file)
{
	struct config *c = section_accepted(LISTENER "realms:\n  - name: one.example\n"
						     "redis: {url: redis.example}\n");

	cr_expect_eq(c->realms[0].n_users, 0);
	config_free(c);
}

Test(redis, refused)
{
	const char *file = password_file("\n");
	char text[256];

	section_refused(LISTENER "redis: {cache_seconds: 5}\n", ":7: redis.url: missing");
	section_refused(LISTENER "redis:\n  url: redis://turn:secret@host\n",
			":8: redis.url: it holds a user or password; give them as 'user' and "
			"'password_file'");
	section_refused(LISTENER "redis:\n  url: rediss://host\n",
			":8: redis.url: only redis:// and unix: are understood");
	section_refused(LISTENER "redis:\n  url: host:0\n",
			":8: redis.url: the port must be 1 to 65535");
	section_refused(LISTENER "redis:\n  url: redis://host:1/x\n",
			":8: redis.url: the database behind / must be a number");
	section_refused(LISTENER "redis:\n  url: host:1x\n", ":8: redis.url: write it as");
	section_refused(LISTENER "redis:\n  url: ''\n", ":8: redis.url: write it as");
	section_refused(LISTENER "redis:\n  url: unix:redis.sock\n",
			":8: redis.url: the path of the socket must start with /");
	section_refused(LISTENER "redis:\n  url: host\n  user: turn\n",
			":9: redis.user: a user needs a password; add 'password_file'");
	section_refused(LISTENER "redis:\n  url: host\n  cache_seconds: 0\n",
			":9: redis.cache_seconds: 0 is out of range; use 1 to 86400");
	section_refused(
		LISTENER "redis:\n  url: host\n  password_file: /nonexistent/password\n",
		":9: redis.password_file: '/nonexistent/password' cannot be read (No such file or "
		"directory)");
	snprintf(text, sizeof(text), LISTENER "redis:\n  url: host\n  password_file: %s\n", file);
	section_refused(text, "is empty; its first line is the password");
	unlink(file);
}
