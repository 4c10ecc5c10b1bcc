// A turnserver.conf becomes YAML that our own reader takes, with the same meaning; what cannot be taken over is named.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/config.h"
#include "controlplane/config/import_coturn.h"

static struct import_report report;
static char error[512];

// The YAML of a turnserver.conf; NULL when it is refused.
static char *import(const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r"), *out;
	char *yaml = NULL;
	size_t n = 0;
	int ret;

	out = open_memstream(&yaml, &n);
	ret = import_coturn(in, "eth3", out, &report, error, sizeof(error));
	fclose(in);
	fclose(out);
	if (ret == 0)
		return yaml;
	free(yaml);
	return NULL;
}

static struct config *read_back(const char *yaml)
{
	char path[] = "/tmp/turnpike-import-XXXXXX";
	struct config *c = NULL;
	int fd = mkstemp(path);

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);
	cr_assert_eq(config_parse(path, &c, error, sizeof(error)), 0, "%s\n%s", error, yaml);
	unlink(path);
	return c;
}

Test(import_coturn, our_reader_takes_what_comes_out)
{
	char *yaml = import("# a comment\n"
			    "listening-port=3479\n"
			    "listening-ip=192.0.2.1\n"
			    "listening-ip=2001:db8::1\n"
			    "relay-ip=192.0.2.2\n"
			    "min-port=50000\n"
			    "max-port = 50999\n"
			    "realm=\"o'hara.example\"\n"
			    "user=alice:it's: a secret\n"
			    "user=bob:0x0123456789abcdef0123456789abcdef\n"
			    "static-auth-secret=one-long-secret\n"
			    "static-auth-secret=another-secret\n"
			    "user-quota=12\n"
			    "total-quota=1200\n"
			    "max-allocate-lifetime=1800\n"
			    "no-software-attribute\n"
			    "fingerprint\n");
	struct config *c;

	cr_assert_not_null(yaml, "%s", error);
	cr_assert_eq(report.n_leftovers, 0, "%s", report.leftover[0].why);
	c = read_back(yaml);
	cr_assert_str_eq(c->realm, "o'hara.example");
	cr_assert_eq(c->n_listeners, 2);
	cr_assert_eq(c->listeners[1].endpoint.port_be, __builtin_bswap16(3479));
	cr_assert_eq(c->n_relays, 1);
	cr_assert_eq(c->relay_port_min, 50000);
	cr_assert_eq(c->relay_port_max, 50999);
	cr_assert_eq(c->n_users, 2);
	config_free(c);
	free(yaml);
}

Test(import_coturn, streams_certificates_limits_and_redis)
{
	char *yaml =
		import("realm=r\nlistening-ip=192.0.2.1\n"
		       "tls-listening-port=443\ncert=/etc/turn/cert.pem\npkey=/etc/turn/key.pem\n"
		       "tcp-proxy-port=5555\nno-dtls\nmax-bps=500000\nmobility\n"
		       "redis-userdb=\"ip=192.0.2.9 dbname=2 port=6380 connect_timeout=30\"\n"
		       "redis-statsdb=\"ip=192.0.2.9 dbname=2 port=6380\"\n");
	struct config *c;

	cr_assert_not_null(yaml, "%s", error);
	cr_assert_eq(report.n_leftovers, 0, "%s", report.leftover[0].why);
	c = read_back(yaml);
	cr_expect_eq(c->n_listeners, 1);
	cr_assert_eq(c->n_stream_listeners, 3);
	cr_expect(c->stream_listeners[0].takes_plain && !c->stream_listeners[0].takes_tls);
	cr_expect_eq(c->stream_listeners[1].endpoint.port_be, __builtin_bswap16(443));
	cr_expect(c->stream_listeners[1].takes_tls);
	cr_expect_eq(c->stream_listeners[2].endpoint.port_be, __builtin_bswap16(5555));
	cr_expect(c->stream_listeners[2].has_proxy_header);
	cr_expect_str_eq(c->tls.certificate, "/etc/turn/cert.pem");
	cr_expect_not(c->tls.takes_dtls);
	cr_expect(c->redis.is_enabled);
	cr_expect_str_eq(c->redis.host, "192.0.2.9");
	cr_expect_eq(c->redis.port, 6380);
	cr_expect_eq(c->redis.database, 2);
	cr_expect(c->redis.publishes_statistics);
	config_free(c);
	free(yaml);
}

