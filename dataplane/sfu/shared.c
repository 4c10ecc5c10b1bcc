// Main thread, before and after the workers.
#include "dataplane/sfu/shared.h"

#include <errno.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_ring.h>

#include "dataplane/sfu/sfu.h"

#define MEDIA_MBUFS    16383 // at 2.5 Mb/s each of 60 publishers has a second of them
#define MEDIA_MBUF_KB  2
#define EXCHANGE_SLOTS 2048
#define PAIR_BYTES     (EXCHANGE_SLOTS * sizeof(void *) + 1024)

uint32_t dp_sfu_memory_mb(uint32_t n_workers)
{
	uint32_t pools_mb = n_workers * (MEDIA_MBUFS * MEDIA_MBUF_KB >> 10) + n_workers;

	return pools_mb + (uint32_t)(n_workers * n_workers * PAIR_BYTES >> 20) + 1;
}

static int exchange_create(struct dp_sfu_shared *s, uint32_t n_workers)
{
	for (uint32_t from = 0; from < n_workers; from++) {
		for (uint32_t to = 0; to < n_workers; to++) {
			char name[RTE_RING_NAMESIZE];

			if (from == to)
				continue;
			snprintf(name, sizeof(name), "sfu_%u_%u", from, to);
			s->exchange[from][to] = rte_ring_create(name, EXCHANGE_SLOTS, SOCKET_ID_ANY,
								RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (s->exchange[from][to] == NULL)
				return -ENOMEM;
		}
	}
	return 0;
}

// A predecessor that died while it began a record left it to nobody.
static void forget_half_claims(struct dp_sfu_shared *s)
{
	for (uint32_t i = 1; i < s->table.n_transports; i++) {
		struct shm_sfu_transport_state *st = &s->state.transport[i];

		if (st->serial == 0 && st->owner != 0)
			__atomic_store_n(&st->owner, 0, __ATOMIC_RELEASE);
	}
}

int dp_sfu_shared_create(const struct dp_segments *s, uint32_t n_workers, uint32_t media_mbufs,
			 struct dp_sfu_shared **out)
{
	struct dp_sfu_shared *sfu = rte_zmalloc("sfu", sizeof(*sfu), RTE_CACHE_LINE_SIZE);

	if (sfu == NULL)
		return -ENOMEM;
	sfu->table = s->sfu;
	sfu->state = s->sfu_state;
	sfu->keys_base = s->srtp_segment.base;
	sfu->media_mbufs = media_mbufs != 0 ? media_mbufs : MEDIA_MBUFS;
	sfu->remote_seed = rte_rand();
	if (exchange_create(sfu, n_workers) < 0) {
		dp_sfu_shared_destroy(sfu);
		return -ENOMEM;
	}
	forget_half_claims(sfu);
	*out = sfu;
	return 0;
}

static void drain(struct rte_ring *r)
{
	void *word;

	// Pointers to mbufs have their kind in the low bits, see exchange.c; the pools go with the process.
	while (rte_ring_sc_dequeue(r, &word) == 0)
		;
	rte_ring_free(r);
}

void dp_sfu_shared_destroy(struct dp_sfu_shared *s)
{
	for (uint32_t from = 0; s != NULL && from < SHM_WORKERS_MAX; from++) {
		for (uint32_t to = 0; to < SHM_WORKERS_MAX; to++) {
			if (s->exchange[from][to] != NULL)
				drain(s->exchange[from][to]);
		}
	}
	rte_free(s);
}
