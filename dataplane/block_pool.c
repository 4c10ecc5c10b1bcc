// Blocks out of large pages. One thread; writes its own memory.
#include "dataplane/block_pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <openssl/crypto.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
// Blocks hold pointers into the heap, which LeakSanitizer does not look for in mappings on its own.
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define LEAKS_LOOK_AT(at, n)   __lsan_register_root_region(at, n)
#define LEAKS_LOOK_AWAY(at, n) __lsan_unregister_root_region(at, n)
#else
#define LEAKS_LOOK_AT(at, n)
#define LEAKS_LOOK_AWAY(at, n)
#endif

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

struct dp_block_pool {
	size_t block_bytes;
	size_t used_bytes; // of the newest region
	struct region *regions;
	struct free_block *free;
};

struct dp_block_pool *dp_block_pool_create(size_t block_bytes)
{
	struct dp_block_pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	// An odd number of lines: the same line of all blocks does not fall into the same few sets of a cache.
	p->block_bytes = ((block_bytes + LINE_BYTES - 1) / LINE_BYTES | 1) * LINE_BYTES;
	p->used_bytes = REGION_BYTES;
	return p;
}

void dp_block_pool_destroy(struct dp_block_pool *p)
{
	if (p == NULL)
		return;
	for (struct region *g = p->regions; g != NULL; g = p->regions) {
		p->regions = g->next;
		OPENSSL_cleanse(g->at, p->used_bytes); // older regions are full
		p->used_bytes = REGION_BYTES;
		LEAKS_LOOK_AWAY(g->at, REGION_BYTES);
		munmap(g->map, 2 * REGION_BYTES);
		free(g);
	}
	free(p);
}

static int region_add(struct dp_block_pool *p)
{
	struct region *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return -1;
	// Address space that is not touched costs nothing.
	g->map = mmap(NULL, 2 * REGION_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g->map == MAP_FAILED) {
		free(g);
		return -1;
	}
	g->at = (uint8_t *)(((uintptr_t)g->map + REGION_BYTES - 1) & ~(REGION_BYTES - 1));
	madvise(g->at, REGION_BYTES, MADV_HUGEPAGE);
	madvise(g->at, REGION_BYTES, MADV_DONTDUMP);
	LEAKS_LOOK_AT(g->at, REGION_BYTES);
	g->next = p->regions;
	p->regions = g;
	p->used_bytes = 0;
	return 0;
}

void *dp_block_pool_take(struct dp_block_pool *p)
{
	struct free_block *b = p->free;

	if (b != NULL) {
		p->free = b->next;
		b->next = NULL; // the rest was wiped
		return b;
	}
	if (p->used_bytes + p->block_bytes > REGION_BYTES && region_add(p) < 0)
		return NULL;
	p->used_bytes += p->block_bytes;
	return p->regions->at + p->used_bytes - p->block_bytes;
}

void dp_block_pool_give(struct dp_block_pool *p, void *block)
{
	struct free_block *b = block;

	if (b == NULL)
		return;
	OPENSSL_cleanse(block, p->block_bytes);
	b->next = p->free;
	p->free = b;
}
