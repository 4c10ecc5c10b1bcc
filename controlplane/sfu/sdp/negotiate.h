// From an offer and what we are configured to do to what is kept of it. Pure, any thread.
//
// An offer is taken as a whole or refused: RFC 9725 has no half-way answer for a publisher. For a watcher,
// sections that nothing can be sent in are rejected (port 0), and the offer is refused if none is left.
#ifndef TP_SFU_SDP_NEGOTIATE_H
#define TP_SFU_SDP_NEGOTIATE_H

#include "controlplane/sfu/sdp/codec.h"
#include "controlplane/sfu/sdp/extension.h"

#define SDP_POLICY_CODECS_MAX 16
#define SDP_KEPT_CODECS_MAX   16
#define SDP_LAYERS_MAX        4
#define SDP_ANY               0xff

enum sdp_role {
	SDP_ROLE_PUBLISHER = 0, // WHIP: we receive
	SDP_ROLE_WATCHER,       // WHEP: we send
	SDP_ROLE_COUNT
};

// A codec that may be kept; profile and packetization mode as in struct sdp_format, or SDP_ANY.
struct sdp_policy_codec {
	enum sdp_codec_kind kind;
	uint8_t profile;
	uint8_t packetization_mode;
};

// For a watcher, `codecs` holds what the publisher sends; for what is not sent (yet), sections are taken all
// the same and answered as inactive (struct sdp_answer_source).
struct sdp_policy {
	enum sdp_role role;
	struct sdp_policy_codec codecs[SDP_POLICY_CODECS_MAX];
	uint8_t n_codecs;
	uint8_t feedback;    // SDP_FB_*
	uint32_t extensions; // SDP_EXT_BIT(…)
	bool has_rtx;
	uint8_t audio_max; // sections of each kind that are taken
	uint8_t video_max;
	uint8_t data_max;
	uint8_t layers_max; // of simulcast, at most SDP_LAYERS_MAX
	uint64_t max_message_size_bytes;
};

// Everything that the SFU forwards: opus, VP8, VP9 profile 0, AV1 profile 0, H264 Constrained Baseline,
// Baseline, Main and High in both packetization modes; every extension and feedback; one audio, video and
// data section.
void sdp_policy_default(struct sdp_policy *policy, enum sdp_role role);

struct sdp_kept_codec {
	struct sdp_format format;
	const struct sdp_codec *offered;
	const struct sdp_codec *rtx; // NULL without
	uint8_t feedback;            // SDP_FB_*
};

struct sdp_kept_extension {
	enum sdp_extension extension;
	uint8_t id;
	enum sdp_direction direction; // ours
};

// A stream that a publisher sends. Without rid, the SSRCs tell it; 0 where the offer does not name them.
struct sdp_layer {
	struct sdp_text rid;
	bool is_paused;
	uint32_t ssrc;
	uint32_t rtx_ssrc;
	uint16_t pts_kept; // bit i: codecs[i] may be in this layer
};

enum sdp_use { SDP_USE_REJECTED = 0, SDP_USE_RTP, SDP_USE_DATA, SDP_USE_COUNT };

struct sdp_kept_media {
	const struct sdp_media *offered;
	enum sdp_use use;
	enum sdp_direction direction; // ours
	struct sdp_kept_codec codecs[SDP_KEPT_CODECS_MAX];
	struct sdp_kept_extension extensions[SDP_EXT_COUNT];
	struct sdp_layer layers[SDP_LAYERS_MAX]; // in the order of a=simulcast
	uint8_t n_codecs;
	uint8_t n_extensions;
	uint8_t n_layers;
	bool is_simulcast;
	uint64_t max_message_size_bytes; // of what we may send; 0: no limit
};

struct sdp_negotiated {
	const struct sdp_session *offer;
	const struct sdp_transport *transport; // the peer's, of the tagged section (RFC 9143 §7.2)
	enum sdp_hash hash;                    // check the fingerprints of this hash only
	enum sdp_setup setup;                  // ours: passive, or active if the peer is passive
	bool is_mixed;                         // one- and two-byte header extensions together
	uint8_t n_media;
	struct sdp_kept_media media[SDP_MEDIA_MAX];
};

// 0, or -EINVAL with the offer's line and the reason. `offer` must outlive `out`.
int sdp_negotiate(const struct sdp_session *offer, const struct sdp_policy *policy,
		  struct sdp_negotiated *out, struct sdp_error *error);

// The id of an extension in a section, 0 without.
uint8_t sdp_kept_extension_id(const struct sdp_kept_media *m, enum sdp_extension extension);

#endif
