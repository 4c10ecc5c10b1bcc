// RTP header extension elements (RFC 8285 §4) and their values (RFC 6464, 8852, 9143, abs-send-time, transport-wide sequence).
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "dataplane/contract/wire/rtp_extension_values.h"
#include "tests/unit/wire/guarded.h"

// A packet of 12 bytes, the given block behind a header of `profile`, and 2 bytes of payload, directly before an unreadable page.
static uint8_t *packet_with(uint16_t profile, const uint8_t *block, size_t block_bytes,
			    struct rtp_view *v, size_t *len_bytes)
{
	uint8_t buf[2048] = { 0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3 };
	uint8_t *p;

	cr_assert_eq(block_bytes % 4, 0);
	bytes_put_be16(buf + 12, profile);
	bytes_put_be16(buf + 14, (uint16_t)(block_bytes / 4));
	memcpy(buf + 16, block, block_bytes);
	buf[16 + block_bytes] = 0xaa;
	buf[17 + block_bytes] = 0xbb;
	*len_bytes = 18 + block_bytes;
	p = guarded_copy(buf, *len_bytes);
	cr_assert_eq(rtp_parse(p, *len_bytes, v), 0);
	return p;
}

// The ids that a block yields, as decimal digits and lengths "id:len ".
static void elements_text(const struct rtp_view *v, char *out, size_t out_bytes, bool *malformed)
{
	struct rtp_extension_reader r = rtp_extension_reader_init(v);
	struct rtp_extension e;
	size_t at = 0;

	out[0] = 0;
	while (rtp_extension_next(&r, &e))
		at += (size_t)snprintf(out + at, out_bytes - at, "%u:%u ", e.id, e.value_bytes);
	*malformed = r.malformed;
}

Test(rtp_extension, rfc8285_4_2_and_4_3_elements)
{
	static const struct {
		const char *name, *elements;
		uint16_t profile;
		uint8_t block[12];
		bool malformed;
	} cases[] = {
		// The figure of §4.2: lengths 1, 2 and 4 with padding between.
		{ "one byte",
		  "1:1 2:2 3:4 ",
		  0xbede,
		  { 0x10, 1, 0x21, 1, 2, 0, 0, 0x33, 1, 2, 3, 4 },
		  false },
		// The figure of §4.3: lengths 0, 1 and 4.
		{ "two byte",
		  "1:0 2:1 3:4 ",
		  0x1000,
		  { 1, 0, 2, 1, 9, 0, 3, 4, 1, 2, 3, 4 },
		  false },
		{ "appbits", "255:1 ", 0x100f, { 255, 1, 7 }, false },
		{ "id 15 ends", "1:1 ", 0xbede, { 0x10, 1, 0xf0, 1, 0x20, 1 }, false },
		{ "id 0 with length ends", "1:1 ", 0xbede, { 0x10, 1, 0x01, 1, 0x20, 1 }, false },
		{ "two byte has no id 15 rule",
		  "15:1 16:1 ",
		  0x1000,
		  { 15, 1, 1, 16, 1, 1 },
		  false },
		{ "padding alone", "", 0xbede, { 0 }, false },
		{ "one byte past the end", "1:1 ", 0xbede, { 0x10, 1, 0x2f }, true },
		{ "two byte past the end", "1:1 ", 0x1000, { 1, 1, 1, 2, 8 }, true },
		{ "two byte without length",
		  "1:9 ",
		  0x1000,
		  { 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5 },
		  true },
		{ "last fills the block", "1:11 ", 0xbede, { 0x1a }, false },
		{ "another profile", "", 0xabac, { 0x10, 1 }, false },
		{ "beyond appbits", "", 0x1010, { 1, 1 }, false },
	};
	char text[256];
	bool malformed;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rtp_view v;
		size_t len_bytes;

		packet_with(cases[i].profile, cases[i].block, 12, &v, &len_bytes);
		elements_text(&v, text, sizeof(text), &malformed);
		cr_assert_str_eq(text, cases[i].elements, "%s: %s", cases[i].name, text);
		cr_assert_eq(malformed, cases[i].malformed, "%s", cases[i].name);
	}
}

Test(rtp_extension, none_without_a_block)
{
	const uint8_t plain[] = { 0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3 };
	struct rtp_extension e;
	struct rtp_view v;

	cr_assert_eq(rtp_parse(plain, sizeof(plain), &v), 0);
	cr_assert_not(rtp_extension_find(&v, 1, &e));
}

