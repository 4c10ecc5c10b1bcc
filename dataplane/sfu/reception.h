// The reception half of the SFU in one worker: what it keeps privately of the transports that it owns. Nothing here is shared
// but the table of remotes, which other workers read. Worker thread.
#ifndef TP_DP_SFU_RECEPTION_H
#define TP_DP_SFU_RECEPTION_H

#include "dataplane/contract/shm/ring.h"
#include "dataplane/contract/wire/av1_dependency.h"
#include "dataplane/contract/wire/rtp.h"
#include "dataplane/sfu/path.h"
#include "dataplane/sfu/remote_table.h"
#include "dataplane/sfu/sfu.h"
#include "dataplane/srtp/replay.h"

#define DP_SFU_REMOTES_MAX 4   // proved addresses of one client: candidates that it still checks
#define DP_SFU_STREAMS_MAX 24  // encodings of one publisher
#define DP_SFU_RETIRED_MAX 8   // SSRCs that a publisher has left behind
#define DP_SFU_MISSING_MAX 256 // gaps of one encoding that are being asked for
#define DP_SFU_TWCC_WINDOW 1024
#define DP_SFU_CHAIN_MAX   256 // elements of a chain in shared memory, against circles

static_assert(sizeof(struct replay_window) == sizeof(struct shm_srtp_window) &&
		      offsetof(struct replay_window, seen) ==
			      offsetof(struct shm_srtp_window, seen) &&
		      offsetof(struct replay_window, is_started) ==
			      offsetof(struct shm_srtp_window, is_started),
	      "replay windows live in shared memory");

static inline struct replay_window *dp_sfu_window(struct shm_srtp_window *w)
{
	return (struct replay_window *)(void *)w;
}

struct dp_sfu_missing {
	uint64_t index;
	uint64_t since_ns;
	uint64_t asked_ns; // 0: not yet
	uint32_t n_asked;
};

// One encoding that a publisher sends, with its retransmissions.
struct dp_sfu_stream {
	uint32_t track_idx;
	uint32_t track_serial;
	uint32_t clock_hz;
	uint8_t layer;
	uint8_t kind;
	uint8_t codec;
	uint8_t payload_type;
	uint8_t rtx_payload_type;
	uint8_t has_nack;
	uint8_t has_pli;

	// RFC 3550 appendix A
	uint8_t is_counting; // the two fields below are set
	uint64_t reported_highest;
	uint64_t reported_pkts;
	uint32_t last_transit;
	uint32_t jitter_q4;

	// Figures of the last second
	uint64_t second_at_ns;
	uint64_t second_bytes;
	uint64_t second_temporal_bytes[4];
	uint8_t second_temporal;
	uint8_t second_spatial;

	// Key frames
	uint64_t keyframe_asked_ns;
	uint8_t keyframe_wanted; // asked for by somebody and not yet passed on
	uint8_t fir_sequence;

	uint32_t n_missing;
	struct dp_sfu_missing missing[DP_SFU_MISSING_MAX];

	// Frames
	uint32_t frame_timestamp;
	uint32_t key_timestamp;
	uint8_t has_frame;
	uint8_t has_key;
	uint8_t has_structure;
	uint8_t structure_idx;
	struct av1_dd_structure structure[2]; // the one in force is [structure_idx]
};

#define DP_SFU_STREAM_HOT_BYTES 192
static_assert(offsetof(struct dp_sfu_stream, missing) <= DP_SFU_STREAM_HOT_BYTES, "fetched ahead");

// What arrived under transport-wide sequence numbers, and what of it was told.
struct dp_sfu_arrivals {
	uint8_t is_started;
	uint8_t feedback_count;
	uint64_t base;    // first one that was not told, unwrapped
	uint64_t highest; // seen
	uint32_t media_ssrc;
	uint32_t n_new;
	uint64_t told_ns;
	int64_t ticks[DP_SFU_TWCC_WINDOW];
};

