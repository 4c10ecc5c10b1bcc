// NAL units of H.264 in RTP (RFC 6184 §5).
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/h264_payload.h"
#include "tests/unit/wire/guarded.h"

#define BIT(type) (1u << (type))

Test(h264_payload, rfc6184_5_packets)
{
	static const struct {
		const char *name;
		uint8_t payload[12];
		size_t len_bytes;
		uint32_t starts, carries;
		bool fragment, key_frame;
		int ret;
	} cases[] = {
		{ "slice", { 0x41, 1 }, 2, BIT(1), BIT(1), false, false, 0 },
		{ "IDR", { 0x65, 1 }, 2, BIT(5), BIT(5), false, true, 0 },
		{ "SPS", { 0x67, 1 }, 2, BIT(7), BIT(7), false, true, 0 },
		{ "PPS", { 0x68, 1 }, 2, BIT(8), BIT(8), false, false, 0 },
		{ "STAP-A of SPS and PPS",
		  { 0x78, 0, 2, 0x67, 1, 0, 1, 0x68 },
		  8,
		  BIT(7) | BIT(8),
		  BIT(7) | BIT(8),
		  false,
		  true,
		  0 },
		{ "STAP-A of SEI and slice",
		  { 0x78, 0, 1, 0x06, 0, 1, 0x41 },
		  7,
		  BIT(6) | BIT(1),
		  BIT(6) | BIT(1),
		  false,
		  false,
		  0 },
		{ "FU-A, start of IDR", { 0x7c, 0x85, 1 }, 3, BIT(5), BIT(5), true, true, 0 },
		{ "FU-A, middle of IDR", { 0x7c, 0x05, 1 }, 3, 0, BIT(5), true, false, 0 },
		{ "FU-A, end of IDR", { 0x7c, 0x45, 1 }, 3, 0, BIT(5), true, false, 0 },
		{ "FU-A, start of slice", { 0x7c, 0x81, 1 }, 3, BIT(1), BIT(1), true, false, 0 },
		{ "empty", { 0 }, 0, 0, 0, false, false, -EINVAL },
		{ "type 0", { 0x60, 1 }, 2, 0, 0, false, false, -EINVAL },
		{ "STAP-A of none", { 0x78 }, 1, 0, 0, false, false, -EINVAL },
		{ "STAP-A, empty unit", { 0x78, 0, 0, 0x67 }, 4, 0, 0, false, false, -EINVAL },
		{ "STAP-A, empty unit last",
		  { 0x78, 0, 1, 0x67, 0, 0 },
		  6,
		  0,
		  0,
		  false,
		  false,
		  -EINVAL },
		{ "STAP-A, half a size", { 0x78, 0, 1, 0x67, 0 }, 5, 0, 0, false, false, -EINVAL },
		{ "STAP-A, cut unit", { 0x78, 0, 3, 0x67, 1 }, 5, 0, 0, false, false, -EINVAL },
		{ "STAP-A in STAP-A", { 0x78, 0, 1, 0x78 }, 4, 0, 0, false, false, -EINVAL },
		{ "FU-A without data", { 0x7c, 0x85 }, 2, 0, 0, false, false, -EINVAL },
		{ "FU-A with S and E", { 0x7c, 0xc5, 1 }, 3, 0, 0, false, false, -EINVAL },
		{ "FU-A of an FU-A", { 0x7c, 0x9c, 1 }, 3, 0, 0, false, false, -EINVAL },
		{ "STAP-B", { 0x79, 0, 0, 0, 1, 0x67 }, 6, 0, 0, false, false, -EINVAL },
		{ "MTAP16", { 0x7a, 0, 0 }, 3, 0, 0, false, false, -EINVAL },
		{ "MTAP24", { 0x7b, 0, 0 }, 3, 0, 0, false, false, -EINVAL },
		{ "FU-B", { 0x7d, 0x85, 0, 0, 1 }, 5, 0, 0, false, false, -EINVAL },
		{ "type 30", { 0x7e, 1 }, 2, 0, 0, false, false, -EINVAL },
		{ "type 31", { 0x7f, 1 }, 2, 0, 0, false, false, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *p = guarded_copy(cases[i].payload, cases[i].len_bytes);
		struct h264_payload out;
		int ret = h264_payload_parse(p, cases[i].len_bytes, &out);

		cr_assert_eq(ret, cases[i].ret, "%s", cases[i].name);
		if (ret < 0)
			continue;
		cr_assert_eq(out.starts, cases[i].starts, "%s", cases[i].name);
		cr_assert_eq(out.carries, cases[i].carries, "%s", cases[i].name);
		cr_assert_eq(out.fragment, cases[i].fragment, "%s", cases[i].name);
		cr_assert_eq(h264_is_key_frame(&out), cases[i].key_frame, "%s", cases[i].name);
	}
}

// A STAP-A is whole only where a unit ends.
Test(h264_payload, rfc6184_5_7_1_truncated_at_every_length)
{
	static const uint8_t stap[] = { 0x78, 0, 2, 0x67, 1, 0, 3, 0x68, 1, 2, 0, 1, 0x65 };

	for (size_t n = 0; n <= sizeof(stap); n++) {
		struct h264_payload out;

		cr_assert_eq(h264_payload_parse(guarded_copy(stap, n), n, &out),
			     n == 5 || n == 10 || n == 13 ? 0 : -EINVAL, "%zu", n);
	}
}
