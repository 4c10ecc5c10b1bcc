// The pacer: a queue per transport, a wheel over all of them. Worker thread; writes its own memory, the pacing fields of the
// transport's state and n_dropped of the subscriptions.
#include "dataplane/sfu/pacer.h"

#include <stdlib.h>

#include "dataplane/sfu/retransmit.h"

#define NS_PER_MS 1000000ull
#define TICK_MASK (DP_SFU_WHEEL_SLOTS - 1)

// Older than this a packet is of no use to anybody.
#define AGE_MAX_MS 1000
// A watcher asks again for what is so late.
#define RESENT_AGE_MAX_MS 300
// What may wait: this much time at the rate, and never less than a key frame takes.
#define QUEUE_MAX_MS      800
#define QUEUE_LEAST_BYTES 524288
// Media included. Queues count packets, and the smallest hold 64.
#define PROBE_PKTS_MAX 40
#define PROBE_NS_MAX   250000000ull
// Slower clusters are made of padding: of large packets there would be too few to measure by.
#define REPEAT_LEAST_BPS 500000
#define PADDING_BYTES    255 // what one byte can count (RFC 3550 §5.1)
#define PACKET_OVERHEAD  60  // headers, tag: what the rate counts besides the payload
#define DUE_MAX          32

struct dp_sfu_pacer {
	struct dp_sfu_pace pace;
	struct dp_sfu_pace probe_pace;
	uint64_t probe_bps;
	uint64_t probe_end_ns;
	uint32_t n_probe;    // packets of the cluster that are still to go
	uint32_t probe_back; // how old what it repeats is by now
	uint32_t bytes;      // that wait, of media
	uint32_t head;
	uint32_t tail;
	uint32_t resent_head;
	uint32_t resent_tail;
	uint8_t is_in_wheel;
	uint8_t probe_id;
	uint8_t was_resent; // the last one that went
	struct dp_sfu_job media[DP_SFU_PACER_JOBS];
	struct dp_sfu_job resent[DP_SFU_PACER_RESENT];
};

static uint32_t job_bytes(const struct dp_sfu_job *job)
{
	return PACKET_OVERHEAD +
	       (job->plain != NULL ? dp_sfu_media(job->plain)->payload_bytes : job->padding_bytes);
}

static bool has_media(const struct dp_sfu_pacer *p)
{
	return p->head != p->tail || p->resent_head != p->resent_tail;
}

// ---- the wheel

static void wheel_insert(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	struct dp_sfu_wheel *wheel = x->wheel;
	struct dp_sfu_pacer *p = wt->pacer;
	uint64_t due_ns = UINT64_MAX;
	uint64_t tick;
	uint32_t slot;

	if (p->is_in_wheel)
		return;
	if (has_media(p))
		due_ns = p->pace.next_ns;
	if (p->n_probe > 0)
		due_ns = RTE_MIN(due_ns, p->probe_pace.next_ns);
	if (due_ns == UINT64_MAX)
		return;
	tick = due_ns / DP_SFU_WHEEL_TICK_NS + 1;
	tick = RTE_MAX(tick, wheel->tick);
	tick = RTE_MIN(tick, wheel->tick + DP_SFU_WHEEL_SLOTS - 1);
	slot = tick & TICK_MASK;
	wt->next_due = wheel->head[slot];
	wheel->head[slot] = wt->transport_idx;
	wheel->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
	p->is_in_wheel = 1;
}

// The next occupied slot from `tick` on; UINT64_MAX when there is none.
static uint64_t wheel_next(const struct dp_sfu_wheel *wheel)
{
	for (uint32_t i = 0; i <= DP_SFU_WHEEL_SLOTS / 64; i++) {
		uint64_t from = wheel->tick + i * 64;
		uint32_t slot = from & TICK_MASK;
		uint64_t bits;

		if (i > 0) {
			from -= slot % 64;
			slot -= slot % 64;
		}
		bits = wheel->occupied[slot / 64] >> slot % 64;
		if (bits != 0)
			return from + (uint32_t)__builtin_ctzll(bits);
	}
	return UINT64_MAX;
}

// ---- queues

static struct dp_sfu_pacer *pacer_of(struct dp_sfu_watcher *wt)
{
	// Once per transport, not per packet.
	if (wt->pacer == NULL)
		wt->pacer = calloc(1, sizeof(*wt->pacer));
	return wt->pacer;
}

static void job_forget(struct dp_sfu_transmission *x, struct dp_sfu_pacer *p,
		       struct dp_sfu_job *job)
{
	struct dp_sfu_egress *e = &x->egress[job->egress_idx];

