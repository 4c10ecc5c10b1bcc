// Loss-based bound (draft-ietf-rmcat-gcc-02 §6): above 10 % lost it falls by half that fraction,
// below 2 % it grows by 8 % a second, between the two (what radio links lose without being full) it
// stays. Pure.
#ifndef TP_BWE_LOSS_BOUND_H
#define TP_BWE_LOSS_BOUND_H

#include <stdint.h>

struct bwe_loss_bound {
	uint64_t bound_bps; // UINT64_MAX: loss bounds nothing
	uint64_t min_bps;
	uint64_t window_begin_ns; // 0: none yet
	uint64_t decreased_ns;
	uint64_t grown_ns;
	uint32_t n_received; // of this window
	uint32_t n_lost;
	float fraction; // of the last whole window
};

void bwe_loss_bound_init(struct bwe_loss_bound *b, uint64_t min_bps);
// Counts of one feedback message. `target_bps` is what we send at now.
void bwe_loss_bound_feedback(struct bwe_loss_bound *b, uint32_t n_received, uint32_t n_lost,
			     uint64_t target_bps, uint64_t rtt_ns, uint64_t now_ns);
// A fraction that somebody else measured (a receiver report).
void bwe_loss_bound_fraction(struct bwe_loss_bound *b, float fraction, uint64_t target_bps,
			     uint64_t rtt_ns, uint64_t now_ns);

#endif
