// Quantiles of latencies. Cold; one thread.
#include "bench/blast/histogram.h"

#include <string.h>

uint64_t histogram_bucket_floor(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < 2u << HISTOGRAM_STEPS_LOG2)
		return bucket;
	shift = (bucket >> HISTOGRAM_STEPS_LOG2) - 1;
	return (uint64_t)(bucket - (shift << HISTOGRAM_STEPS_LOG2)) << shift;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->n);
	uint64_t seen = 0;

	if (h->n == 0)
		return 0;
	if (wanted >= h->n)
		return h->max;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > wanted) {
			uint64_t low = histogram_bucket_floor(i);
			uint64_t middle = (low + histogram_bucket_floor(i + 1)) / 2;

			return middle > h->max ? h->max : middle;
		}
	}
	return h->max;
}

void histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}
