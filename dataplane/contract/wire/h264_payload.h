// H.264 in RTP (RFC 6184 §5): which NAL units a packet holds, as far as key frames need it. Pure, any thread.
#ifndef TP_WIRE_H264_PAYLOAD_H
#define TP_WIRE_H264_PAYLOAD_H

#include "dataplane/contract/wire/bytes.h"

enum h264_nal_type {
	H264_NAL_SLICE = 1,
	H264_NAL_IDR = 5,
	H264_NAL_SPS = 7,
	H264_NAL_PPS = 8,
	H264_NAL_STAP_A = 24,
	H264_NAL_FU_A = 28,
};

struct h264_payload {
	uint32_t starts;  // bit t: a NAL unit of type t (1..23) starts here
	uint32_t carries; // bit t: bytes of a NAL unit of type t are here
	bool fragment;    // FU-A
};

// Reads single NAL unit packets, STAP-A and FU-A, the packetization modes 0 and 1. 0; -EINVAL when it is empty or cut, when a
// STAP-A holds an empty unit, a nested packet or none, when an FU-A has S and E at once, and for STAP-B, MTAP, FU-B (interleaved
// mode, which no browser offers) and the undefined types 0, 30 and 31.
int h264_payload_parse(const uint8_t *payload, size_t len_bytes, struct h264_payload *out);

// First packet of a frame that a decoder can start with: parameter sets begin, as encoders send them in front of every IDR frame, or
// an IDR slice begins. Of one IDR frame several packets may answer to that.
static inline bool h264_is_key_frame(const struct h264_payload *p)
{
	return p->starts & (1u << H264_NAL_SPS | 1u << H264_NAL_IDR);
}

#endif
