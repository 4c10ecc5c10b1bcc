// The cache of sent packets, and NACKs answered out of it (RFC 4585 §6.2.1, RFC 4588). A watcher without RTX gets nothing again:
// the same SRTP packet would have to be the same to the bit, and its transport-wide sequence number must not come twice.
// Worker thread; writes its own memory and the counters of the subscription's state.
#include "dataplane/sfu/retransmit.h"

#include <stdlib.h>

#include "dataplane/sfu/pacer.h"

#define NS_PER_MS 1000000ull
// A packet is not sent again while the last attempt may be under way still.
#define RTT_LEAST_MS   20
#define RTT_UNKNOWN_MS 100
// Packets ahead of the one that leaves the cache.
#define EVICT_AHEAD 4
// What leaves at once, for which packets on their way have to wait: as many as a burst brings.
#define EXPIRE_MAX DP_BURST
// What a probe repeats: of so many packets that were sent last, the largest of so many in turn.
#define REPEAT_PKTS        64
#define REPEAT_SEEN_PKTS   8
#define REPEAT_GOOD_BYTES  1000 // as large as need be
#define REPEAT_LEAST_BYTES 400  // less is hardly more than padding

struct layer_cache {
	struct rte_mbuf *packet[DP_SFU_CACHE_LAYER_PKTS];
};

struct dp_sfu_cache {
	uint32_t n_layers;
	uint32_t head; // oldest
	uint32_t tail;
	uint32_t n_max;
	uint32_t mask;
	struct rte_mbuf **held; // in order of arrival
	struct layer_cache *layer[];
};

struct dp_sfu_cache *dp_sfu_cache_create(uint32_t n_tracks, uint32_t n_mbufs)
{
	uint32_t n_layers = n_tracks * SHM_SFU_LAYERS_MAX;
	struct dp_sfu_cache *c = calloc(1, sizeof(*c) + n_layers * sizeof(c->layer[0]));
	uint32_t n_slots = 64;

	if (c == NULL)
		return NULL;
	while (n_slots < n_mbufs)
		n_slots *= 2;
	c->held = calloc(n_slots, sizeof(*c->held));
	if (c->held == NULL) {
		free(c);
		return NULL;
	}
	c->mask = n_slots - 1;
	c->n_max = n_mbufs;
	c->n_layers = n_layers;
	return c;
}

static struct rte_mbuf **place_of(const struct dp_sfu_cache *c, uint32_t track_idx, uint32_t layer,
				  uint32_t in_sequence)
{
	uint32_t idx = track_idx * SHM_SFU_LAYERS_MAX + layer;

	if (layer >= SHM_SFU_LAYERS_MAX || idx >= c->n_layers || c->layer[idx] == NULL)
		return NULL;
	return &c->layer[idx]->packet[in_sequence % DP_SFU_CACHE_LAYER_PKTS];
}

static void evict_oldest(struct dp_sfu_cache *c)
{
	struct rte_mbuf *m = c->held[c->head++ & c->mask];
	// Nobody has looked at them for as long as packets are kept. Slots behind the newest hold none, or old ones.
	const void *soon = c->held[(c->head + EVICT_AHEAD) & c->mask];
	const struct dp_sfu_media *media = dp_sfu_media(m);
	struct rte_mbuf **place =
		place_of(c, media->track_idx, media->layer, (uint32_t)media->sequence);

	if (soon != NULL) {
		__builtin_prefetch(soon, 1);
		__builtin_prefetch((const uint8_t *)soon + sizeof(struct rte_mbuf));
	}
	if (place != NULL && *place == m)
		*place = NULL;
	// The pool gives it out again soon, for a payload that is written into memory long out of the caches.
	for (uint32_t at = 0; at < rte_pktmbuf_data_len(m); at += RTE_CACHE_LINE_SIZE)
		rte_prefetch1(rte_pktmbuf_mtod_offset(m, const uint8_t *, at));
	rte_pktmbuf_free(m);
}

void dp_sfu_cache_destroy(struct dp_sfu_cache *c)
{
	if (c == NULL)
		return;
	while (c->head != c->tail)
		evict_oldest(c);
	for (uint32_t i = 0; i < c->n_layers; i++)
		free(c->layer[i]);
	free(c->held);
	free(c);
}

