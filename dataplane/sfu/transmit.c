// Life and timers of the transmission half. Worker thread.
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/sfu/pacer.h"
#include "dataplane/sfu/retransmit.h"
#include "dataplane/sfu/transmission.h"
#include "dataplane/sfu/twcc.h"

#define NS_PER_MS 1000000ull
// Every subscription has its turn in the slow round once in this time.
#define SLOW_ROUND_MS 1000
#define SLOW_STEP_MS  10
#define SLOW_MANY     500

// Pages that nobody touches cost nothing, so the arrays are as long as the table's.
static void *array_map(size_t n_bytes)
{
	void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, n_bytes, MADV_HUGEPAGE);
	return p;
}

static size_t egress_bytes(const struct dp_sfu_transmission *x)
{
	return x->table->n_subscriptions * sizeof(struct dp_sfu_egress);
}

static size_t watcher_bytes(const struct dp_sfu_transmission *x)
{
	return x->table->n_transports * sizeof(struct dp_sfu_watcher);
}

int dp_sfu_transmit_create(struct dp_worker *w)
{
	const struct dp_sfu_shared *sfu = w->shared->sfu;
	struct dp_sfu_transmission *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return -ENOMEM;
	w->sfu_tx = x;
	x->worker = w;
	x->table = &sfu->table;
	x->state = &sfu->state;
	x->egress = array_map(egress_bytes(x));
	x->watcher = array_map(watcher_bytes(x));
	x->dependency = calloc(x->table->n_tracks * SHM_SFU_LAYERS_MAX, sizeof(*x->dependency));
	x->clock = calloc(x->table->n_transports, sizeof(*x->clock));
	x->active = calloc(x->table->n_subscriptions, sizeof(*x->active));
	x->wheel = calloc(1, sizeof(*x->wheel));
	x->sent_blocks = dp_block_pool_create(sizeof(struct dp_sfu_sent));
	x->history_blocks = dp_block_pool_create(sizeof(struct dp_sfu_history));
	// The other half is on its way through rings and pacers.
	x->cache = dp_sfu_cache_create(x->table->n_tracks, sfu->media_mbufs / 2);
	if (x->egress == NULL || x->watcher == NULL || x->clock == NULL || x->dependency == NULL ||
	    x->active == NULL || x->wheel == NULL || x->sent_blocks == NULL ||
	    x->history_blocks == NULL || x->cache == NULL)
		goto fail_destroy;
	for (uint32_t i = 0; i < DP_SRTP_PROFILE_COUNT; i++) {
		x->batch[i] = calloc(1, sizeof(*x->batch[i]));
		if (x->batch[i] == NULL)
			goto fail_destroy;
	}
	x->wheel->tick = w->now_ns / DP_SFU_WHEEL_TICK_NS;
	return 0;
fail_destroy:
	dp_sfu_transmit_destroy(w);
	return -ENOMEM;
}

void dp_sfu_transmit_destroy(struct dp_worker *w)
{
	struct dp_sfu_transmission *x = w->sfu_tx;

	if (x == NULL)
		return;
	while (x->n_active > 0)
		dp_sfu_egress_close(x, &x->egress[x->active[0]]);
	if (x->watcher != NULL) {
		for (uint32_t i = 1; i < x->table->n_transports; i++) {
			if (x->watcher[i].serial != 0)
				dp_sfu_watcher_close(x, &x->watcher[i]);
		}
		munmap(x->watcher, watcher_bytes(x));
	}
	if (x->egress != NULL)
		munmap(x->egress, egress_bytes(x));
	for (uint32_t i = 0; i < DP_SRTP_PROFILE_COUNT; i++)
		free(x->batch[i]);
	if (x->n_stash > 0)
		rte_pktmbuf_free_bulk(x->stash, x->n_stash);
	dp_sfu_cache_destroy(x->cache);
	dp_block_pool_destroy(x->sent_blocks);
	dp_block_pool_destroy(x->history_blocks);
	free(x->wheel);
	free(x->active);
	free(x->clock);
	for (uint32_t i = 0; x->dependency != NULL && i < x->table->n_tracks * SHM_SFU_LAYERS_MAX;
	     i++)
		free(x->dependency[i]);
	free(x->dependency);
	free(x);
	w->sfu_tx = NULL;
}

void dp_sfu_transmit_ask(struct dp_sfu_transmission *x)
{
	for (uint32_t i = 0; i < x->n_asks; i++)
		dp_sfu_request_keyframe(x->worker, x->ask[i].track_idx, x->ask[i].layer);
	x->n_asks = 0;
}

// A few subscriptions at a time: those that ended are given back, the others get their report.
static void slow_round(struct dp_sfu_transmission *x, uint32_t step_ms)
{
	uint32_t n = x->n_active * step_ms / SLOW_ROUND_MS + 1;

	for (; n > 0 && x->n_active > 0; n--) {
		struct dp_sfu_egress *e;

		if (x->next_active >= x->n_active)
			x->next_active = 0;
		e = &x->egress[x->active[x->next_active]];
		if (__atomic_load_n(&x->table->subscription[e->idx].serial, __ATOMIC_ACQUIRE) !=
		    e->serial) {
			dp_sfu_egress_close(x, e);
			continue;
		}
		dp_sfu_watcher_check(x, e->watcher);
		if (dp_sfu_watcher_is_ready(e->watcher))
			dp_sfu_report_visit(x, e);
		x->next_active++;
	}
}

uint32_t dp_sfu_transmit_poll(struct dp_worker *w)
{
	struct dp_sfu_transmission *x = w->sfu_tx;
	uint64_t keep_ns = x->table->sfu->retransmit_ms * NS_PER_MS;
	// Steps of many are short ones: packets wait meanwhile.
	uint32_t step_ms = x->n_active >= SLOW_MANY ? 1 : SLOW_STEP_MS;
	uint32_t n = dp_sfu_pacer_poll(x);

	if (w->now_ns > keep_ns)
		dp_sfu_cache_expire(x->cache, w->now_ns - keep_ns);
	if (w->now_ns - x->slow_ns >= step_ms * NS_PER_MS) {
		x->slow_ns = w->now_ns;
		slow_round(x, step_ms);
	}
	dp_sfu_transmit_ask(x);
	return n;
}
