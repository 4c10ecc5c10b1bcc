// AV1 dependency descriptor and aggregation header (AV1 RTP payload format 1.0, appendix A and §4.4).
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "dataplane/contract/wire/av1_dependency.h"
#include "dataplane/contract/wire/av1_payload.h"
#include "tests/unit/wire/guarded.h"

// What Chromium sent for three spatial and three temporal layers: a key frame with its structure, and some frames after it.
static const char chromium_key[] = "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c"
				   "002a000a80006000040001d954926"
				   "e082b04a0941b820ac1282503157f974000ca864330e222222eca8655304224"
				   "230eca877530077004200ef008601"
				   "df010d";

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		const char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

Test(av1_dependency, chromium_key_frame)
{
	uint8_t key[AV1_DD_BYTES_MAX], again[AV1_DD_BYTES_MAX];
	size_t len_bytes = from_hex(chromium_key, key);
	struct av1_dd_structure s;
	struct av1_dd dd;

	cr_assert_eq(av1_dd_parse(key, len_bytes, NULL, &s, &dd), 0);
	cr_assert(dd.frame_start && dd.frame_end && dd.template_id == 1);
	cr_assert_eq(dd.frame_number, 0x0172);
	cr_assert(dd.has_structure && !dd.has_active_decode_targets && !dd.custom_dtis &&
		  !dd.custom_fdiffs && !dd.custom_chains);
	cr_assert(av1_dd_is_key_frame(&dd));
	cr_assert_eq(s.n_decode_targets, 9);
	cr_assert_eq(s.n_spatial_layers, 3);
	cr_assert_eq(s.n_chains, 3);
	cr_assert_eq(dd.active_decode_targets, 0x1ff);
	cr_assert(s.has_resolutions);
	cr_assert(s.width_minus_1[2] == 4 * (s.width_minus_1[0] + 1) - 1);
	for (uint32_t t = 0; t < 9; t++) {
		uint8_t spatial_id, temporal_id;

		av1_dd_decode_target_layers(&s, t, &spatial_id, &temporal_id);
		cr_assert(spatial_id == t / 3 && temporal_id == t % 3, "%u", t);
		cr_assert_eq(s.protected_by[t], t / 3);
		cr_assert_eq(av1_dd_dti(&dd, t), AV1_DTI_SWITCH, "%u", t);
	}
	// Written again, the same bits.
	cr_assert_eq(av1_dd_build(again, sizeof(again), &dd, &s), (int)len_bytes);
	cr_assert_eq(memcmp(again, key, len_bytes), 0);
	for (size_t n = 0; n < len_bytes; n++)
		cr_assert_eq(av1_dd_build(again, n, &dd, &s), -ENOSPC, "%zu", n);
}

// Cut anywhere, the structure is refused; the three mandatory bytes alone need one that is known.
Test(av1_dependency, truncated_at_every_length)
{
	uint8_t key[AV1_DD_BYTES_MAX];
	size_t len_bytes = from_hex(chromium_key, key);
	struct av1_dd_structure s;
	struct av1_dd dd;

	for (size_t n = 0; n < len_bytes; n++)
		cr_assert_eq(av1_dd_parse(guarded_copy(key, n), n, NULL, &s, &dd),
			     n == 3 ? -ENODATA : -EINVAL, "%zu", n);
}

Test(av1_dependency, chromium_frames_by_template)
{
	static const struct {
		const char *hex;
		uint32_t active_decode_targets; // 0: not told
		uint16_t frame_number;
		uint8_t spatial_id, temporal_id, n_fdiffs;
		bool frame_start, frame_end;
	} cases[] = {
		{ "86017340fc", 0x3f, 0x173, 1, 0, 1, true, false },
		{ "46017340fc", 0x3f, 0x173, 1, 0, 1, false, true },
		{ "c3017540fc", 0x3f, 0x175, 0, 2, 1, true, true },
		{ "860173", 0, 0x173, 1, 0, 1, true, false },
	};
	uint8_t buf[AV1_DD_BYTES_MAX];
	size_t len_bytes = from_hex(chromium_key, buf);
	struct av1_dd_structure s, unused;
	struct av1_dd dd;

	cr_assert_eq(av1_dd_parse(buf, len_bytes, NULL, &s, &dd), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t again[8];

		len_bytes = from_hex(cases[i].hex, buf);
		cr_assert_eq(av1_dd_parse(buf, len_bytes, NULL, &unused, &dd), -ENODATA);
		cr_assert_eq(dd.frame_number, cases[i].frame_number);
		cr_assert_eq(
			av1_dd_parse(guarded_copy(buf, len_bytes), len_bytes, &s, &unused, &dd), 0);
		cr_assert_eq(dd.frame_number, cases[i].frame_number);
		cr_assert_eq(dd.frame_start, cases[i].frame_start);
		cr_assert_eq(dd.frame_end, cases[i].frame_end);
		cr_assert_eq(dd.spatial_id, cases[i].spatial_id, "%s: %u", cases[i].hex,
			     dd.spatial_id);
		cr_assert_eq(dd.temporal_id, cases[i].temporal_id, "%s: %u", cases[i].hex,
			     dd.temporal_id);
		cr_assert_eq(dd.n_fdiffs, cases[i].n_fdiffs, "%s: %u", cases[i].hex, dd.n_fdiffs);
		cr_assert_eq(dd.has_active_decode_targets, cases[i].active_decode_targets != 0);
		cr_assert_eq(dd.active_decode_targets, cases[i].active_decode_targets);
		cr_assert_not(av1_dd_is_key_frame(&dd));
		cr_assert_eq(av1_dd_build(again, sizeof(again), &dd, &s), (int)len_bytes);
		cr_assert_eq(memcmp(again, buf, len_bytes), 0);
		av1_dd_frame_number_rewrite(buf, 0xabcd);
		cr_assert_eq(av1_dd_parse(buf, len_bytes, &s, &unused, &dd), 0);
		cr_assert_eq(dd.frame_number, 0xabcd);
	}
}

