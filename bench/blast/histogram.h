// Latencies in buckets of at most 1/32 of their value. One thread.
#ifndef TP_BENCH_HISTOGRAM_H
#define TP_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS_LOG2 5
#define HISTOGRAM_BUCKETS    ((48 - HISTOGRAM_STEPS_LOG2 + 1) << HISTOGRAM_STEPS_LOG2)

struct histogram {
	uint64_t n;
	uint64_t max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

// Bucket of a value below 2^48, in any unit.
static inline uint32_t histogram_bucket(uint64_t v)
{
	uint32_t shift;

	if (v >> 48)
		v = (1ull << 48) - 1;
	if (v < 1u << HISTOGRAM_STEPS_LOG2)
		return (uint32_t)v;
	shift = 63 - HISTOGRAM_STEPS_LOG2 - (uint32_t)__builtin_clzll(v);
	return (shift << HISTOGRAM_STEPS_LOG2) + (uint32_t)(v >> shift);
}

// The lower end of a bucket.
uint64_t histogram_bucket_floor(uint32_t bucket);

static inline void histogram_add(struct histogram *h, uint64_t v)
{
	h->n++;
	h->bucket[histogram_bucket(v)]++;
	if (v > h->max)
		h->max = v;
}

// The value below which that share of all lies (the middle of its bucket); 0 when empty.
uint64_t histogram_quantile(const struct histogram *h, double share);
void histogram_clear(struct histogram *h);

#endif
