// TURN framing on the packet path: ChannelData (RFC 8656 §12), Send and Data indications (§11).
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/contract/wire/turn.h"
#include "tests/unit/wire/guarded.h"

static const uint8_t id[12] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
				0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae };

struct send {
	uint8_t bytes[2048];
	struct stun_builder b;
	size_t len_bytes;
};

static void send_begin(struct send *s)
{
	stun_build_begin(&s->b, s->bytes, sizeof(s->bytes), TURN_SEND_INDICATION, id);
}

static void send_peer(struct send *s, const char *peer)
{
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(peer, &e), 0);
	stun_build_xor_address(&s->b, TURN_ATTR_XOR_PEER_ADDRESS, &e);
}

static enum turn_send_error send_parse(struct send *s, struct turn_send *out)
{
	s->len_bytes = stun_build_end(&s->b);
	memset(out, 0xee, sizeof(*out));
	return turn_send_parse(guarded_copy(s->bytes, s->len_bytes), s->len_bytes, out);
}

static bool peer_is(const struct turn_send *t, const char *peer)
{
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(peer, &e), 0);
	return ip_endpoint_equal(&t->peer, &e);
}

Test(turn, rfc8656_12_4_channel_data_every_length)
{
	uint8_t buf[64] = { 0x40, 0x00 };

	for (uint32_t n = 0; n <= sizeof(buf); n++) {
		for (uint32_t announced = 0; announced < 70; announced++) {
			uint16_t channel = 0;
			uint16_t data_bytes = 0;

			bytes_put_be16(buf + 2, (uint16_t)announced);
			cr_assert_eq(turn_channel_data_parse(guarded_copy(buf, n), n, &channel,
							     &data_bytes),
				     n >= 4 && announced + 4 <= n);
			if (n >= 4)
				cr_assert_eq(data_bytes, announced);
		}
	}
}

Test(turn, rfc8656_12_channel_numbers)
{
	for (uint32_t number = 0; number <= UINT16_MAX; number++) {
		uint8_t buf[4] = { (uint8_t)(number >> 8), (uint8_t)number, 0, 0 };
		uint16_t channel;
		uint16_t data_bytes;

		cr_assert_eq(turn_channel_data_parse(buf, 4, &channel, &data_bytes),
			     number >= 0x4000 && number <= 0x4fff, "0x%x", number);
		cr_assert_eq(channel, number);
		cr_assert_eq(turn_channel_data_parse_upto(buf, 4, TURN_CHANNEL_RFC5766_MAX,
							  &channel, &data_bytes),
			     number >= 0x4000 && number <= 0x7fff, "0x%x", number);
	}
}

Test(turn, rfc8656_11_2_send)
{
	struct turn_send t;
	struct send s;

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	cr_assert(peer_is(&t, "192.0.2.1:4711"));
	cr_assert_eq(t.data_bytes, 5);
	cr_assert_arr_eq(t.data, "hello", 5);
	cr_assert_not(t.dont_fragment);

	send_begin(&s);
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	stun_build_attr(&s.b, TURN_ATTR_DONT_FRAGMENT, "", 0);
	stun_build_u32(&s.b, STUN_ATTR_SOFTWARE, 0);
	send_peer(&s, "[2001:db8::1]:65535");
	stun_build_fingerprint(&s.b);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	cr_assert(peer_is(&t, "[2001:db8::1]:65535"));
	cr_assert_eq(t.data_bytes, 5);
	cr_assert(t.dont_fragment);
}

Test(turn, rfc8656_11_2_zero_bytes_of_data_are_legal)
{
	struct turn_send t;
	struct send s;

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "", 0);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	cr_assert_eq(t.data_bytes, 0);
	cr_assert_not_null(t.data);
}

Test(turn, rfc8656_11_2_missing_attributes)
{
	struct turn_send t;
	struct send s;

	send_begin(&s);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_NO_PEER);
	send_begin(&s);
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_NO_PEER);
	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_NO_DATA);
	// A peer of the wrong size, and one of a wrong family.
	send_begin(&s);
	stun_build_u32(&s.b, TURN_ATTR_XOR_PEER_ADDRESS, 1 << 16);
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_NO_PEER);
	send_begin(&s);
	stun_build_attr(&s.b, TURN_ATTR_XOR_PEER_ADDRESS, "\0\3abcdef", 8);
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_NO_PEER);
}

