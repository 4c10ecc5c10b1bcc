// What the transmission half of the SFU keeps on a worker: one egress per subscription, one watcher per transport, and the
// batches in which packets are encrypted. All of it belongs to the worker's thread; of shared memory it writes the egress records
// and its own fields of the transport records in sfu_state.h.
#ifndef TP_DP_SFU_TRANSMISSION_H
#define TP_DP_SFU_TRANSMISSION_H

#include "dataplane/block_pool.h"
#include "dataplane/sfu/dependency.h"
#include "dataplane/sfu/egress_header.h"
#include "dataplane/sfu/rewrite.h"
#include "dataplane/sfu/select.h"
#include "dataplane/sfu/sfu.h"
#include "dataplane/sfu/twcc.h"

#define DP_SFU_BATCH      32 // packets that are encrypted together
#define DP_SFU_STASH      64 // fresh buffers at hand
#define DP_SFU_GROUP      32 // packets that are forwarded together
#define DP_SFU_FRAME_MAX  64 // Ethernet, VLAN, IPv6, UDP
#define DP_SFU_USED_WORDS 4  // times 64: how far back a late packet may be placed
#define DP_SFU_RECENT     8  // packets whose records fill a line

static_assert(DP_SFU_FRAME_MAX <= RTE_PKTMBUF_HEADROOM, "headers stand in the headroom");

enum dp_sfu_job_kind {
	DP_SFU_JOB_MEDIA = 0,
	DP_SFU_JOB_RTX,    // asked for by a NACK
	DP_SFU_JOB_REPEAT, // the same, asked for by nobody: a probe's
	DP_SFU_JOB_PADDING
};

// A packet for one watcher that is not encrypted yet.
struct dp_sfu_job {
	struct rte_mbuf *plain; // a reference where it waits; NULL for padding
	struct dp_sfu_rewritten out;
	uint32_t egress_idx;
	uint32_t egress_serial;
	uint32_t queued_at_ms;
	uint8_t kind; // enum dp_sfu_job_kind
	uint8_t has_marker;
	uint8_t padding_bytes;
	uint8_t probe_id;
	uint8_t is_owned;  // the reference goes with the job
	uint8_t tells_cut; // 1: the dependency descriptor says what the watcher gets of the layers
	uint16_t cut;
};

// What is remembered of a packet that was sent, see retransmit.h.
union dp_sfu_sent_packet {
	struct {
		uint32_t in_sequence;  // low bits of the publisher's
		uint16_t resent_at_ms; // low bits; 0: not yet
		uint8_t terms;         // number of them
		uint8_t flags;         // DP_SFU_SENT_F_*
	};
	uint64_t word;
};

// One subscription, while this worker owns its transport.
struct dp_sfu_egress {
	uint32_t serial; // of the subscription, 0 = not in use
	uint32_t idx;
	struct shm_sfu_egress_state *state;
	struct dp_sfu_watcher *watcher;
	struct dp_sfu_sent *sent; // NULL: the watcher sends no NACKs
	uint32_t srtp_generation;
	uint32_t ssrc;
	uint32_t track_idx;
	uint8_t payload_type;     // of the track's codec, 0xff: not taken
	uint8_t rtx_payload_type; // 0xff: none
	uint8_t kind;             // enum shm_sfu_kind
	uint8_t codec;            // enum shm_sfu_codec; of the two above
	// SRTP indices are those of the mapping less this; a new key begins with ROC 0.
	uint64_t index_base;
	// Which indices were given out: a bit each, so that none is twice. This is the word of the highest.
	uint64_t first_index;
	uint64_t top_index;
	uint64_t used;
	struct dp_sfu_gate gate;
	uint64_t last_tx_ns;
	// The newest group of what was sent; it goes to `sent` when the next one begins: a line at a time, since those of a
	// thousand watchers are far away, each on a page of its own.
	uint64_t recent_group; // index / DP_SFU_RECENT
	union dp_sfu_sent_packet recent[DP_SFU_RECENT];
	uint32_t sent_version; // of the mapping that the terms in force were made from
	uint16_t cut;          // that the dependency descriptor told last
	uint8_t sent_number;   // of the terms in force, see retransmit.h
	// What is touched per packet ends with its first fields: the steps are seldom used.
	struct dp_sfu_rewrite rewrite;
	// Cold.
	uint64_t used_before[DP_SFU_USED_WORDS]; // words below the highest, by number
	uint64_t rtx_index;                      // next one, without base
	uint64_t reported_pkts;                  // when the last report was sent
	uint32_t rtx_ssrc;
	uint32_t active_at; // place in dp_sfu_transmission.active
	uint32_t clock_hz;
} __attribute__((aligned(64)));

