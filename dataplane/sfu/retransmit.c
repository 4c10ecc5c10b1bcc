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
	const struct dp_sfu_media *media = dp_sfu_media(m);
	struct rte_mbuf **place =
		place_of(c, media->track_idx, media->layer, (uint32_t)media->sequence);

	if (place != NULL && *place == m)
		*place = NULL;
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
	while (c->head != c->tail &&
	       dp_sfu_media(c->held[c->head & c->mask])->arrived_ns < before_ns)
		evict_oldest(c);
}

uint32_t dp_sfu_cache_count(const struct dp_sfu_cache *c)
{
	return c->tail - c->head;
}

// ---- NACK

// Enqueues one packet again; false when it is not there any more.
static bool resend(struct dp_sfu_transmission *x, struct dp_sfu_egress *e, uint16_t sequence,
		   uint32_t now_ms, uint32_t rtt_ms)
{
	struct dp_sfu_sent *s;
	struct rte_mbuf *m;

	if (e->sent == NULL || e->rtx_ssrc == 0 || e->rtx_payload_type == 0xff)
		return false;
	s = &e->sent[sequence % DP_SFU_SENT_PKTS];
	if (s->track_serial == 0 || (uint16_t)s->index != sequence)
		return false;
	m = dp_sfu_cache_find(x->cache, s->track_idx & ~DP_SFU_SENT_MARKER, s->track_serial,
			      s->small.layer, s->in_sequence);
	if (m == NULL)
		return false;
	if (s->resent_at_ms != 0 && now_ms - s->resent_at_ms < rtt_ms)
		return true; // on its way
	s->resent_at_ms = now_ms | 1;
	dp_sfu_pacer_resend(
		x, e,
		&(struct dp_sfu_job){
			.plain = m,
			.out = { .index = s->index, .timestamp = s->timestamp, .small = s->small },
			.egress_idx = e->idx,
			.egress_serial = e->serial,
			.queued_at_ms = now_ms,
			.kind = DP_SFU_JOB_RTX,
			.has_marker = s->track_idx & DP_SFU_SENT_MARKER ? 1 : 0,
		});
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
