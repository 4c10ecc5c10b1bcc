// The rival: DPDK's rte_hash, lock-free for readers, on large pages like ours, with its keys padded to the 32 bytes for which it
// has a comparison of its own (24 would go through memcmp).
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "bench/flows/flows.h"

#define LARGE_PAGE_BYTES ((size_t)2 << 20)
#define HEAP_NAME        "rival"
#define HEAP_BYTES       ((size_t)1 << 30)

struct rival_key {
	struct shm_flow_key key;
	uint8_t pad[8];
};

// The same sequence of keys as ours, laid out for the longer key.
struct rival_sequence {
	const struct shm_flow_key *of;
	struct rival_key *keys;
};

struct flows_rival {
	struct rte_hash *hash;
	struct shm_flow *entries;          // by position in the hash
	struct rival_sequence sequence[2]; // present keys, absent keys
};

// Ours stands on large pages without a set-up of the machine; so shall the rival: a heap on transparent large pages.
static int add_heap(void)
{
	uint8_t *space = mmap(NULL, HEAP_BYTES + LARGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *base;

	if (space == MAP_FAILED)
		return -errno;
	base = (void *)(((uintptr_t)space + LARGE_PAGE_BYTES - 1) & ~(LARGE_PAGE_BYTES - 1));
	madvise(base, HEAP_BYTES, MADV_HUGEPAGE);
	if (rte_malloc_heap_create(HEAP_NAME) != 0 ||
	    rte_malloc_heap_memory_add(HEAP_NAME, base, HEAP_BYTES, NULL, 0, LARGE_PAGE_BYTES) != 0)
		return -rte_errno;
	return 0;
}

int flows_rival_start(void)
{
	char lcores[32];
	char *argv[] = {
		"flows", "--no-huge", "--no-pci",       "--no-shconf",       "--no-telemetry",
		"-m",    "64",        "--iova-mode=va", "--log-level=error", "--lcores",
		lcores
	};

	// EAL binds this thread to one CPU: the one where it is.
	snprintf(lcores, sizeof(lcores), "0@%d", sched_getcpu());
	if (rte_eal_init(sizeof(argv) / sizeof(argv[0]), argv) < 0)
		return -EIO;
	return add_heap();
}

struct flows_rival *flows_rival_create(const struct shm_flow *entries, uint32_t n_entries)
{
	struct rte_hash_parameters p = {
		.name = "rival",
		// Room as ours has, so that neither suffers from being full.
		.entries = n_entries + n_entries / 4,
		.key_len = sizeof(struct rival_key),
		.hash_func = rte_hash_crc,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	int socket_id = rte_malloc_heap_get_socket(HEAP_NAME);
	struct flows_rival *r = calloc(1, sizeof(*r));
	size_t bytes = ((size_t)p.entries + 2) * sizeof(*r->entries);

	if (!r)
		return NULL;
	p.socket_id = socket_id;
	r->hash = rte_hash_create(&p);
	r->entries = rte_zmalloc_socket("entries", bytes, 64, socket_id);
	if (!r->hash || !r->entries)
		goto fail;
	for (uint32_t i = 1; i <= n_entries; i++) {
		struct rival_key key = { .key = entries[i].key };
		int32_t position = rte_hash_add_key(r->hash, &key);

		if (position < 0 || (uint32_t)position > p.entries + 1)
			goto fail;
		r->entries[position] = entries[i];
	}
	return r;
fail:
	flows_rival_free(r);
	return NULL;
}

void flows_rival_free(struct flows_rival *r)
{
	if (!r)
		return;
	rte_hash_free(r->hash);
	rte_free(r->entries);
	free(r->sequence[0].keys);
	free(r->sequence[1].keys);
	free(r);
}

// Done in the first round, which is forgotten.
static const struct rival_key *lay_out(struct flows_rival *r, const struct shm_flow_key *keys,
				       uint32_t n)
{
	struct rival_sequence *s = &r->sequence[0];

	if (s->of && s->of != keys)
		s = &r->sequence[1];
	if (s->of == keys)
		return s->keys;
	s->keys = calloc(n, sizeof(*s->keys));
	if (!s->keys)
		abort();
	for (uint32_t i = 0; i < n; i++)
		s->keys[i].key = keys[i];
	s->of = keys;
	return s->keys;
}

uint32_t flows_rival_bulk(struct flows_rival *r, const struct shm_flow_key *keys, uint32_t n,
			  bool read, uint64_t *sum)
{
	const struct rival_key *own = lay_out(r, keys, n);
	const void *key_burst[FLOWS_BURST];
	int32_t position[FLOWS_BURST];
	uint32_t n_found = 0;

	for (uint32_t i = 0; i < n; i += FLOWS_BURST) {
		for (uint32_t j = 0; j < FLOWS_BURST; j++)
			key_burst[j] = &own[i + j];
		rte_hash_lookup_bulk(r->hash, key_burst, FLOWS_BURST, position);
		for (uint32_t j = 0; read && j < FLOWS_BURST; j++)
			__builtin_prefetch(&r->entries[position[j] < 0 ? 0 : position[j]]);
		for (uint32_t j = 0; j < FLOWS_BURST; j++) {
			n_found += position[j] >= 0;
			if (read && position[j] >= 0)
				*sum += r->entries[position[j]].expires_at_ns;
		}
	}
	return n_found;
}

uint32_t flows_rival_single(struct flows_rival *r, const struct shm_flow_key *keys, uint32_t n)
{
	const struct rival_key *own = lay_out(r, keys, n);
	uint32_t n_found = 0;

	for (uint32_t i = 0; i < n; i++)
		n_found += rte_hash_lookup(r->hash, &own[i]) >= 0;
	return n_found;
}