// One transport toward which this worker sends.
struct dp_sfu_watcher {
	uint32_t serial; // of the transport, 0 = not in use
	uint32_t transport_idx;
	struct dp_sfu_transport *transport; // NULL: not ours, or without keys
	uint64_t checked_ns;
	union dp_sfu_map map;
	struct dp_sfu_history *history; // NULL without TWCC
	struct dp_sfu_pacer *pacer;     // NULL until something was paced
	uint64_t pace_bps;
	uint64_t twcc_sequence; // next
	uint64_t tx_pkts;       // since the state was told
	uint64_t tx_bytes;
	// The frame in front of the UDP payload, with lengths and checksums 0, and what they come to without them.
	uint8_t frame[DP_SFU_FRAME_MAX];
	uint32_t ip_sum;
	uint32_t udp_sum;
	uint16_t frame_bytes; // 0: dp_sfu_send() finds the way
	uint16_t mtu_bytes;
	uint8_t port_idx;
	uint8_t l2_bytes;
	uint8_t is_v4;
	uint8_t tag_bytes;
	uint64_t told_sequence; // those of `recent` from here on are not in the history yet
	struct dp_sfu_sending recent[DP_SFU_RECENT];
	// Cold.
	uint8_t old_path[32]; // of the transport's state that `frame` was made from
	uint8_t is_adopted;
	uint32_t probe_id;     // cluster that was begun last
	uint32_t probe_egress; // subscription whose RTX stream carries padding, 0 = none
	struct shm_sfu_transport_state *state;
	uint32_t next_due; // chain of a wheel's slot
} __attribute__((aligned(64)));

#define DP_SFU_EGRESS_HOT_BYTES  256
#define DP_SFU_WATCHER_HOT_BYTES 256
static_assert(offsetof(struct dp_sfu_egress, rewrite.step) <= DP_SFU_EGRESS_HOT_BYTES,
	      "fetched ahead");
static_assert(offsetof(struct dp_sfu_watcher, old_path) <= DP_SFU_WATCHER_HOT_BYTES,
	      "fetched ahead");

// Packets of one profile on their way through encryption.
struct dp_sfu_batch {
	uint32_t n;
	struct dp_srtp_protect op[DP_SFU_BATCH];
	struct rte_mbuf *mbuf[DP_SFU_BATCH];
	struct rte_mbuf *plain[DP_SFU_BATCH]; // to be given back behind it; NULL: the caller's
	struct dp_sfu_watcher *watcher[DP_SFU_BATCH];
};

struct dp_sfu_ask {
	uint32_t track_idx;
	uint32_t layer;
};

#define DP_SFU_ASKS_MAX 32

// A publisher's clock, by its sender reports.
struct dp_sfu_clock {
	int64_t ahead_ns; // of ours over its
	uint64_t sr_at_ns;
	uint32_t serial; // of its transport
};

struct dp_sfu_transmission {
	struct dp_worker *worker;
	const struct shm_sfu_view *table;
	const struct shm_sfu_state_view *state;
	struct dp_sfu_egress *egress;   // by subscription
	struct dp_sfu_watcher *watcher; // by transport
	struct dp_block_pool *sent_blocks;
	struct dp_block_pool *history_blocks;
	struct dp_sfu_cache *cache;            // of sent packets, for NACKs
	struct dp_sfu_wheel *wheel;            // of pacers
	struct dp_sfu_dependency **dependency; // by track and layer, as ingress records
	struct dp_sfu_clock *clock;            // by transport, of publishers
	uint32_t *active;                      // subscriptions in use
	uint32_t n_active;
	uint32_t next_active; // whose turn it is in the slow round
	uint64_t slow_ns;     // when that round went on last
	uint32_t n_stash;
	struct rte_mbuf *stash[DP_SFU_STASH];
	struct dp_sfu_batch *batch[DP_SRTP_PROFILE_COUNT];
	struct dp_sfu_numbers numbers[DP_SFU_GROUP];
	struct dp_sfu_header header[DP_SFU_GROUP];
	struct dp_sfu_header own_header;        // of one watcher alone
	struct dp_sfu_ask ask[DP_SFU_ASKS_MAX]; // key frames to ask for behind the batches
	uint32_t n_asks;
	struct dp_sfu_index_check *check; // NULL but in tests
};

