// Text forms of addresses, endpoints and prefixes (RFC 4291 §2.2, RFC 5952).
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "dataplane/contract/wire/address.h"

static struct ip_address parsed(const char *text)
{
	struct ip_address a;

	cr_assert_eq(ip_address_parse(text, &a), 0, "%s", text);
	return a;
}

Test(address_text, rfc5952_round_trip)
{
	static const char *const canonical[] = {
		"0.0.0.0",
		"1.2.3.4",
		"255.255.255.255",
		"::",
		"::1",
		"1::",
		"2001:db8::1",
		"2001:0:0:1::",
		"2001:db8:0:1:1:1:1:1",
		"fd00:18::10",
		"fe80::1:2:3",
		"1:2:3:4:5:6:7:8",
		"2001:db8::1:0:0:1",
		"0:1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:0",
		"64:ff9b::102:304",
		"::ffff:0:102:304",
	};
	char text[IP_ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < sizeof(canonical) / sizeof(canonical[0]); i++) {
		struct ip_address a = parsed(canonical[i]);

		cr_assert_str_eq(ip_address_format(&a, text, sizeof(text)), canonical[i]);
	}
}

Test(address_text, rfc4291_accepts_every_form)
{
	static const struct {
		const char *text;
		const char *same_as;
	} forms[] = {
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "2001:0db8::0001", "2001:db8::1" },
		{ "::ffff:1.2.3.4", "1.2.3.4" },
		{ "0:0:0:0:0:ffff:102:304", "1.2.3.4" },
		{ "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
		{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
		{ "1::2:3:4:5:6:7", "1:0:2:3:4:5:6:7" },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct ip_address a = parsed(forms[i].text);
		struct ip_address b = parsed(forms[i].same_as);

		cr_assert(ip_address_equal(&a, &b), "%s", forms[i].text);
	}
}

static const char *const not_addresses[] = {
	"",
	" ",
	"1",
	"1.2.3",
	"1.2.3.4.5",
	"1.2.3.",
	".1.2.3",
	"1..2.3",
	"256.1.1.1",
	"01.2.3.4",
	"1.2.3.0004",
	"1.2.3.4 ",
	" 1.2.3.4",
	"1.2.3.-4",
	"0x1.2.3.4",
	":",
	":::",
	"1:",
	":1",
	"1:::2",
	"1::2::3",
	"12345::",
	"g::",
	"1:2:3:4:5:6:7",
	"::1%eth0",
	"[::1]",
	"::1.2.3",
	"::1.2.3.4:5",
	"1:2:3:4:5:6:7:8:9",
	"::256.0.0.1",
	"1:2:3:4:5:6:7:1.2.3.4",
	"1:2:3:4:5:6:7:8::",
	"1:2:3:4::5:6:7:8",
	"1::2:3:4:5:6:1.2.3.4",
	"::1.2.3.4.",
	"::-1",
};

Test(address_text, refuses_what_is_no_address)
{
	for (size_t i = 0; i < sizeof(not_addresses) / sizeof(not_addresses[0]); i++) {
		struct ip_address a;

		cr_assert_eq(ip_address_parse(not_addresses[i], &a), -EINVAL, "\"%s\"",
			     not_addresses[i]);
	}
}

// Random addresses with many zero groups: libc reads what we write, we read what libc writes, and both
// write the same IPv6 text where libc does not choose the dotted form.
Test(address_text, agrees_with_libc)
{
	srandom(5952);
	for (uint32_t i = 0; i < 20000; i++) {
		char ours[IP_ENDPOINT_TEXT_MAX];
		char theirs[INET6_ADDRSTRLEN];
		struct ip_address a;
		struct ip_address back;
		uint8_t raw[16];

		for (uint32_t k = 0; k < 16; k += 2) {
			long r = random();

			a.bytes[k] = (r & 3) ? 0 : (uint8_t)(r >> 8);
			a.bytes[k + 1] = (r & 4) ? 0 : (uint8_t)(r >> 16);
		}
		a.bytes[0] |= 0x20;
		ip_address_format(&a, ours, sizeof(ours));
		inet_ntop(AF_INET6, a.bytes, theirs, sizeof(theirs));
		cr_assert_str_eq(ours, theirs);
		cr_assert_eq(inet_pton(AF_INET6, ours, raw), 1);
		cr_assert_arr_eq(raw, a.bytes, 16);
		cr_assert_eq(ip_address_parse(theirs, &back), 0);
		cr_assert(ip_address_equal(&a, &back));
	}
}

Test(address_text, endpoints)
{
	static const char *const good[] = { "1.2.3.4:5", "0.0.0.0:0", "255.255.255.255:65535",
					    "[::1]:3478", "[2001:db8::1]:65535" };
	static const char *const bad[] = {
		"1.2.3.4",   "1.2.3.4:",    "1.2.3.4:65536",  "1.2.3.4:05", "1.2.3.4:-1",
		"::1:3478",  "[::1]",       "[::1]:",         "[::1]3478",  "[::1:3478",
		"::1]:3478", "[1.2.3.4]:5", "[::1]:99999",    "1.2.3.4:5x", "",
		":5",        "[]:5",        "1.2.3.4:123456",
	};
	char text[IP_ENDPOINT_TEXT_MAX];
	struct ip_endpoint e;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert_eq(ip_endpoint_parse(good[i], &e), 0, "%s", good[i]);
		cr_assert_str_eq(ip_endpoint_format(&e, text, sizeof(text)), good[i]);
	}
	cr_assert_eq(ip_endpoint_parse("1.2.3.4:3478", &e), 0);
	cr_assert_eq(e.port_be, htons(3478));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(ip_endpoint_parse(bad[i], &e), -EINVAL, "\"%s\"", bad[i]);
}