void dp_sfu_cache_add(struct dp_sfu_cache *c, struct rte_mbuf *m)
{
	const struct dp_sfu_media *media = dp_sfu_media(m);
	uint32_t idx = media->track_idx * SHM_SFU_LAYERS_MAX + media->layer;

	if (media->layer >= SHM_SFU_LAYERS_MAX || idx >= c->n_layers || c->n_max == 0)
		return;
	// Once per layer and process, not per packet.
	if (c->layer[idx] == NULL) {
		c->layer[idx] = calloc(1, sizeof(*c->layer[idx]));
		if (c->layer[idx] == NULL)
			return;
	}
	if (c->tail - c->head >= c->n_max)
		evict_oldest(c);
	rte_mbuf_refcnt_update(m, 1);
	c->held[c->tail++ & c->mask] = m;
	c->layer[idx]->packet[media->sequence % DP_SFU_CACHE_LAYER_PKTS] = m;
}

struct rte_mbuf *dp_sfu_cache_find(const struct dp_sfu_cache *c, uint32_t track_idx,
				   uint32_t track_serial, uint32_t layer, uint32_t in_sequence)
{
	struct rte_mbuf **place = place_of(c, track_idx, layer, in_sequence);
	const struct dp_sfu_media *media;

	if (place == NULL || *place == NULL)
		return NULL;
	media = dp_sfu_media(*place);
	return (uint32_t)media->sequence == in_sequence && media->track_serial == track_serial
		       ? *place
		       : NULL;
}

void dp_sfu_cache_expire(struct dp_sfu_cache *c, uint64_t before_ns)
{
	for (uint32_t i = 0; i < EXPIRE_MAX && c->head != c->tail; i++) {
		if (dp_sfu_media(c->held[c->head & c->mask])->arrived_ns >= before_ns)
			return;
		evict_oldest(c);
	}
}

uint32_t dp_sfu_cache_count(const struct dp_sfu_cache *c)
{
	return c->tail - c->head;
}

// ---- what was sent

void dp_sfu_sent_new_terms(struct dp_sfu_egress *e, uint32_t track_idx,
			   const struct dp_sfu_media *m)
{
	const struct dp_sfu_rewrite *r = &e->rewrite;

	e->sent_number++;
	e->sent_version = r->version;
	e->sent->terms[e->sent_number % DP_SFU_SENT_TERMS] = (struct dp_sfu_sent_terms){
		.index_offset = r->index_offset,
		.timestamp_offset = r->timestamp_offset,
		.track_idx = track_idx,
		.track_serial = m->track_serial,
		.picture_id_offset = r->picture_id_offset,
		.frame_number_offset = r->frame_number_offset,
		.tl0_offset = r->tl0_offset,
		.key_idx_offset = r->key_idx_offset,
		.layer = m->layer,
		.number = e->sent_number,
	};
}

uint32_t dp_sfu_sent_find_terms(const struct dp_sfu_egress *e, const struct dp_sfu_media *m,
				uint64_t index_offset)
{
	for (uint32_t i = 0; i < DP_SFU_SENT_TERMS; i++) {
		const struct dp_sfu_sent_terms *t = &e->sent->terms[i];

		if (t->track_serial == m->track_serial && t->layer == m->layer &&
		    t->index_offset == index_offset)
			return t->number;
	}
	return UINT32_MAX;
}

// The packet's numbers as the watcher had them.
static void rewrite_again(const struct dp_sfu_sent_terms *t, const struct rte_mbuf *plain,
			  const struct dp_sfu_media *m, struct dp_sfu_rewritten *out)
{
	struct dp_sfu_numbers n;
	bool is_changed = false;

	dp_sfu_numbers_read(rte_pktmbuf_mtod(plain, const uint8_t *), m, &n);
	*out = (struct dp_sfu_rewritten){
		.index = m->sequence + t->index_offset,
		.timestamp = m->timestamp + t->timestamp_offset,
		.small = { .picture_id = DP_SFU_PICTURE_NONE,
			   .frame_number = (uint16_t)(n.frame_number + t->frame_number_offset),
			   .tl0 = (uint8_t)(n.tl0 + t->tl0_offset),
			   .key_idx = (uint8_t)(n.key_idx + t->key_idx_offset) & 0x1f },
	};
	if (n.picture_id != DP_SFU_PICTURE_NONE) {
		out->small.picture_id =
			(uint16_t)(n.picture_id + t->picture_id_offset) & DP_SFU_PICTURE_MASK;
		is_changed = (t->picture_id_offset & n.picture_id_mask) != 0;
	}
	if (n.has_tl0)
		is_changed |= (t->tl0_offset | t->key_idx_offset) != 0;
	out->small.is_descriptor_changed = is_changed;
}

// ---- what is sent again