	if (job->plain == NULL)
		return;
	p->bytes -= job_bytes(job);
	if (e->serial == job->egress_serial)
		e->state->n_dropped++;
	rte_pktmbuf_free(job->plain);
	job->plain = NULL;
}

static void drop_dead(struct dp_sfu_pacer *p)
{
	while (p->head != p->tail && p->media[p->head % DP_SFU_PACER_JOBS].plain == NULL)
		p->head++;
}

// Gives up the oldest stream's packets up to its next key frame. Half a frame helps nobody, and what refers to it neither.
static void drop_oldest(struct dp_sfu_transmission *x, struct dp_sfu_pacer *p)
{
	uint32_t egress_idx = p->media[p->head % DP_SFU_PACER_JOBS].egress_idx;
	struct dp_sfu_egress *e = &x->egress[egress_idx];
	bool found_key = false;

	for (uint32_t i = p->head; i != p->tail; i++) {
		struct dp_sfu_job *job = &p->media[i % DP_SFU_PACER_JOBS];

		if (job->plain == NULL || job->egress_idx != egress_idx)
			continue;
		if (i != p->head && dp_sfu_media(job->plain)->flags & DP_SFU_MEDIA_F_KEYFRAME) {
			found_key = true;
			break;
		}
		job_forget(x, p, job);
	}
	if (!found_key && e->serial != 0) {
		dp_sfu_gate_close(&e->gate);
		e->gate.asked_ns = x->worker->now_ns;
		dp_sfu_egress_ask(x, e->track_idx, e->gate.layer);
	}
	drop_dead(p);
}

static void make_room(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt, uint32_t now_ms)
{
	struct dp_sfu_pacer *p = wt->pacer;
	uint64_t bytes_max =
		RTE_MAX(wt->pace_bps / 8000 * QUEUE_MAX_MS, (uint64_t)QUEUE_LEAST_BYTES);

	drop_dead(p);
	while (p->head != p->tail &&
	       (p->tail - p->head >= DP_SFU_PACER_JOBS || p->bytes > bytes_max ||
		now_ms - p->media[p->head % DP_SFU_PACER_JOBS].queued_at_ms > AGE_MAX_MS))
		drop_oldest(x, p);
}

// Sends now. While a probe runs, all that is sent counts as its: padding only fills what media leaves.
static void job_send(struct dp_sfu_transmission *x, struct dp_sfu_egress *e, struct dp_sfu_job *job,
		     const struct dp_sfu_header *h)
{
	struct dp_sfu_watcher *wt = e->watcher;
	struct dp_sfu_pacer *p = wt->pacer;
	uint64_t now_ns = x->worker->now_ns;

	if (p != NULL && p->n_probe > 0) {
		job->probe_id = p->probe_id;
		p->n_probe--;
		dp_sfu_pace_spend(&p->probe_pace, now_ns, job_bytes(job), p->probe_bps);
	}
	if (p != NULL && wt->pace_bps != 0)
		dp_sfu_pace_spend(&p->pace, now_ns, job_bytes(job), wt->pace_bps);
	dp_sfu_emit(x, e, job, h);
}

void dp_sfu_pacer_push(struct dp_sfu_transmission *x, struct dp_sfu_egress *e,
		       struct dp_sfu_job *job, const struct dp_sfu_header *h)
{
	struct dp_sfu_watcher *wt = e->watcher;
	struct dp_sfu_pacer *p = wt->pacer;

	if (wt->pace_bps == 0 && (p == NULL || !has_media(p))) {
		job_send(x, e, job, h);
		return;
	}
	p = pacer_of(wt);
	if (p == NULL) {
		x->worker->count[DP_DROP_NO_MBUF]++;
		return;
	}
	if (!has_media(p) && dp_sfu_pace_is_due(&p->pace, x->worker->now_ns)) {
		job_send(x, e, job, h);
		return;
	}
	make_room(x, wt, job->queued_at_ms);
	// Room was made at the cost of what this packet refers to.
	if (e->gate.is_waiting) {
		e->state->n_dropped++;
		return;
	}
	rte_mbuf_refcnt_update(job->plain, 1);
	job->is_owned = 1;
	p->media[p->tail++ % DP_SFU_PACER_JOBS] = *job;
	p->bytes += job_bytes(job);
	wheel_insert(x, wt);
}

void dp_sfu_pacer_resend(struct dp_sfu_transmission *x, struct dp_sfu_egress *e,
			 struct dp_sfu_job *job)
{
	struct dp_sfu_watcher *wt = e->watcher;
	struct dp_sfu_pacer *p = wt->pacer;

