// The receiving side of a subscriber: verifies every packet that arrives and keeps the accounts.
// What it watches for: payloads that changed, packets lost (before and after retransmission),
// doubled or out of order, latency, and above all that no (SSRC, ROC, SEQ) comes twice with other
// bytes (RFC 3711 §9.1). One thread; no I/O.
#ifndef TP_BENCH_SFU_RTP_SINK_H
#define TP_BENCH_SFU_RTP_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/blast/histogram.h"
#include "bench/sfu/description.h"
#include "dataplane/contract/wire/rtcp.h"
#include "dataplane/contract/wire/rtp.h"
#include "dataplane/srtp/replay.h"

#define RTP_SINK_STREAMS_MAX 8
#define RTP_SINK_WINDOW_PKTS 2048
#define RTP_SINK_MISSING_MAX 256
#define RTP_SINK_JUMP_PKTS   1000 // further ahead is a new beginning, not loss

enum rtp_sink_kind {
	RTP_SINK_AUDIO = 0,
	RTP_SINK_VIDEO,
	RTP_SINK_RTX,
	RTP_SINK_UNKNOWN,
	RTP_SINK_KIND_COUNT
};

struct rtp_sink_missing {
	uint64_t index;
	uint64_t next_ns; // of the next request
	uint8_t n_asked;
};

struct rtp_sink_stream {
	uint32_t ssrc;
	enum rtp_sink_kind kind;
	uint64_t highest;
	uint64_t first;             // since the last jump
	uint64_t n_expected_before; // the jump
	uint64_t n_direct;
	uint64_t n_repaired;
	uint64_t last_counter[LOAD_LAYERS_MAX]; // + 1; 0 = none
	uint8_t layer;
	bool has_key; // a key frame was seen
	// What reports say.
	uint32_t last_sr;
	uint64_t last_sr_ns;
	uint64_t reported_expected;
	uint64_t reported_received;
	double jitter;
	int64_t transit;
	bool has_transit;
	uint32_t n_missing;
	struct rtp_sink_missing missing[RTP_SINK_MISSING_MAX];
	struct {
		uint64_t index; // + 1; 0 = empty
		uint64_t tag;   // of the protected bytes; 0: came by retransmission
	} window[RTP_SINK_WINDOW_PKTS];
};

struct rtp_sink_totals {
	uint64_t n_pkts;
	uint64_t n_bytes;
	uint64_t n_padding; // probes
	uint64_t n_corrupt;
	uint64_t n_duplicates;
	uint64_t n_reused; // same index, other bytes: never
	uint64_t n_behind; // older than what is remembered, so not checked
	uint64_t n_reordered;
	uint64_t n_misordered; // sequence numbers say another order than the sender
	uint64_t n_repaired;
	uint64_t n_jumps;
	uint64_t n_layer_changes;
	uint64_t n_unknown; // payload types that we did not offer
	struct histogram latency_ns;
};

struct rtp_sink {
	uint32_t n_streams;
	struct rtp_sink_stream *streams[RTP_SINK_STREAMS_MAX];
	struct rtp_sink_totals *totals; // shared by all sinks
	bool is_counting;               // off while warming up
	uint64_t last_ns;               // when the last packet came,
	uint64_t longest_gap_ns;        // and the longest time between two, since counting began
};

void rtp_sink_init(struct rtp_sink *s, struct rtp_sink_totals *totals);
void rtp_sink_end(struct rtp_sink *s);
// The index that a sequence number means for this SSRC.
uint64_t rtp_sink_index(const struct rtp_sink *s, uint32_t ssrc, uint16_t sequence);
// A packet whose tag was verified; `tag` tells its protected bytes apart.
void rtp_sink_take(struct rtp_sink *s, const struct rtp_view *rtp, uint64_t index, uint64_t tag,
		   uint64_t now_ns);
void rtp_sink_sender_report(struct rtp_sink *s, const struct rtcp_sr *sr, uint64_t now_ns);
// Loss and gaps are counted from here on.
void rtp_sink_begin_counting(struct rtp_sink *s, uint64_t now_ns);
// The longest time without a packet, up to now.
uint64_t rtp_sink_longest_gap_ns(const struct rtp_sink *s, uint64_t now_ns);
// Packets that should have come, and that came directly, since counting began; audio and video.
void rtp_sink_loss(const struct rtp_sink *s, uint64_t *expected, uint64_t *direct,
		   uint64_t *repaired);
// Report blocks of all media streams; how many.
uint32_t rtp_sink_reports(struct rtp_sink *s, struct rtcp_report_block *out, uint32_t max,
			  uint64_t now_ns);
// Sequence numbers to ask for now, of one stream.
uint32_t rtp_sink_nacks(struct rtp_sink_stream *st, uint16_t *out, uint32_t max, uint64_t now_ns);

#endif