// One layer, two templates (key, delta), two decode targets, one chain; template ids from 62 on.
static const struct av1_dd_structure small = {
	.template_id_offset = 62,
	.n_templates = 3,
	.n_decode_targets = 2,
	.n_chains = 1,
	.n_spatial_layers = 1,
	.templates = { { .dtis = 0xa, .chain_fdiffs = { 0 } },
		       { .dtis = 0xf, .n_fdiffs = 1, .fdiffs = { 16 }, .chain_fdiffs = { 15 } },
		       { .dtis = 0x4, .temporal_id = 1, .n_fdiffs = 2, .fdiffs = { 1, 2 } } },
};

// By hand: 1 1 111110 | 0x0007 | 1 0 0 0 0 | 62: 111110 | 2 targets: 00001 | layers 00 01 11 | DTIs 10 10, 11 11, 00 01 |
// fdiffs 0, 1 1111 0, 1 0000 1 0001 0 | chains ns(3)=1: 10 | protected ns(1) ×2: nothing | 0000 1111 0000 | no resolutions 0.
static const uint8_t small_key[] = { 0xfe, 0x00, 0x07, 0x87, 0xc1, 0x1e,
				     0xbc, 0x5f, 0x42, 0x28, 0x3c, 0x00 };

Test(av1_dependency, structure_by_hand)
{
	struct av1_dd key = { .frame_start = true,
			      .frame_end = true,
			      .template_id = 62,
			      .frame_number = 7,
			      .has_structure = true };
	uint8_t buf[AV1_DD_BYTES_MAX];
	struct av1_dd_structure s;
	struct av1_dd dd;
	int len_bytes = av1_dd_build(buf, sizeof(buf), &key, &small);

	cr_assert_eq(len_bytes, (int)sizeof(small_key), "%d", len_bytes);
	for (int i = 0; i < len_bytes; i++)
		cr_assert_eq(buf[i], small_key[i], "byte %d: %02x", i, buf[i]);
	cr_assert_eq(av1_dd_parse(small_key, sizeof(small_key), NULL, &s, &dd), 0);
	cr_assert_eq(dd.dtis, 0xa);
	cr_assert_eq(s.templates[1].fdiffs[0], 16);
	cr_assert_eq(s.templates[1].chain_fdiffs[0], 15);
	cr_assert_eq(s.templates[2].temporal_id, 1);
	cr_assert(s.templates[2].n_fdiffs == 2 && s.templates[2].fdiffs[1] == 2);
	cr_assert_eq(s.n_chains, 1);
	cr_assert_not(s.has_resolutions);
	// Template ids wrap at 64: 62, 63 and 0 exist.
	for (uint32_t id = 0; id < 64; id++) {
		const uint8_t frame[] = { (uint8_t)(0xc0 | id), 0, 8 };
		struct av1_dd_structure unused;

		cr_assert_eq(av1_dd_parse(frame, 3, &s, &unused, &dd),
			     id == 62 || id == 63 || id == 0 ? 0 : -EINVAL, "%u", id);
	}
}

