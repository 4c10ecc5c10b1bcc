// Fan-out: each packet of a track to each of its subscriptions on this worker. Packets of one track go together, watcher by
// watcher, so that what belongs to a watcher is fetched once per burst, and ahead of its turn. Worker thread; writes the egress records.
#include <rte_prefetch.h>
#include <stdlib.h>

#include "dataplane/sfu/pacer.h"
#include "dataplane/sfu/retransmit.h"
#include "dataplane/sfu/transmission.h"
#include "dataplane/sfu/twcc.h"

#define NS_PER_MS 1000000ull

// What the packets of a group have in common.
struct group {
	struct dp_sfu_transmission *x;
	const struct shm_sfu_track *track;
	struct rte_mbuf **plain;
	const uint32_t *list; // of subscriptions
	uint32_t n_list;
	uint32_t n;
	uint32_t at; // of the first in the burst: place of their numbers and headers
	uint32_t track_idx;
	uint32_t serial;
	uint32_t now_ms;
	uint8_t n_layers;
};

// Where both encodings' sender reports put the first packet of the new one on the old one's line of time.
static bool map_by_reports(const struct group *g, const struct dp_sfu_egress *e,
			   const struct dp_sfu_media *m, uint8_t old_layer, uint32_t *out)
{
	const struct shm_sfu_ingress_state *from;
	const struct shm_sfu_ingress_state *to;
	int64_t ntp;
	int64_t ticks;

	if (old_layer >= SHM_SFU_LAYERS_MAX || m->layer >= SHM_SFU_LAYERS_MAX)
		return false;
	from = &g->x->state->ingress[shm_sfu_ingress_idx(g->track_idx, old_layer)];
	to = &g->x->state->ingress[shm_sfu_ingress_idx(g->track_idx, m->layer)];
	if (from->serial != g->serial || to->serial != g->serial || from->sr_ntp == 0 ||
	    to->sr_ntp == 0)
		return false;
	// 32.32 seconds; reports are some seconds apart, a clock that stepped is no reason to overflow.
	ntp = (int64_t)(to->sr_ntp - from->sr_ntp);
	if (ntp > (int64_t)60 << 32 || ntp < -((int64_t)60 << 32))
		return false;
	ticks = (ntp / 65536 * (int64_t)e->clock_hz) / 65536;
	*out = m->timestamp - to->sr_rtp + from->sr_rtp + (uint32_t)ticks +
	       e->rewrite.timestamp_offset;
	return true;
}

// Another stream begins for this watcher.
static void join_stream(const struct group *g, struct dp_sfu_egress *e,
			const struct dp_sfu_media *m, const struct dp_sfu_numbers *n,
			uint32_t old_serial, uint8_t old_layer)
{
	struct shm_sfu_egress_state *s = e->state;
	struct dp_sfu_rewrite *r = &e->rewrite;
	bool is_first = e->last_tx_ns == 0;
	uint32_t out_timestamp = m->timestamp;

	e->clock_hz = g->track->clock_hz;
	if (!is_first) {
		uint32_t mapped = m->timestamp + r->timestamp_offset;
		bool has_mapped = old_serial == m->track_serial;

		// The same stream anew keeps its offset; another encoding of it is put beside it.
		if (has_mapped && g->n_layers > 1 && old_layer != m->layer)
			has_mapped = map_by_reports(g, e, m, old_layer, &mapped);
		out_timestamp = dp_sfu_rewrite_join_timestamp(
			r, has_mapped, mapped, g->x->worker->now_ns - e->last_tx_ns, e->clock_hz);
		s->n_switches++;
	}
	dp_sfu_rewrite_switch(r, m->sequence, m->timestamp, out_timestamp, n, is_first);
	s->track_idx = g->track_idx;
	s->track_serial = m->track_serial;
	s->timestamp_offset = r->timestamp_offset;
	s->frame_number_offset = r->frame_number_offset;
	s->tl0_offset = r->tl0_offset;
}

