// Reader of the flow table. Any thread of the dataplane; writes nothing. What the table says is untrusted: indices are
// bounded before use, and a walk ends after SHM_FLOW_PROBES_MAX buckets whatever the overflow words claim.
#include <errno.h>
#include <stdbool.h>

#include "dataplane/contract/shm/turn_bucket.h"

#define FLOW_BUCKETS_LOG2_MAX 26
#define FLOW_ENTRIES_MAX      (1u << 27)
#define FLOW_FILL_PER_BUCKET  5 // of SHM_BUCKET_SLOTS: at least two in seven slots stay free

static size_t align_line(size_t bytes)
{
	return (bytes + SHM_CACHE_LINE - 1) & ~(size_t)(SHM_CACHE_LINE - 1);
}

size_t shm_turn_table_size(uint64_t base_offset, uint32_t n_entries,
			   struct shm_turn_table *out_placement)
{
	struct shm_turn_table t = { .n_entries = n_entries };
	uint64_t end;

	if (n_entries < 2 || n_entries > FLOW_ENTRIES_MAX)
		return 0;
	while (t.n_buckets_log2 < FLOW_BUCKETS_LOG2_MAX &&
	       ((uint64_t)FLOW_FILL_PER_BUCKET << t.n_buckets_log2) < n_entries)
		t.n_buckets_log2++;
	t.buckets_offset = align_line(base_offset);
	t.entries_offset = t.buckets_offset + (sizeof(struct shm_flow_bucket) << t.n_buckets_log2);
	t.own_expiry_offset = t.entries_offset + sizeof(struct shm_flow) * (uint64_t)n_entries;
	end = t.own_expiry_offset + align_line(sizeof(uint64_t) * (uint64_t)n_entries);
	*out_placement = t;
	return end - base_offset;
}

static bool part_fits(uint64_t offset, uint64_t part_bytes, size_t segment_bytes)
{
	return offset % SHM_CACHE_LINE == 0 && offset >= sizeof(struct shm_segment_header) &&
	       offset <= segment_bytes && part_bytes <= segment_bytes - offset;
}

// Spreads whatever the seed is over all bits, so that a poor one costs secrecy only, not the spread of the keys.
static uint64_t seed_mix(uint64_t seed, uint64_t i)
{
	seed += (i + 1) * 0x9e3779b97f4a7c15ull;
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9ull;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111ebull;
	return seed ^ seed >> 31;
}

int shm_flow_view_init(struct shm_flow_view *v, const void *segment, size_t segment_bytes,
		       const struct shm_turn_table *table)
{
	const uint8_t *base = segment;
	struct shm_turn_table t;

	// A copy, so that the bytes cannot change between check and use.
	memcpy(&t, table, sizeof(t));
	if ((uintptr_t)segment % SHM_CACHE_LINE != 0 || t.n_buckets_log2 > FLOW_BUCKETS_LOG2_MAX ||
	    t.n_entries < 2 || t.n_entries > FLOW_ENTRIES_MAX)
		return -EINVAL;
	if (!part_fits(t.buckets_offset, sizeof(struct shm_flow_bucket) << t.n_buckets_log2,
		       segment_bytes) ||
	    !part_fits(t.entries_offset, sizeof(struct shm_flow) * (uint64_t)t.n_entries,
		       segment_bytes) ||
	    !part_fits(t.own_expiry_offset, sizeof(uint64_t) * (uint64_t)t.n_entries,
		       segment_bytes))
		return -EINVAL;
	v->buckets = (const void *)(base + t.buckets_offset);
	v->entries = (const void *)(base + t.entries_offset);
	v->bucket_mask = (1u << t.n_buckets_log2) - 1;
	v->n_entries = t.n_entries;
	for (uint32_t i = 0; i < 3; i++)
		v->seed[i] = seed_mix(t.hash_seed[i], i);
	return 0;
}

uint64_t shm_flow_hash(const struct shm_flow_view *v, const struct shm_flow_key *key)
{
	return shm_flow_hash_inline(v->seed, key);
}

static const struct shm_flow *lookup_hashed(const struct shm_flow_view *v,
					    const struct shm_flow_key *key, uint64_t hash)
{
	uint32_t tag = shm_flow_tag(hash);

	for (uint32_t probe = 0; probe < SHM_FLOW_PROBES_MAX; probe++) {
		const struct shm_flow_bucket *b =
			&v->buckets[((uint32_t)hash + probe) & v->bucket_mask];

		for (uint32_t match = shm_bucket_match(b, tag); match; match &= match - 1) {
			uint32_t entry_idx = (uint32_t)shm_slot_load(b, shm_match_slot(match));

			// 0 when the slot was emptied behind the match.
			if (entry_idx == 0 || entry_idx >= v->n_entries)
				continue;
			if (shm_flow_key_equal(&v->entries[entry_idx].key, key))
				return &v->entries[entry_idx];
		}
		if (__atomic_load_n(&b->overflow, __ATOMIC_ACQUIRE) == 0)
			return NULL;
	}
	return NULL;
}

const struct shm_flow *shm_flow_lookup(const struct shm_flow_view *v,
				       const struct shm_flow_key *key)
{
	return lookup_hashed(v, key, shm_flow_hash_inline(v->seed, key));
}

// Three passes over the burst, so that its cache misses overlap: all buckets, then all entries, then the answers.
void shm_flow_lookup_bulk(const struct shm_flow_view *v,
			  const struct shm_flow_key *const *key_burst, uint32_t n,
			  const struct shm_flow **out_burst)
{
	uint64_t hash[SHM_FLOW_BULK_MAX];
	uint32_t entry_idx[SHM_FLOW_BULK_MAX];

	if (n > SHM_FLOW_BULK_MAX)
		__builtin_trap(); // the callers' bursts are constants
	for (uint32_t i = 0; i < n; i++) {
		hash[i] = shm_flow_hash_inline(v->seed, key_burst[i]);
		__builtin_prefetch(&v->buckets[(uint32_t)hash[i] & v->bucket_mask]);
	}
	for (uint32_t i = 0; i < n; i++) {
		entry_idx[i] = shm_bucket_first_entry(v, hash[i]);
		__builtin_prefetch(&v->entries[entry_idx[i]]);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct shm_flow *f = &v->entries[entry_idx[i]];

		if (__builtin_expect(entry_idx[i] && shm_flow_key_equal(&f->key, key_burst[i]), 1))
			out_burst[i] = f;
		else
			out_burst[i] = lookup_hashed(v, key_burst[i], hash[i]);
	}
}
