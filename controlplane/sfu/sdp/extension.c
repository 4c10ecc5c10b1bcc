// URIs of RTP header extensions. Pure, any thread.
#include "controlplane/sfu/sdp/extension.h"

static const char *const uris[SDP_EXT_COUNT] = {
	[SDP_EXT_MID] = "urn:ietf:params:rtp-hdrext:sdes:mid",
	[SDP_EXT_RID] = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
	[SDP_EXT_REPAIRED_RID] = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
	[SDP_EXT_ABS_SEND_TIME] = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
	[SDP_EXT_TWCC] =
		"http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
	[SDP_EXT_AUDIO_LEVEL] = "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
	[SDP_EXT_DEPENDENCY_DESCRIPTOR] = "https://aomediacodec.github.io/av1-rtp-spec/"
					  "#dependency-descriptor-rtp-header-extension",
	[SDP_EXT_VIDEO_ORIENTATION] = "urn:3gpp:video-orientation",
	[SDP_EXT_PLAYOUT_DELAY] = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
	[SDP_EXT_ABS_CAPTURE_TIME] =
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
};

enum sdp_extension sdp_extension_of(struct sdp_text uri)
{
	uint32_t i = 0;

	while (i < SDP_EXT_COUNT && !sdp_text_is(uri, uris[i]))
		i++;
	return (enum sdp_extension)i;
}

const char *sdp_extension_uri(enum sdp_extension extension)
{
	return extension < SDP_EXT_COUNT ? uris[extension] : "";
}
