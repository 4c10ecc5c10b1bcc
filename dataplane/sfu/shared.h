// What the workers of a process share of the SFU, made once by the main thread before the first worker.
#ifndef TP_DP_SFU_SHARED_H
#define TP_DP_SFU_SHARED_H

#include "dataplane/segments.h"

struct dp_sfu_shared;

// Packet memory that the SFU needs beside that of the ports.
uint32_t dp_sfu_memory_mb(uint32_t n_workers);

// 0 with *out, or -ENOMEM. The segments were checked. media_mbufs 0: as many as dp_sfu_memory_mb() counts on.
int dp_sfu_shared_create(const struct dp_segments *s, uint32_t n_workers, uint32_t media_mbufs,
			 struct dp_sfu_shared **out);
// After all workers.
void dp_sfu_shared_destroy(struct dp_sfu_shared *s);

#endif
