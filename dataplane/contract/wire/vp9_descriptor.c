// VP9 payload descriptor (RFC 9628 §4.2). Pure, any thread.
#include "dataplane/contract/wire/vp9_descriptor.h"

#include <errno.h>

#define VP9_F_PICTURE_ID    0x80
#define VP9_F_INTER_PICTURE 0x40
#define VP9_F_LAYERS        0x20
#define VP9_F_FLEXIBLE      0x10
#define VP9_F_START         0x08
#define VP9_F_END           0x04
#define VP9_F_STRUCTURE     0x02
#define VP9_F_NOT_REFERENCE 0x01

static int picture_id_parse(const uint8_t *payload, struct bytes_reader *r,
			    struct vp9_descriptor *out)
{
	const uint8_t *p = bytes_take(r, 1);

	if (p == NULL)
		return -EINVAL;
	out->picture_id_offset = (uint8_t)(p - payload);
	out->picture_id = *p & 0x7f;
	out->picture_id_is_long = *p & 0x80;
	if (!out->picture_id_is_long)
		return 0;
	if (bytes_take(r, 1) == NULL)
		return -EINVAL;
	out->picture_id = bytes_get_be16(p) & 0x7fff;
	return 0;
}

static int layers_parse(const uint8_t *payload, struct bytes_reader *r, struct vp9_descriptor *out)
{
	const uint8_t *p = bytes_take(r, 1);

	if (p == NULL)
		return -EINVAL;
	out->temporal_id = *p >> 5;
	out->switching_up = *p & 0x10;
	out->spatial_id = *p >> 1 & 7;
	out->inter_layer = *p & 0x01;
	if (out->flexible)
		return 0;
	p = bytes_take(r, 1);
	if (p == NULL)
		return -EINVAL;
	out->tl0_picture_idx_offset = (uint8_t)(p - payload);
	out->tl0_picture_idx = *p;
	return 0;
}

// P_DIFF: up to three, each says whether another follows.
static int references_parse(struct bytes_reader *r, struct vp9_descriptor *out)
{
	const uint8_t *p;

	do {
		p = bytes_take(r, 1);
		if (p == NULL || out->n_references == VP9_REFERENCES_MAX)
			return -EINVAL;
		out->reference_diff[out->n_references++] = *p >> 1;
	} while (*p & 0x01);
	return 0;
}

static int structure_parse(struct bytes_reader *r, struct vp9_descriptor *out)
{
	const uint8_t *flags = bytes_take(r, 1);
	const uint8_t *p;

	if (flags == NULL)
		return -EINVAL;
	out->n_spatial_layers = (uint8_t)((*flags >> 5) + 1);
	for (uint32_t i = 0; (*flags & 0x10) && i < out->n_spatial_layers; i++) {
		p = bytes_take(r, 4);
		if (p == NULL)
			return -EINVAL;
		out->width[i] = bytes_get_be16(p);
		out->height[i] = bytes_get_be16(p + 2);
	}
	if (!(*flags & 0x08))
		return 0;
	p = bytes_take(r, 1);
	if (p == NULL)
		return -EINVAL;
	out->n_pictures = *p;
	for (uint32_t i = 0; i < out->n_pictures; i++) {
		p = bytes_take(r, 1);
		if (p == NULL || bytes_take(r, *p >> 2 & 3) == NULL)
			return -EINVAL;
	}
	return 0;
}

int vp9_descriptor_parse(const uint8_t *payload, size_t len_bytes, struct vp9_descriptor *out)
{
	struct bytes_reader r = bytes_reader_init(payload, len_bytes);
	const uint8_t *first = bytes_take(&r, 1);
	int ret = 0;

	if (first == NULL)
		return -EINVAL;
	*out = (struct vp9_descriptor){
		.inter_picture = *first & VP9_F_INTER_PICTURE,
		.has_layer_indices = *first & VP9_F_LAYERS,
		.flexible = *first & VP9_F_FLEXIBLE,
		.frame_start = *first & VP9_F_START,
		.frame_end = *first & VP9_F_END,
		.has_structure = *first & VP9_F_STRUCTURE,
		.not_spatial_reference = *first & VP9_F_NOT_REFERENCE,
	};
	if (*first & VP9_F_PICTURE_ID)
		ret = picture_id_parse(payload, &r, out);
	if (ret == 0 && out->has_layer_indices)
		ret = layers_parse(payload, &r, out);
	if (ret == 0 && out->flexible && out->inter_picture)
		ret = references_parse(&r, out);
	if (ret == 0 && out->has_structure)
		ret = structure_parse(&r, out);
	if (ret < 0)
		return ret;
	if (bytes_left(&r) == 0)
		return -EINVAL;
	out->descriptor_bytes = (uint16_t)(r.at - payload);
	return 0;
}

void vp9_descriptor_rewrite(uint8_t *payload, const struct vp9_descriptor *d, uint16_t picture_id,
			    uint8_t tl0_picture_idx)
{
	uint8_t *p = payload + d->picture_id_offset;

	if (d->picture_id_offset != 0 && d->picture_id_is_long)
		bytes_put_be16(p, picture_id | 0x8000);
	else if (d->picture_id_offset != 0)
		*p = picture_id & 0x7f;
	if (d->tl0_picture_idx_offset != 0)
		payload[d->tl0_picture_idx_offset] = tl0_picture_idx;
}