// ---- sfu/egress.c

// The egress of a subscription, brought up to what the table says; NULL when nothing is published there. The caller has
// nothing in a batch for it.
struct dp_sfu_egress *dp_sfu_egress_get(struct dp_sfu_transmission *x, uint32_t subscription_idx);
void dp_sfu_egress_close(struct dp_sfu_transmission *x, struct dp_sfu_egress *e);
// Payload types for a codec.
void dp_sfu_egress_set_codec(struct dp_sfu_transmission *x, struct dp_sfu_egress *e, uint8_t codec);
// Asks for a key frame once the batches are flushed.
void dp_sfu_egress_ask(struct dp_sfu_transmission *x, uint32_t track_idx, uint32_t layer);
// False when the index was given out before, or is too old to tell.
bool dp_sfu_egress_take_index(struct dp_sfu_egress *e, uint64_t index);
// What is rewritten of a packet.
void dp_sfu_numbers_read(const uint8_t *packet, const struct dp_sfu_media *m,
			 struct dp_sfu_numbers *out);

// ---- sfu/transmit.c

// Asks for the key frames that were noted. Batches must be empty.
void dp_sfu_transmit_ask(struct dp_sfu_transmission *x);

// ---- sfu/report.c

// The turn of one subscription, about once a second: its sender report.
void dp_sfu_report_visit(struct dp_sfu_transmission *x, struct dp_sfu_egress *e);

// ---- sfu/watcher.c

#define DP_SFU_WATCHER_CHECK_NS 4000000ull

static inline bool dp_sfu_watcher_is_due(const struct dp_sfu_watcher *wt, uint64_t now_ns)
{
	return now_ns - wt->checked_ns >= DP_SFU_WATCHER_CHECK_NS || wt->transport == NULL;
}

// Keys, address, rate and extensions as they are now. Batches must be empty: it may end keys that they use.
void dp_sfu_watcher_check(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt);
// Whether that check, if it came now, would end nothing that a batch uses.
bool dp_sfu_watcher_is_same(const struct dp_sfu_transmission *x, const struct dp_sfu_watcher *wt);
// Asks for the lines that the check reads.
void dp_sfu_watcher_prefetch_check(const struct dp_sfu_transmission *x,
				   const struct dp_sfu_watcher *wt);
void dp_sfu_watcher_close(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt);

// Puts what was sent lately into the history: a line at a time, which is far away.
static inline void dp_sfu_watcher_tell_history(struct dp_sfu_watcher *wt)
{
	for (; wt->told_sequence != wt->twcc_sequence; wt->told_sequence++) {
		if (likely(wt->history != NULL))
			*dp_sfu_history_slot(wt->history, wt->told_sequence) =
				wt->recent[wt->told_sequence % DP_SFU_RECENT];
	}
}

static inline bool dp_sfu_watcher_is_ready(const struct dp_sfu_watcher *wt)
{
	return wt->transport != NULL && wt->transport->tx != NULL;
}

// ---- sfu/emit.c

// Puts a packet into its batch: header, numbers, index; encrypted and sent when the batch is full or flushed. `h` is the
// header for this watcher's map, NULL: to be built. The plaintext must live until then; an owned one is given back behind it.
void dp_sfu_emit(struct dp_sfu_transmission *x, struct dp_sfu_egress *e,
		 const struct dp_sfu_job *job, const struct dp_sfu_header *h);
void dp_sfu_emit_flush(struct dp_sfu_transmission *x);

#endif