	if (wt->pace_bps == 0 && (p == NULL || !has_media(p))) {
		job_send(x, e, job, NULL);
		return;
	}
	p = pacer_of(wt);
	if (p == NULL || p->resent_tail - p->resent_head >= DP_SFU_PACER_RESENT) {
		e->state->n_dropped++;
		return;
	}
	rte_mbuf_refcnt_update(job->plain, 1);
	job->is_owned = 1;
	p->resent[p->resent_tail++ % DP_SFU_PACER_RESENT] = *job;
	wheel_insert(x, wt);
}

// ---- probes

void dp_sfu_probe_check(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt, uint64_t word)
{
	uint32_t id = (uint32_t)(word >> 48);
	uint32_t n_pkts = (uint32_t)(word >> 32) & 0xffff;
	uint64_t kbps = (uint32_t)word;
	struct dp_sfu_pacer *p;

	if (id == wt->probe_id || id == 0)
		return;
	// Padding needs an RTX stream to go in; until there is one the cluster waits.
	if (wt->probe_egress == 0)
		return;
	p = pacer_of(wt);
	if (p == NULL)
		return;
	wt->probe_id = id;
	wt->state->probe_id = id;
	p->probe_id = id & 0xff ? (uint8_t)id : 1;
	p->n_probe = kbps > 0 ? RTE_MIN(n_pkts, (uint32_t)PROBE_PKTS_MAX) : 0;
	p->probe_bps = kbps * 1000;
	p->probe_back = 0;
	p->probe_pace.next_ns = x->worker->now_ns;
	p->probe_end_ns = x->worker->now_ns + PROBE_NS_MAX;
	wheel_insert(x, wt);
}

static void fill_send(struct dp_sfu_transmission *x, struct dp_sfu_egress *e)
{
	struct dp_sfu_pacer *p = e->watcher->pacer;
	struct dp_sfu_job job = { .egress_idx = e->idx, .kind = DP_SFU_JOB_REPEAT };

	if (p->probe_bps < REPEAT_LEAST_BPS || !dp_sfu_repeat_find(x, e, &p->probe_back, &job))
		job = (struct dp_sfu_job){ .out = { .timestamp = e->rewrite.last_timestamp },
					   .egress_idx = e->idx,
					   .kind = DP_SFU_JOB_PADDING,
					   .padding_bytes = PADDING_BYTES };
	e->watcher->state->n_probe_pkts++;
	job_send(x, e, &job, NULL);
}

// ---- sending

static void drop_old_resent(struct dp_sfu_transmission *x, struct dp_sfu_pacer *p, uint32_t now_ms)
{
	while (p->resent_head != p->resent_tail) {
		struct dp_sfu_job *job = &p->resent[p->resent_head % DP_SFU_PACER_RESENT];
		struct dp_sfu_egress *e = &x->egress[job->egress_idx];

		if (now_ms - job->queued_at_ms <= RESENT_AGE_MAX_MS)
			return;
		if (e->serial == job->egress_serial)
			e->state->n_dropped++;
		rte_pktmbuf_free(job->plain);
		p->resent_head++;
	}
}

// The next job that goes; false when there is none. Retransmissions and media take turns: on a path that lost most of a high
// layer, its retransmissions alone would hold up the key frame of the lower one.
static bool job_take(struct dp_sfu_pacer *p, struct dp_sfu_job *job)
{
	drop_dead(p);
	if (p->resent_head != p->resent_tail && (p->head == p->tail || !p->was_resent)) {
		*job = p->resent[p->resent_head++ % DP_SFU_PACER_RESENT];
		p->was_resent = 1;
		return true;
	}
	if (p->head == p->tail)
		return false;
	p->was_resent = 0;
	*job = p->media[p->head++ % DP_SFU_PACER_JOBS];
	p->bytes -= job_bytes(job);
	return true;
}

// Sends the next job that waits; false when there is none.
static bool next_send(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	struct dp_sfu_job job;

	while (job_take(wt->pacer, &job)) {
		struct dp_sfu_egress *e = &x->egress[job.egress_idx];

		if (e->serial == job.egress_serial && e->watcher == wt) {
			job_send(x, e, &job, NULL);
			return true;
		}
		rte_pktmbuf_free(job.plain);
	}
	return false;
}

// What waits goes at the probe's rate, too.
static uint32_t probe_send(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	struct dp_sfu_egress *e = &x->egress[wt->probe_egress];
	struct dp_sfu_pacer *p = wt->pacer;
	uint64_t now_ns = x->worker->now_ns;
	uint32_t n = 0;

	if (e->serial == 0 || e->watcher != wt || e->rtx_ssrc == 0 || e->rtx_payload_type == 0xff ||
	    now_ns >= p->probe_end_ns)
		p->n_probe = 0;
	for (; p->n_probe > 0 && dp_sfu_pace_is_due(&p->probe_pace, now_ns); n++) {
		if (!next_send(x, wt))
			fill_send(x, e);
	}
	return n;
}