Test(av1_dependency, custom_parts)
{
	const struct av1_dd custom = { .frame_start = true,
				       .template_id = 63,
				       .frame_number = 8,
				       .has_active_decode_targets = true,
				       .active_decode_targets = 1,
				       .custom_dtis = true,
				       .dtis = 0x6,
				       .custom_fdiffs = true,
				       .n_fdiffs = 4,
				       .fdiffs = { 1, 16, 17, 4096 },
				       .custom_chains = true,
				       .chain_fdiffs = { 255 } };
	// By hand: 1 0 111111 | 0x0008 | 0 1 1 1 1 | active 01 | DTIs 10 01 | 01 0000, 01 1111, 10 00010000, 11 111111111111, 00 | 255.
	static const uint8_t bytes[] = { 0xbf, 0x00, 0x08, 0x7b, 0x28, 0x3f,
					 0x08, 0x7f, 0xfe, 0x7f, 0x80 };
	struct av1_dd_structure unused;
	uint8_t buf[32];
	struct av1_dd dd;
	int len_bytes = av1_dd_build(buf, sizeof(buf), &custom, &small);

	cr_assert_eq(len_bytes, (int)sizeof(bytes), "%d", len_bytes);
	for (int i = 0; i < len_bytes; i++)
		cr_assert_eq(buf[i], bytes[i], "byte %d: %02x", i, buf[i]);
	cr_assert_eq(av1_dd_parse(bytes, sizeof(bytes), &small, &unused, &dd), 0);
	cr_assert(dd.active_decode_targets == 1 && dd.dtis == 0x6 && dd.n_fdiffs == 4);
	cr_assert_eq(memcmp(dd.fdiffs, custom.fdiffs, sizeof(dd.fdiffs)), 0);
	cr_assert_eq(dd.chain_fdiffs[0], 255);
	for (size_t n = 4; n < sizeof(bytes); n++)
		cr_assert_eq(av1_dd_parse(guarded_copy(bytes, n), n, &small, &unused, &dd), -EINVAL,
			     "%zu", n);
}

Test(av1_dependency, refuses_to_build)
{
	static const struct av1_dd key = { .has_structure = true };
	struct av1_dd_structure s = small;
	struct av1_dd dd = key;
	uint8_t buf[64];

	cr_assert_gt(av1_dd_build(buf, sizeof(buf), &dd, &s), 0);
	s.templates[2].temporal_id = 2;
	cr_assert_eq(av1_dd_build(buf, sizeof(buf), &dd, &s), -EINVAL, "a layer is skipped");
	s = small;
	s.templates[1].fdiffs[0] = 17;
	cr_assert_eq(av1_dd_build(buf, sizeof(buf), &dd, &s), -EINVAL);
	s.templates[1].fdiffs[0] = 0;
	cr_assert_eq(av1_dd_build(buf, sizeof(buf), &dd, &s), -EINVAL);
	s = small;
	s.protected_by[0] = 1;
	cr_assert_eq(av1_dd_build(buf, sizeof(buf), &dd, &s), -EINVAL);
	s = small;
	s.n_templates = 0;
	cr_assert_eq(av1_dd_build(buf, sizeof(buf), &dd, &s), -EINVAL);
	dd = (struct av1_dd){ .has_active_decode_targets = true, .active_decode_targets = 4 };
	cr_assert_eq(av1_dd_build(buf, sizeof(buf), &dd, &small), -EINVAL);
}

// Endless ones of each variable part end at the limits instead of running over.
Test(av1_dependency, refuses_too_many)
{
	uint8_t buf[AV1_DD_BYTES_MAX] = { 0xc0, 0, 1, 0x80, 0 };
	struct av1_dd_structure s;
	struct av1_dd dd;

	// next_layer_idc 0 for ever: too many templates.
	cr_assert_eq(av1_dd_parse(buf, sizeof(buf), NULL, &s, &dd), -EINVAL);
	// All ones: next_layer_idc 3 at once, then fdiffs for ever.
	memset(buf + 3, 0xff, sizeof(buf) - 3);
	cr_assert_eq(av1_dd_parse(buf, sizeof(buf), NULL, &s, &dd), -EINVAL);
	// Custom fdiffs for ever.
	cr_assert_eq(
		av1_dd_parse((const uint8_t *)"\xfe\0\1\x17\xff\xff\xff\xff\xff\xff\xff\xff\xff"
					      "\xff\xff\xff\xff\xff\xff\xff\xff",
			     21, &small, &s, &dd),
		-EINVAL);
}

Test(av1_payload, aggregation_header)
{
	static const struct {
		uint8_t payload[2];
		size_t len_bytes;
		struct av1_aggregation_header want;
		bool ok;
	} cases[] = {
		{ { 0x18, 1 }, 2, { .n_elements = 1, .new_coded_sequence = true }, true },
		{ { 0xe0, 1 },
		  2,
		  { .n_elements = 2, .continues_fragment = true, .continued_in_next = true },
		  true },
		{ { 0x00, 1 }, 2, { .n_elements = 0 }, true },
		{ { 0x98, 1 }, 2, { .n_elements = 1 }, false }, // N with Z
		{ { 0x18 }, 1, { .n_elements = 1 }, false },
		{ { 0 }, 0, { .n_elements = 0 }, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct av1_aggregation_header h = { 0 };
		const uint8_t *p = guarded_copy(cases[i].payload, cases[i].len_bytes);

		cr_assert_eq(av1_aggregation_header_parse(p, cases[i].len_bytes, &h), cases[i].ok);
		if (!cases[i].ok)
			continue;
		cr_assert_eq(h.n_elements, cases[i].want.n_elements);
		cr_assert_eq(h.new_coded_sequence, cases[i].want.new_coded_sequence);
		cr_assert_eq(h.continues_fragment, cases[i].want.continues_fragment);
		cr_assert_eq(h.continued_in_next, cases[i].want.continued_in_next);
	}
}
