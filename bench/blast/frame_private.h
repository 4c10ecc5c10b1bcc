// Between frame.c and frame_verify.c: the stamp's check and the pattern's sums.
#ifndef TP_BENCH_FRAME_PRIVATE_H
#define TP_BENCH_FRAME_PRIVATE_H

#include "bench/blast/frame.h"

extern uint32_t frame_pattern_sum[FRAME_PAYLOAD_MAX + 1]; // by payload length, without the stamp

// 16 bits over the stamp's other fields.
static inline uint16_t frame_stamp_check(uint32_t flow, uint32_t seq, uint64_t tsc_high)
{
	uint64_t h = ((uint64_t)seq << 32 | flow) * 0x9e3779b97f4a7c15ull;

	h ^= h >> 29;
	h = (h + tsc_high) * 0xbf58476d1ce4e5b9ull;
	return (uint16_t)(h >> 48);
}

static inline uint32_t frame_stamp_sum(const struct frame_stamp *s)
{
	uint64_t sum = (uint64_t)s->flow + s->seq + (uint32_t)s->tsc_check + (s->tsc_check >> 32);

	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

#endif
