// RTP retransmission (RFC 4588 §4). Pure, any thread.
#include "dataplane/contract/wire/rtp_rtx.h"

#include <errno.h>

int rtx_parse(const struct rtp_view *rtp, struct rtx_view *out)
{
	if (rtp->payload_bytes < RTX_OSN_BYTES)
		return -ENODATA;
	out->original_sequence = bytes_get_be16(rtp->payload);
	out->payload = rtp->payload + RTX_OSN_BYTES;
	out->payload_bytes = (uint16_t)(rtp->payload_bytes - RTX_OSN_BYTES);
	return 0;
}

static void header_stamp(uint8_t *packet, uint8_t payload_type, uint16_t sequence, uint32_t ssrc)
{
	packet[1] = (uint8_t)((packet[1] & 0x80) | (payload_type & 0x7f));
	bytes_put_be16(packet + 2, sequence);
	bytes_put_be32(packet + 8, ssrc);
}

int rtx_decapsulate(uint8_t *packet, const struct rtp_view *rtp, uint8_t payload_type,
		    uint32_t ssrc, uint8_t **out)
{
	struct rtx_view rtx;
	int ret = rtx_parse(rtp, &rtx);

	if (ret < 0)
		return ret;
	*out = packet + RTX_OSN_BYTES;
	memmove(*out, packet, rtp->header_bytes);
	header_stamp(*out, payload_type, rtx.original_sequence, ssrc);
	return 0;
}

int rtx_header_write(uint8_t *out, size_t capacity_bytes, const uint8_t *original,
		     const struct rtp_view *rtp, uint8_t payload_type, uint16_t sequence,
		     uint32_t ssrc)
{
	if (capacity_bytes < rtp->header_bytes + (size_t)RTX_OSN_BYTES)
		return -ENOSPC;
	memcpy(out, original, rtp->header_bytes);
	out[0] &= (uint8_t)~0x20;
	header_stamp(out, payload_type, sequence, ssrc);
	bytes_put_be16(out + rtp->header_bytes, rtp->sequence);
	return rtp->header_bytes + RTX_OSN_BYTES;
}
