// Inside of the flow table, for its reader and its writer: the slot word, the key's hash and the tag match over one
// bucket. Pure; the reader's half loads shared memory and stores nothing.
#ifndef TP_SHM_TURN_BUCKET_H
#define TP_SHM_TURN_BUCKET_H

#include <string.h>

#include "dataplane/contract/shm/turn_table.h"

// ThreadSanitizer takes a vector load for a racing plain read, so it gets the portable twin.
#if defined(__AVX2__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>
#define SHM_BUCKET_AVX2 1
#endif

// How far from its home bucket a key may stand. Bounds what a corrupt overflow word costs a reader; at the fill that
// shm_turn_table_size plans (at most 5 of 7 slots) runs of full buckets stay an order of magnitude shorter.
#define SHM_FLOW_PROBES_MAX 64u

static inline uint64_t shm_fold(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

// Keyed with seeds that nobody outside knows: a client that picks its ports cannot aim at one bucket.
static inline uint64_t shm_flow_hash_words(const uint64_t seed[3], const uint64_t key[3])
{
	return shm_fold(shm_fold(key[0] ^ seed[0], key[1] ^ seed[1]) ^ key[2] ^ seed[2],
			0x9e3779b97f4a7c15ull);
}

static inline uint64_t shm_flow_hash_inline(const uint64_t seed[3], const struct shm_flow_key *key)
{
	uint64_t w[3];

	memcpy(w, key, sizeof(w));
	return shm_flow_hash_words(seed, w);
}

static inline bool shm_flow_key_equal(const struct shm_flow_key *a, const struct shm_flow_key *b)
{
	uint64_t x[3], y[3];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
}

// Upper half of the hash (the bucket comes from the lower one), never 0, so that no slot in use is 0.
static inline uint32_t shm_flow_tag(uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32);

	return tag + (tag == 0);
}

static inline uint64_t shm_slot_word(uint32_t tag, uint32_t entry_idx)
{
	return (uint64_t)tag << 32 | entry_idx;
}

static inline uint64_t shm_slot_load(const struct shm_flow_bucket *b, uint32_t slot_idx)
{
	return __atomic_load_n(&b->slot[slot_idx], __ATOMIC_ACQUIRE);
}

// Slots of the bucket whose tag is `tag`: slot i is bit 2 i + 1.
static inline uint32_t shm_bucket_match_portable(const struct shm_flow_bucket *b, uint32_t tag)
{
	uint32_t match = 0;

	for (uint32_t i = 0; i < SHM_BUCKET_SLOTS; i++)
		match |= (uint32_t)(shm_slot_load(b, i) >> 32 == tag) << (2 * i + 1);
	return match;
}

#ifdef SHM_BUCKET_AVX2
// The same in two loads. Each aligned 8-byte lane of a vector load is single-copy atomic on every CPU with AVX2.
static inline uint32_t shm_bucket_match_avx2(const struct shm_flow_bucket *b, uint32_t tag)
{
	const __m256i *line = (const __m256i *)(const void *)b;
	__m256i want = _mm256_set1_epi32((int)tag);
	__m256i low = _mm256_cmpeq_epi32(_mm256_load_si256(line), want);
	__m256i high = _mm256_cmpeq_epi32(_mm256_load_si256(line + 1), want);
	uint32_t match = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(low)) |
			 (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(high)) << 8;

	__atomic_signal_fence(__ATOMIC_ACQUIRE);
	return match & 0x2aaa; // upper halves, without the overflow word
}
#endif

static inline uint32_t shm_bucket_match(const struct shm_flow_bucket *b, uint32_t tag)
{
#ifdef SHM_BUCKET_AVX2
	return shm_bucket_match_avx2(b, tag);
#else
	return shm_bucket_match_portable(b, tag);
#endif
}

// Slot of the lowest bit of a match; `match` is not 0.
static inline uint32_t shm_match_slot(uint32_t match)
{
	return (uint32_t)__builtin_ctz(match) >> 1;
}

// The entry that the home bucket of a hash names first under its tag; 0, which is never used, when there is none. Nearly always
// it is the key's own; where it is not, only shm_flow_lookup can tell whether there is one. Without a branch: a key that stands
// in the next bucket would be a wrong guess, and one of twenty does.
static inline uint32_t shm_bucket_first_entry(const struct shm_flow_view *v, uint64_t hash)
{
	const struct shm_flow_bucket *b = &v->buckets[(uint32_t)hash & v->bucket_mask];
	uint32_t match = shm_bucket_match(b, shm_flow_tag(hash));
	// The last slot is read in vain where none has the tag.
	uint32_t slot_idx = shm_match_slot(match | 1u << (2 * SHM_BUCKET_SLOTS - 1));
	uint32_t idx = (uint32_t)shm_slot_load(b, slot_idx) & -(uint32_t)(match != 0);

	return idx < v->n_entries ? idx : 0;
}

#endif
