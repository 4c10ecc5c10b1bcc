// What a worker tells about itself. Worker thread; writes its own struct shm_worker.
#include "dataplane/worker.h"

void dp_stats_flush(struct dp_worker *w)
{
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++) {
		if (w->count[i] == 0)
			continue;
		__atomic_store_n(&w->state->counter[i], w->state->counter[i] + w->count[i],
				 __ATOMIC_RELAXED);
		w->count[i] = 0;
	}
}

uint32_t dp_stats_latency_bucket(uint64_t ns)
{
	uint32_t exponent;
	uint32_t quarter;
	uint32_t bucket;

	if (ns < 1)
		return 0;
	exponent = 63 - (uint32_t)__builtin_clzll(ns);
	quarter = exponent >= 2 ? (uint32_t)(ns >> (exponent - 2)) & 3
				: (uint32_t)(ns << (2 - exponent)) & 3;
	bucket = exponent * 4 + quarter;
	return bucket < SHM_LATENCY_BUCKETS ? bucket : SHM_LATENCY_BUCKETS - 1;
}

void dp_stats_latency(struct dp_worker *w, uint64_t tsc)
{
	uint64_t ns = (uint64_t)((__uint128_t)tsc * w->ns_per_tsc_q32 >> 32);
	uint64_t *bucket = &w->state->latency[dp_stats_latency_bucket(ns)];

	__atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
}
