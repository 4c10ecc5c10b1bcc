// Ranges of peers as coturn writes them.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/turn/store/peer_range.h"

static char *as_text(const char *range)
{
	static struct ip_prefix p[PEER_RANGE_PREFIXES_MAX];
	static char text[16384];
	uint32_t n = 0;
	size_t at = 0;

	cr_assert_eq(peer_range_parse(range, p, &n), 0, "refused: %s", range);
	text[0] = '\0';
	for (uint32_t i = 0; i < n; i++) {
		char address[IP_ENDPOINT_TEXT_MAX];
		int bits = p[i].length_bits - (ip_address_is_v4(&p[i].address) ? 96 : 0);

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s/%d", i ? " " : "",
				       ip_address_format(&p[i].address, address, sizeof(address)),
				       bits);
	}
	return text;
}

Test(peer_range, becomes_the_fewest_prefixes)
{
	cr_expect_str_eq(as_text("172.17.13.200"), "172.17.13.200/32");
	cr_expect_str_eq(as_text("10.0.0.0/8"), "10.0.0.0/8");
	cr_expect_str_eq(as_text("10.1.2.3/8"), "10.0.0.0/8");
	cr_expect_str_eq(as_text("0.0.0.0-255.255.255.255"), "0.0.0.0/0");
	cr_expect_str_eq(as_text("10.0.0.1-10.0.0.6"),
			 "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32");
	cr_expect_str_eq(as_text("172.17.13.133-172.17.14.56"),
			 "172.17.13.133/32 172.17.13.134/31 172.17.13.136/29 172.17.13.144/28 "
			 "172.17.13.160/27 172.17.13.192/26 172.17.14.0/27 172.17.14.32/28 "
			 "172.17.14.48/29 172.17.14.56/32");
	cr_expect_str_eq(as_text("123::45"), "123::45/128");
	cr_expect_str_eq(as_text("fd00::/32"), "fd00::/32");
	cr_expect_str_eq(as_text("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "::/0");
	cr_expect_str_eq(as_text("fd00::ffff-fd00::1:0"), "fd00::ffff/128 fd00::1:0/128");
}

Test(peer_range, refuses_what_is_none)
{
	static const char *const none[] = { "",
					    "x",
					    "10.0.0.2-10.0.0.1",
					    "10.0.0.1-",
					    "10.0.0.1/",
					    "10.0.0.1/33",
					    "10.0.0.1-::1",
					    "fd00::/129",
					    "10.0.0.0/8x",
					    "10.0.0.0/-1",
					    "%s%n" };
	struct ip_prefix p[PEER_RANGE_PREFIXES_MAX];
	uint32_t n;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_expect_lt(peer_range_parse(none[i], p, &n), 0, "taken: %s", none[i]);
}
