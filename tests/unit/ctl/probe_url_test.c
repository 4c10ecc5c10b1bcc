// URLs of STUN and TURN servers (RFC 7064, RFC 7065) as turnpikectl probe takes them.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "controlplane/ctl/probe/url.h"

static struct probe_url good(const char *text)
{
	struct probe_url u;
	const char *why = "";

	cr_assert_eq(probe_url_parse(text, &u, &why), 0, "%s: %s", text, why);
	return u;
}

static void bad(const char *text, const char *expected)
{
	struct probe_url u;
	const char *why = "";

	cr_assert_eq(probe_url_parse(text, &u, &why), -EINVAL, "%s is accepted", text);
	cr_assert_not_null(strstr(why, expected), "%s: %s", text, why);
}

Test(probe_url, rfc7064_3_1_scheme_port_and_transport_by_default)
{
	static const struct {
		const char *text;
		bool is_turn, is_secure;
		uint16_t port;
		enum probe_transport transport;
	} cases[] = {
		{ "stun:example.org", false, false, 3478, PROBE_UDP },
		{ "stuns:example.org", false, true, 5349, PROBE_TLS },
		{ "turn:example.org", true, false, 3478, PROBE_UDP },
		{ "turns:example.org", true, true, 5349, PROBE_TLS },
		{ "TURN:example.org:1", true, false, 1, PROBE_UDP },
		{ "turns:example.org:443", true, true, 443, PROBE_TLS },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct probe_url u = good(cases[i].text);

		cr_assert_eq(u.is_turn, cases[i].is_turn);
		cr_assert_eq(u.is_secure, cases[i].is_secure);
		cr_assert_eq(u.port, cases[i].port);
		cr_assert_eq(u.transport, cases[i].transport);
		cr_assert_not(u.has_transport);
		cr_assert_not(u.is_numeric);
		cr_assert_str_eq(u.host, "example.org");
	}
}

Test(probe_url, rfc7065_3_1_transport)
{
	cr_assert_eq(good("turn:a?transport=udp").transport, PROBE_UDP);
	cr_assert_eq(good("turn:a?transport=tcp").transport, PROBE_TCP);
	cr_assert_eq(good("turns:a?transport=tcp").transport, PROBE_TLS);
	cr_assert_eq(good("turns:a:5349?transport=udp").transport, PROBE_DTLS);
	cr_assert(good("turns:a:5349?transport=UDP").has_transport);
	bad("turn:a?transport=sctp", "neither udp nor tcp");
	bad("turn:a?transport=", "neither udp nor tcp");
	bad("turn:a?ttl=1", "?transport=");
	bad("stun:a?transport=udp", "take no ?transport=");
}

Test(probe_url, rfc3986_3_2_2_hosts)
{
	struct probe_url u = good("turn:198.51.100.7:99");

	cr_assert(u.is_numeric);
	cr_assert_str_eq(u.host, "198.51.100.7");
	u = good("stun:[2001:db8::1]");
	cr_assert(u.is_numeric);
	cr_assert_str_eq(u.host, "2001:db8::1");
	cr_assert_eq(u.port, 3478);
	u = good("turns:[2001:db8::1]:443?transport=tcp");
	cr_assert_eq(u.port, 443);
	bad("turn:[2001:db8::1", "not closed");
	bad("turn:[example.org]", "IPv6 address");
	bad("turn:[192.0.2.1]", "IPv6 address");
	bad("turn:2001:db8::1", "the port");
	bad("turn:", "no host");
	bad("turn::3478", "no host");
	bad("turn:exa mple", "neither a name");
	bad("turn:a%20b", "neither a name");
}

Test(probe_url, ports)
{
	cr_assert_eq(good("turn:a:65535").port, 65535);
	bad("turn:a:0", "the port");
	bad("turn:a:65536", "the port");
	bad("turn:a:", "the port");
	bad("turn:a:99999999999999999999", "the port");
	bad("turn:a:12x", "behind host and port");
}

Test(probe_url, what_people_write_instead)
{
	bad("turn.example.org", "no scheme");
	bad("http://example.org", "none of stun:");
	bad("turn://example.org", "no '//'");
	bad("turn:user@example.org", "name no user");
	bad("", "no scheme");
	bad(":a", "none of stun:");
}

Test(probe_url, long_hosts)
{
	char text[600] = "turn:";

	memset(text + 5, 'a', 255);
	cr_assert_eq(strlen(good(text).host), 255);
	memset(text + 5, 'a', 256);
	bad(text, "longer than 255");
}