// The block cut at every word: the elements before the cut are told, the one across it is not.
Test(rtp_extension, rfc8285_4_truncated_at_every_word)
{
	static const uint8_t one[] = { 0x13, 1, 2, 3, 4, 0x27, 1, 2, 3, 4, 5, 6, 7, 8, 0x30, 1 };
	static const uint8_t two[] = { 1, 4, 1, 2, 3, 4, 2, 6, 1, 2, 3, 4, 5, 6, 3, 0 };
	static const char *const one_told[] = { "", "", "1:4 ", "1:4 ", "1:4 2:8 3:1 " };
	static const char *const two_told[] = { "", "", "1:4 ", "1:4 ", "1:4 2:6 3:0 " };
	char text[64];
	bool malformed;

	for (size_t words = 0; words <= 4; words++) {
		struct rtp_view v;
		size_t len_bytes;

		packet_with(0xbede, one, 4 * words, &v, &len_bytes);
		elements_text(&v, text, sizeof(text), &malformed);
		cr_assert_str_eq(text, one_told[words], "%zu: %s", words, text);
		cr_assert_eq(malformed, words > 0 && words < 4);
		packet_with(0x1000, two, 4 * words, &v, &len_bytes);
		elements_text(&v, text, sizeof(text), &malformed);
		cr_assert_str_eq(text, two_told[words], "%zu: %s", words, text);
		cr_assert_eq(malformed, words > 0 && words < 4);
	}
}

Test(rtp_extension, overwrite_and_renumber_in_place)
{
	static const uint8_t block[] = { 0x10, 1, 0x32, 4, 5, 6, 0, 0 };
	static const uint8_t value[] = { 7, 8, 9 };
	struct rtp_extension e;
	struct rtp_view v;
	size_t len_bytes;
	uint8_t *p = packet_with(0xbede, block, sizeof(block), &v, &len_bytes);

	cr_assert_eq(rtp_extension_overwrite(p, &v, 3, value, 3), 0);
	cr_assert(rtp_extension_find(&v, 3, &e));
	cr_assert_eq(memcmp(e.value, value, 3), 0);
	cr_assert_eq(rtp_extension_overwrite(p, &v, 3, value, 2), -EMSGSIZE);
	cr_assert_eq(rtp_extension_overwrite(p, &v, 4, value, 3), -ENOENT);
	cr_assert_eq(rtp_extension_renumber(p, &v, 3, 14), 0);
	cr_assert_not(rtp_extension_find(&v, 3, &e));
	cr_assert(rtp_extension_find(&v, 14, &e));
	cr_assert_eq(e.value_bytes, 3);
	cr_assert_eq(rtp_extension_renumber(p, &v, 14, 15), -EINVAL);
	cr_assert_eq(rtp_extension_renumber(p, &v, 14, 0), -EINVAL);
	cr_assert_eq(rtp_extension_renumber(p, &v, 3, 1), -ENOENT);
	cr_assert_eq(p[len_bytes - 2], 0xaa);
	cr_assert_eq(p[16], 0x10, "the other element is untouched");
}

// Appends to `from` with the given room; checks that everything else of the packet is what it was.
static int append(const uint8_t *from, size_t from_bytes, size_t headroom_bytes, uint8_t id,
		  uint8_t value_bytes, size_t *grown_bytes)
{
	uint8_t value[255], room[2048];
	uint8_t *packet = room + headroom_bytes, *out = NULL;
	struct rtp_view before, after;
	struct rtp_extension_reader a, b;
	struct rtp_extension x, y;
	int ret;

	for (uint32_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i + 1);
	memcpy(packet, from, from_bytes);
	cr_assert_eq(rtp_parse(from, from_bytes, &before), 0);
	{
		struct rtp_view view;

		cr_assert_eq(rtp_parse(packet, from_bytes, &view), 0);
		ret = rtp_extension_append(packet, headroom_bytes, &view, id, value, value_bytes,
					   &out);
	}
	if (ret != 0) {
		cr_assert_eq(memcmp(packet, from, from_bytes), 0, "nothing changed");
		return ret;
	}
	cr_assert(out <= packet && out >= room);
	*grown_bytes = (size_t)(packet - out);
	cr_assert_eq(rtp_parse(out, from_bytes + *grown_bytes, &after), 0);
	cr_assert_eq(after.ssrc, before.ssrc);
	cr_assert_eq(after.payload_type, before.payload_type);
	cr_assert_eq(after.payload_bytes, before.payload_bytes);
	cr_assert_eq(memcmp(after.payload, before.payload, after.payload_bytes), 0);
	a = rtp_extension_reader_init(&before);
	b = rtp_extension_reader_init(&after);
	while (rtp_extension_next(&a, &x)) {
		cr_assert(rtp_extension_next(&b, &y));
		cr_assert_eq(x.id, y.id);
		cr_assert_eq(x.value_bytes, y.value_bytes);
		cr_assert_eq(memcmp(x.value, y.value, x.value_bytes), 0);
	}
	cr_assert(rtp_extension_next(&b, &y));
	cr_assert_eq(y.id, id);
	cr_assert_eq(y.value_bytes, value_bytes);
	cr_assert_eq(memcmp(y.value, value, value_bytes), 0);
	cr_assert_not(rtp_extension_next(&b, &y));
	cr_assert_not(b.malformed);
	return 0;
}