Test(turn, rfc8489_14_first_duplicate_wins)
{
	struct turn_send t;
	struct send s;

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "", 0);
	send_peer(&s, "127.0.0.1:22");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "second", 6);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	cr_assert(peer_is(&t, "192.0.2.1:4711"));
	cr_assert_eq(t.data_bytes, 0);
	// A malformed first one is not repaired by a second.
	send_begin(&s);
	stun_build_u32(&s.b, TURN_ATTR_XOR_PEER_ADDRESS, 0);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "x", 1);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_NO_PEER);
}

Test(turn, rfc8489_6_3_2_unknown_attributes)
{
	static const struct {
		uint16_t type;
		enum turn_send_error expected;
	} cases[] = {
		{ 0x0000, TURN_SEND_UNKNOWN_ATTRIBUTE },
		{ 0x0003, TURN_SEND_UNKNOWN_ATTRIBUTE },
		{ 0x0030, TURN_SEND_UNKNOWN_ATTRIBUTE },
		{ 0x003f, TURN_SEND_UNKNOWN_ATTRIBUTE },
		{ 0x0040, TURN_SEND_UNKNOWN_ATTRIBUTE },
		{ 0x0052, TURN_SEND_UNKNOWN_ATTRIBUTE },
		{ 0x7fff, TURN_SEND_UNKNOWN_ATTRIBUTE },
		{ 0x8000, TURN_SEND_OK },
		{ 0xffff, TURN_SEND_OK },
		{ STUN_ATTR_USERNAME, TURN_SEND_OK },
		{ TURN_ATTR_LIFETIME, TURN_SEND_OK },
		{ STUN_ATTR_USERHASH, TURN_SEND_OK },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct turn_send t;
		struct send s;

		send_begin(&s);
		send_peer(&s, "192.0.2.1:4711");
		stun_build_u32(&s.b, cases[i].type, 0);
		stun_build_attr(&s.b, TURN_ATTR_DATA, "x", 1);
		cr_assert_eq(send_parse(&s, &t), cases[i].expected, "0x%04x", cases[i].type);
	}
}

Test(turn, rfc8489_14_5_attributes_behind_integrity_are_ignored)
{
	struct turn_send t;
	size_t covered_bytes;
	struct send s;

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_integrity(&s.b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);
	stun_build_attr(&s.b, TURN_ATTR_DATA, "x", 1);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_NO_DATA);

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "x", 1);
	stun_build_integrity(&s.b, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, 32, &covered_bytes);
	stun_build_u32(&s.b, 0x7777, 0);
	stun_build_attr(&s.b, TURN_ATTR_DONT_FRAGMENT, "", 0);
	stun_build_fingerprint(&s.b);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	cr_assert_not(t.dont_fragment);
}

Test(turn, rfc8489_14_7_fingerprint)
{
	struct turn_send t;
	struct send s;
	size_t n;

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	stun_build_fingerprint(&s.b);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	n = s.len_bytes;
	for (size_t bit = 8 * (n - 4); bit < 8 * n; bit++) {
		s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(turn_send_parse(s.bytes, n, &t), TURN_SEND_FINGERPRINT);
		s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	s.bytes[40] ^= 1; // a byte of the data
	cr_assert_eq(turn_send_parse(s.bytes, n, &t), TURN_SEND_FINGERPRINT);
	s.bytes[40] ^= 1;
	stun_build_u32(&s.b, STUN_ATTR_SOFTWARE, 0);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_FINGERPRINT, "not the last attribute");
}

Test(turn, malformed_at_every_length)
{
	struct turn_send t;
	struct send s;
	size_t n;

	send_begin(&s);
	send_peer(&s, "[2001:db8::1]:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	n = s.len_bytes;
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t short_one[64];

		cr_assert_eq(turn_send_parse(guarded_copy(s.bytes, cut), cut, &t),
			     TURN_SEND_MALFORMED);
		// The same with the length told truthfully: whole attributes may be left.
		if (cut < 20)
			continue;
		memcpy(short_one, s.bytes, cut);
		bytes_put_be16(short_one + 2, (uint16_t)(cut - 20));
		cr_assert_neq(turn_send_parse(guarded_copy(short_one, cut), cut, &t), TURN_SEND_OK);
	}
	cr_assert_eq(turn_send_parse(guarded_copy(s.bytes, n + 4), n + 4, &t), TURN_SEND_MALFORMED);
}

