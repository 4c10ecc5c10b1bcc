// What a bad line does to packets, decided deterministically and counted, so that a generator's verdict can be compared
// number by number. One thread.
#ifndef TP_BENCH_IMPAIRMENT_H
#define TP_BENCH_IMPAIRMENT_H

#include <stdbool.h>
#include <stdint.h>

// One packet in so many, 0: never. A packet suffers one thing at most.
struct impairment_options {
	uint32_t lose_every;
	uint32_t duplicate_every;
	uint32_t corrupt_every;
	uint32_t reorder_every;
};

enum impairment_verdict {
	IMPAIRMENT_PASS = 0,
	IMPAIRMENT_LOSE,
	IMPAIRMENT_DUPLICATE,
	IMPAIRMENT_CORRUPT,
	IMPAIRMENT_HOLD, // until a later packet of its flow has passed whole
	IMPAIRMENT_VERDICT_COUNT
};

struct impairment {
	struct impairment_options options;
	uint64_t n_seen;
	uint64_t count[IMPAIRMENT_VERDICT_COUNT]; // HOLD: only those that were overtaken
};

// The verdict for the next packet. `may_hold` is false while one is held. Counts all but HOLD, which the caller counts when
// the packet was really overtaken.
enum impairment_verdict impairment_decide(struct impairment *i, bool may_hold);

// Which bit of n_bytes to flip.
uint32_t impairment_bit(const struct impairment *i, uint32_t n_bytes);

#endif
