// H.264 in RTP (RFC 6184 §5.6, §5.7.1, §5.8). Pure, any thread.
#include "dataplane/contract/wire/h264_payload.h"

#include <errno.h>

#define NAL_TYPE_MASK   0x1f
#define NAL_SINGLE_MAX  23
#define FU_F_START      0x80
#define FU_F_END        0x40
#define FU_HEADER_BYTES 2

static bool is_single(uint8_t type)
{
	return type >= 1 && type <= NAL_SINGLE_MAX;
}

static int stap_a_parse(struct bytes_reader *r, struct h264_payload *out)
{
	do {
		const uint8_t *p = bytes_take(r, 2);
		const uint8_t *nal;

		if (p == NULL)
			return -EINVAL;
		nal = bytes_take(r, bytes_get_be16(p));
		if (nal == NULL || nal == r->at || !is_single(*nal & NAL_TYPE_MASK))
			return -EINVAL;
		out->starts |= 1u << (*nal & NAL_TYPE_MASK);
	} while (bytes_left(r) > 0);
	out->carries = out->starts;
	return 0;
}

static int fu_a_parse(const uint8_t *payload, size_t len_bytes, struct h264_payload *out)
{
	uint8_t header, type;

	if (len_bytes <= FU_HEADER_BYTES)
		return -EINVAL;
	header = payload[1];
	type = header & NAL_TYPE_MASK;
	if (!is_single(type) || (header & (FU_F_START | FU_F_END)) == (FU_F_START | FU_F_END))
		return -EINVAL;
	out->fragment = true;
	out->carries = 1u << type;
	if (header & FU_F_START)
		out->starts = out->carries;
	return 0;
}

int h264_payload_parse(const uint8_t *payload, size_t len_bytes, struct h264_payload *out)
{
	struct bytes_reader r = bytes_reader_init(payload, len_bytes);
	const uint8_t *first = bytes_take(&r, 1);
	uint8_t type;

	if (first == NULL)
		return -EINVAL;
	*out = (struct h264_payload){ 0 };
	type = *first & NAL_TYPE_MASK;
	if (type == H264_NAL_STAP_A)
		return stap_a_parse(&r, out);
	if (type == H264_NAL_FU_A)
		return fu_a_parse(payload, len_bytes, out);
	if (!is_single(type))
		return -EINVAL;
	out->starts = 1u << type;
	out->carries = out->starts;
	return 0;
}
