// The estimate of one subscriber's path, from all that speaks about it. Pure, one thread per
// estimator.
#include "controlplane/sfu/bwe/estimator.h"

#include <string.h>

#define RTT_NS               100000000ULL  // until a report tells
#define FEEDBACK_FRESH_NS    2000000000ULL // transport-wide feedback older than this is not in use
#define REMB_FRESH_NS        5000000000ULL // Chromium sends one a second
#define STALE_NS             2000000000ULL // so long the estimate is held without any report,
#define DECAY_NS             1000000000ULL // then every second
#define DECAY                0.8           // it falls to this
#define APPLICATION_FRACTION 0.7
#define DELAY_REASON_NS      5000000000ULL // so long after a decrease "delay" is what bounds

void bwe_estimator_init(struct bwe_estimator *e, uint64_t start_bps, uint64_t min_bps,
			uint64_t max_bps)
{
	memset(e, 0, sizeof(*e));
	e->start_bps = start_bps ? start_bps : BWE_START_BPS;
	e->min_bps = min_bps ? min_bps : BWE_MIN_BPS;
	e->max_bps = max_bps ? max_bps : BWE_MAX_BPS;
	e->target_bps = e->start_bps;
	e->rtt_ns = RTT_NS;
	e->stale_bps = UINT64_MAX;
	bwe_trendline_init(&e->trendline);
	bwe_rate_control_init(&e->rate, e->start_bps, e->min_bps, e->max_bps);
	bwe_loss_bound_init(&e->loss, e->min_bps);
}

static bool is_fresh(uint64_t at_ns, uint64_t now_ns, uint64_t within_ns)
{
	return at_ns != 0 && now_ns - at_ns < within_ns;
}

static enum bwe_reason reason_of(const struct bwe_estimator *e, uint64_t now_ns)
{
	if (e->stale_bps <= e->target_bps)
		return BWE_REASON_STALE_FEEDBACK;
	if (!e->has_feedback && is_fresh(e->remb_ns, now_ns, REMB_FRESH_NS) &&
	    e->target_bps == e->remb_bps)
		return BWE_REASON_REMB;
	if (e->loss.bound_bps <= e->target_bps)
		return BWE_REASON_LOSS;
	if (e->target_bps >= e->max_bps)
		return BWE_REASON_MAXIMUM;
	if (!e->has_feedback || e->acked_bps == 0)
		return BWE_REASON_STARTUP;
	if (e->usage == BWE_USAGE_OVER || is_fresh(e->rate.decreased_ns, now_ns, DELAY_REASON_NS))
		return BWE_REASON_DELAY;
	if (e->is_application_limited || e->rate.was_bounded)
		return BWE_REASON_APPLICATION;
	return BWE_REASON_RISING;
}

static void conclude(struct bwe_estimator *e, uint64_t now_ns)
{
	uint64_t target_bps = e->rate.rate_bps;

	e->has_feedback = is_fresh(e->feedback_ns, now_ns, FEEDBACK_FRESH_NS);
	if (!e->has_feedback) {
		e->usage = BWE_USAGE_NORMAL;
		if (is_fresh(e->remb_ns, now_ns, REMB_FRESH_NS))
			target_bps = e->remb_bps;
		else if (e->feedback_ns == 0 && e->loss.bound_bps != UINT64_MAX)
			target_bps = e->loss.bound_bps;
	}
	if (target_bps > e->loss.bound_bps)
		target_bps = e->loss.bound_bps;
	if (target_bps > e->stale_bps)
		target_bps = e->stale_bps;
	if (target_bps > e->max_bps)
		target_bps = e->max_bps;
	if (target_bps < e->min_bps)
		target_bps = e->min_bps;
	e->target_bps = target_bps;
	e->is_application_limited =
		e->sent_bps > 0 &&
		(double)e->sent_bps < APPLICATION_FRACTION * (double)e->target_bps;
	e->reason = reason_of(e, now_ns);
}

// Any report ends a time without; the estimate goes on from where it fell to.
static void heard(struct bwe_estimator *e, uint64_t now_ns)
{
	e->report_ns = now_ns;
	if (e->stale_bps == UINT64_MAX)
		return;
	if (e->rate.rate_bps > e->stale_bps)
		bwe_rate_control_set(&e->rate, e->stale_bps, now_ns);
	e->stale_bps = UINT64_MAX;
}

static int64_t unwrap_arrival(struct bwe_estimator *e, uint32_t ticks)
{
	int32_t delta;

	if (!e->has_arrival) {
		e->has_arrival = true;
		e->arrival_ticks = ticks;
		// Far from 0, so that what arrived earlier is still a time.
		e->arrival_base_ns = 1ULL << 60;
	}
	delta = (int32_t)(ticks - e->arrival_ticks);
	e->arrival_ticks = ticks;
	e->arrival_base_ns += (uint64_t)((int64_t)delta * BWE_TICK_NS);
	return (int64_t)e->arrival_base_ns;
}

