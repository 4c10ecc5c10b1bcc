// What the workers must know of the SFU's sessions: transports, the tracks that publishers send on them, the subscriptions that
// watchers receive on theirs, and who gets what. Segment `sfu`: written by the control plane, read by the workers as untrusted
// input. Secrets stand in srtp_keys.h, what workers write in sfu_state.h.
//
// Index 0 of every array is never used. An entry is published by storing its serial last with release, and withdrawn by
// storing 0 there; it is filled again only when every worker has passed a grace period (grace.h). A serial never comes twice
// in one segment, so worker state that carries another serial belongs to a predecessor and is void.
#ifndef TP_SHM_SFU_TABLE_H
#define TP_SHM_SFU_TABLE_H

#include <stdbool.h>

#include "dataplane/contract/shm/layout.h"

#define SHM_SFU_LAYERS_MAX 3  // simulcast encodings of a track, lowest first
#define SHM_SFU_UFRAG_MAX  32 // ours; what ice_ufrag_make gives fits
#define SHM_SFU_MID_MAX    16
#define SHM_SFU_RID_MAX    16

enum shm_sfu_kind { SHM_SFU_AUDIO = 0, SHM_SFU_VIDEO, SHM_SFU_KIND_COUNT };

enum shm_sfu_codec {
	SHM_SFU_CODEC_NONE = 0,
	SHM_SFU_OPUS,
	SHM_SFU_VP8,
	SHM_SFU_VP9,
	SHM_SFU_H264,
	SHM_SFU_AV1,
	SHM_SFU_CODEC_OTHER, // forwarded without a look inside
	SHM_SFU_CODEC_COUNT = 8
};

// Index into shm_sfu_transport.extension_id; the same ids both ways, because a bundle has one map (RFC 9143 §15).
enum shm_sfu_extension {
	SHM_SFU_EXT_MID = 0,
	SHM_SFU_EXT_RID,
	SHM_SFU_EXT_REPAIRED_RID,
	SHM_SFU_EXT_ABS_SEND_TIME,
	SHM_SFU_EXT_TWCC,
	SHM_SFU_EXT_AUDIO_LEVEL,
	SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR,
	SHM_SFU_EXT_VIDEO_ORIENTATION,
	SHM_SFU_EXT_PLAYOUT_DELAY,
	SHM_SFU_EXT_ABS_CAPTURE_TIME,
	SHM_SFU_EXTENSION_COUNT
};

#define SHM_SFU_TRANSPORT_F_PUBLISHES 0x01
#define SHM_SFU_TRANSPORT_F_WATCHES   0x02
#define SHM_SFU_TRANSPORT_F_EXTMAP_MIXED                                                           \
	0x04 // RFC 8285 §4.1.2: one- and two-byte elements in one stream
#define SHM_SFU_TRANSPORT_F_RTCP_RSIZE 0x08 // RFC 5506
#define SHM_SFU_TRANSPORT_F_TWCC       0x10 // negotiated: stamp (watcher), report (publisher)
#define SHM_SFU_TRANSPORT_F_REMB       0x20
// One client: an ICE, DTLS and SRTP association over one 5-tuple at a time.
// off size field              writer meaning
//   0    4 serial             cp     0 = none; atomic, stored last
//   4    4 flags              cp     SHM_SFU_TRANSPORT_F_*
//   8   32 ufrag              cp     ours, NUL-padded; rewritten under a new ufrag_version by an ICE restart
//  40    1 ufrag_bytes        cp
//  41    1 is_ice_restarted   cp     1: old_ufrag of srtp_keys.h is answered as well until the new pair is nominated
//  42   10 extension_id       cp     1..255; 0 = not negotiated
//  52   12 reserved           cp     0
//  64    4 first_track        cp     head of the chain of tracks published here, 0 = none; atomic
//  68    4 first_subscription cp     head of the chain of subscriptions, 0 = none; atomic
//  72    8 pace_bps           cp     send no faster, all streams together; 0 = unpaced; atomic
//  80    8 probe              cp     cluster id (63..48), packets (47..32), kb/s (31..0), media included; a new id starts it, 0 packets end it; atomic
//  88    8 target_bps         cp     the estimate in force; REMB to a publisher is made of it; 0 = none; atomic
//  96    4 rtcp_ssrc          cp     our sender SSRC in RTCP to this client
// 100   28 reserved2          cp     0
struct shm_sfu_transport {
	uint32_t serial;
	uint32_t flags;
	char ufrag[SHM_SFU_UFRAG_MAX];
	uint8_t ufrag_bytes;
	uint8_t is_ice_restarted;
	uint8_t extension_id[SHM_SFU_EXTENSION_COUNT];
	uint8_t reserved[12];
	uint32_t first_track;
	uint32_t first_subscription;
	uint64_t pace_bps;
	uint64_t probe;
	uint64_t target_bps;
	uint32_t rtcp_ssrc;
	uint8_t reserved2[28];
} __attribute__((aligned(128)));
static_assert(sizeof(struct shm_sfu_transport) == 128, "bump SHM_LAYOUT_VERSION");

