// What a session description says: the model that parsing fills and negotiation reads. Pure, any thread.
//
// All text is held as slices of what was parsed. Everything is bounded: a description that needs more is
// refused, but for candidates, of which those behind SDP_CANDIDATES_MAX are left out (an ICE-lite agent
// learns its peer from the checks).
#ifndef TP_SFU_SDP_SESSION_H
#define TP_SFU_SDP_SESSION_H

#include "controlplane/sfu/sdp/text.h"
#include "dataplane/contract/wire/address.h"

#define SDP_TEXT_BYTES_MAX   65536
#define SDP_MEDIA_MAX        32
#define SDP_CODECS_MAX       64
#define SDP_EXTMAPS_MAX      32
#define SDP_RIDS_MAX         16
#define SDP_RID_BYTES_MAX    16 // what a one-byte header extension holds
#define SDP_MID_BYTES_MAX    16
#define SDP_RID_PTS_MAX      16
#define SDP_SIMULCAST_MAX    8
#define SDP_ALTERNATIVES_MAX 4
#define SDP_SSRCS_MAX        32
#define SDP_SSRC_GROUPS_MAX  16
#define SDP_GROUP_SSRCS_MAX  8
#define SDP_CANDIDATES_MAX   32
#define SDP_FINGERPRINTS_MAX 4
#define SDP_HASH_BYTES_MAX   64
#define SDP_PT_NONE          0xff

enum sdp_kind {
	SDP_KIND_AUDIO = 0,
	SDP_KIND_VIDEO,
	SDP_KIND_APPLICATION,
	SDP_KIND_OTHER,
	SDP_KIND_COUNT
};

enum sdp_proto {
	SDP_PROTO_RTP = 0, // RTP over DTLS-SRTP, in every spelling of RFC 8829 §5.1.2
	SDP_PROTO_SCTP,    // SCTP over DTLS
	SDP_PROTO_OTHER,
	SDP_PROTO_COUNT
};

enum sdp_direction {
	SDP_SENDRECV = 0,
	SDP_SENDONLY,
	SDP_RECVONLY,
	SDP_INACTIVE,
	SDP_DIRECTION_COUNT
};

enum sdp_setup {
	SDP_SETUP_NONE = 0,
	SDP_SETUP_ACTPASS,
	SDP_SETUP_ACTIVE,
	SDP_SETUP_PASSIVE,
	SDP_SETUP_HOLDCONN,
	SDP_SETUP_COUNT
};

enum sdp_hash {
	SDP_HASH_SHA1 = 0, // weakest first
	SDP_HASH_SHA224,
	SDP_HASH_SHA256,
	SDP_HASH_SHA384,
	SDP_HASH_SHA512,
	SDP_HASH_COUNT
};

// Bits of a codec's a=rtcp-fb lines.
enum {
	SDP_FB_NACK = 1 << 0,
	SDP_FB_PLI = 1 << 1,
	SDP_FB_FIR = 1 << 2,
	SDP_FB_REMB = 1 << 3,
	SDP_FB_TWCC = 1 << 4,
	SDP_FB_ALL = (1 << 5) - 1
};

struct sdp_fingerprint {
	enum sdp_hash hash;
	uint8_t n_bytes;
	uint8_t bytes[SDP_HASH_BYTES_MAX];
};

// ICE and DTLS of one section; what the session level said stands where the section is silent.
struct sdp_transport {
	struct sdp_text ufrag;
	struct sdp_text pwd;
	struct sdp_fingerprint fingerprints[SDP_FINGERPRINTS_MAX];
	uint8_t n_fingerprints;
	enum sdp_setup setup;
	bool has_trickle;
	uint32_t ufrag_line;
	uint32_t fingerprint_line;
	uint32_t setup_line;
};

// A payload type of the m= line; what no a=rtpmap names has an empty name.
struct sdp_codec {
	struct sdp_text name;
	struct sdp_text fmtp;
	uint32_t clock_rate;
	uint32_t line;      // of a=rtpmap, or of m=
	uint32_t fmtp_line; // of a=fmtp, 0 without
	uint8_t pt;
	uint8_t channels;
	uint8_t feedback; // SDP_FB_*
};

