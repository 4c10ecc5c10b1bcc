// What a worker tells about itself. Worker thread; writes its own struct shm_worker.
#include "dataplane/worker.h"

static_assert(DP_COUNTS <= SHM_COUNTERS_MAX, "a line of counters is flushed as one");

void dp_stats_flush(struct dp_worker *w)
{
	for (uint32_t line = 0; line < DP_COUNTS; line += DP_COUNTS_PER_LINE) {
		uint64_t *count = &w->count[line];
		uint64_t any = 0;

		// Nearly all are 0, and this is done for every burst.
		for (uint32_t i = 0; i < DP_COUNTS_PER_LINE; i++)
			any |= count[i];
		if (any == 0)
			continue;
		for (uint32_t i = 0; i < DP_COUNTS_PER_LINE; i++) {
			uint64_t *total = &w->state->counter[line + i];

			if (count[i] != 0)
				__atomic_store_n(total, *total + count[i], __ATOMIC_RELAXED);
			count[i] = 0;
		}
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
