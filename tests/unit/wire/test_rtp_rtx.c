// RTP retransmission (RFC 4588 §4).
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/rtp_rtx.h"
#include "tests/unit/wire/guarded.h"

// M=1 PT=96 sequence 0x1234, one-byte extension, payload "media", 3 bytes of padding.
static const uint8_t original[] = { 0xb0, 0xe0, 0x12, 0x34, 0,   0, 0,    9, 1, 2,
				    3,    4,    0xbe, 0xde, 0,   1, 0x10, 7, 0, 0,
				    'm',  'e',  'd',  'i',  'a', 0, 0,    3 };

// The same as RTX: PT 97, sequence 0x0042, SSRC 0x0a0b0c0d, the OSN, no padding.
static const uint8_t retransmission[] = { 0x90, 0xe1, 0,    0x42, 0,    0,   0,   9,    0x0a,
					  0x0b, 0x0c, 0x0d, 0xbe, 0xde, 0,   1,   0x10, 7,
					  0,    0,    0x12, 0x34, 'm',  'e', 'd', 'i',  'a' };

Test(rtp_rtx, rfc4588_4_encapsulate)
{
	uint8_t out[64];
	struct rtp_view v;
	int header_bytes;

	cr_assert_eq(rtp_parse(original, sizeof(original), &v), 0);
	header_bytes = rtx_header_write(out, sizeof(out), original, &v, 97, 0x42, 0x0a0b0c0d);
	cr_assert_eq(header_bytes, 22);
	memcpy(out + header_bytes, v.payload, v.payload_bytes);
	cr_assert_eq((size_t)header_bytes + v.payload_bytes, sizeof(retransmission));
	cr_assert_eq(memcmp(out, retransmission, sizeof(retransmission)), 0);
	cr_assert_eq(rtx_header_write(out, 21, original, &v, 97, 0x42, 1), -ENOSPC);
	cr_assert_eq(rtx_header_write(out, 22, original, &v, 97, 0x42, 1), 22);
}

Test(rtp_rtx, rfc4588_4_decapsulate)
{
	uint8_t *p = guarded_copy(retransmission, sizeof(retransmission)), *out;
	struct rtp_view v;
	struct rtx_view rtx;

	cr_assert_eq(rtp_parse(p, sizeof(retransmission), &v), 0);
	cr_assert_eq(rtx_parse(&v, &rtx), 0);
	cr_assert_eq(rtx.original_sequence, 0x1234);
	cr_assert_eq(rtx.payload_bytes, 5);
	cr_assert_eq(memcmp(rtx.payload, "media", 5), 0);
	cr_assert_eq(rtx_decapsulate(p, &v, 96, 0x01020304, &out), 0);
	cr_assert_eq(out, p + 2);
	// The original without its padding.
	cr_assert_eq(out[0], original[0] & ~0x20);
	cr_assert_eq(memcmp(out + 1, original + 1, sizeof(retransmission) - 3), 0);
}

Test(rtp_rtx, rfc4588_4_no_osn_is_a_probe)
{
	uint8_t probe[13 + 4] = { 0xa0, 97, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3 };
	struct rtp_view v;
	struct rtx_view rtx;
	uint8_t *out;

	// 5, 4, 3 bytes of padding behind 0, 1, 2 of payload.
	for (uint8_t payload_bytes = 0; payload_bytes <= 2; payload_bytes++) {
		probe[16] = 5 - payload_bytes;
		cr_assert_eq(rtp_parse(probe, sizeof(probe), &v), 0);
		cr_assert_eq(rtx_parse(&v, &rtx), payload_bytes < 2 ? -ENODATA : 0);
		if (payload_bytes < 2)
			cr_assert_eq(rtx_decapsulate(probe, &v, 96, 1, &out), -ENODATA);
	}
	cr_assert_eq(rtx.payload_bytes, 0, "an empty original is legal");
}
