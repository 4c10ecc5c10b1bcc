// VP8 payload descriptor (RFC 7741 §4.2, §4.3). Pure, any thread.
#include "dataplane/contract/wire/vp8_descriptor.h"

#include <errno.h>

// First byte.
#define VP8_F_EXTENDED      0x80
#define VP8_F_NON_REFERENCE 0x20
#define VP8_F_START         0x10
// Second byte.
#define VP8_F_PICTURE_ID 0x80
#define VP8_F_TL0        0x40
#define VP8_F_TID        0x20
#define VP8_F_KEYIDX     0x10
// Payload header.
#define VP8_F_INTER_FRAME 0x01

static uint8_t offset_in(const uint8_t *payload, const uint8_t *p)
{
	return (uint8_t)(p - payload);
}

// The byte of flags and what it announces.
static int extension_parse(const uint8_t *payload, struct bytes_reader *r,
			   struct vp8_descriptor *out)
{
	const uint8_t *flags = bytes_take(r, 1);
	const uint8_t *p;

	if (flags == NULL)
		return -EINVAL;
	if (*flags & VP8_F_PICTURE_ID) {
		p = bytes_take(r, 1);
		if (p == NULL)
			return -EINVAL;
		out->picture_id_offset = offset_in(payload, p);
		out->picture_id = *p & 0x7f;
		out->picture_id_is_long = *p & 0x80;
		if (out->picture_id_is_long) {
			if (bytes_take(r, 1) == NULL)
				return -EINVAL;
			out->picture_id = bytes_get_be16(p) & 0x7fff;
		}
	}
	if (*flags & VP8_F_TL0) {
		p = bytes_take(r, 1);
		if (p == NULL)
			return -EINVAL;
		out->tl0_picture_idx_offset = offset_in(payload, p);
		out->tl0_picture_idx = *p;
	}
	if (*flags & (VP8_F_TID | VP8_F_KEYIDX)) {
		p = bytes_take(r, 1);
		if (p == NULL)
			return -EINVAL;
		out->tid_keyidx_offset = offset_in(payload, p);
		out->has_temporal_id = *flags & VP8_F_TID;
		out->has_key_idx = *flags & VP8_F_KEYIDX;
		if (out->has_temporal_id) {
			out->temporal_id = *p >> 6;
			out->layer_sync = *p & 0x20;
		}
		if (out->has_key_idx)
			out->key_idx = *p & 0x1f;
	}
	return 0;
}

int vp8_descriptor_parse(const uint8_t *payload, size_t len_bytes, struct vp8_descriptor *out)
{
	struct bytes_reader r = bytes_reader_init(payload, len_bytes);
	const uint8_t *first = bytes_take(&r, 1);

	if (first == NULL)
		return -EINVAL;
	*out = (struct vp8_descriptor){
		.non_reference = *first & VP8_F_NON_REFERENCE,
		.partition_start = *first & VP8_F_START,
		.partition_id = *first & 0x07,
	};
	out->frame_start = out->partition_start && out->partition_id == 0;
	if (*first & VP8_F_EXTENDED) {
		int ret = extension_parse(payload, &r, out);

		if (ret < 0)
			return ret;
	}
	if (bytes_left(&r) == 0)
		return -EINVAL;
	out->descriptor_bytes = offset_in(payload, r.at);
	out->key_frame = out->frame_start && !(*r.at & VP8_F_INTER_FRAME);
	return 0;
}

void vp8_descriptor_rewrite(uint8_t *payload, const struct vp8_descriptor *d, uint16_t picture_id,
			    uint8_t tl0_picture_idx, uint8_t key_idx)
{
	uint8_t *p = payload + d->picture_id_offset;

	if (d->picture_id_offset != 0 && d->picture_id_is_long)
		bytes_put_be16(p, picture_id | 0x8000);
	else if (d->picture_id_offset != 0)
		*p = picture_id & 0x7f;
	if (d->tl0_picture_idx_offset != 0)
		payload[d->tl0_picture_idx_offset] = tl0_picture_idx;
	p = payload + d->tid_keyidx_offset;
	if (d->has_key_idx)
		*p = (uint8_t)((*p & 0xe0) | (key_idx & 0x1f));
}
