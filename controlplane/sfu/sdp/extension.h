// The RTP header extensions that the SFU knows, by URI. Pure, any thread.
#ifndef TP_SFU_SDP_EXTENSION_H
#define TP_SFU_SDP_EXTENSION_H

#include "controlplane/sfu/sdp/text.h"

enum sdp_extension {
	SDP_EXT_MID = 0,
	SDP_EXT_RID,
	SDP_EXT_REPAIRED_RID,
	SDP_EXT_ABS_SEND_TIME,
	SDP_EXT_TWCC,
	SDP_EXT_AUDIO_LEVEL,
	SDP_EXT_DEPENDENCY_DESCRIPTOR,
	SDP_EXT_VIDEO_ORIENTATION,
	SDP_EXT_PLAYOUT_DELAY,
	SDP_EXT_ABS_CAPTURE_TIME,
	SDP_EXT_COUNT
};

#define SDP_EXT_BIT(extension) (1u << (extension))
#define SDP_EXT_ALL            (SDP_EXT_BIT(SDP_EXT_COUNT) - 1)

// SDP_EXT_COUNT for an unknown URI.
enum sdp_extension sdp_extension_of(struct sdp_text uri);
const char *sdp_extension_uri(enum sdp_extension extension);

#endif
