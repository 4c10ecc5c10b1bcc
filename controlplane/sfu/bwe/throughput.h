// Bits per second over a sliding window of half a second, on whatever monotonic clock the samples
// carry. Pure.
#ifndef TP_BWE_THROUGHPUT_H
#define TP_BWE_THROUGHPUT_H

#include <stdint.h>

#define BWE_THROUGHPUT_BUCKETS   10
#define BWE_THROUGHPUT_BUCKET_NS 50000000LL

struct bwe_throughput {
	int64_t newest;   // number of the newest bucket
	int64_t first_ns; // the first sample since the last gap
	int64_t last_ns;
	uint32_t bytes[BWE_THROUGHPUT_BUCKETS];
	uint8_t has_samples;
};

// Samples may come a little out of order: those older than the window are ignored, and a sample
// more than a window ahead starts anew.
void bwe_throughput_add(struct bwe_throughput *t, int64_t at_ns, uint32_t bytes);
// 0 while less than a quarter of a second is known.
uint64_t bwe_throughput_bps(const struct bwe_throughput *t);

#endif