// Fills in the job of a packet as the watcher had it; NULL when it is not there any more.
static union dp_sfu_sent_packet *sent_find(struct dp_sfu_transmission *x, struct dp_sfu_egress *e,
					   uint16_t sequence, struct dp_sfu_job *job)
{
	const struct dp_sfu_sent_terms *t;
	union dp_sfu_sent_packet *p;

	if (e->sent == NULL || e->rtx_ssrc == 0 || e->rtx_payload_type == 0xff)
		return NULL;
	p = (uint16_t)(e->recent_group * DP_SFU_RECENT) / DP_SFU_RECENT == sequence / DP_SFU_RECENT
		    ? &e->recent[sequence % DP_SFU_RECENT]
		    : &e->sent->packet[sequence % DP_SFU_SENT_PKTS];
	t = &e->sent->terms[p->terms % DP_SFU_SENT_TERMS];
	if (!(p->flags & DP_SFU_SENT_F_SET) || t->number != p->terms ||
	    (uint16_t)(p->in_sequence + t->index_offset) != sequence)
		return NULL;
	job->plain = dp_sfu_cache_find(x->cache, t->track_idx, t->track_serial, t->layer,
				       p->in_sequence);
	if (job->plain == NULL)
		return NULL;
	rewrite_again(t, job->plain, dp_sfu_media(job->plain), &job->out);
	job->has_marker = p->flags & DP_SFU_SENT_F_MARKER ? 1 : 0;
	return p;
}

bool dp_sfu_repeat_find(struct dp_sfu_transmission *x, struct dp_sfu_egress *e, uint32_t *back,
			struct dp_sfu_job *job)
{
	uint32_t from = *back % REPEAT_PKTS;
	uint32_t n_bytes = 0;

	for (uint32_t i = 0; i < REPEAT_SEEN_PKTS && n_bytes < REPEAT_GOOD_BYTES; i++) {
		uint16_t sequence = (uint16_t)(e->rewrite.next_index - 1 - from - i);
		struct dp_sfu_job found = *job;

		if (sent_find(x, e, sequence, &found) == NULL ||
		    dp_sfu_media(found.plain)->payload_bytes <= n_bytes)
			continue;
		n_bytes = dp_sfu_media(found.plain)->payload_bytes;
		*job = found;
		*back = from + i + 1;
	}
	if (n_bytes >= REPEAT_LEAST_BYTES)
		return true;
	// Nothing so old is there: the newest again.
	*back = 0;
	return from > 0 && dp_sfu_repeat_find(x, e, back, job);
}

// ---- NACK

// Enqueues one packet again; false when it is not there any more.
static bool resend(struct dp_sfu_transmission *x, struct dp_sfu_egress *e, uint16_t sequence,
		   uint32_t now_ms, uint32_t rtt_ms)
{
	struct dp_sfu_job job = {
		.egress_idx = e->idx,
		.egress_serial = e->serial,
		.queued_at_ms = now_ms,
		.kind = DP_SFU_JOB_RTX,
	};
	union dp_sfu_sent_packet *p = sent_find(x, e, sequence, &job);

	if (p == NULL)
		return false;
	if (p->resent_at_ms != 0 && (uint16_t)(now_ms - p->resent_at_ms) < rtt_ms)
		return true; // on its way
	p->resent_at_ms = (uint16_t)now_ms | 1;
	dp_sfu_pacer_resend(x, e, &job);
	return true;
}

void dp_sfu_on_nack(struct dp_worker *w, uint32_t subscription_idx, const uint16_t *sequences,
		    uint32_t n)
{
	struct dp_sfu_transmission *x = w->sfu_tx;
	struct dp_sfu_egress *e = dp_sfu_egress_get(x, subscription_idx);
	uint32_t now_ms = (uint32_t)(w->now_ns / NS_PER_MS);
	uint32_t rtt_ms;

	if (e == NULL)
		return;
	dp_sfu_watcher_check(x, e->watcher);
	if (!dp_sfu_watcher_is_ready(e->watcher))
		return;
	rtt_ms = e->watcher->state->rtt_us != 0 ? e->watcher->state->rtt_us / 1000 : RTT_UNKNOWN_MS;
	rtt_ms = RTE_MAX(rtt_ms, (uint32_t)RTT_LEAST_MS);
	e->state->n_nacks += n;
	for (uint32_t i = 0; i < n; i++) {
		if (!resend(x, e, sequences[i], now_ms, rtt_ms))
			e->state->n_nacks_missed++;
	}
	dp_sfu_emit_flush(x);
}
