// Loss-based bound (draft-ietf-rmcat-gcc-02 §6). Pure, any thread.
#include "controlplane/sfu/bwe/loss_bound.h"

#include <string.h>

#define LOSS_HIGH    0.10f
#define LOSS_LOW     0.02f
#define GROWTH_PER_S 0.08
#define GROWTH_BPS   1000.0
// A window is a second, or less when it holds so many packets that chance does not look like
// congestion.
#define WINDOW_NS        1000000000ULL
#define WINDOW_NS_MIN    300000000ULL
#define WINDOW_PKTS      150
#define WINDOW_PKTS_MIN  20
#define DECREASE_WAIT_NS 300000000ULL // and a round trip

void bwe_loss_bound_init(struct bwe_loss_bound *b, uint64_t min_bps)
{
	memset(b, 0, sizeof(*b));
	b->bound_bps = UINT64_MAX;
	b->min_bps = min_bps;
}

void bwe_loss_bound_fraction(struct bwe_loss_bound *b, float fraction, uint64_t target_bps,
			     uint64_t rtt_ns, uint64_t now_ns)
{
	uint64_t base_bps = b->bound_bps < target_bps ? b->bound_bps : target_bps;

	b->fraction = fraction;
	if (fraction > LOSS_HIGH) {
		if (b->decreased_ns && now_ns - b->decreased_ns < DECREASE_WAIT_NS + rtt_ns)
			return;
		b->bound_bps = (uint64_t)((double)base_bps * (1 - 0.5 * (double)fraction));
		if (b->bound_bps < b->min_bps)
			b->bound_bps = b->min_bps;
		b->decreased_ns = now_ns;
	} else if (fraction < LOSS_LOW && b->bound_bps != UINT64_MAX) {
		double passed_s = b->grown_ns ? (double)(now_ns - b->grown_ns) / 1e9 : 0;

		if (passed_s > 1)
			passed_s = 1;
		b->bound_bps +=
			(uint64_t)(((double)b->bound_bps * GROWTH_PER_S + GROWTH_BPS) * passed_s);
		// Far above what is sent it bounds nothing, and need not be climbed down from
		// later.
		if (b->bound_bps > 4 * target_bps + 1000000)
			b->bound_bps = UINT64_MAX;
	}
	b->grown_ns = now_ns;
}

void bwe_loss_bound_feedback(struct bwe_loss_bound *b, uint32_t n_received, uint32_t n_lost,
			     uint64_t target_bps, uint64_t rtt_ns, uint64_t now_ns)
{
	uint32_t n;
	uint64_t passed_ns;

	if (b->window_begin_ns == 0)
		b->window_begin_ns = now_ns;
	b->n_received += n_received;
	b->n_lost += n_lost;
	n = b->n_received + b->n_lost;
	passed_ns = now_ns - b->window_begin_ns;
	if (n < WINDOW_PKTS_MIN || passed_ns < WINDOW_NS_MIN ||
	    (passed_ns < WINDOW_NS && n < WINDOW_PKTS))
		return;
	bwe_loss_bound_fraction(b, (float)b->n_lost / (float)n, target_bps, rtt_ns, now_ns);
	b->window_begin_ns = now_ns;
	b->n_received = 0;
	b->n_lost = 0;
}