void bwe_estimator_feedback(struct bwe_estimator *e, const struct bwe_packet *packets, uint32_t n,
			    uint64_t now_ns)
{
	enum bwe_usage worst = BWE_USAGE_COUNT;
	uint32_t n_received = 0;
	uint32_t n_lost = 0;

	if (n == 0)
		return;
	heard(e, now_ns);
	e->feedback_ns = now_ns;
	for (uint32_t i = 0; i < n; i++) {
		const struct bwe_packet *p = &packets[i];
		int64_t arrival_ns;

		bwe_throughput_add(&e->sent, (int64_t)p->send_ns, p->size_bytes);
		if (p->flags & BWE_PACKET_F_LOST) {
			n_lost++;
			continue;
		}
		n_received++;
		arrival_ns = unwrap_arrival(e, p->arrival_ticks);
		bwe_throughput_add(&e->acked, arrival_ns, p->size_bytes);
		bwe_trendline_packet(&e->trendline, (int64_t)p->send_ns, arrival_ns);
		if (e->trendline.usage == BWE_USAGE_OVER)
			worst = BWE_USAGE_OVER;
	}
	e->usage = worst == BWE_USAGE_OVER ? worst : e->trendline.usage;
	e->acked_bps = bwe_throughput_bps(&e->acked);
	e->sent_bps = bwe_throughput_bps(&e->sent);
	bwe_loss_bound_feedback(&e->loss, n_received, n_lost, e->target_bps, e->rtt_ns, now_ns);
	if (n_received)
		bwe_rate_control_update(&e->rate, e->usage, e->acked_bps, e->rtt_ns, now_ns);
	conclude(e, now_ns);
}

void bwe_estimator_receiver_report(struct bwe_estimator *e, uint8_t fraction_lost, uint64_t rtt_ns,
				   uint64_t now_ns)
{
	if (rtt_ns)
		e->rtt_ns = rtt_ns;
	heard(e, now_ns);
	if (!is_fresh(e->feedback_ns, now_ns, FEEDBACK_FRESH_NS)) {
		// With nothing else to go by, loss alone makes it grow and shrink.
		if (e->loss.bound_bps == UINT64_MAX && !is_fresh(e->remb_ns, now_ns, REMB_FRESH_NS))
			e->loss.bound_bps = e->target_bps;
		bwe_loss_bound_fraction(&e->loss, (float)fraction_lost / 256, e->target_bps,
					e->rtt_ns, now_ns);
	}
	conclude(e, now_ns);
}

void bwe_estimator_remb(struct bwe_estimator *e, uint64_t bits_per_sec, uint64_t now_ns)
{
	heard(e, now_ns);
	e->remb_ns = now_ns;
	e->remb_bps = bits_per_sec;
	conclude(e, now_ns);
}

void bwe_estimator_probed(struct bwe_estimator *e, uint64_t bits_per_sec, bool is_saturated,
			  uint64_t now_ns)
{
	if (bits_per_sec > e->rate.rate_bps || is_saturated)
		bwe_rate_control_set(&e->rate, bits_per_sec, now_ns);
	if (bits_per_sec > e->target_bps) {
		// The path proved to carry it, so what was learnt of it before is out of date.
		if (e->loss.bound_bps < bits_per_sec)
			e->loss.bound_bps = bits_per_sec;
		if (e->rate.capacity_kbps * 1000 < (double)bits_per_sec)
			e->rate.capacity_kbps = 0;
		e->rate.decreased_ns = 0;
	}
	conclude(e, now_ns);
}

void bwe_estimator_tick(struct bwe_estimator *e, bool is_sending, uint64_t now_ns)
{
	if (e->report_ns == 0 || (!is_sending && e->stale_bps == UINT64_MAX)) {
		// Nothing is sent, so nothing can be reported.
		e->report_ns = now_ns;
	} else if (is_sending && now_ns - e->report_ns > STALE_NS &&
		   now_ns - e->decayed_ns >= DECAY_NS) {
		e->decayed_ns = now_ns;
		e->stale_bps = (uint64_t)(DECAY * (double)e->target_bps);
		if (e->stale_bps < e->min_bps)
			e->stale_bps = e->min_bps;
	}
	conclude(e, now_ns);
}

const char *bwe_reason_name(enum bwe_reason reason)
{
	static const char *const names[BWE_REASON_COUNT] = {
		[BWE_REASON_STARTUP] = "startup",
		[BWE_REASON_RISING] = "rising",
		[BWE_REASON_DELAY] = "delay",
		[BWE_REASON_LOSS] = "loss",
		[BWE_REASON_REMB] = "remb",
		[BWE_REASON_APPLICATION] = "application limited",
		[BWE_REASON_STALE_FEEDBACK] = "stale feedback",
		[BWE_REASON_MAXIMUM] = "maximum",
	};

	return reason < BWE_REASON_COUNT ? names[reason] : "unknown";
}

const char *bwe_usage_name(enum bwe_usage usage)
{
	static const char *const names[BWE_USAGE_COUNT] = {
		[BWE_USAGE_NORMAL] = "normal",
		[BWE_USAGE_OVER] = "over",
		[BWE_USAGE_UNDER] = "under",
	};

	return usage < BWE_USAGE_COUNT ? names[usage] : "unknown";
}