Test(turn, malformed_header)
{
	struct turn_send t;
	struct send s;

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	for (size_t bit = 0; bit < 64; bit++) {
		s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(turn_send_parse(s.bytes, s.len_bytes, &t), TURN_SEND_MALFORMED, "%zu",
			     bit);
		s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

// The DATA attribute's length forged to every value.
Test(turn, forged_data_length)
{
	struct turn_send t;
	struct send s;

	send_begin(&s);
	send_peer(&s, "192.0.2.1:4711");
	stun_build_attr(&s.b, TURN_ATTR_DATA, "hello", 5);
	cr_assert_eq(send_parse(&s, &t), TURN_SEND_OK);
	for (uint32_t length = 0; length <= UINT16_MAX; length++) {
		enum turn_send_error got;
		const uint8_t *p;

		bytes_put_be16(s.bytes + 34, (uint16_t)length);
		p = guarded_copy(s.bytes, s.len_bytes);
		got = turn_send_parse(p, s.len_bytes, &t);
		if (got == TURN_SEND_OK)
			cr_assert_leq(t.data + t.data_bytes, p + s.len_bytes);
		cr_assert_eq(got == TURN_SEND_OK, length >= 5 && length <= 8, "%u", length);
	}
}

// The packet path's parser and the general one agree on what any mutated indication holds.
Test(turn, agrees_with_stun_parse)
{
	srandom(8656);
	for (uint32_t round = 0; round < 200000; round++) {
		struct stun_view m;
		struct turn_send t;
		struct stun_attr peer;
		struct stun_attr data;
		struct send s;
		const uint8_t *p;

		send_begin(&s);
		send_peer(&s, round & 1 ? "192.0.2.1:4711" : "[2001:db8::1]:4711");
		stun_build_attr(&s.b, TURN_ATTR_DATA, "hello, peer", 11);
		stun_build_u32(&s.b, STUN_ATTR_SOFTWARE, 0);
		s.len_bytes = stun_build_end(&s.b);
		for (uint32_t i = 0; i < 1 + round % 3; i++)
			s.bytes[20 + (size_t)random() % (s.len_bytes - 20)] =
				(uint8_t)(random() % 40);
		p = guarded_copy(s.bytes, s.len_bytes);
		if (stun_parse(p, s.len_bytes, &m) != STUN_OK) {
			cr_assert_eq(turn_send_parse(p, s.len_bytes, &t), TURN_SEND_MALFORMED);
			continue;
		}
		if (turn_send_parse(p, s.len_bytes, &t) != TURN_SEND_OK)
			continue;
		cr_assert(stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &peer));
		cr_assert(stun_attr_find(&m, TURN_ATTR_DATA, &data));
		cr_assert_eq(t.data, data.value);
		cr_assert_eq(t.data_bytes, data.length_bytes);
	}
}

// A Data indication written around a payload reads back with the general parser.
Test(turn, rfc8656_11_4_data_prefix)
{
	static const char *const peers[] = { "192.0.2.1:4711", "[2001:db8::1]:65535" };

	for (uint32_t which = 0; which < 2; which++) {
		for (uint16_t n = 0; n <= 1400; n++) {
			uint8_t buf[2048];
			uint16_t expected =
				which == 0 ? TURN_DATA_PREFIX_V4_BYTES : TURN_DATA_PREFIX_V6_BYTES;
			size_t whole = expected + ((n + 3u) & ~3u);
			struct ip_endpoint peer;
			struct ip_endpoint got;
			struct stun_attr a;
			struct stun_view m;

			memset(buf, 0xee, sizeof(buf));
			cr_assert_eq(ip_endpoint_parse(peers[which], &peer), 0);
			cr_assert_eq(turn_data_prefix_write(buf, &peer, n, id), expected);
			cr_assert_eq(buf[expected], 0xee);
			cr_assert_eq(stun_parse(buf, whole, &m), STUN_OK);
			cr_assert_eq(m.type, TURN_DATA_INDICATION);
			cr_assert_arr_eq(m.transaction_id, id, 12);
			cr_assert(stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &a));
			cr_assert_eq(stun_xor_address_get(&m, &a, &got), 0);
			cr_assert(ip_endpoint_equal(&got, &peer));
			cr_assert(stun_attr_find(&m, TURN_ATTR_DATA, &a));
			cr_assert_eq(a.length_bytes, n);
			cr_assert_eq(a.value, buf + expected);
		}
	}
}