struct dp_sfu_client {
	uint32_t transport_idx;
	uint32_t serial;
	uint32_t owned_at;      // place in dp_sfu_reception.owned
	uint32_t publishing_at; // the same in publishing, if is_publishing
	uint8_t is_publishing;
	uint32_t ice_version;
	uint32_t failed_generation; // of keys that no context could be made of
	uint8_t is_limit_told;
	uint64_t synced_ns; // streams compared with the table

	uint32_t n_remotes;
	struct {
		struct dp_sfu_remote_key key;
		uint64_t seen_ns;
	} remote[DP_SFU_REMOTES_MAX];

	// Publisher
	uint8_t extension_of[256]; // enum shm_sfu_extension plus 1 by id; 0: none that we know
	uint32_t n_streams;
	uint32_t ssrc[DP_SFU_STREAMS_MAX]; // 0: not known yet
	uint32_t rtx_ssrc[DP_SFU_STREAMS_MAX];
	struct dp_sfu_stream *stream[DP_SFU_STREAMS_MAX];
	uint32_t n_retired;
	uint32_t retired[DP_SFU_RETIRED_MAX];
	struct dp_sfu_arrivals *arrivals; // NULL without TWCC
	uint64_t reported_ns;
	uint64_t remb_sent_bps;

	// Watcher: where the report blocks' SSRCs were found last
	struct {
		uint32_t ssrc;
		uint32_t subscription_idx;
	} watched[16];
};

struct dp_sfu_reception {
	struct dp_srtp *srtp;
	struct rte_mempool *pool; // of plaintext
	struct dp_sfu_remote_table *remotes;
	struct dp_sfu_transport *transport; // by index
	struct dp_sfu_client **client;      // by index; NULL: not ours
	struct dp_sfu_path *path;           // by index
	uint32_t *owned;                    // transport indices
	uint32_t n_owned;
	uint32_t *publishing; // those among them that have streams
	uint32_t n_publishing;
	uint32_t walk_at;
	uint64_t walked_ns;
	uint64_t upstream_ns;
	uint32_t upstream_at; // whose turn it is, in publishing
	uint8_t is_passed;    // the packets in work came from another worker
	uint32_t n_suspect;
	uint32_t suspect[DP_BURST]; // transports whose keys did not fit in this burst
	struct {
		uint64_t at_ns;
		uint32_t n;
	} * dtls; // by transport: what it may still punt
};

// ---- transports (transport.c)

// The client that a transport is, if this worker owns it; NULL otherwise.
struct dp_sfu_client *dp_sfu_client_get(struct dp_worker *w, uint32_t transport_idx);
// The same, taken over if nobody has it. Only for whom an authenticated check has come.
struct dp_sfu_client *dp_sfu_client_claim(struct dp_worker *w, uint32_t transport_idx);
// The worker that owns a transport; -1: nobody.
int dp_sfu_owner(const struct dp_worker *w, uint32_t transport_idx);
// The keys in use did not fit: they are looked at again behind the burst.
void dp_sfu_keys_suspect(struct dp_worker *w, uint32_t transport_idx);
void dp_sfu_keys_refresh(struct dp_worker *w, uint32_t transport_idx);
// Takes over what a predecessor left to this worker, and what it left to workers that are no more.
void dp_sfu_transports_adopt(struct dp_worker *w);
// Looks at the next so many: withdrawn ones go, with their keys.
void dp_sfu_transports_walk(struct dp_worker *w, uint32_t n);
void dp_sfu_transports_release(struct dp_worker *w);
// An address of the client that a check has proved; the longest unseen one makes room.
void dp_sfu_remote_prove(struct dp_worker *w, struct dp_sfu_client *c,
			 const struct dp_sfu_remote_key *key);
// The transport of a 5-tuple at any worker; 0: of none. *owner is the worker whose table has it.
uint32_t dp_sfu_remote_lookup(const struct dp_worker *w, const struct dp_sfu_remote_key *key,
			      uint32_t *owner);

static inline struct shm_sfu_transport_state *dp_sfu_state(const struct dp_worker *w,
							   uint32_t transport_idx)
{
	return &w->shared->sfu->state.transport[transport_idx];
}

