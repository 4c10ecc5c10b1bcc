// VP8 payload descriptors: what is rewritten is read again, and nothing else moves or changes.
#include "dataplane/contract/wire/vp8_descriptor.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct vp8_descriptor d, again;
	uint8_t *copy;

	if (vp8_descriptor_parse(data, n, &d) != 0)
		return;
	FUZZ_ASSERT(d.descriptor_bytes >= 1 && d.descriptor_bytes <= 6 && d.descriptor_bytes < n);
	copy = malloc(n);
	FUZZ_ASSERT(copy != NULL);
	memcpy(copy, data, n);
	vp8_descriptor_rewrite(copy, &d, (uint16_t)~d.picture_id, (uint8_t)~d.tl0_picture_idx,
			       (uint8_t)~d.key_idx);
	FUZZ_ASSERT(vp8_descriptor_parse(copy, n, &again) == 0);
	FUZZ_ASSERT(again.descriptor_bytes == d.descriptor_bytes);
	FUZZ_ASSERT(again.key_frame == d.key_frame && again.temporal_id == d.temporal_id);
	FUZZ_ASSERT(again.layer_sync == d.layer_sync);
	if (d.picture_id_offset != 0)
		FUZZ_ASSERT((again.picture_id ^ d.picture_id) ==
			    (d.picture_id_is_long ? 0x7fff : 0x7f));
	if (d.tl0_picture_idx_offset != 0)
		FUZZ_ASSERT((again.tl0_picture_idx ^ d.tl0_picture_idx) == 0xff);
	if (d.has_key_idx)
		FUZZ_ASSERT((again.key_idx ^ d.key_idx) == 0x1f);
	vp8_descriptor_rewrite(copy, &again, d.picture_id, d.tl0_picture_idx, d.key_idx);
	FUZZ_ASSERT(memcmp(copy, data, n) == 0);
	free(copy);
}
