// Blocks of one size out of large pages that no core dump has: SRTP contexts with their keys, and what thousands of watchers have each.
// They are used in turn, and on small pages each would cost a walk of the page tables. One thread.
#ifndef TP_DP_BLOCK_POOL_H
#define TP_DP_BLOCK_POOL_H

#include <stddef.h>

struct dp_block_pool;

// NULL without memory. Blocks have at least `block_bytes`.
struct dp_block_pool *dp_block_pool_create(size_t block_bytes);
// With all its blocks, which are wiped.
void dp_block_pool_destroy(struct dp_block_pool *p);
// Zeroed, on a cache line's boundary; NULL without memory.
void *dp_block_pool_take(struct dp_block_pool *p);
// Wipes it. NULL is ignored.
void dp_block_pool_give(struct dp_block_pool *p, void *block);

#endif