// A fan-out list: where in shm_sfu.fanout it begins (63..32) and how many subscriptions it names (31..0). One word, so that
// a list is swapped whole.
static inline uint64_t shm_sfu_list_word(uint32_t offset, uint32_t count)
{
	return (uint64_t)offset << 32 | count;
}

static inline uint32_t shm_sfu_list_offset(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint32_t shm_sfu_list_count(uint64_t word)
{
	return (uint32_t)word;
}
// One encoding of a track. SSRCs that the offer did not name are 0: the worker learns them by MID and RID.
// off size field    writer meaning
//   0    4 ssrc     cp     0 = to be learnt
//   4    4 rtx_ssrc cp     0 = none or to be learnt
//   8   16 rid      cp     NUL-padded; "" = not simulcast
//  24    8 reserved cp     0
struct shm_sfu_layer {
	uint32_t ssrc;
	uint32_t rtx_ssrc;
	char rid[SHM_SFU_RID_MAX];
	uint8_t reserved[8];
};
static_assert(sizeof(struct shm_sfu_layer) == 32, "bump SHM_LAYOUT_VERSION");

// What a publisher sends in one media section.
// off size field            writer meaning
//   0    4 serial           cp     0 = none; atomic, stored last
//   4    4 transport_idx    cp     the publisher
//   8    4 next_track       cp     chain of the transport, 0 = end; atomic
//  12    1 kind             cp     enum shm_sfu_kind
//  13    1 codec            cp     enum shm_sfu_codec
//  14    1 payload_type     cp     of the publisher
//  15    1 rtx_payload_type cp     0 = no RTX
//  16   16 mid              cp     NUL-padded; "" = none
//  32    4 clock_hz         cp     RTP clock
//  36    1 n_layers         cp     1..SHM_SFU_LAYERS_MAX
//  37    1 is_muted         cp     1: forward nothing; atomic
//  38    1 has_nack         cp     the publisher answers generic NACK
//  39    1 has_pli          cp     1 PLI, 2 FIR only, 0 neither
//  40   24 reserved         cp     0
//  64   96 layer            cp     lowest first
// 160   32 reserved2        cp     0
// 192  128 list             cp     subscriptions of this track, by the worker that owns their transport; atomic words
struct shm_sfu_track {
	uint32_t serial;
	uint32_t transport_idx;
	uint32_t next_track;
	uint8_t kind;
	uint8_t codec;
	uint8_t payload_type;
	uint8_t rtx_payload_type;
	char mid[SHM_SFU_MID_MAX];
	uint32_t clock_hz;
	uint8_t n_layers;
	uint8_t is_muted;
	uint8_t has_nack;
	uint8_t has_pli;
	uint8_t reserved[24];
	struct shm_sfu_layer layer[SHM_SFU_LAYERS_MAX];
	uint8_t reserved2[32];
	uint64_t list[SHM_WORKERS_MAX];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu_track) == 320, "bump SHM_LAYOUT_VERSION");

// What a watcher wants of the track: spatial layer (7..0; index into shm_sfu_track.layer, or the spatial layer of an SVC
// stream), highest temporal layer (15..8), SHM_SFU_TARGET_F_* (31..16).
#define SHM_SFU_TARGET_F_PAUSED 0x10000u
#define SHM_SFU_TARGET_ALL      0x0000ffffu // the highest of both
// One media section of a watcher: a slot that carries one track at a time, always under its own SSRC.
// off size field             writer meaning
//   0    4 serial            cp     0 = none; atomic, stored last
//   4    4 transport_idx     cp     the watcher
//   8    4 next_subscription cp     chain of the transport, 0 = end; atomic
//  12    4 track_idx         cp     what it carries, 0 = nothing; atomic; the fan-out list decides, this tells
//  16    4 ssrc              cp     of what we send
//  20    4 rtx_ssrc          cp     0 = no RTX
//  24    4 target            cp     see above; atomic
//  28    1 kind              cp     enum shm_sfu_kind
//  29    1 has_nack          cp     the watcher sends generic NACK
//  30    1 mid_bytes         cp
//  31    1 reserved          cp     0
//  32    8 payload_type      cp     by enum shm_sfu_codec; 0xff = the watcher does not take it
//  40    8 rtx_payload_type  cp     0xff = none
//  48   16 mid               cp     sent until the first receiver report acknowledges the SSRC
struct shm_sfu_subscription {
	uint32_t serial;
	uint32_t transport_idx;
	uint32_t next_subscription;
	uint32_t track_idx;
	uint32_t ssrc;
	uint32_t rtx_ssrc;
	uint32_t target;
	uint8_t kind;
	uint8_t has_nack;
	uint8_t mid_bytes;
	uint8_t reserved;
	uint8_t payload_type[SHM_SFU_CODEC_COUNT];
	uint8_t rtx_payload_type[SHM_SFU_CODEC_COUNT];
	char mid[SHM_SFU_MID_MAX];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu_subscription) == 64, "bump SHM_LAYOUT_VERSION");