// The structure of a stream, for watchers whose layers are cut later.
static void note_dependency(struct dp_sfu_transmission *x, const struct rte_mbuf *plain,
			    const struct dp_sfu_media *m)
{
	const uint8_t *descriptor = rte_pktmbuf_mtod_offset(
		plain, const uint8_t *, m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR]);
	uint32_t n_bytes = m->extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR];
	struct dp_sfu_dependency **d;

	if (!dp_sfu_dependency_has_structure(descriptor, n_bytes) || m->layer >= SHM_SFU_LAYERS_MAX)
		return;
	d = &x->dependency[shm_sfu_ingress_idx(m->track_idx, m->layer)];
	// Once per stream, not per packet.
	if (*d == NULL)
		*d = calloc(1, sizeof(**d));
	if (*d != NULL)
		dp_sfu_dependency_note(*d, m->track_serial, descriptor, n_bytes);
}

// Whether this packet tells the watcher which layers it gets: with each structure, and when that changes.
static void tell_cut(const struct group *g, struct dp_sfu_egress *e, const struct rte_mbuf *plain,
		     const struct dp_sfu_media *m, const struct dp_sfu_wish *wish,
		     struct dp_sfu_job *job)
{
	const uint8_t *descriptor = rte_pktmbuf_mtod_offset(
		plain, const uint8_t *, m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR]);
	uint32_t spatial = g->n_layers > 1 ? 0xff : wish->target & 0xff;
	uint16_t cut = (uint16_t)(spatial << 8 | (wish->target >> 8 & 0xff));
	bool has_structure = dp_sfu_dependency_has_structure(
		descriptor, m->extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR]);

	if (!(m->flags & DP_SFU_MEDIA_F_FRAME_START) ||
	    (cut == e->cut && !(has_structure && cut != DP_SFU_CUT_NONE)))
		return;
	e->cut = cut;
	job->tells_cut = 1;
	job->cut = cut;
}

// The header that all watchers with this map share.
static inline const struct dp_sfu_header *shared_header(struct dp_sfu_transmission *x,
							const struct dp_sfu_egress *e,
							const struct rte_mbuf *plain, uint32_t i)
{
	struct dp_sfu_header *h = &x->header[i];

	if (!e->state->is_acknowledged && e->watcher->map.id[SHM_SFU_EXT_MID] != 0)
		return NULL;
	if (unlikely(h->n_bytes == 0 || !dp_sfu_map_equal(&h->map, &e->watcher->map)))
		dp_sfu_header_build(h, &e->watcher->map, rte_pktmbuf_mtod(plain, const uint8_t *),
				    dp_sfu_media((struct rte_mbuf *)(uintptr_t)plain), NULL, 0,
				    NULL, 0);
	return h;
}

static void forward_one(const struct group *g, struct dp_sfu_egress *e, uint32_t i,
			struct dp_sfu_wish *wish)
{
	struct dp_sfu_transmission *x = g->x;
	struct rte_mbuf *plain = g->plain[i];
	const struct dp_sfu_media *m = dp_sfu_media(plain);
	const struct dp_sfu_numbers *n = &x->numbers[g->at + i];
	struct shm_sfu_egress_state *s = e->state;
	uint32_t old_serial = e->gate.track_serial;
	uint8_t old_layer = e->gate.layer;
	const struct dp_sfu_header *h;
	enum dp_sfu_choice choice;
	struct dp_sfu_job job;

