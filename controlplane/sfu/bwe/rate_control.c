// AIMD over the delay signal (draft-ietf-rmcat-gcc-02 §5.5). Pure, any thread.
#include "controlplane/sfu/bwe/rate_control.h"

#include <string.h>

#define DECREASE             0.85
#define GROWTH_PER_S         0.08
#define GROWTH_BPS_MIN       1000.0
#define ADDITIVE_BPS_MIN     4000.0
#define PACKET_BITS          9600.0 // 1200 bytes
#define FRAMES_PER_S         30.0
#define HEADROOM             1.5 // an increase ends at this multiple of what arrives
#define HEADROOM_BPS         10000
#define RESPONSE_NS          100000000ULL // on top of the round trip
#define DECREASE_PAUSE_NS    10000000ULL
#define DECREASE_PAUSE_MAX   200000000ULL
#define CAPACITY_SMOOTHING   0.05
#define CAPACITY_SIGMAS      3.0
#define CAPACITY_VARIANCE    0.4
#define CAPACITY_VARIANCE_MX 2.5

void bwe_rate_control_init(struct bwe_rate_control *c, uint64_t start_bps, uint64_t min_bps,
			   uint64_t max_bps)
{
	memset(c, 0, sizeof(*c));
	c->rate_bps = start_bps;
	c->min_bps = min_bps;
	c->max_bps = max_bps;
	c->deviation = CAPACITY_VARIANCE;
}

static void clamp(struct bwe_rate_control *c)
{
	if (c->rate_bps < c->min_bps)
		c->rate_bps = c->min_bps;
	if (c->rate_bps > c->max_bps)
		c->rate_bps = c->max_bps;
}

void bwe_rate_control_set(struct bwe_rate_control *c, uint64_t rate_bps, uint64_t now_ns)
{
	c->rate_bps = rate_bps;
	c->changed_ns = now_ns;
	clamp(c);
}

// Square of how far (in kb/s) throughput may lie from the capacity seen, which is kept relative to
// its size.
static double capacity_spread(const struct bwe_rate_control *c)
{
	return CAPACITY_SIGMAS * CAPACITY_SIGMAS * c->deviation * c->capacity_kbps;
}

static void learn_capacity(struct bwe_rate_control *c, double acked_kbps)
{
	double error;
	double scale;

	if (c->capacity_kbps <= 0)
		c->capacity_kbps = acked_kbps;
	else
		c->capacity_kbps = (1 - CAPACITY_SMOOTHING) * c->capacity_kbps +
				   CAPACITY_SMOOTHING * acked_kbps;
	error = c->capacity_kbps - acked_kbps;
	scale = c->capacity_kbps > 1 ? c->capacity_kbps : 1;
	c->deviation = (1 - CAPACITY_SMOOTHING) * c->deviation +
		       CAPACITY_SMOOTHING * error * error / scale;
	if (c->deviation < CAPACITY_VARIANCE)
		c->deviation = CAPACITY_VARIANCE;
	if (c->deviation > CAPACITY_VARIANCE_MX)
		c->deviation = CAPACITY_VARIANCE_MX;
}

static bool is_outside(const struct bwe_rate_control *c, double acked_kbps, bool above)
{
	double off = above ? acked_kbps - c->capacity_kbps : c->capacity_kbps - acked_kbps;

	return c->capacity_kbps > 0 && off > 0 && off * off > capacity_spread(c);
}

static void decrease(struct bwe_rate_control *c, uint64_t acked_bps, uint64_t now_ns)
{
	double acked_kbps = (double)acked_bps / 1000;
	double rate = DECREASE * (acked_bps > 0 ? (double)acked_bps : (double)c->rate_bps);

	// What arrives may be an old queue that drains: then the capacity seen before says more.
	if (rate > (double)c->rate_bps && c->capacity_kbps > 0)
		rate = DECREASE * c->capacity_kbps * 1000;
	if (rate < (double)c->rate_bps)
		c->rate_bps = (uint64_t)rate;
	if (acked_bps > 0) {
		if (is_outside(c, acked_kbps, false) || is_outside(c, acked_kbps, true)) {
			c->capacity_kbps = 0;
			c->deviation = CAPACITY_VARIANCE;
		}
		learn_capacity(c, acked_kbps);
	}
	c->changed_ns = now_ns;
	c->decreased_ns = now_ns;
	c->state = BWE_RATE_HOLD;
	clamp(c);
}

// Near the capacity seen at the last overuse: about one packet per response time.
static double additive_bps(const struct bwe_rate_control *c, uint64_t rtt_ns)
{
	double frame_bits = (double)c->rate_bps / FRAMES_PER_S;
	uint64_t n_pkts = (uint64_t)(frame_bits / PACKET_BITS) + 1;
	double packet_bits = frame_bits / (double)n_pkts;
	double per_s = packet_bits * 1e9 / (double)(rtt_ns + RESPONSE_NS);

	return per_s > ADDITIVE_BPS_MIN ? per_s : ADDITIVE_BPS_MIN;
}

static void increase(struct bwe_rate_control *c, uint64_t acked_bps, uint64_t rtt_ns,
		     uint64_t now_ns)
{
	double passed_s = (double)(now_ns - c->changed_ns) / 1e9;
	double rate = (double)c->rate_bps;
	double bound = acked_bps > 0 ? (double)acked_bps * HEADROOM + HEADROOM_BPS : rate;

	if (passed_s > 1)
		passed_s = 1;
	if (is_outside(c, (double)acked_bps / 1000, true)) {
		c->capacity_kbps = 0;
		c->deviation = CAPACITY_VARIANCE;
	}
	if (c->capacity_kbps > 0) {
		rate += additive_bps(c, rtt_ns) * passed_s;
	} else {
		double step = rate * GROWTH_PER_S * passed_s;

		rate += step > GROWTH_BPS_MIN * passed_s ? step : GROWTH_BPS_MIN * passed_s;
	}
	// What is not sent proves nothing; but what a probe proved stays.
	c->was_bounded = rate > bound;
	if (c->was_bounded)
		rate = bound > (double)c->rate_bps ? bound : (double)c->rate_bps;
	c->rate_bps = (uint64_t)rate;
	c->changed_ns = now_ns;
	clamp(c);
}

static bool may_decrease(const struct bwe_rate_control *c, uint64_t acked_bps, uint64_t rtt_ns,
			 uint64_t now_ns)
{
	uint64_t pause_ns = rtt_ns;

	if (c->decreased_ns == 0)
		return true;
	if (pause_ns < DECREASE_PAUSE_NS)
		pause_ns = DECREASE_PAUSE_NS;
	if (pause_ns > DECREASE_PAUSE_MAX)
		pause_ns = DECREASE_PAUSE_MAX;
	return now_ns - c->decreased_ns >= pause_ns ||
	       (acked_bps > 0 && acked_bps < c->rate_bps / 2);
}

void bwe_rate_control_update(struct bwe_rate_control *c, enum bwe_usage usage, uint64_t acked_bps,
			     uint64_t rtt_ns, uint64_t now_ns)
{
	switch (usage) {
	case BWE_USAGE_OVER:
		if (may_decrease(c, acked_bps, rtt_ns, now_ns))
			decrease(c, acked_bps, now_ns);
		return;
	case BWE_USAGE_UNDER:
		c->state = BWE_RATE_HOLD;
		return;
	default:
		if (c->state == BWE_RATE_HOLD) {
			c->state = BWE_RATE_INCREASE;
			c->changed_ns = now_ns;
			return;
		}
		increase(c, acked_bps, rtt_ns, now_ns);
	}
}
