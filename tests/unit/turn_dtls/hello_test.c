// The first flight of DTLS without state (RFC 6347 §4.2.1).
#include <criterion/criterion.h>

#include "controlplane/turn/dtls/hello.h"

static const uint8_t secret[TURN_DTLS_SECRET_BYTES] = "0123456789abcde";

static struct turn_dtls_ends ends_of(const char *client)
{
	struct turn_dtls_ends e = { .local_port_be = 0x960d, .local_idx = 0 };

	cr_assert_eq(ip_endpoint_parse(client, &e.client), 0);
	return e;
}

// A ClientHello as short as it can be, with a cookie.
static size_t hello_write(uint8_t *out, uint8_t cookie_bytes, uint16_t message_seq)
{
	size_t body_bytes = 2 + 32 + 1 + 1 + (size_t)cookie_bytes + 2 + 2 + 2;

	memset(out, 0, 25 + body_bytes);
	out[0] = 22;
	out[1] = 0xfe;
	out[2] = 0xff;
	out[12] = (uint8_t)(12 + body_bytes);
	out[13] = 1;
	out[16] = out[24] = (uint8_t)body_bytes;
	out[18] = (uint8_t)message_seq;
	out[25] = 0xfe;
	out[26] = 0xfd;
	memset(out + 27, 0x77, 32);
	out[60] = cookie_bytes;
	memset(out + 61, 0xcc, cookie_bytes);
	return 25 + body_bytes;
}

Test(turn_dtls_hello, rfc6347_4_2_1_reads_random_and_cookie)
{
	struct turn_dtls_hello h;
	uint8_t bytes[256];
	size_t n = hello_write(bytes, 16, 1);

	cr_assert(turn_dtls_hello_parse(bytes, n, &h));
	cr_assert_eq(h.message_seq, 1);
	cr_assert_eq(h.cookie_bytes, 16);
	cr_assert_eq(h.random[31], 0x77);
	cr_assert_eq(h.cookie[15], 0xcc);
}

Test(turn_dtls_hello, rfc6347_4_2_1_first_fragment_suffices)
{
	struct turn_dtls_hello h;
	uint8_t bytes[256];

	hello_write(bytes, 16, 1);
	// The message is longer than what this record has of it.
	bytes[15] = 4;
	bytes[12] = 12 + 2 + 32 + 1 + 1 + 16;
	bytes[24] = bytes[12] - 12;
	cr_assert(turn_dtls_hello_parse(bytes, 13u + bytes[12], &h));
	// Another fragment says nothing about the cookie.
	bytes[21] = 1;
	cr_assert_not(turn_dtls_hello_parse(bytes, 13u + bytes[12], &h));
}

Test(turn_dtls_hello, rfc6347_4_1_2_7_whatever_is_cut_off_is_none)
{
	struct turn_dtls_hello h;
	uint8_t bytes[256];
	size_t n = hello_write(bytes, 16, 1);

	// On the heap, so that the sanitizer sees a byte too many.
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *copy = malloc(cut > 0 ? cut : 1);

		memcpy(copy, bytes, cut);
		cr_assert_not(turn_dtls_hello_parse(copy, cut, &h), "%zu bytes", cut);
		free(copy);
	}
	bytes[59] = 33; // a session id longer than any
	cr_assert_not(turn_dtls_hello_parse(bytes, n, &h));
	hello_write(bytes, 16, 1);
	bytes[4] = 1; // not the first epoch
	cr_assert_not(turn_dtls_hello_parse(bytes, n, &h));
	hello_write(bytes, 16, 1);
	bytes[13] = 2; // a ServerHello
	cr_assert_not(turn_dtls_hello_parse(bytes, n, &h));
}

Test(turn_dtls_hello, rfc6347_4_2_1_cookie_is_bound_to_both_ends)
{
	struct turn_dtls_ends ends = ends_of("192.0.2.1:4000"), other;
	uint8_t cookie[TURN_DTLS_COOKIE_BYTES];
	const uint64_t now_ns = 100 * TURN_DTLS_COOKIE_NS;

	turn_dtls_cookie_make(secret, &ends, now_ns, cookie);
	cr_assert(turn_dtls_cookie_is_good(secret, &ends, now_ns, cookie, sizeof(cookie)));
	other = ends_of("192.0.2.2:4000");
	cr_assert_not(turn_dtls_cookie_is_good(secret, &other, now_ns, cookie, sizeof(cookie)));
	other = ends_of("192.0.2.1:4001");
	cr_assert_not(turn_dtls_cookie_is_good(secret, &other, now_ns, cookie, sizeof(cookie)));
	other = ends;
	other.local_port_be++;
	cr_assert_not(turn_dtls_cookie_is_good(secret, &other, now_ns, cookie, sizeof(cookie)));
	other = ends;
	other.local_idx++;
	cr_assert_not(turn_dtls_cookie_is_good(secret, &other, now_ns, cookie, sizeof(cookie)));
	cr_assert_not(turn_dtls_cookie_is_good(secret, &ends, now_ns, cookie, sizeof(cookie) - 1));
	cookie[0] ^= 1;
	cr_assert_not(turn_dtls_cookie_is_good(secret, &ends, now_ns, cookie, sizeof(cookie)));
}

Test(turn_dtls_hello, rfc6347_4_2_1_cookie_expires)
{
	struct turn_dtls_ends ends = ends_of("[2001:db8::1]:4000");
	uint8_t cookie[TURN_DTLS_COOKIE_BYTES];
	const uint64_t now_ns = 100 * TURN_DTLS_COOKIE_NS;

	turn_dtls_cookie_make(secret, &ends, now_ns, cookie);
	cr_assert(turn_dtls_cookie_is_good(secret, &ends, now_ns + TURN_DTLS_COOKIE_NS, cookie,
					   sizeof(cookie)));
	cr_assert_not(turn_dtls_cookie_is_good(secret, &ends, now_ns + 2 * TURN_DTLS_COOKIE_NS,
					       cookie, sizeof(cookie)));
}

Test(turn_dtls_hello, rfc6347_4_2_1_answer_is_shorter_than_any_question)
{
	uint8_t bytes[256];

	cr_assert_lt(TURN_DTLS_VERIFY_BYTES, hello_write(bytes, 0, 0));
}
