// RTP header view (RFC 3550 §5.1, §5.3.1). Pure, any thread.
#include "dataplane/contract/wire/rtp.h"

#include <errno.h>

#define RTP_FIXED_BYTES 12

int rtp_parse(const uint8_t *buf, size_t len_bytes, struct rtp_view *out)
{
	size_t header_bytes = RTP_FIXED_BYTES;
	uint32_t padding_bytes = 0;
	bool has_extension;

	if (len_bytes < RTP_FIXED_BYTES || len_bytes > UINT16_MAX || buf[0] >> 6 != 2)
		return -EINVAL;
	header_bytes += 4u * (buf[0] & 0x0f);
	has_extension = buf[0] & 0x10;
	if (header_bytes + (has_extension ? 4 : 0) > len_bytes)
		return -EINVAL;
	out->extension_profile = 0;
	out->extension = NULL;
	out->extension_bytes = 0;
	if (has_extension) {
		uint32_t extension_bytes = 4u * bytes_get_be16(buf + header_bytes + 2);

		out->extension_profile = bytes_get_be16(buf + header_bytes);
		header_bytes += 4;
		if (extension_bytes > len_bytes - header_bytes)
			return -EINVAL;
		out->extension = buf + header_bytes;
		out->extension_bytes = (uint16_t)extension_bytes;
		header_bytes += extension_bytes;
	}
	if (buf[0] & 0x20) {
		padding_bytes = buf[len_bytes - 1];
		// The count includes itself, and never reaches into the header.
		if (padding_bytes == 0 || padding_bytes > len_bytes - header_bytes)
			return -EINVAL;
	}
	out->marker = buf[1] & 0x80;
	out->payload_type = buf[1] & 0x7f;
	out->sequence = bytes_get_be16(buf + 2);
	out->timestamp = bytes_get_be32(buf + 4);
	out->ssrc = bytes_get_be32(buf + 8);
	out->header_bytes = (uint16_t)header_bytes;
	out->payload = buf + header_bytes;
	out->payload_bytes = (uint16_t)(len_bytes - header_bytes - padding_bytes);
	out->padding_bytes = (uint8_t)padding_bytes;
	return 0;
}
