// VP8 payload descriptor (RFC 7741 §4.2, §4.3).
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/vp8_descriptor.h"
#include "tests/unit/wire/guarded.h"

#define KEY   0x10 // first byte of a key frame's payload header: P=0
#define INTER 0x11

Test(vp8_descriptor, rfc7741_4_2_fields)
{
	static const struct {
		const char *name;
		uint8_t payload[8];
		size_t len_bytes;
		struct vp8_descriptor want;
	} cases[] = {
		{ "smallest, key",
		  { 0x10, KEY },
		  2,
		  { .descriptor_bytes = 1,
		    .partition_start = true,
		    .frame_start = true,
		    .key_frame = true } },
		{ "smallest, inter",
		  { 0x10, INTER },
		  2,
		  { .descriptor_bytes = 1, .partition_start = true, .frame_start = true } },
		{ "continuation that looks like a key frame",
		  { 0x00, KEY },
		  2,
		  { .descriptor_bytes = 1 } },
		{ "second partition",
		  { 0x31, KEY },
		  2,
		  { .descriptor_bytes = 1,
		    .partition_start = true,
		    .partition_id = 1,
		    .non_reference = true } },
		{ "7-bit picture id",
		  { 0x90, 0x80, 0x11, KEY },
		  4,
		  { .descriptor_bytes = 3,
		    .picture_id = 17,
		    .picture_id_offset = 2,
		    .partition_start = true,
		    .frame_start = true,
		    .key_frame = true } },
		{ "15-bit picture id",
		  { 0x80, 0x80, 0x92, 0x34, INTER },
		  5,
		  { .descriptor_bytes = 4,
		    .picture_id = 0x1234,
		    .picture_id_offset = 2,
		    .picture_id_is_long = true } },
		{ "everything, as Chromium sends it",
		  { 0x90, 0xf0, 0x80, 0x05, 0x2a, 0x63, INTER },
		  7,
		  { .descriptor_bytes = 6,
		    .picture_id = 5,
		    .picture_id_offset = 2,
		    .picture_id_is_long = true,
		    .tl0_picture_idx = 0x2a,
		    .tl0_picture_idx_offset = 4,
		    .tid_keyidx_offset = 5,
		    .has_temporal_id = true,
		    .temporal_id = 1,
		    .layer_sync = true,
		    .has_key_idx = true,
		    .key_idx = 3,
		    .partition_start = true,
		    .frame_start = true } },
		{ "TID without KEYIDX",
		  { 0x80, 0x20, 0x9f, INTER },
		  4,
		  { .descriptor_bytes = 3,
		    .tid_keyidx_offset = 2,
		    .has_temporal_id = true,
		    .temporal_id = 2 } },
		{ "KEYIDX without TID",
		  { 0x80, 0x10, 0xff, INTER },
		  4,
		  { .descriptor_bytes = 3,
		    .tid_keyidx_offset = 2,
		    .has_key_idx = true,
		    .key_idx = 31 } },
		{ "extension of nothing", { 0x80, 0x00, INTER }, 3, { .descriptor_bytes = 2 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct vp8_descriptor *want = &cases[i].want;
		struct vp8_descriptor d;

		// Every shorter length is refused: the descriptor is cut or the frame is missing.
		for (size_t n = 0; n < cases[i].len_bytes; n++)
			cr_assert_eq(vp8_descriptor_parse(guarded_copy(cases[i].payload, n), n, &d),
				     -EINVAL, "%s at %zu", cases[i].name, n);
		cr_assert_eq(
			vp8_descriptor_parse(guarded_copy(cases[i].payload, cases[i].len_bytes),
					     cases[i].len_bytes, &d),
			0, "%s", cases[i].name);
		cr_assert_eq(d.descriptor_bytes, want->descriptor_bytes, "%s", cases[i].name);
		cr_assert_eq(d.picture_id, want->picture_id, "%s", cases[i].name);
		cr_assert_eq(d.picture_id_offset, want->picture_id_offset, "%s", cases[i].name);
		cr_assert_eq(d.picture_id_is_long, want->picture_id_is_long, "%s", cases[i].name);
		cr_assert_eq(d.tl0_picture_idx, want->tl0_picture_idx, "%s", cases[i].name);
		cr_assert_eq(d.tl0_picture_idx_offset, want->tl0_picture_idx_offset);
		cr_assert_eq(d.tid_keyidx_offset, want->tid_keyidx_offset, "%s", cases[i].name);
		cr_assert_eq(d.has_temporal_id, want->has_temporal_id, "%s", cases[i].name);
		cr_assert_eq(d.temporal_id, want->temporal_id, "%s", cases[i].name);
		cr_assert_eq(d.layer_sync, want->layer_sync, "%s", cases[i].name);
		cr_assert_eq(d.has_key_idx, want->has_key_idx, "%s", cases[i].name);
		cr_assert_eq(d.key_idx, want->key_idx, "%s", cases[i].name);
		cr_assert_eq(d.partition_id, want->partition_id, "%s", cases[i].name);
		cr_assert_eq(d.partition_start, want->partition_start, "%s", cases[i].name);
		cr_assert_eq(d.non_reference, want->non_reference, "%s", cases[i].name);
		cr_assert_eq(d.frame_start, want->frame_start, "%s", cases[i].name);
		cr_assert_eq(d.key_frame, want->key_frame, "%s", cases[i].name);
	}
}

Test(vp8_descriptor, rewrite_keeps_lengths_and_all_other_bits)
{
	static const struct {
		uint8_t from[7], to[7];
		size_t len_bytes;
	} cases[] = {
		{ { 0x90, 0xf0, 0x80, 0x05, 0x2a, 0x63, 9 },
		  { 0x90, 0xf0, 0xff, 0xfe, 0x77, 0x7e, 9 },
		  7 },
		{ { 0x90, 0x80, 0x05, 9 }, { 0x90, 0x80, 0x7e, 9 }, 4 },
		{ { 0x90, 0x20, 0xff, 9 }, { 0x90, 0x20, 0xff, 9 }, 4 },
		{ { 0x90, 0x10, 0xc1, 9 }, { 0x90, 0x10, 0xde, 9 }, 4 },
		{ { 0x10, 9 }, { 0x10, 9 }, 2 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *p = guarded_copy(cases[i].from, cases[i].len_bytes);
		struct vp8_descriptor d;

		cr_assert_eq(vp8_descriptor_parse(p, cases[i].len_bytes, &d), 0);
		vp8_descriptor_rewrite(p, &d, 0xfffe, 0x77, 0xfe);
		cr_assert_eq(memcmp(p, cases[i].to, cases[i].len_bytes), 0, "%zu", i);
	}
}
