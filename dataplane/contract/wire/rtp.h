// RTP header view (RFC 3550 §5.1, RFC 8285). Pure, any thread.
#ifndef TP_WIRE_RTP_H
#define TP_WIRE_RTP_H

#include "dataplane/contract/wire/bytes.h"

struct rtp_view {
	uint32_t ssrc;
	uint32_t timestamp;
	uint16_t sequence;
	uint8_t payload_type;
	bool marker;
	uint16_t header_bytes;      // fixed header, CSRCs and extension
	uint16_t extension_profile; // 0xBEDE, 0x100x, or 0 without extension
	const uint8_t *extension;   // behind its 4-byte header; NULL without
	uint16_t extension_bytes;
	const uint8_t *payload;
	uint16_t payload_bytes; // padding not counted
	uint8_t padding_bytes;
};

// Checks version, CSRC count, extension and padding against the length. 0 or -EINVAL.
int rtp_parse(const uint8_t *buf, size_t len_bytes, struct rtp_view *out);
// RFC 5761 §4: second byte 192..223 is RTCP.
static inline bool rtp_is_rtcp(const uint8_t *buf, size_t len_bytes)
{
	return len_bytes >= 2 && buf[1] >= 192 && buf[1] <= 223;
}

#endif
