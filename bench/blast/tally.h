// What came back, flow by flow: every packet is received once, or lost, and duplicates, reordering and damage are
// told apart exactly as long as packets are displaced by fewer than 64 of their own flow. One thread.
#ifndef TP_BENCH_TALLY_H
#define TP_BENCH_TALLY_H

#include "bench/blast/frame.h"
#include "bench/blast/histogram.h"

struct tally {
	uint64_t sent;
	uint64_t sent_bytes; // whole frames
	uint64_t received;   // each sent packet at most once
	uint64_t received_bytes;
	uint64_t duplicates;
	uint64_t reordered; // behind one that was sent later (RFC 4737 §3); among the received
	uint64_t late; // displaced so far that a duplicate could not be told; among the received
	uint64_t corrupted;
	uint64_t bad_checksum;
	uint64_t misdirected;
	uint64_t not_ours;
	struct histogram latency; // in TSC cycles
};

// Counts an arrival whose frame was judged FRAME_OK.
static inline void tally_arrival(struct tally *t, struct frame_path *p, uint32_t seq)
{
	uint32_t ahead = seq - p->rx_next_seq;

	if ((int32_t)ahead >= 0) {
		p->rx_window = ahead >= 63 ? 0 : p->rx_window << (ahead + 1);
		p->rx_window |= 1;
		p->rx_next_seq = seq + 1;
		t->received++;
		return;
	}
	ahead = p->rx_next_seq - 1 - seq; // how far behind the newest
	if (ahead >= 64) {
		t->late++;
		t->received++;
	} else if (p->rx_window >> ahead & 1) {
		t->duplicates++;
	} else {
		p->rx_window |= 1ull << ahead;
		t->reordered++;
		t->received++;
	}
}

// Sent and not accounted for; damaged ones arrived, if not whole.
static inline uint64_t tally_lost(const struct tally *t)
{
	uint64_t seen = t->received + t->corrupted + t->bad_checksum + t->misdirected;

	return t->sent > seen ? t->sent - seen : 0;
}

#endif
