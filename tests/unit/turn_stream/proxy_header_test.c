// The PROXY protocol's binary header: every split, every fault.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "controlplane/turn/stream/proxy_header.h"

#define SIGNATURE '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'

static const uint8_t v4[] = {
	SIGNATURE, 0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x01, 0xbb,
};
// With an addition of 3 bytes behind the addresses.
static const uint8_t v6[] = {
	SIGNATURE, 0x21, 0x21, 0, 42, 0x20, 0x01, 0x0d, 0xb8, 0,    0, 0, 0, 0, 0, 0,
	0,         0,    0,    0, 9,  0x20, 0x01, 0x0d, 0xb8, 0,    0, 0, 0, 0, 0, 0,
	0,         0,    0,    0, 1,  0x30, 0x39, 0x01, 0xbb, 0xea, 0, 3, 1, 2, 3,
};

static void expect_endpoint(const struct ip_endpoint *e, const char *expected)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	cr_expect_str_eq(ip_endpoint_format(e, text, sizeof(text)), expected);
}

Test(proxy_header, tcp_over_ipv4_in_every_split)
{
	struct turn_proxy_header h;

	for (size_t n = 0; n < sizeof(v4); n++)
		cr_expect_eq(turn_proxy_header_parse(v4, n, &h), TURN_PROXY_MORE, "%zu bytes", n);
	cr_assert_eq(turn_proxy_header_parse(v4, sizeof(v4), &h), TURN_PROXY_OK);
	cr_expect_eq(h.length_bytes, sizeof(v4));
	cr_expect(h.has_addresses);
	expect_endpoint(&h.client, "192.0.2.7:12345");
	expect_endpoint(&h.server, "198.51.100.1:443");
}

Test(proxy_header, tcp_over_ipv6_with_an_addition_and_bytes_behind)
{
	uint8_t bytes[sizeof(v6) + 5] = { 0 };
	struct turn_proxy_header h;

	memcpy(bytes, v6, sizeof(v6));
	for (size_t n = 0; n < sizeof(v6); n++)
		cr_expect_eq(turn_proxy_header_parse(v6, n, &h), TURN_PROXY_MORE, "%zu bytes", n);
	cr_assert_eq(turn_proxy_header_parse(bytes, sizeof(bytes), &h), TURN_PROXY_OK);
	cr_expect_eq(h.length_bytes, sizeof(v6));
	expect_endpoint(&h.client, "[2001:db8::9]:12345");
	expect_endpoint(&h.server, "[2001:db8::1]:443");
}

Test(proxy_header, of_the_proxy_itself)
{
	uint8_t bytes[sizeof(v4)];
	struct turn_proxy_header h;

	memcpy(bytes, v4, sizeof(v4));
	bytes[12] = 0x20; // LOCAL: the addresses mean nothing
	cr_assert_eq(turn_proxy_header_parse(bytes, sizeof(bytes), &h), TURN_PROXY_OK);
	cr_expect_not(h.has_addresses);
	cr_expect_eq(h.length_bytes, sizeof(v4));
	bytes[12] = 0x21;
	bytes[13] = 0x00; // unspecified
	cr_assert_eq(turn_proxy_header_parse(bytes, sizeof(bytes), &h), TURN_PROXY_OK);
	cr_expect_not(h.has_addresses);
}

static enum turn_proxy_result with(size_t offset, uint8_t value)
{
	uint8_t bytes[sizeof(v6)];
	struct turn_proxy_header h;

	memcpy(bytes, v6, sizeof(v6));
	bytes[offset] = value;
	return turn_proxy_header_parse(bytes, sizeof(bytes), &h);
}

Test(proxy_header, faults_by_name)
{
	static const char v1[] = "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n";
	static const uint8_t stun[20] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
	struct turn_proxy_header h;

	cr_expect_eq(turn_proxy_header_parse((const uint8_t *)v1, 4, &h), TURN_PROXY_MORE);
	cr_expect_eq(turn_proxy_header_parse((const uint8_t *)v1, sizeof(v1) - 1, &h),
		     TURN_PROXY_VERSION_1);
	cr_expect_eq(turn_proxy_header_parse(stun, 1, &h), TURN_PROXY_NO_HEADER);
	cr_expect_eq(with(5, 'x'), TURN_PROXY_NO_HEADER);
	cr_expect_eq(with(12, 0x11), TURN_PROXY_VERSION);
	cr_expect_eq(with(12, 0x22), TURN_PROXY_COMMAND);
	cr_expect_eq(with(13, 0x12), TURN_PROXY_FAMILY); // UDP
	cr_expect_eq(with(13, 0x31), TURN_PROXY_FAMILY); // unix
	cr_expect_eq(with(15, 35), TURN_PROXY_LENGTH);
	cr_expect_eq(with(14, 0x10), TURN_PROXY_LENGTH);
	cr_expect_eq(with(54, 4), TURN_PROXY_ADDITION);
	cr_expect_eq(with(54, 2), TURN_PROXY_ADDITION);
	cr_expect_neq(strstr(turn_proxy_result_text(TURN_PROXY_VERSION_1), "send-proxy-v2"), NULL);
}
