// The codecs that the SFU forwards, told apart by name and format parameters. Pure, any thread.
#ifndef TP_SFU_SDP_CODEC_H
#define TP_SFU_SDP_CODEC_H

#include "controlplane/sfu/sdp/session.h"

enum sdp_codec_kind {
	SDP_CODEC_UNKNOWN = 0,
	SDP_CODEC_OPUS,
	SDP_CODEC_VP8,
	SDP_CODEC_VP9,
	SDP_CODEC_H264,
	SDP_CODEC_AV1,
	SDP_CODEC_RTX,
	SDP_CODEC_COUNT
};

// RFC 6184 table 5: what the profile_idc and the profile-iop bits of profile-level-id mean together.
enum sdp_h264_profile {
	SDP_H264_OTHER = 0,
	SDP_H264_CONSTRAINED_BASELINE,
	SDP_H264_BASELINE,
	SDP_H264_MAIN,
	SDP_H264_CONSTRAINED_HIGH,
	SDP_H264_HIGH,
	SDP_H264_PROFILE_COUNT
};

// What must be equal for two payload types to carry the same.
struct sdp_format {
	enum sdp_codec_kind kind;
	uint8_t profile;            // H264: enum sdp_h264_profile; VP9: profile-id; AV1: profile
	uint8_t packetization_mode; // H264
	uint8_t apt;                // RTX: the payload type it repairs
};

// The value of a format parameter ("apt" of "apt=96;rtx-time=3000"); n is 0 without.
struct sdp_text sdp_fmtp_value(struct sdp_text fmtp, const char *name);
// What a payload type of a section of this kind carries. Parameters that cannot be are refused; 0 or -EINVAL.
int sdp_codec_format(const struct sdp_codec *c, enum sdp_kind kind, struct sdp_format *out,
		     struct sdp_error *error);
// "opus", "VP8", …; never NULL.
const char *sdp_codec_name(enum sdp_codec_kind kind);

#endif
