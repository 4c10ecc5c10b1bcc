// Blocks out of large pages. One thread.
#include "dataplane/sfu/block_pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES ((size_t)2 << 20) // a large page of this CPU
#define LINE_BYTES   64

struct free_block {
	struct free_block *next;
};

struct region {
	struct region *next;
	void *map; // twice as long, so that an aligned region lies in it
	uint8_t *at;
};

struct dp_sfu_block_pool {
	size_t block_bytes;
	size_t used_bytes; // of the newest region
	struct region *regions;
	struct free_block *free;
};

struct dp_sfu_block_pool *dp_sfu_block_pool_create(size_t block_bytes)
{
	struct dp_sfu_block_pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	// An odd number of lines: watchers are at the same place of their blocks, and those places should not fall into the same
	// few sets of a cache.
	p->block_bytes = ((block_bytes + LINE_BYTES - 1) / LINE_BYTES | 1) * LINE_BYTES;
	p->used_bytes = REGION_BYTES;
	return p;
}

void dp_sfu_block_pool_destroy(struct dp_sfu_block_pool *p)
{
	if (p == NULL)
		return;
	while (p->regions != NULL) {
		struct region *r = p->regions;

		p->regions = r->next;
		munmap(r->map, 2 * REGION_BYTES);
		free(r);
	}
	free(p);
}

static int region_add(struct dp_sfu_block_pool *p)
{
	struct region *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -1;
	// Address space that is not touched costs nothing.
	r->map = mmap(NULL, 2 * REGION_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->map == MAP_FAILED) {
		free(r);
		return -1;
	}
	r->at = (uint8_t *)(((uintptr_t)r->map + REGION_BYTES - 1) & ~(REGION_BYTES - 1));
	madvise(r->at, REGION_BYTES, MADV_HUGEPAGE);
	r->next = p->regions;
	p->regions = r;
	p->used_bytes = 0;
	return 0;
}

void *dp_sfu_block_take(struct dp_sfu_block_pool *p)
{
	void *block = p->free;

	if (block != NULL) {
		p->free = p->free->next;
		memset(block, 0, p->block_bytes);
		return block;
	}
	if (p->used_bytes + p->block_bytes > REGION_BYTES && region_add(p) < 0)
		return NULL;
	block = p->regions->at + p->used_bytes;
	p->used_bytes += p->block_bytes;
	return block;
}

void dp_sfu_block_give(struct dp_sfu_block_pool *p, void *block)
{
	struct free_block *b = block;

	if (b == NULL)
		return;
	b->next = p->free;
	p->free = b;
}
