// RTP header view (RFC 3550 §5.1, §5.3.1; RFC 5761 §4).
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/rtp.h"
#include "tests/unit/wire/guarded.h"

// V=2 P=1 X=1 CC=2, M=1 PT=96, two CSRCs, 2 words of 0xBEDE extension, 5 bytes of payload, 3 of padding.
static const uint8_t full[] = {
	0xb2, 0xe0, 0x12, 0x34, 0x01, 0x02, 0x03, 0x04, 0xca, 0xfe, 0xba, 0xbe, // fixed
	0,    0,    0,    1,    0,    0,    0,    2,                            // CSRCs
	0xbe, 0xde, 0,    2,    0x10, 0xff, 0x22, 1,    2,    3,    0,    0,    // extension
	'h',  'e',  'l',  'l',  'o',  0,    0,    3,
};

Test(rtp, rfc3550_5_1_all_parts)
{
	const uint8_t *p = guarded_copy(full, sizeof(full));
	struct rtp_view v;

	cr_assert_eq(rtp_parse(p, sizeof(full), &v), 0);
	cr_assert(v.marker);
	cr_assert_eq(v.payload_type, 96);
	cr_assert_eq(v.sequence, 0x1234);
	cr_assert_eq(v.timestamp, 0x01020304);
	cr_assert_eq(v.ssrc, 0xcafebabe);
	cr_assert_eq(v.header_bytes, 32);
	cr_assert_eq(v.extension_profile, 0xbede);
	cr_assert_eq(v.extension, p + 24);
	cr_assert_eq(v.extension_bytes, 8);
	cr_assert_eq(v.payload, p + 32);
	cr_assert_eq(v.payload_bytes, 5);
	cr_assert_eq(v.padding_bytes, 3);
}

Test(rtp, rfc3550_5_1_plain)
{
	const uint8_t plain[] = { 0x80, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xaa };
	struct rtp_view v;

	cr_assert_eq(rtp_parse(plain, sizeof(plain), &v), 0);
	cr_assert_not(v.marker);
	cr_assert_null(v.extension);
	cr_assert_eq(v.extension_profile, 0);
	cr_assert_eq(v.extension_bytes, 0);
	cr_assert_eq(v.header_bytes, 12);
	cr_assert_eq(v.payload_bytes, 1);
	cr_assert_eq(v.padding_bytes, 0);
	cr_assert_eq(rtp_parse(plain, 12, &v), 0, "no payload is legal");
	cr_assert_eq(v.payload_bytes, 0);
}

Test(rtp, rfc3550_5_1_truncated_at_every_length)
{
	for (size_t n = 0; n < sizeof(full); n++) {
		const uint8_t *p = guarded_copy(full, n);
		struct rtp_view v;
		int ret = rtp_parse(p, n, &v);

		// Cut inside the payload, the last byte is taken for the padding count: a letter is too large
		// a count, and 0 is none.
		cr_assert_eq(ret, -EINVAL, "%zu", n);
	}
}

Test(rtp, rfc3550_5_1_refuses)
{
	uint8_t bad[sizeof(full)];
	struct rtp_view v;

	for (uint32_t version = 0; version < 4; version++) {
		memcpy(bad, full, sizeof(bad));
		bad[0] = (uint8_t)((bad[0] & 0x3f) | version << 6);
		cr_assert_eq(rtp_parse(bad, sizeof(bad), &v), version == 2 ? 0 : -EINVAL);
	}
	for (uint32_t padding = 0; padding < 256; padding++) {
		memcpy(bad, full, sizeof(bad));
		bad[sizeof(bad) - 1] = (uint8_t)padding;
		cr_assert_eq(rtp_parse(bad, sizeof(bad), &v),
			     padding >= 1 && padding <= 8 ? 0 : -EINVAL, "padding %u", padding);
	}
	for (uint32_t words = 0; words < 65536; words++) {
		memcpy(bad, full, sizeof(bad));
		bytes_put_be16(bad + 22, (uint16_t)words);
		// Two words are true, one and none leave more payload, three leave the padding alone.
		cr_assert_eq(rtp_parse(bad, sizeof(bad), &v), words <= 3 ? 0 : -EINVAL, "%u",
			     words);
	}
	cr_assert_eq(rtp_parse(bad, UINT16_MAX + 1, &v), -EINVAL);
}

Test(rtp, rfc5761_4_rtcp)
{
	for (uint32_t type = 0; type < 256; type++) {
		uint8_t packet[2] = { 0x80, (uint8_t)type };

		cr_assert_eq(rtp_is_rtcp(packet, 2), type >= 192 && type <= 223);
		cr_assert_not(rtp_is_rtcp(packet, 1));
	}
}
