// Where messages end in a stream of bytes (RFC 8489 §6.2.2, RFC 8656 §12.5).
#include <criterion/criterion.h>
#include <string.h>

#include "controlplane/turn/stream/framing.h"

static const uint8_t binding[20] = { 0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42 };

// A Binding request, ChannelData of 5 bytes (3 of padding), one of 0 bytes, a request with 8 bytes of attributes.
static const uint8_t train[] = {
	0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 1,   2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, //
	0x40, 0x01, 0x00, 0x05, 'h',  'e',  'l',  'l',  'o', 0, 0, 0,                            //
	0x4f, 0xff, 0x00, 0x00,                                                                  //
	0x00, 0x03, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42, 1,   2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, //
	0x00, 0x19, 0x00, 0x04, 17,   0,    0,    0,                                             //
};
static const size_t lengths[] = { 20, 12, 4, 28 };

// Feeds the first `n_bytes` as they came so far; returns how many messages are whole, and checks each.
static size_t whole_messages(size_t n_bytes, size_t *taken)
{
	size_t n = 0, at = 0, message_bytes;

	for (;;) {
		enum turn_framing f = turn_framing_next(train + at, n_bytes - at, &message_bytes);

		if (f == TURN_FRAMING_MORE) {
			cr_expect_gt(message_bytes, n_bytes - at, "asks for what is there");
			break;
		}
		cr_assert_eq(f, TURN_FRAMING_MESSAGE);
		cr_assert_eq(message_bytes, lengths[n]);
		at += message_bytes;
		n++;
	}
	*taken = at;
	return n;
}

Test(framing, rfc8656_12_5_every_split_gives_the_same_messages)
{
	size_t ends[] = { 20, 32, 36, 64 };

	for (size_t n_bytes = 0; n_bytes <= sizeof(train); n_bytes++) {
		size_t expected = 0, taken, n;

		while (expected < 4 && ends[expected] <= n_bytes)
			expected++;
		n = whole_messages(n_bytes, &taken);
		cr_expect_eq(n, expected, "after %zu bytes: %zu messages", n_bytes, n);
		cr_expect_eq(taken, expected == 0 ? 0 : ends[expected - 1]);
	}
}

Test(framing, rfc8656_12_5_padding_is_not_counted_in_the_length)
{
	uint8_t message[12] = { 0x40, 0x00 };
	size_t bytes;

	for (uint8_t length = 0; length <= 8; length++) {
		size_t padded = 4 + ((length + 3u) & ~3u);

		message[3] = length;
		cr_expect_eq(turn_framing_next(message, padded, &bytes), TURN_FRAMING_MESSAGE);
		cr_expect_eq(bytes, padded);
		cr_expect_eq(turn_framing_next(message, padded - 1, &bytes), TURN_FRAMING_MORE);
	}
}

Test(framing, rfc8489_6_2_2_asks_for_as_much_as_is_missing)
{
	uint8_t message[20];
	size_t bytes;

	memcpy(message, binding, sizeof(message));
	message[2] = 0x01; // 256 bytes of attributes
	cr_expect_eq(turn_framing_next(message, 0, &bytes), TURN_FRAMING_MORE);
	cr_expect_eq(bytes, 4);
	cr_expect_eq(turn_framing_next(message, 4, &bytes), TURN_FRAMING_MORE);
	cr_expect_eq(bytes, 8);
	cr_expect_eq(turn_framing_next(message, 8, &bytes), TURN_FRAMING_MORE);
	cr_expect_eq(bytes, 276);
}

Test(framing, first_bytes_that_begin_no_message)
{
	size_t bytes;

	for (int first = 0; first < 256; first++) {
		const uint8_t byte = (uint8_t)first;
		bool is_message = first <= 3 || (first >= 0x40 && first <= 0x7f);

		cr_expect_eq(turn_framing_next(&byte, 1, &bytes),
			     is_message ? TURN_FRAMING_MORE : TURN_FRAMING_FIRST_BYTE, "0x%02x",
			     first);
	}
}

Test(framing, what_puts_a_connection_out_of_step_has_a_name)
{
	uint8_t message[20];
	size_t bytes;

	memcpy(message, binding, sizeof(message));
	message[3] = 2;
	cr_expect_eq(turn_framing_next(message, 4, &bytes), TURN_FRAMING_STUN_LENGTH);
	message[3] = 0;
	message[7] ^= 1;
	cr_expect_eq(turn_framing_next(message, 7, &bytes), TURN_FRAMING_MORE);
	cr_expect_eq(turn_framing_next(message, 8, &bytes), TURN_FRAMING_STUN_COOKIE);
}
