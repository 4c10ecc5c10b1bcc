// Bits per second over a sliding window. Pure, any thread.
#include "controlplane/sfu/bwe/throughput.h"

#include <string.h>

#define ENOUGH_NS 250000000LL

void bwe_throughput_add(struct bwe_throughput *t, int64_t at_ns, uint32_t bytes)
{
	int64_t bucket = at_ns / BWE_THROUGHPUT_BUCKET_NS;

	if (!t->has_samples || bucket - t->newest >= BWE_THROUGHPUT_BUCKETS) {
		memset(t, 0, sizeof(*t));
		t->has_samples = 1;
		t->newest = bucket;
		t->first_ns = at_ns;
		t->last_ns = at_ns;
	}
	if (t->newest - bucket >= BWE_THROUGHPUT_BUCKETS || bucket < 0)
		return;
	while (t->newest < bucket)
		t->bytes[++t->newest % BWE_THROUGHPUT_BUCKETS] = 0;
	t->bytes[bucket % BWE_THROUGHPUT_BUCKETS] += bytes;
	if (at_ns > t->last_ns)
		t->last_ns = at_ns;
}

uint64_t bwe_throughput_bps(const struct bwe_throughput *t)
{
	int64_t begin_ns = (t->newest - BWE_THROUGHPUT_BUCKETS + 1) * BWE_THROUGHPUT_BUCKET_NS;
	uint64_t bytes = 0;
	int64_t span_ns;

	if (!t->has_samples)
		return 0;
	if (begin_ns < t->first_ns)
		begin_ns = t->first_ns;
	span_ns = t->last_ns - begin_ns;
	if (span_ns < ENOUGH_NS)
		return 0;
	for (uint32_t i = 0; i < BWE_THROUGHPUT_BUCKETS; i++)
		bytes += t->bytes[i];
	return bytes * 8 * 1000000000ULL / (uint64_t)span_ns;
}