	choice = dp_sfu_select(&e->gate, m, wish, x->worker->now_ns);
	if (unlikely(wish->ask_layer != DP_SFU_LAYER_NONE))
		dp_sfu_egress_ask(x, g->track_idx, wish->ask_layer);
	if (choice == DP_SFU_SKIP)
		dp_sfu_rewrite_skip(&e->rewrite, m->sequence, n);
	if (choice == DP_SFU_SKIP || choice == DP_SFU_IGNORE)
		return;
	if (unlikely(choice == DP_SFU_SWITCH))
		join_stream(g, e, m, n, old_serial, old_layer);
	if (!dp_sfu_rewrite_map(&e->rewrite, m->sequence, m->timestamp, n, &job.out) ||
	    !dp_sfu_egress_take_index(e, job.out.index)) {
		s->n_dropped++;
		return;
	}
	job.plain = plain;
	job.egress_idx = e->idx;
	job.egress_serial = e->serial;
	job.queued_at_ms = g->now_ms;
	job.kind = DP_SFU_JOB_MEDIA;
	job.is_owned = 0;
	job.probe_id = 0;
	job.padding_bytes = 0;
	job.tells_cut = 0;
	if (unlikely(n->has_frame_number))
		tell_cut(g, e, plain, m, wish, &job);
	// The picture ends for this watcher where its highest layer does.
	job.has_marker = (m->flags & DP_SFU_MEDIA_F_MARKER) != 0 ||
			 (n->ends_layer && g->n_layers == 1 && m->spatial == (uint8_t)wish->target);
	e->last_tx_ns = x->worker->now_ns;
	s->picture_id_offset = e->rewrite.picture_id_offset;
	s->last_picture_id = e->rewrite.last_picture_id;
	s->last_frame_number = e->rewrite.last_frame_number;
	s->last_tl0 = e->rewrite.last_tl0;
	if (e->sent != NULL)
		dp_sfu_sent_put(e, g->track_idx, m, job.out.index, job.has_marker);
	h = job.tells_cut ? NULL : shared_header(x, e, plain, g->at + i);
	if (e->kind == SHM_SFU_AUDIO)
		dp_sfu_emit(x, e, &job, h);
	else
		dp_sfu_pacer_push(x, e, &job, h);
}

static void forward_to(const struct group *g, struct dp_sfu_egress *e)
{
	const struct shm_sfu_subscription *sub = &g->x->table->subscription[e->idx];
	struct shm_sfu_egress_state *s = e->state;
	struct dp_sfu_wish wish = {
		.target = __atomic_load_n(&sub->target, __ATOMIC_RELAXED),
		.n_layers = g->n_layers,
	};

	if (unlikely(e->codec != g->track->codec))
		dp_sfu_egress_set_codec(g->x, e, g->track->codec);
	e->track_idx = g->track_idx;
	if (unlikely(e->payload_type == 0xff)) {
		s->reason = SHM_SFU_EGRESS_NO_CODEC;
		return;
	}
	for (uint32_t i = 0; i < g->n; i++)
		forward_one(g, e, i, &wish);
	s->reason = e->gate.reason;
	s->spatial = g->n_layers > 1 ? e->gate.layer : e->gate.spatial;
	s->temporal = e->gate.temporal;
}

// ---- the line: each watcher comes through it once per group of packets, and what is needed of it is asked for a few watchers
// ahead, step by step, because each step is found by the one before. It goes on from group to group: small rooms have nothing to
// overlap with within one. What is written is asked for to be written, because stores are done in order and one that misses
// holds up all behind it.

// Watchers ahead of the one in work.
#define EGRESS_AHEAD    24 // its subscription and its egress
#define WATCHER_AHEAD   16 // what the egress points at
#define TRANSPORT_AHEAD 10 // what the watcher points at
#define CONTEXT_AHEAD   5  // keys
#define LINE_SLOTS      32 // a power of two
static_assert(EGRESS_AHEAD < LINE_SLOTS, "a slot is used once at a time");
static_assert(DP_SFU_GROUP <= DP_BURST, "as many groups as packets");

struct place {
	const struct group *g;
	struct dp_sfu_egress *e; // NULL: nothing to be done
};

struct line {
	struct dp_sfu_transmission *x;
	const struct group *g; // from which watchers are taken
	const struct group *end;
	uint32_t at; // in its list
	uint32_t n;  // watchers that were taken
	struct place place[LINE_SLOTS];
};