// ---- streams (stream.c)

// Follows the table: tracks that came and went.
void dp_sfu_streams_sync(struct dp_worker *w, struct dp_sfu_client *c);
void dp_sfu_streams_free(struct dp_worker *w, struct dp_sfu_client *c);
// New keys: what was verified under the old ones says nothing any more.
void dp_sfu_streams_rekey(struct dp_worker *w, uint32_t transport_idx);
// Index into c->stream of an SSRC, -1 when it is not known. *is_rtx tells which of the two it is.
int dp_sfu_stream_find(const struct dp_sfu_client *c, uint32_t ssrc, bool *is_rtx);
// The stream that a verified packet of an unknown SSRC belongs to, by MID and RID or by its payload type; the SSRC is known from
// then on. -1: of none.
int dp_sfu_stream_latch(struct dp_worker *w, struct dp_sfu_client *c, const struct rtp_view *rtp,
			bool *is_rtx);

static inline struct shm_sfu_ingress_state *dp_sfu_ingress(const struct dp_worker *w,
							   const struct dp_sfu_stream *s)
{
	return &w->shared->sfu->state.ingress[shm_sfu_ingress_idx(s->track_idx, s->layer)];
}

// ---- what the control plane is told (event.c)

void dp_sfu_event(struct dp_worker *w, uint32_t transport_idx, enum shm_sfu_event event);

// ---- stages

void dp_sfu_ice_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_sfu_dtls_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_sfu_srtp_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);

// ---- between workers (exchange.c)

// Hands a received packet to the worker that owns its client; it is counted and gone.
void dp_sfu_exchange_pass(struct dp_worker *w, struct dp_packet *p, uint32_t to);
// References of decrypted packets to the workers that have subscriptions of their tracks.
void dp_sfu_exchange_share(struct dp_worker *w, struct rte_mbuf **plain, uint32_t n);
bool dp_sfu_exchange_keyframe(struct dp_worker *w, uint32_t to, uint32_t track_idx, uint32_t layer);
uint32_t dp_sfu_exchange_poll(struct dp_worker *w);

// ---- DTLS from the control plane (dtls_path.c)

void dp_sfu_dtls_inject(struct dp_worker *w, uint32_t transport_idx, const uint8_t *data,
			uint16_t length_bytes);

// ---- what a packet is (describe.c)

// Where a verified packet's extensions stand, into `m`. The transport-wide sequence number, -1 without.
int32_t dp_sfu_describe_extensions(const struct dp_sfu_client *c, const uint8_t *packet,
				   const struct rtp_view *rtp, struct dp_sfu_media *m);
// Frame, layer and codec, into `m`, whose extensions are described.
void dp_sfu_describe_payload(struct dp_sfu_stream *s, const uint8_t *packet,
			     const struct rtp_view *rtp, struct dp_sfu_media *m);

// ---- RTCP of clients (rtcp.c), and toward publishers (upstream.c)

void dp_sfu_rtcp_receive(struct dp_worker *w, struct dp_sfu_client *c, const uint8_t *packet,
			 uint32_t packet_bytes);
// What was verified, and is well formed.
void dp_sfu_rtcp_take(struct dp_worker *w, struct dp_sfu_client *c, const uint8_t *plain,
		      uint32_t plain_bytes);
// A verified packet of a publisher: gaps, jitter, figures. `m` is complete; `window` is that of its SSRC as it was before.
void dp_sfu_upstream_note(struct dp_worker *w, struct dp_sfu_stream *s,
			  const struct dp_sfu_media *m, const struct replay_window *window);
// A packet with a transport-wide sequence number has come.
void dp_sfu_upstream_arrival(struct dp_worker *w, struct dp_sfu_client *c, uint32_t ssrc,
			     uint16_t twcc_sequence);
// Reports, NACKs and key frame requests of the next so many publishers that are due.
void dp_sfu_upstream_poll(struct dp_worker *w, uint32_t n);

#endif
