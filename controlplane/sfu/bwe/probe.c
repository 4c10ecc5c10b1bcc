// When to probe for bandwidth, and what came of it. Pure, one thread per struct.
#include "controlplane/sfu/bwe/probe.h"

#include <string.h>

#define START_NS       60000000ULL  // how long the clusters last: at the start,
#define STEP_NS        200000000ULL // and later, long enough to see through a token bucket
#define RESULT_WAIT_NS 1000000000ULL
#define SLACK_NS       20000000ULL // between the order and the worker, and behind the end
#define RECOVER_NS     1500000000ULL
#define PAUSE_NS       2000000000ULL
#define PAUSE_NS_MAX   4000000000ULL
#define STEP_FACTOR    2.0
#define ENOUGH_FACTOR  1.1
#define SUCCESS        0.7  // of what was asked, and the next step follows
#define SATURATED      0.9  // received below this part of what was sent: the path is full
#define UTILISATION    0.95 // of a full path, what is taken as its capacity
#define PACKETS_MIN    5
#define RECEIVED_MIN   0.8 // of the packets, or the result means nothing
#define DROPPED        0.8 // the estimate fell to below this: something was taken away

void bwe_probe_init(struct bwe_probe *p)
{
	memset(p, 0, sizeof(*p));
	p->pause_ns = PAUSE_NS;
}

bool bwe_probe_is_running(const struct bwe_probe *p)
{
	return p->cluster.cause != BWE_PROBE_NONE;
}

static void schedule(struct bwe_probe *p, enum bwe_probe_cause cause, uint64_t at_ns)
{
	p->next_cause = cause;
	p->next_ns = at_ns;
}

// No further than what is wanted, and a little more, since a probe measures a little less than it
// sends.
static uint64_t step_target(const struct bwe_probe_input *in)
{
	double target = (double)in->estimate_bps * STEP_FACTOR;
	double enough = (double)in->wanted_bps * ENOUGH_FACTOR;

	return (uint64_t)(target < enough ? target : enough);
}

static void begin(struct bwe_probe *p, enum bwe_probe_cause cause, uint64_t target_bps,
		  uint64_t now_ns, struct bwe_probe_cluster *out)
{
	memset(&p->span, 0, sizeof(p->span));
	p->is_marked = false;
	p->may_go_further = false;
	p->cluster = (struct bwe_probe_cluster){
		.cause = cause,
		.id = ++p->last_id,
		.begin_ns = now_ns,
		.end_ns = now_ns + (cause == BWE_PROBE_START ? START_NS : STEP_NS),
		.target_bps = target_bps,
	};
	*out = p->cluster;
}

bool bwe_probe_next(struct bwe_probe *p, const struct bwe_probe_input *in, uint64_t now_ns,
		    struct bwe_probe_cluster *out)
{
	enum bwe_probe_cause cause;

	if ((double)in->estimate_bps < DROPPED * (double)p->last_estimate_bps &&
	    p->last_estimate_bps > 0) {
		p->pause_ns = PAUSE_NS;
		schedule(p, BWE_PROBE_RECOVER, now_ns + RECOVER_NS);
	}
	p->last_estimate_bps = in->estimate_bps;
	if (bwe_probe_is_running(p) || !in->can_probe)
		return false;
	if (p->n_started < 2) {
		double factor = p->n_started == 0 ? 3 : 6;

		// Asked at once and at six times, whatever is published: it costs 60 ms.
		p->n_started++;
		begin(p, BWE_PROBE_START, (uint64_t)((double)in->estimate_bps * factor), now_ns,
		      out);
		schedule(p, BWE_PROBE_PERIODIC, now_ns + p->pause_ns);
		return true;
	}
	if (in->wanted_bps <= in->estimate_bps || in->usage != BWE_USAGE_NORMAL)
		return false;
	if (p->may_go_further)
		cause = BWE_PROBE_FURTHER;
	else if (now_ns >= p->next_ns)
		cause = p->next_cause == BWE_PROBE_NONE ? BWE_PROBE_PERIODIC : p->next_cause;
	else
		return false;
	begin(p, cause, step_target(in), now_ns, out);
	schedule(p, BWE_PROBE_PERIODIC, now_ns + p->pause_ns);
	return true;
}

// In this order the first and the last are the first and last sent; arrivals may cross.
static void take(struct bwe_probe_span *s, const struct bwe_packet *packet, int64_t arrival)
{
	if (s->n_sent++ == 0) {
		s->first_send_ns = packet->send_ns;
		s->first_bytes = packet->size_bytes;
	}
	if (packet->flags & BWE_PACKET_F_LOST)
		return;
	if (s->n_received == 0 || arrival < s->first_arrival)
		s->first_arrival = arrival;
	if (s->n_received == 0 || arrival > s->last_arrival)
		s->last_arrival = arrival;
	s->n_received++;
	s->bytes += packet->size_bytes;
	s->last_send_ns = packet->send_ns;
	s->last_bytes = packet->size_bytes;
}