static uint32_t drain(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	struct dp_sfu_pacer *p = wt->pacer;
	uint64_t now_ns = x->worker->now_ns;
	uint32_t n = 0;

	// Its keys are away: what waits grows old, and goes when it is too old.
	if (!dp_sfu_watcher_is_ready(wt)) {
		make_room(x, wt, (uint32_t)(now_ns / NS_PER_MS));
		p->pace.next_ns = now_ns + 10 * NS_PER_MS;
		p->n_probe = 0;
		return 0;
	}
	drop_old_resent(x, p, (uint32_t)(now_ns / NS_PER_MS));
	while ((wt->pace_bps == 0 || dp_sfu_pace_is_due(&p->pace, now_ns)) && next_send(x, wt))
		n++;
	n += probe_send(x, wt);
	wt->state->pacer_bytes = p->bytes;
	return n;
}

static uint32_t slot_run(struct dp_sfu_transmission *x, uint32_t slot)
{
	struct dp_sfu_wheel *wheel = x->wheel;
	uint32_t idx = wheel->head[slot];
	uint32_t n = 0;

	wheel->head[slot] = 0;
	wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
	while (idx != 0) {
		struct dp_sfu_watcher *due[DUE_MAX];
		uint32_t n_due = 0;
		bool is_flushed = false;

		for (; idx != 0 && n_due < DUE_MAX; idx = x->watcher[idx].next_due)
			due[n_due++] = &x->watcher[idx];
		for (uint32_t i = 0; i < n_due; i++) {
			due[i]->pacer->is_in_wheel = 0;
			if (!dp_sfu_watcher_is_due(due[i], x->worker->now_ns))
				continue;
			if (!is_flushed)
				dp_sfu_emit_flush(x);
			is_flushed = true;
			dp_sfu_watcher_check(x, due[i]);
		}
		for (uint32_t i = 0; i < n_due; i++) {
			if (due[i]->pacer == NULL) // closed by the check
				continue;
			n += drain(x, due[i]);
			wheel_insert(x, due[i]);
		}
	}
	return n;
}

uint32_t dp_sfu_pacer_poll(struct dp_sfu_transmission *x)
{
	struct dp_sfu_wheel *wheel = x->wheel;
	uint64_t now_tick = x->worker->now_ns / DP_SFU_WHEEL_TICK_NS;
	uint64_t next = wheel_next(wheel);
	uint32_t n = 0;

	while (next <= now_tick) {
		wheel->tick = next + 1; // what comes back goes behind it
		n += slot_run(x, next & TICK_MASK);
		next = wheel_next(wheel);
	}
	if (wheel->tick < now_tick)
		wheel->tick = now_tick;
	if (n > 0)
		dp_sfu_emit_flush(x);
	if (next != UINT64_MAX)
		x->worker->wake_by_ns = RTE_MIN(x->worker->wake_by_ns, next * DP_SFU_WHEEL_TICK_NS);
	return n;
}

// ---- ends

void dp_sfu_pacer_forget(struct dp_sfu_transmission *x, struct dp_sfu_egress *e)
{
	struct dp_sfu_pacer *p = e->watcher->pacer;

	if (p == NULL)
		return;
	for (uint32_t i = p->head; i != p->tail; i++) {
		struct dp_sfu_job *job = &p->media[i % DP_SFU_PACER_JOBS];

		if (job->egress_idx == e->idx)
			job_forget(x, p, job);
	}
	drop_dead(p);
}

// It may stand in the wheel's chain, where it is skipped when its turn comes: so it is taken out here.
static void wheel_remove(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	struct dp_sfu_wheel *wheel = x->wheel;

	for (uint32_t slot = 0; slot < DP_SFU_WHEEL_SLOTS; slot++) {
		uint32_t *link = &wheel->head[slot];

		while (*link != 0 && *link != wt->transport_idx)
			link = &x->watcher[*link].next_due;
		if (*link == 0)
			continue;
		*link = wt->next_due;
		if (wheel->head[slot] == 0)
			wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
		return;
	}
}

void dp_sfu_pacer_close(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	struct dp_sfu_pacer *p = wt->pacer;
	struct dp_sfu_job job;

	if (p->is_in_wheel)
		wheel_remove(x, wt);
	while (job_take(p, &job))
		rte_pktmbuf_free(job.plain);
	free(p);
	wt->pacer = NULL;
}