// Segment `sfu`.
// off size field                writer meaning
//   0  128 header               cp
// 128    4 n_transports         cp     elements of each array, index 0 included
// 132    4 n_tracks             cp
// 136    4 n_subscriptions      cp
// 140    4 n_fanout             cp     words of the pool of lists
// 144    8 transports_offset    cp     from the segment's start
// 152    8 tracks_offset        cp
// 160    8 subscriptions_offset cp
// 168    8 fanout_offset        cp     uint32_t subscription indices
// 176    4 last_serial          cp     the last one given to any entry
// 180    1 node_id              cp     of this host in ufrags
// 181    1 is_enabled           cp     0: no SFU is configured
// 182    2 retransmit_ms        cp     how long sent packets are kept for NACKs
// 184    8 reserved             cp     0
struct shm_sfu {
	struct shm_segment_header header;
	uint32_t n_transports;
	uint32_t n_tracks;
	uint32_t n_subscriptions;
	uint32_t n_fanout;
	uint64_t transports_offset;
	uint64_t tracks_offset;
	uint64_t subscriptions_offset;
	uint64_t fanout_offset;
	uint32_t last_serial;
	uint8_t node_id;
	uint8_t is_enabled;
	uint16_t retransmit_ms;
	uint8_t reserved[8];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu) == 192, "bump SHM_LAYOUT_VERSION");

// The segment, checked once: what lies beyond it is never touched.
struct shm_sfu_view {
	const struct shm_sfu *sfu;
	const struct shm_sfu_transport *transport;
	const struct shm_sfu_track *track;
	const struct shm_sfu_subscription *subscription;
	const uint32_t *fanout;
	uint32_t n_transports;
	uint32_t n_tracks;
	uint32_t n_subscriptions;
	uint32_t n_fanout;
};

// Bytes of the segment for so many entries; fills counts and offsets of *placement.
size_t shm_sfu_size(uint32_t n_transports, uint32_t n_tracks, uint32_t n_subscriptions,
		    uint32_t n_fanout, struct shm_sfu *placement);
// 0, or -EINVAL when counts and offsets do not lie within size_bytes.
int shm_sfu_view_init(struct shm_sfu_view *v, const void *base, size_t size_bytes);

// An entry by an index from anywhere: NULL when it is out of bounds or not published. *serial is what it was published under.
static inline const struct shm_sfu_transport *shm_sfu_transport_get(const struct shm_sfu_view *v,
								    uint32_t idx)
{
	if (idx == 0 || idx >= v->n_transports ||
	    __atomic_load_n(&v->transport[idx].serial, __ATOMIC_ACQUIRE) == 0)
		return NULL;
	return &v->transport[idx];
}

static inline const struct shm_sfu_track *shm_sfu_track_get(const struct shm_sfu_view *v,
							    uint32_t idx)
{
	if (idx == 0 || idx >= v->n_tracks ||
	    __atomic_load_n(&v->track[idx].serial, __ATOMIC_ACQUIRE) == 0)
		return NULL;
	return &v->track[idx];
}

static inline const struct shm_sfu_subscription *
shm_sfu_subscription_get(const struct shm_sfu_view *v, uint32_t idx)
{
	if (idx == 0 || idx >= v->n_subscriptions ||
	    __atomic_load_n(&v->subscription[idx].serial, __ATOMIC_ACQUIRE) == 0)
		return NULL;
	return &v->subscription[idx];
}

// The subscriptions of a track at a worker: their count, and *list; 0 when the word points outside the pool.
static inline uint32_t shm_sfu_list(const struct shm_sfu_view *v, const struct shm_sfu_track *t,
				    uint32_t worker_idx, const uint32_t **list)
{
	uint64_t word = __atomic_load_n(&t->list[worker_idx % SHM_WORKERS_MAX], __ATOMIC_ACQUIRE);
	uint32_t offset = shm_sfu_list_offset(word);
	uint32_t count = shm_sfu_list_count(word);

	if (offset > v->n_fanout || count > v->n_fanout - offset)
		return 0;
	*list = v->fanout + offset;
	return count;
}

#endif
