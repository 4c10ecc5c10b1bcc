// AV1 dependency descriptors: the input is a sequence of them, each behind a byte with its length, as one stream sends them, so that
// structures and the frames that need them meet. What is read is read again from what is built of it.
#include "dataplane/contract/wire/av1_dependency.h"
#include "tests/fuzz/fuzz.h"

static void same_structure(const struct av1_dd_structure *a, const struct av1_dd_structure *b)
{
	FUZZ_ASSERT(a->template_id_offset == b->template_id_offset);
	FUZZ_ASSERT(a->n_templates == b->n_templates && a->n_chains == b->n_chains);
	FUZZ_ASSERT(a->n_decode_targets == b->n_decode_targets);
	FUZZ_ASSERT(a->n_spatial_layers == b->n_spatial_layers);
	FUZZ_ASSERT(a->has_resolutions == b->has_resolutions);
	for (uint32_t i = 0; a->n_chains > 0 && i < a->n_decode_targets; i++)
		FUZZ_ASSERT(a->protected_by[i] == b->protected_by[i]);
	for (uint32_t i = 0; i < a->n_templates; i++) {
		const struct av1_dd_template *x = &a->templates[i], *y = &b->templates[i];

		FUZZ_ASSERT(x->dtis == y->dtis && x->n_fdiffs == y->n_fdiffs);
		FUZZ_ASSERT(x->spatial_id == y->spatial_id && x->temporal_id == y->temporal_id);
		FUZZ_ASSERT(memcmp(x->fdiffs, y->fdiffs, x->n_fdiffs) == 0);
		FUZZ_ASSERT(memcmp(x->chain_fdiffs, y->chain_fdiffs, a->n_chains) == 0);
	}
}

static void same_frame(const struct av1_dd *a, const struct av1_dd *b)
{
	FUZZ_ASSERT(a->dtis == b->dtis && a->frame_number == b->frame_number);
	FUZZ_ASSERT(a->active_decode_targets == b->active_decode_targets);
	FUZZ_ASSERT(a->template_id == b->template_id && a->n_fdiffs == b->n_fdiffs);
	FUZZ_ASSERT(a->spatial_id == b->spatial_id && a->temporal_id == b->temporal_id);
	FUZZ_ASSERT(memcmp(a->fdiffs, b->fdiffs, sizeof(a->fdiffs)) == 0);
	FUZZ_ASSERT(memcmp(a->chain_fdiffs, b->chain_fdiffs, sizeof(a->chain_fdiffs)) == 0);
	FUZZ_ASSERT(a->frame_start == b->frame_start && a->frame_end == b->frame_end);
	FUZZ_ASSERT(av1_dd_is_key_frame(a) == av1_dd_is_key_frame(b));
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct av1_dd_structure structures[2], again_structure;
	const struct av1_dd_structure *known = NULL;
	struct av1_dd dd, again;

	while (n > 0) {
		size_t len_bytes = data[0] < n - 1 ? data[0] : n - 1;
		struct av1_dd_structure *attached = &structures[known == &structures[0]];
		const struct av1_dd_structure *of_frame;
		uint8_t built[AV1_DD_BYTES_MAX];
		int built_bytes;
		int ret = av1_dd_parse(data + 1, len_bytes, known, attached, &dd);

		data += 1 + len_bytes;
		n -= 1 + len_bytes;
		if (ret != 0)
			continue;
		of_frame = dd.has_structure ? attached : known;
		for (uint32_t t = 0; t < of_frame->n_decode_targets; t++) {
			uint8_t spatial_id, temporal_id;

			av1_dd_decode_target_layers(of_frame, t, &spatial_id, &temporal_id);
			FUZZ_ASSERT(spatial_id < of_frame->n_spatial_layers);
			FUZZ_ASSERT(temporal_id < AV1_DD_TEMPORAL_MAX);
		}
		built_bytes = av1_dd_build(built, sizeof(built), &dd, of_frame);
		FUZZ_ASSERT(built_bytes >= 3 && (size_t)built_bytes <= len_bytes);
		FUZZ_ASSERT(av1_dd_parse(built, (size_t)built_bytes, known, &again_structure,
					 &again) == 0);
		same_frame(&dd, &again);
		if (dd.has_structure) {
			same_structure(attached, &again_structure);
			known = attached;
		}
	}
}
