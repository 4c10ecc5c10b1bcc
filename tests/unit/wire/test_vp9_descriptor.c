// VP9 payload descriptor (RFC 9628 §4.2).
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/vp9_descriptor.h"
#include "tests/unit/wire/guarded.h"

// Reads a payload, after all shorter ones were refused.
static struct vp9_descriptor parse(const uint8_t *payload, size_t len_bytes)
{
	struct vp9_descriptor d;

	for (size_t n = 0; n < len_bytes; n++)
		cr_assert_eq(vp9_descriptor_parse(guarded_copy(payload, n), n, &d), -EINVAL, "%zu",
			     n);
	cr_assert_eq(vp9_descriptor_parse(guarded_copy(payload, len_bytes), len_bytes, &d), 0);
	cr_assert_eq(d.descriptor_bytes, len_bytes - 1);
	return d;
}

Test(vp9_descriptor, rfc9628_4_2_key_frame_with_structure)
{
	// I L B V; picture id 0x1234; TID 0 U 0 SID 0 D 0; TL0PICIDX 7; SS: 2 layers with sizes, group of 2 pictures.
	static const uint8_t payload[] = { 0xaa, 0x92, 0x34, 0x00, 0x07, 0x38, 0x01,
					   0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68,
					   0x02, 0x04, 0x01, 0x58, 0x01, 0x02, 0xff };
	struct vp9_descriptor d = parse(payload, sizeof(payload));

	cr_assert(d.picture_id == 0x1234 && d.picture_id_is_long && d.picture_id_offset == 1);
	cr_assert(d.has_layer_indices && d.temporal_id == 0 && d.spatial_id == 0);
	cr_assert(d.tl0_picture_idx == 7 && d.tl0_picture_idx_offset == 4);
	cr_assert(d.has_structure && d.n_spatial_layers == 2 && d.n_pictures == 2);
	cr_assert(d.width[0] == 320 && d.height[0] == 180);
	cr_assert(d.width[1] == 640 && d.height[1] == 360);
	cr_assert(d.frame_start && !d.frame_end && !d.inter_picture && !d.flexible);
	cr_assert(vp9_is_key_frame(&d) && vp9_is_spatial_switch(&d));
}

Test(vp9_descriptor, rfc9628_4_2_flexible_mode)
{
	// I P L F E Z, no B; 7-bit picture id 5; TID 2 U 1 SID 1 D 1; references 1, 2 and 127 back.
	static const uint8_t payload[] = { 0xf5, 0x05, 0x53, 0x03, 0x05, 0xfe, 0xff };
	struct vp9_descriptor d = parse(payload, sizeof(payload));

	cr_assert(d.picture_id == 5 && !d.picture_id_is_long);
	cr_assert(d.temporal_id == 2 && d.switching_up && d.spatial_id == 1 && d.inter_layer);
	cr_assert_eq(d.tl0_picture_idx_offset, 0, "none in flexible mode");
	cr_assert_eq(d.n_references, 3);
	cr_assert(d.reference_diff[0] == 1 && d.reference_diff[1] == 2 &&
		  d.reference_diff[2] == 127);
	cr_assert(d.flexible && d.inter_picture && d.frame_end && d.not_spatial_reference);
	cr_assert_not(vp9_is_key_frame(&d));
	cr_assert_not(vp9_is_spatial_switch(&d));
}

Test(vp9_descriptor, rfc9628_4_2_small_ones)
{
	static const uint8_t bare_key[] = { 0x08, 0xff }, middle[] = { 0x00, 0xff };
	static const uint8_t inter[] = { 0x48, 0xff }, no_reference[] = { 0x98, 0x01, 0xff };
	static const uint8_t structure_of_nothing[] = { 0x0a, 0xe0, 0xff };
	static const uint8_t upper_layer_of_key[] = { 0x28, 0x03, 0x00, 0xff };
	struct vp9_descriptor d;

	d = parse(bare_key, sizeof(bare_key));
	cr_assert(vp9_is_key_frame(&d) && d.picture_id_offset == 0);
	d = parse(middle, sizeof(middle));
	cr_assert_not(vp9_is_key_frame(&d));
	d = parse(inter, sizeof(inter));
	cr_assert_not(vp9_is_key_frame(&d));
	d = parse(no_reference, sizeof(no_reference));
	cr_assert(d.flexible && d.n_references == 0 && vp9_is_key_frame(&d));
	d = parse(structure_of_nothing, sizeof(structure_of_nothing));
	cr_assert(d.n_spatial_layers == 8 && d.n_pictures == 0 && d.width[0] == 0);
	d = parse(upper_layer_of_key, sizeof(upper_layer_of_key));
	cr_assert(d.spatial_id == 1 && d.inter_layer);
	cr_assert(!vp9_is_key_frame(&d) && vp9_is_spatial_switch(&d));
}

Test(vp9_descriptor, rfc9628_4_2_refuses_a_fourth_reference)
{
	static const uint8_t payload[] = { 0xd8, 0x05, 0x03, 0x05, 0x07, 0x08, 0xff };
	struct vp9_descriptor d;

	cr_assert_eq(vp9_descriptor_parse(payload, sizeof(payload), &d), -EINVAL);
}

Test(vp9_descriptor, rfc9628_4_2_1_largest_structure)
{
	uint8_t payload[1 + 1 + 32 + 1 + 255 * 4 + 1] = { 0x02, 0xf8 };
	struct vp9_descriptor d;

	payload[34] = 255;
	for (uint32_t i = 0; i < 255; i++)
		payload[35 + 4 * i] = 0x0c; // three references
	d = parse(payload, sizeof(payload));
	cr_assert(d.n_spatial_layers == 8 && d.n_pictures == 255);
}

Test(vp9_descriptor, rewrite_keeps_lengths_and_all_other_bits)
{
	static const struct {
		uint8_t from[7], to[7];
		size_t len_bytes;
	} cases[] = {
		{ { 0xa8, 0x92, 0x34, 0x53, 0x07, 9 }, { 0xa8, 0xff, 0xfe, 0x53, 0x77, 9 }, 6 },
		{ { 0xa8, 0x12, 0x53, 0x07, 9 }, { 0xa8, 0x7e, 0x53, 0x77, 9 }, 5 },
		{ { 0xb8, 0x12, 0x53, 9 }, { 0xb8, 0x7e, 0x53, 9 }, 4 },
		{ { 0x08, 9 }, { 0x08, 9 }, 2 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *p = guarded_copy(cases[i].from, cases[i].len_bytes);
		struct vp9_descriptor d;

		cr_assert_eq(vp9_descriptor_parse(p, cases[i].len_bytes, &d), 0);
		vp9_descriptor_rewrite(p, &d, 0xfffe, 0x77);
		cr_assert_eq(memcmp(p, cases[i].to, cases[i].len_bytes), 0, "%zu", i);
	}
}
