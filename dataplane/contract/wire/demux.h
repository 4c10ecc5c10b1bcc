// First-byte demultiplexing of datagrams (RFC 7983, RFC 9443). Pure, any thread.
#ifndef TP_WIRE_DEMUX_H
#define TP_WIRE_DEMUX_H

#include <stdint.h>

enum wire_kind {
	WIRE_KIND_UNKNOWN = 0,
	WIRE_KIND_STUN,    // 0..3
	WIRE_KIND_ZRTP,    // 16..19
	WIRE_KIND_DTLS,    // 20..63
	WIRE_KIND_CHANNEL, // 64..79
	WIRE_KIND_QUIC,    // 80..127 (and 192..255), RFC 9443
	WIRE_KIND_RTP,     // 128..191: RTP and RTCP
	WIRE_KIND_COUNT
};

static inline enum wire_kind wire_demux(uint8_t first)
{
	if (first <= 3)
		return WIRE_KIND_STUN;
	if (first >= 64 && first <= 79)
		return WIRE_KIND_CHANNEL;
	if (first >= 128 && first <= 191)
		return WIRE_KIND_RTP;
	if (first >= 20 && first <= 63)
		return WIRE_KIND_DTLS;
	if (first >= 16 && first <= 19)
		return WIRE_KIND_ZRTP;
	if (first >= 80)
		return WIRE_KIND_QUIC;
	return WIRE_KIND_UNKNOWN;
}

#endif