struct sdp_extmap {
	struct sdp_text uri;
	uint32_t line;
	uint8_t id; // 1..255
	enum sdp_direction direction;
};

struct sdp_rid {
	struct sdp_text id;
	uint32_t line;
	bool is_send;
	uint8_t n_pts; // 0: all of the section
	uint8_t pts[SDP_RID_PTS_MAX];
};

struct sdp_alternative {
	struct sdp_text rid;
	bool is_paused;
};

struct sdp_simulcast_stream {
	struct sdp_alternative alternatives[SDP_ALTERNATIVES_MAX];
	uint8_t n_alternatives;
};

struct sdp_simulcast {
	struct sdp_simulcast_stream send[SDP_SIMULCAST_MAX];
	struct sdp_simulcast_stream recv[SDP_SIMULCAST_MAX];
	uint8_t n_send;
	uint8_t n_recv;
	uint32_t line; // 0 without the attribute
};

struct sdp_ssrc_group {
	struct sdp_text semantics;
	uint32_t ssrcs[SDP_GROUP_SSRCS_MAX];
	uint8_t n_ssrcs;
};

struct sdp_candidate {
	struct sdp_text foundation;
	struct sdp_text type;
	struct sdp_text ufrag; // the extension of RFC 8838 §11; empty without
	struct ip_endpoint endpoint;
	uint32_t priority;
	uint16_t component;
	bool is_udp;
	bool is_name; // not an address: a ".local" name, say; the endpoint holds the port alone
};

struct sdp_media {
	enum sdp_kind kind;
	enum sdp_proto proto;
	enum sdp_direction direction;
	uint32_t line;
	struct sdp_text kind_text;
	struct sdp_text proto_text;
	struct sdp_text formats; // the m= line's list as it stood
	struct sdp_text mid;
	struct sdp_text msid;
	uint16_t port;
	uint16_t sctp_port; // 0 without
	uint64_t max_message_size_bytes;
	bool is_bundle_only;
	bool is_bundled; // named by the BUNDLE group
	bool has_rtcp_mux;
	bool has_rtcp_mux_only;
	bool has_rtcp_rsize;
	bool has_extmap_allow_mixed;
	bool has_end_of_candidates;
	struct sdp_transport transport;
	struct sdp_codec codecs[SDP_CODECS_MAX];
	struct sdp_extmap extmaps[SDP_EXTMAPS_MAX];
	struct sdp_rid rids[SDP_RIDS_MAX];
	struct sdp_simulcast simulcast;
	uint32_t ssrcs[SDP_SSRCS_MAX];
	struct sdp_ssrc_group ssrc_groups[SDP_SSRC_GROUPS_MAX];
	struct sdp_candidate candidates[SDP_CANDIDATES_MAX];
	uint8_t n_codecs;
	uint8_t n_extmaps;
	uint8_t n_rids;
	uint8_t n_ssrcs;
	uint8_t n_ssrc_groups;
	uint8_t n_candidates;
};

// Some hundred kilobytes: not for the stack.
struct sdp_session {
	struct sdp_transport transport;
	enum sdp_direction direction;
	bool has_ice_lite;
	bool has_extmap_allow_mixed;
	uint32_t bundle_line; // 0 without a BUNDLE group
	struct sdp_text bundle[SDP_MEDIA_MAX];
	uint8_t n_bundle;
	uint8_t n_media;
	struct sdp_media media[SDP_MEDIA_MAX];
};

// Parses an offer or an answer of at most SDP_TEXT_BYTES_MAX. Lines end with CRLF or LF. What is unknown is
// left out (attributes, and lines about payload types that the m= line does not name); what is malformed is
// refused with the line and the reason. 0 or -EINVAL; `text` must outlive `out`.
int sdp_parse(const char *text, size_t n_bytes, struct sdp_session *out, struct sdp_error *error);

// The offered payload type, or NULL.
const struct sdp_codec *sdp_media_codec(const struct sdp_media *m, uint8_t pt);
// Is the section there at all? Port 0 without bundle-only says no (RFC 9143 §6).
static inline bool sdp_media_is_offered(const struct sdp_media *m)
{
	return m->port != 0 || m->is_bundle_only;
}

#endif
