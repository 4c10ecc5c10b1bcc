// Blocks of one size out of large pages: what thousands of watchers have each, and what is touched for every packet, is not to cost a
// page's translation each. One thread.
#ifndef TP_DP_SFU_BLOCK_POOL_H
#define TP_DP_SFU_BLOCK_POOL_H

#include <stddef.h>

struct dp_sfu_block_pool;

// Blocks of `block_bytes`, a multiple of 64. NULL without memory.
struct dp_sfu_block_pool *dp_sfu_block_pool_create(size_t block_bytes);
// All blocks go with it.
void dp_sfu_block_pool_destroy(struct dp_sfu_block_pool *p);
// A block of zeros; NULL without memory.
void *dp_sfu_block_take(struct dp_sfu_block_pool *p);
// NULL is ignored.
void dp_sfu_block_give(struct dp_sfu_block_pool *p, void *block);

#endif
