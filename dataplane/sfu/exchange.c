// Between workers: received packets for the one that owns their client, decrypted packets for those that have subscriptions of
// their track, and requests for key frames. One SPSC ring per pair; a full one refuses. Worker thread.
#include <rte_ring.h>

#include "dataplane/sfu/reception.h"

// A ring carries words: a pointer to an mbuf with its kind in the low bits, or a request.
#define KIND_MASK     0x03u
#define KIND_RAW      0u // port in the bits above
#define KIND_MEDIA    1u
#define KIND_KEYFRAME 2u // layer and track above
#define KIND_STREAM   3u // KIND_RAW of a stream client
#define PORT_SHIFT    2
#define POINTER_MASK  (~(uintptr_t)(RTE_CACHE_LINE_SIZE - 1))
static_assert(SHM_PORTS_MAX << PORT_SHIFT < RTE_CACHE_LINE_SIZE, "kind and port fit");

static bool put(struct dp_worker *w, uint32_t to, uintptr_t word)
{
	struct rte_ring *r = w->shared->sfu->exchange[w->worker_idx][to];

	return r != NULL && rte_ring_sp_enqueue(r, (void *)word) == 0;
}

void dp_sfu_exchange_pass(struct dp_worker *w, struct dp_packet *p, uint32_t to)
{
	// Once is enough: what comes back was on its way while the owner changed.
	if (w->sfu_rx->is_passed) {
		dp_drop(w, p, DP_DROP_SFU_NO_CLIENT);
		return;
	}
	if (!put(w, to,
		 (uintptr_t)p->mbuf | (uintptr_t)p->port_idx << PORT_SHIFT |
			 (p->from_stream ? KIND_STREAM : KIND_RAW))) {
		dp_drop(w, p, DP_DROP_SFU_EXCHANGE_FULL);
		return;
	}
	w->count[DP_COUNTER_SFU_PASSED]++;
}

bool dp_sfu_exchange_keyframe(struct dp_worker *w, uint32_t to, uint32_t track_idx, uint32_t layer)
{
	return put(w, to,
		   (uintptr_t)track_idx << 8 | (uintptr_t)(layer & 0x3f) << PORT_SHIFT |
			   KIND_KEYFRAME);
}

// The workers, by bit, that have subscriptions of a track.
static uint32_t workers_of(const struct dp_worker *w, uint32_t track_idx)
{
	const struct shm_sfu_track *t = shm_sfu_track_get(&w->shared->sfu->table, track_idx);
	uint32_t mask = 0;

	for (uint32_t i = 0; t != NULL && i < w->shared->n_workers; i++) {
		uint64_t word = __atomic_load_n(&t->list[i], __ATOMIC_RELAXED);

		mask |= (uint32_t)(shm_sfu_list_count(word) > 0) << i;
	}
	return mask & ~(1u << w->worker_idx);
}

void dp_sfu_exchange_share(struct dp_worker *w, struct rte_mbuf **plain, uint32_t n)
{
	uint32_t track_idx = 0;
	uint32_t mask = 0;

	if (w->shared->n_workers == 1)
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct dp_sfu_media *m = dp_sfu_media(plain[i]);

		if (m->track_idx != track_idx) {
			track_idx = m->track_idx;
			mask = workers_of(w, track_idx);
		}
		for (uint32_t left = mask; left != 0; left &= left - 1) {
			uint32_t to = (uint32_t)__builtin_ctz(left);

			rte_mbuf_refcnt_update(plain[i], 1);
			if (put(w, to, (uintptr_t)plain[i] | KIND_MEDIA)) {
				w->count[DP_COUNTER_SFU_SHARED]++;
				continue;
			}
			rte_mbuf_refcnt_update(plain[i], -1);
			w->count[DP_DROP_SFU_EXCHANGE_FULL]++;
		}
	}
}

static struct rte_mbuf *mbuf_of(uintptr_t word)
{
	return (struct rte_mbuf *)(word & POINTER_MASK);
}

static void take_raw(struct dp_worker *w, const uintptr_t *word, uint32_t n, bool is_stream)
{
	struct dp_packet *in[DP_BURST];

	for (uint32_t i = 0; i < n; i++) {
		in[i] = &w->packet[i];
		in[i]->mbuf = mbuf_of(word[i]);
		in[i]->port_idx = word[i] >> PORT_SHIFT & (SHM_PORTS_MAX - 1);
		in[i]->was_fragments = 0;
		in[i]->is_inside = 0;
	}
	w->sfu_rx->is_passed = 1;
	if (is_stream)
		dp_worker_stream_stages(w, in, n);
	else
		dp_worker_stages(w, in, n);
	w->sfu_rx->is_passed = 0;
}

static uint32_t poll_ring(struct dp_worker *w, struct rte_ring *r)
{
	struct rte_mbuf *plain[DP_BURST];
	uintptr_t stream[DP_BURST];
	uintptr_t raw[DP_BURST];
	void *object[DP_BURST];
	uint32_t n_stream = 0;
	uint32_t n_plain = 0;
	uint32_t n_raw = 0;
	uint32_t n = rte_ring_sc_dequeue_burst(r, object, DP_BURST, NULL);

	for (uint32_t i = 0; i < n; i++) {
		uintptr_t word = (uintptr_t)object[i];

		switch (word & KIND_MASK) {
		case KIND_RAW:
			raw[n_raw++] = word;
			break;
		case KIND_STREAM:
			stream[n_stream++] = word;
			break;
		case KIND_MEDIA:
			plain[n_plain++] = mbuf_of(word);
			rte_prefetch0(dp_sfu_media(mbuf_of(word)));
			break;
		default:
			dp_sfu_request_keyframe(w, (uint32_t)(word >> 8),
						word >> PORT_SHIFT & 0x3f);
		}
	}
	if (n_plain > 0) {
		dp_sfu_forward_burst(w, plain, n_plain);
		rte_pktmbuf_free_bulk(plain, n_plain);
	}
	if (n_raw > 0)
		take_raw(w, raw, n_raw, false);
	if (n_stream > 0)
		take_raw(w, stream, n_stream, true);
	return n;
}

uint32_t dp_sfu_exchange_poll(struct dp_worker *w)
{
	uint32_t n = 0;

	for (uint32_t from = 0; from < w->shared->n_workers; from++) {
		struct rte_ring *r = w->shared->sfu->exchange[from][w->worker_idx];

		if (r != NULL && !rte_ring_empty(r))
			n += poll_ring(w, r);
	}
	return n;
}