Test(import_coturn, without_a_certificate_there_is_no_tls_and_no_tcp_where_it_is_off)
{
	char *yaml = import("realm=r\nuser=a:b\nlistening-ip=192.0.2.1\nno-tcp\n");
	struct config *c = read_back(yaml);

	cr_expect_eq(c->n_listeners, 1);
	cr_expect_eq(c->n_stream_listeners, 0);
	config_free(c);
	free(yaml);
}

Test(import_coturn, a_password_of_redis_is_not_written_out)
{
	char *yaml = import("realm=r\nlistening-ip=192.0.2.1\n"
			    "redis-userdb=host=redis.example user=turn password=open-sesame\n"
			    "redis-statsdb=ip=192.0.2.9\n");

	cr_assert_not_null(yaml, "%s", error);
	cr_expect_null(strstr(yaml, "open-sesame"));
	cr_expect_not_null(strstr(yaml, "redis://redis.example:6379/0"));
	cr_expect_eq(report.n_leftovers, 3); // password, user, another server for statistics
	for (unsigned i = 0; i < report.n_leftovers; i++)
		cr_expect_null(strstr(report.leftover[i].why, "open-sesame"));
	config_free(read_back(yaml));
	free(yaml);
}

Test(import_coturn, ranges_of_peers_become_prefixes)
{
	char *yaml = import("realm=r\nuser=a:b\nlistening-ip=192.0.2.1\n"
			    "denied-peer-ip=10.0.0.0-10.255.255.255\n"
			    "denied-peer-ip=192.0.2.5-192.0.2.10\n"
			    "denied-peer-ip=0.0.0.0-255.255.255.255\n"
			    "allowed-peer-ip=198.51.100.7\n"
			    "denied-peer-ip=fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n");
	static const char *const expected[] = { "'10.0.0.0/8'",    "'192.0.2.5/32'",
						"'192.0.2.6/31'",  "'192.0.2.8/31'",
						"'192.0.2.10/32'", "'0.0.0.0/0'",
						"'198.51.100.7'",  "'fc00::/7'" };

	cr_assert_not_null(yaml, "%s", error);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		cr_assert_not_null(strstr(yaml, expected[i]), "%s is not in\n%s", expected[i],
				   yaml);
	config_free(read_back(yaml));
	free(yaml);
}

Test(import_coturn, what_has_no_equivalent_is_named_with_its_line)
{
	char *yaml = import("realm=r\nuser=a:b\nlistening-ip=192.0.2.1\n"
			    "frobnicate=3\n"
			    "external-ip=203.0.113.1/10.0.0.1\n"
			    "min-port=lots\n"
			    "denied-peer-ip=10.0.0.9-10.0.0.1\n"
			    "realm=another\n");
	static const unsigned lines[] = { 4, 5, 6, 7, 8 };

	cr_assert_not_null(yaml);
	cr_assert_eq(report.n_leftovers, 5);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(report.leftover[i].line, lines[i]);
		cr_assert_neq(report.leftover[i].why[0], '\0');
	}
	free(yaml);
}

Test(import_coturn, without_realm_or_credentials_it_is_refused)
{
	cr_assert_null(import("user=a:b\n"));
	cr_assert_not_null(strstr(error, "realm"));
	cr_assert_null(import("realm=r\nno-auth\n"));
	cr_assert_not_null(strstr(error, "credentials"));
}

Test(import_coturn, hostile_lines_do_no_harm)
{
	char *yaml = import("realm=r\nuser=a:b\n====\n-\n--\n=\n\"\nuser=:\nuser=x:\nuser\n"
			    "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"
			    "denied-peer-ip=::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe\n"
			    "listening-port=99999999999999999999\n");

	cr_assert_not_null(yaml, "%s", error);
	cr_assert_not_null(strstr(yaml, "'::/0'"));
	// From ::1 on: one prefix of each length, up to the middle and down again.
	cr_assert_not_null(strstr(yaml, "'8000::/2'"));
	cr_assert_not_null(strstr(yaml, "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128'"));
	cr_assert_eq(report.n_leftovers, 5);
	free(yaml);
}