// The longest endpoint fits IP_ENDPOINT_TEXT_MAX; less room cuts the text and never writes past it.
Test(address_text, formatting_stays_in_its_buffer)
{
	static const char longest[] = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535";
	char text[IP_ENDPOINT_TEXT_MAX + 1];
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(longest, &e), 0);
	for (size_t room = 0; room <= IP_ENDPOINT_TEXT_MAX; room++) {
		size_t kept = room == 0 ? 0 : room - 1;

		memset(text, '#', sizeof(text));
		ip_endpoint_format(&e, text, room);
		if (kept > sizeof(longest) - 1)
			kept = sizeof(longest) - 1;
		cr_assert_eq(memcmp(text, longest, kept), 0);
		if (room > 0)
			cr_assert_eq(text[kept], '\0');
		cr_assert_eq(text[room], '#');
	}
	cr_assert_lt(sizeof(longest), IP_ENDPOINT_TEXT_MAX);
}

Test(address_text, prefixes)
{
	static const struct {
		const char *prefix;
		const char *in;
		const char *out;
	} cases[] = {
		{ "198.18.0.0/15", "198.19.255.255", "198.20.0.0" },
		{ "198.18.0.0/15", "198.18.0.0", "198.17.255.255" },
		{ "10.0.0.1", "10.0.0.1", "10.0.0.0" },
		{ "10.0.0.1/32", "10.0.0.1", "10.0.0.2" },
		{ "0.0.0.0/0", "255.1.2.3", "2001:db8::1" },
		{ "::/0", "2001:db8::1", "1.2.3.4" },
		{ "fd00::/8", "fdff:ffff::1", "fc00::1" },
		{ "fd00:18::/64", "fd00:18::ffff:ffff:ffff:ffff", "fd00:18:0:1::" },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::" },
		{ "::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.0" },
	};
	static const char *const bad[] = {
		"198.18.0.1/15", "1.2.3.4/33", "1.2.3.4/",   "1.2.3.4/-1",
		"1.2.3.4/08",    "fd00::/129", "fd00::1/64", "/8",
		"1.2.3.4/8/8",   "fd00::/8x",  "::/",        "300.0.0.0/8",
	};
	struct ip_prefix p;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_address in = parsed(cases[i].in);
		struct ip_address out = parsed(cases[i].out);

		cr_assert_eq(ip_prefix_parse(cases[i].prefix, &p), 0, "%s", cases[i].prefix);
		cr_assert(ip_prefix_contains(&p, &in), "%s in %s", cases[i].in, cases[i].prefix);
		cr_assert_not(ip_prefix_contains(&p, &out), "%s out of %s", cases[i].out,
			      cases[i].prefix);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(ip_prefix_parse(bad[i], &p), -EINVAL, "\"%s\"", bad[i]);
	// A length that no parser lets through, as it may lie in memory shared with another process.
	p.length_bits = 200;
	cr_assert_not(ip_prefix_contains(&p, &p.address));
}