Test(rtp_extension, append_with_room)
{
	static const uint8_t plain[] = { 0x81, 96, 0, 1, 0, 0, 0, 2,   0,
					 0,    0,  3, 9, 9, 9, 9, 'h', 'i' };
	static const uint8_t padded[] = { 0x90, 96, 0, 1,    0, 0, 0, 2, 0, 0, 0, 3,   0xbe,
					  0xde, 0,  2, 0x10, 1, 0, 0, 0, 0, 0, 0, 'h', 'i' };
	static const uint8_t two_byte[] = { 0x90, 96,   0, 1, 0, 0, 0, 2, 0, 0,   0,
					    3,    0x10, 0, 0, 1, 1, 1, 7, 0, 'h', 'i' };
	static const uint8_t ended[] = { 0x90, 96,   0,    1, 0, 0,    0, 2, 0, 0,  0,
					 3,    0xbe, 0xde, 0, 1, 0xf0, 0, 0, 0, 'h' };
	static const uint8_t foreign[] = { 0x90, 96,   0,    1, 0, 0, 0, 2, 0, 0,  0,
					   3,    0xab, 0xac, 0, 1, 0, 0, 0, 0, 'h' };
	static const struct {
		const char *name;
		const uint8_t *packet;
		size_t packet_bytes, headroom_bytes, grown_bytes;
		uint8_t id, value_bytes;
		int ret;
	} cases[] = {
		{ "first", plain, sizeof(plain), 8, 8, 5, 3, 0 },
		{ "first, no room", plain, sizeof(plain), 7, 0, 5, 3, -ENOSPC },
		{ "first, long: two-byte form", plain, sizeof(plain), 24, 24, 5, 17, 0 },
		{ "first, high id: two-byte form", plain, sizeof(plain), 8, 8, 15, 2, 0 },
		{ "first, empty", plain, sizeof(plain), 8, 8, 1, 0, 0 },
		{ "longest", plain, sizeof(plain), 264, 264, 255, 255, 0 },
		{ "into the padding", padded, sizeof(padded), 0, 0, 2, 5, 0 },
		{ "over the padding", padded, sizeof(padded), 4, 4, 2, 6, 0 },
		{ "over the padding, no room", padded, sizeof(padded), 3, 0, 2, 6, -ENOSPC },
		{ "id 15 in one-byte form", padded, sizeof(padded), 64, 0, 15, 1, -EINVAL },
		{ "id 0", padded, sizeof(padded), 64, 0, 0, 1, -EINVAL },
		{ "17 bytes in one-byte form", padded, sizeof(padded), 64, 0, 2, 17, -EINVAL },
		{ "nothing in one-byte form", padded, sizeof(padded), 64, 0, 2, 0, -EINVAL },
		{ "two-byte form", two_byte, sizeof(two_byte), 4, 4, 200, 3, 0 },
		{ "two-byte form, id 0", two_byte, sizeof(two_byte), 64, 0, 0, 3, -EINVAL },
		{ "behind id 15", ended, sizeof(ended), 64, 0, 2, 1, -EINVAL },
		{ "another profile", foreign, sizeof(foreign), 64, 0, 2, 1, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t grown_bytes = 0;
		int ret = append(cases[i].packet, cases[i].packet_bytes, cases[i].headroom_bytes,
				 cases[i].id, cases[i].value_bytes, &grown_bytes);

		cr_assert_eq(ret, cases[i].ret, "%s: %d", cases[i].name, ret);
		cr_assert_eq(grown_bytes, cases[i].grown_bytes, "%s: %zu", cases[i].name,
			     grown_bytes);
	}
}

Test(rtp_extension, block_built)
{
	static const uint8_t one[] = { 0xbe, 0xde, 0, 2, 0x10, 'a', 0x52, 1, 2, 3, 0, 0 };
	static const uint8_t two[] = { 0x10, 0, 0, 2, 200, 0, 5, 3, 1, 2, 3, 0 };
	static const uint8_t value[] = { 1, 2, 3 };
	struct rtp_extension_writer w;
	uint8_t buf[12];

	w = rtp_extension_writer_init(buf, sizeof(buf), false);
	cr_assert_eq(rtp_extension_put(&w, 1, (const uint8_t *)"a", 1), buf + 5);
	cr_assert_eq(rtp_extension_put(&w, 5, value, 3), buf + 7);
	cr_assert_eq(rtp_extension_finish(&w), 12);
	cr_assert_eq(memcmp(buf, one, 12), 0);
	w = rtp_extension_writer_init(buf, sizeof(buf), true);
	rtp_extension_put(&w, 200, NULL, 0);
	rtp_extension_put(&w, 5, value, 3);
	cr_assert_eq(rtp_extension_finish(&w), 12);
	cr_assert_eq(memcmp(buf, two, 12), 0);
	w = rtp_extension_writer_init(buf, sizeof(buf), false);
	cr_assert_eq(rtp_extension_finish(&w), 0, "nothing put: no extension");
	w = rtp_extension_writer_init(buf, sizeof(buf), false);
	cr_assert_null(rtp_extension_put(&w, 15, value, 3));
	cr_assert_eq(rtp_extension_finish(&w), -EINVAL);
	w = rtp_extension_writer_init(buf, 11, false);
	rtp_extension_put(&w, 1, value, 3);
	cr_assert_not_null(rtp_extension_put(&w, 2, value, 1));
	cr_assert_eq(rtp_extension_finish(&w), -ENOSPC, "no room for the padding");
	w = rtp_extension_writer_init(buf, 3, false);
	cr_assert_null(rtp_extension_put(&w, 1, value, 3));
	cr_assert_eq(rtp_extension_finish(&w), -ENOSPC);
}

static struct rtp_extension element(const void *value, uint8_t value_bytes)
{
	return (struct rtp_extension){ .value = value, .value_bytes = value_bytes, .id = 1 };
}

Test(rtp_extension_values, rfc6464_3_audio_level)
{
	struct rtp_extension e = element("\x80", 1);
	struct rtp_audio_level level;

	cr_assert(rtp_audio_level_read(&e, &level));
	cr_assert(level.voice && level.minus_dbov == 0);
	e = element("\x7f", 1);
	cr_assert(rtp_audio_level_read(&e, &level));
	cr_assert(!level.voice && level.minus_dbov == 127);
	e = element("\x7f\x00", 2);
	cr_assert_not(rtp_audio_level_read(&e, &level));
	e = element("", 0);
	cr_assert_not(rtp_audio_level_read(&e, &level));
}

Test(rtp_extension_values, abs_send_time_6_18)
{
	struct rtp_extension e = element("\x04\x00\x01", 3);
	uint8_t buf[3];
	uint32_t time;

	cr_assert(rtp_abs_send_time_read(&e, &time));
	cr_assert_eq(time, 0x040001);
	rtp_abs_send_time_write(buf, 0xabcdef);
	cr_assert_eq(memcmp(buf, "\xab\xcd\xef", 3), 0);
	cr_assert_eq(rtp_abs_send_time_from_ns(1000000000), 1u << 18);
	cr_assert_eq(rtp_abs_send_time_from_ns(500000000), 1u << 17);
	cr_assert_eq(rtp_abs_send_time_from_ns(UINT64_C(64000000000)), 0, "wraps at 64 s");
	cr_assert_eq(rtp_abs_send_time_from_ns(UINT64_MAX),
		     (uint32_t)(((UINT64_MAX % UINT64_C(64000000000)) << 18) / 1000000000));
	e = element("\x04\x00", 2);
	cr_assert_not(rtp_abs_send_time_read(&e, &time));
}

Test(rtp_extension_values, transport_wide_sequence)
{
	struct rtp_extension e = element("\x12\x34\x80\x01", 2);
	uint16_t sequence;

	cr_assert(rtp_twcc_sequence_read(&e, &sequence));
	cr_assert_eq(sequence, 0x1234);
	e.value_bytes = 4;
	cr_assert(rtp_twcc_sequence_read(&e, &sequence));
	e.value_bytes = 3;
	cr_assert_not(rtp_twcc_sequence_read(&e, &sequence));
	e.value_bytes = 1;
	cr_assert_not(rtp_twcc_sequence_read(&e, &sequence));
}

Test(rtp_extension_values, rfc8852_3_rid_and_rfc9143_15_1_mid)
{
	static const struct {
		const char *text;
		bool is_mid, is_rid;
	} cases[] = {
		{ "0", true, true },       { "hi-fi_1", true, true },    { "", false, false },
		{ "a b", false, false },   { "a.b", true, false },       { "a/b", false, false },
		{ "a\x7f", false, false }, { "\xc3\xa4", false, false },
	};
	const char *text;
	uint8_t n_chars;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rtp_extension e = element(cases[i].text, (uint8_t)strlen(cases[i].text));

		cr_assert_eq(rtp_mid_read(&e, &text, &n_chars), cases[i].is_mid, "%s",
			     cases[i].text);
		cr_assert_eq(rtp_rid_read(&e, &text, &n_chars), cases[i].is_rid, "%s",
			     cases[i].text);
		if (cases[i].is_rid)
			cr_assert(text == cases[i].text && n_chars == strlen(cases[i].text));
	}
}
