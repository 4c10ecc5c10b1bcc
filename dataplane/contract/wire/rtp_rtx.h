// RTP retransmission payload format (RFC 4588 §4): the payload is the original sequence number (OSN, 2 bytes) and the
// original payload; SSRC, payload type and sequence number are the retransmission stream's own. Pure, any thread.
#ifndef TP_WIRE_RTP_RTX_H
#define TP_WIRE_RTP_RTX_H

#include "dataplane/contract/wire/rtp.h"

#define RTX_OSN_BYTES 2

// What a retransmission carries. `payload` points into the packet.
struct rtx_view {
	const uint8_t *payload;
	uint16_t payload_bytes;
	uint16_t original_sequence;
};

// Reads a packet of an RTX stream. 0, or -ENODATA when there is no OSN: a probe made of padding alone, not a fault.
int rtx_parse(const struct rtp_view *rtp, struct rtx_view *out);

// Turns a packet of an RTX stream in place into the original: OSN taken as its sequence number, and payload type and SSRC as given.
// The header moves 2 bytes up over the OSN, so the original starts at *out = packet + 2 and the payload has not moved. Padding
// stays. 0, or -ENODATA as above (nothing changed). `rtp` is the packet's view and none of *out.
int rtx_decapsulate(uint8_t *packet, const struct rtp_view *rtp, uint8_t payload_type,
		    uint32_t ssrc, uint8_t **out);

// Writes to `out` the header of a retransmission of the packet that starts at `original`: its header with extensions, payload type,
// sequence and SSRC replaced, P cleared (the original's padding is not sent again), and the OSN. The payload follows it.
// Returns the bytes written, header_bytes + 2; -ENOSPC when they do not fit. `out` and the original do not overlap.
int rtx_header_write(uint8_t *out, size_t capacity_bytes, const uint8_t *original,
		     const struct rtp_view *rtp, uint8_t payload_type, uint16_t sequence,
		     uint32_t ssrc);

#endif