void bwe_probe_feedback(struct bwe_probe *p, const struct bwe_packet *packets, uint32_t n)
{
	if (!bwe_probe_is_running(p))
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct bwe_packet *packet = &packets[i];
		bool is_lost = packet->flags & BWE_PACKET_F_LOST;
		bool is_probe = packet->flags & BWE_PACKET_F_PROBE;

		if (packet->send_ns > p->heard_ns)
			p->heard_ns = packet->send_ns;
		if (packet->send_ns < p->cluster.begin_ns ||
		    packet->send_ns > p->cluster.end_ns + SLACK_NS)
			continue;
		if (is_probe && !p->is_marked) {
			memset(&p->span, 0, sizeof(p->span));
			p->is_marked = true;
		} else if (!is_probe && p->is_marked) {
			continue;
		}
		if (!is_lost && !p->has_ticks) {
			p->has_ticks = true;
			p->first_ticks = packet->arrival_ticks;
		}
		take(&p->span, packet, (int32_t)(packet->arrival_ticks - p->first_ticks));
	}
}

// draft-ietf-rmcat-gcc-02 leaves probing open; this is the measure libwebrtc takes: bytes between
// the first and the last packet, on both clocks.
static void measure(const struct bwe_probe_span *s, struct bwe_probe_result *out)
{
	double send_ns = (double)(s->last_send_ns - s->first_send_ns);
	double arrival_ns = (double)(s->last_arrival - s->first_arrival) * BWE_TICK_NS;
	double send_bps;
	double arrival_bps;

	out->bps = 0;
	out->is_saturated = false;
	if (s->n_received < PACKETS_MIN || (double)s->n_received < RECEIVED_MIN * (double)s->n_sent)
		return;
	// Times are of 250 us, and a path that hands all over at once does not tell its rate.
	if (send_ns < BWE_TICK_NS || s->bytes <= s->last_bytes || s->bytes <= s->first_bytes)
		return;
	if (arrival_ns < BWE_TICK_NS)
		arrival_ns = BWE_TICK_NS;
	send_bps = (double)(s->bytes - s->last_bytes) * 8e9 / send_ns;
	arrival_bps = (double)(s->bytes - s->first_bytes) * 8e9 / arrival_ns;
	if (arrival_bps > 2 * send_bps)
		return;
	out->is_saturated = arrival_bps < SATURATED * send_bps;
	out->bps = (uint64_t)(out->is_saturated        ? UTILISATION * arrival_bps
			      : arrival_bps < send_bps ? arrival_bps
						       : send_bps);
}

static void fail(struct bwe_probe *p, uint64_t now_ns)
{
	p->pause_ns = p->pause_ns * 3 / 2;
	if (p->pause_ns > PAUSE_NS_MAX)
		p->pause_ns = PAUSE_NS_MAX;
	schedule(p, BWE_PROBE_PERIODIC, now_ns + p->pause_ns);
}

bool bwe_probe_result(struct bwe_probe *p, uint64_t now_ns, struct bwe_probe_result *out)
{
	if (!bwe_probe_is_running(p))
		return false;
	if (p->heard_ns <= p->cluster.end_ns + SLACK_NS &&
	    now_ns < p->cluster.end_ns + RESULT_WAIT_NS)
		return false;
	out->cluster = p->cluster;
	measure(&p->span, out);
	p->cluster.cause = BWE_PROBE_NONE;
	p->has_ticks = false;
	if ((double)out->bps >= SUCCESS * (double)out->cluster.target_bps && !out->is_saturated) {
		p->pause_ns = PAUSE_NS;
		p->may_go_further = true;
	} else {
		fail(p, now_ns);
	}
	return true;
}

bool bwe_probe_cut(struct bwe_probe *p, enum bwe_usage usage, uint64_t now_ns)
{
	const struct bwe_probe_span *s = &p->span;

	if (!bwe_probe_is_running(p) || now_ns >= p->cluster.end_ns || !p->is_marked ||
	    s->n_sent < PACKETS_MIN)
		return false;
	if (usage != BWE_USAGE_OVER && (double)s->n_received >= RECEIVED_MIN * (double)s->n_sent)
		return false;
	p->cluster.end_ns = now_ns;
	return true;
}

const char *bwe_probe_cause_name(enum bwe_probe_cause cause)
{
	static const char *const names[BWE_PROBE_CAUSE_COUNT] = {
		[BWE_PROBE_NONE] = "none",
		[BWE_PROBE_START] = "start",
		[BWE_PROBE_RECOVER] = "recover",
		[BWE_PROBE_PERIODIC] = "periodic",
		[BWE_PROBE_FURTHER] = "one step more",
	};

	return cause < BWE_PROBE_CAUSE_COUNT ? names[cause] : "unknown";
}
