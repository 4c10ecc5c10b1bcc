// VP9 payload descriptors: what is rewritten is read again, and nothing else moves or changes.
#include "dataplane/contract/wire/vp9_descriptor.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct vp9_descriptor d, again;
	uint8_t *copy;

	if (vp9_descriptor_parse(data, n, &d) != 0)
		return;
	FUZZ_ASSERT(d.descriptor_bytes >= 1 && d.descriptor_bytes < n);
	FUZZ_ASSERT(d.n_references <= VP9_REFERENCES_MAX);
	FUZZ_ASSERT(d.n_spatial_layers <= VP9_SPATIAL_LAYERS_MAX);
	FUZZ_ASSERT(!vp9_is_key_frame(&d) || vp9_is_spatial_switch(&d));
	copy = malloc(n);
	FUZZ_ASSERT(copy != NULL);
	memcpy(copy, data, n);
	vp9_descriptor_rewrite(copy, &d, (uint16_t)~d.picture_id, (uint8_t)~d.tl0_picture_idx);
	FUZZ_ASSERT(vp9_descriptor_parse(copy, n, &again) == 0);
	FUZZ_ASSERT(again.descriptor_bytes == d.descriptor_bytes);
	FUZZ_ASSERT(again.temporal_id == d.temporal_id && again.spatial_id == d.spatial_id);
	if (d.picture_id_offset != 0)
		FUZZ_ASSERT((again.picture_id ^ d.picture_id) ==
			    (d.picture_id_is_long ? 0x7fff : 0x7f));
	if (d.tl0_picture_idx_offset != 0)
		FUZZ_ASSERT((again.tl0_picture_idx ^ d.tl0_picture_idx) == 0xff);
	vp9_descriptor_rewrite(copy, &again, d.picture_id, d.tl0_picture_idx);
	FUZZ_ASSERT(memcmp(copy, data, n) == 0);
	free(copy);
}