static void prefetch_egress(const struct dp_sfu_egress *e)
{
	const uint8_t *p = (const uint8_t *)e;

	for (uint32_t at = 0; at < DP_SFU_EGRESS_HOT_BYTES; at += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(p + at, 1);
}

static void prefetch_watcher(const struct dp_sfu_egress *e, uint32_t n)
{
	const uint8_t *p = (const uint8_t *)e->watcher;

	for (uint32_t at = 0; at < DP_SFU_WATCHER_HOT_BYTES; at += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(p + at, 1);
	__builtin_prefetch(e->state, 1);
	__builtin_prefetch((const uint8_t *)e->state + RTE_CACHE_LINE_SIZE, 1);
	if (e->sent != NULL && (e->rewrite.next_index + n - 1) / DP_SFU_RECENT != e->recent_group)
		__builtin_prefetch(dp_sfu_sent_group(e, e->recent_group), 1);
}

// The next subscription of the lists, and its first lines.
static bool line_take(struct line *l)
{
	struct dp_sfu_transmission *x = l->x;

	for (; l->g != l->end; l->g++, l->at = 0) {
		while (l->at < l->g->n_list) {
			uint32_t idx = l->g->list[l->at++];

			if (unlikely(idx == 0 || idx >= x->table->n_subscriptions))
				continue;
			rte_prefetch0(&x->table->subscription[idx]);
			prefetch_egress(&x->egress[idx]);
			l->place[l->n++ % LINE_SLOTS] = (struct place){ l->g, &x->egress[idx] };
			return true;
		}
	}
	return false;
}

static void line_egress(struct line *l, struct place *p)
{
	struct dp_sfu_transmission *x = l->x;
	uint32_t idx = (uint32_t)(p->e - x->egress);

	if (unlikely(p->e->serial != x->table->subscription[idx].serial || p->e->serial == 0)) {
		dp_sfu_emit_flush(x);
		p->e = dp_sfu_egress_get(x, idx);
		if (p->e == NULL)
			return;
	}
	prefetch_watcher(p->e, p->g->n);
}

static void line_watcher(const struct line *l, const struct place *p)
{
	const struct dp_sfu_watcher *wt;

	// It may have ended with another group's look at it.
	if (unlikely(p->e == NULL || p->e->serial == 0))
		return;
	wt = p->e->watcher;
	__builtin_prefetch(wt->transport, 1);
	if (wt->history != NULL &&
	    (wt->twcc_sequence + p->g->n - 1) / DP_SFU_RECENT != wt->told_sequence / DP_SFU_RECENT)
		__builtin_prefetch(dp_sfu_history_slot(wt->history, wt->told_sequence), 1);
	if (unlikely(dp_sfu_watcher_is_due(wt, l->x->worker->now_ns)))
		dp_sfu_watcher_prefetch_check(l->x, wt);
}

static void line_transport(struct line *l, const struct place *p)
{
	struct dp_sfu_watcher *wt;

	if (unlikely(p->e == NULL || p->e->serial == 0))
		return;
	wt = p->e->watcher;
	if (unlikely(dp_sfu_watcher_is_due(wt, l->x->worker->now_ns))) {
		if (!dp_sfu_watcher_is_same(l->x, wt))
			dp_sfu_emit_flush(l->x);
		dp_sfu_watcher_check(l->x, wt);
	}
	if (wt->transport != NULL)
		rte_prefetch0(wt->transport->tx);
}

static void line_finish(const struct place *p)
{
	struct dp_sfu_egress *e = p->e;

	if (unlikely(e == NULL || e->serial == 0))
		return;
	if (likely(dp_sfu_watcher_is_ready(e->watcher))) {
		dp_srtp_prefetch(e->watcher->transport->tx,
				 dp_sfu_media(p->g->plain[0])->payload_bytes);
		forward_to(p->g, e);
	} else {
		e->gate.is_waiting = 1;
		e->state->reason = SHM_SFU_EGRESS_NO_KEYS;
	}
}

static void forward_groups(struct dp_sfu_transmission *x, const struct group *groups, uint32_t n)
{
	struct line l = { .x = x, .g = groups, .end = groups + n };
	uint32_t at = 0; // steps: each is EGRESS_AHEAD before its watcher's turn
	bool has_more = true;

	for (;; at++) {
		if (has_more)
			has_more = line_take(&l);
		else if (at >= l.n + EGRESS_AHEAD)
			return;
#define STEP(ahead) (at - (EGRESS_AHEAD - (ahead)))
		if (STEP(WATCHER_AHEAD) < l.n)
			line_egress(&l, &l.place[STEP(WATCHER_AHEAD) % LINE_SLOTS]);
		if (STEP(TRANSPORT_AHEAD) < l.n)
			line_watcher(&l, &l.place[STEP(TRANSPORT_AHEAD) % LINE_SLOTS]);
		if (STEP(CONTEXT_AHEAD) < l.n)
			line_transport(&l, &l.place[STEP(CONTEXT_AHEAD) % LINE_SLOTS]);
		if (STEP(0) < l.n)
			line_finish(&l.place[STEP(0) % LINE_SLOTS]);
#undef STEP
	}
}

// What all watchers of a group of packets need to know; false when there are none. `at`: of its first packet in the burst.
static bool group_open(struct dp_sfu_transmission *x, struct rte_mbuf **plain, uint32_t n,
		       uint32_t at, struct group *g)
{
	const struct dp_sfu_media *first = dp_sfu_media(plain[0]);

	*g = (struct group){
		.x = x,
		.track = shm_sfu_track_get(x->table, first->track_idx),
		.plain = plain,
		.n = n,
		.at = at,
		.track_idx = first->track_idx,
		.serial = first->track_serial,
		.now_ms = (uint32_t)(x->worker->now_ns / NS_PER_MS),
	};
	if (g->track == NULL || __atomic_load_n(&g->track->serial, __ATOMIC_RELAXED) != g->serial ||
	    __atomic_load_n(&g->track->is_muted, __ATOMIC_RELAXED))
		return false;
	g->n_list = shm_sfu_list(x->table, g->track, x->worker->worker_idx, &g->list);
	if (g->n_list == 0)
		return false;
	rte_prefetch0(g->list);
	g->n_layers = RTE_MIN(g->track->n_layers, (uint8_t)SHM_SFU_LAYERS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		dp_sfu_numbers_read(rte_pktmbuf_mtod(plain[i], const uint8_t *),
				    dp_sfu_media(plain[i]), &x->numbers[at + i]);
		x->header[at + i].n_bytes = 0;
		if (x->numbers[at + i].has_frame_number)
			note_dependency(x, plain[i], dp_sfu_media(plain[i]));
		if (first->kind == SHM_SFU_VIDEO)
			dp_sfu_cache_add(x->cache, plain[i]);
	}
	return true;
}

// Up to DP_SFU_GROUP packets.
static void forward_some(struct dp_sfu_transmission *x, struct rte_mbuf **plain, uint32_t n)
{
	struct group groups[DP_SFU_GROUP];
	uint32_t n_groups = 0;

	for (uint32_t i = 0; i < n;) {
		const struct dp_sfu_media *m = dp_sfu_media(plain[i]);
		uint32_t end = i + 1;

		while (end < n && dp_sfu_media(plain[end])->track_idx == m->track_idx &&
		       dp_sfu_media(plain[end])->track_serial == m->track_serial)
			end++;
		n_groups += group_open(x, plain + i, end - i, i, &groups[n_groups]);
		i = end;
	}
	if (n_groups > 0)
		forward_groups(x, groups, n_groups);
}

void dp_sfu_forward_burst(struct dp_worker *w, struct rte_mbuf **plain, uint32_t n)
{
	struct dp_sfu_transmission *x = w->sfu_tx;

	for (uint32_t at = 0; at < n; at += DP_SFU_GROUP)
		forward_some(x, plain + at, RTE_MIN(n - at, (uint32_t)DP_SFU_GROUP));
	// Rooms share batches; the plaintext is the caller's, so none stays in them.
	dp_sfu_emit_flush(x);
	dp_sfu_transmit_ask(x);
}
