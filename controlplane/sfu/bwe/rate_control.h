// Additive increase, multiplicative decrease of the delay-based estimate (draft-ietf-rmcat-gcc-02
// §5.5, as libwebrtc refined it: the measured throughput is what a decrease starts from, and what
// bounds an increase). Pure.
#ifndef TP_BWE_RATE_CONTROL_H
#define TP_BWE_RATE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/sfu/bwe/trendline.h"

enum bwe_rate_state { BWE_RATE_HOLD = 0, BWE_RATE_INCREASE, BWE_RATE_STATE_COUNT };

struct bwe_rate_control {
	uint64_t rate_bps;
	uint64_t min_bps;
	uint64_t max_bps;
	uint64_t changed_ns;   // the last increase or decrease
	uint64_t decreased_ns; // 0: never
	double capacity_kbps;  // throughput seen at overuse, smoothed; 0 = unknown
	double deviation;      // its variance, relative to it
	enum bwe_rate_state state;
	bool was_bounded; // the last increase was cut short by what is actually sent
};

void bwe_rate_control_init(struct bwe_rate_control *c, uint64_t start_bps, uint64_t min_bps,
			   uint64_t max_bps);
// `acked_bps` is what arrives, 0 while unknown.
void bwe_rate_control_update(struct bwe_rate_control *c, enum bwe_usage usage, uint64_t acked_bps,
			     uint64_t rtt_ns, uint64_t now_ns);
// From elsewhere: a probe's result, a decay.
void bwe_rate_control_set(struct bwe_rate_control *c, uint64_t rate_bps, uint64_t now_ns);

#endif
