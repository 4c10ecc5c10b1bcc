// Open addressing with marks where entries were taken out. An entry's transport is stored last and removed first, so a reader that
// sees one reads a key that was whole at some time. Writer: the worker that owns the table.
#include "dataplane/sfu/remote_table.h"

#include <stdlib.h>

#define SLOT_FREE      0u
#define SLOT_TAKEN_OUT UINT32_MAX

struct slot {
	uint64_t word[3];
	uint32_t transport_idx; // or SLOT_*
	uint32_t reserved;
};

struct dp_sfu_remote_table {
	uint64_t seed;
	uint32_t mask;
	uint32_t n_max;  // entries and marks
	uint32_t n_used; // entries and marks
	struct slot slot[];
};

struct dp_sfu_remote_table *dp_sfu_remote_table_create(uint32_t n, uint64_t seed)
{
	struct dp_sfu_remote_table *t;
	uint32_t n_slots = 64;

	while (n_slots < 2 * (uint64_t)n)
		n_slots *= 2;
	t = calloc(1, sizeof(*t) + n_slots * sizeof(t->slot[0]));
	if (t == NULL)
		return NULL;
	t->seed = seed | 1;
	t->mask = n_slots - 1;
	t->n_max = n_slots / 4 * 3;
	return t;
}

void dp_sfu_remote_table_destroy(struct dp_sfu_remote_table *t)
{
	free(t);
}

static uint32_t first_slot(const struct dp_sfu_remote_table *t, const struct dp_sfu_remote_key *k)
{
	__uint128_t wide = (__uint128_t)(k->word[0] ^ t->seed) * 0x9e3779b97f4a7c15ull;
	uint64_t h = (uint64_t)wide ^ (uint64_t)(wide >> 64);

	wide = (__uint128_t)(h ^ k->word[1]) * (t->seed ^ 0xd6e8feb86659fd93ull);
	h = (uint64_t)wide ^ (uint64_t)(wide >> 64);
	wide = (__uint128_t)(h ^ k->word[2]) * 0xa0761d6478bd642full;
	return (uint32_t)((uint64_t)wide ^ (uint64_t)(wide >> 64)) & t->mask;
}

static bool slot_has(const struct slot *s, const struct dp_sfu_remote_key *k)
{
	return __atomic_load_n(&s->word[0], __ATOMIC_RELAXED) == k->word[0] &&
	       __atomic_load_n(&s->word[1], __ATOMIC_RELAXED) == k->word[1] &&
	       __atomic_load_n(&s->word[2], __ATOMIC_RELAXED) == k->word[2];
}

static void slot_mark(struct slot *s, uint32_t transport_idx)
{
	__atomic_store_n(&s->transport_idx, transport_idx, __ATOMIC_RELEASE);
}

void dp_sfu_remote_prefetch(const struct dp_sfu_remote_table *t,
			    const struct dp_sfu_remote_key *key)
{
	__builtin_prefetch(&t->slot[first_slot(t, key)]);
}

uint32_t dp_sfu_remote_find(const struct dp_sfu_remote_table *t,
			    const struct dp_sfu_remote_key *key)
{
	uint32_t i = first_slot(t, key);

	// At least a quarter of the slots is free, so the search ends.
	for (;; i = (i + 1) & t->mask) {
		uint32_t idx = __atomic_load_n(&t->slot[i].transport_idx, __ATOMIC_ACQUIRE);

		if (idx == SLOT_FREE)
			return 0;
		if (idx != SLOT_TAKEN_OUT && slot_has(&t->slot[i], key))
			return idx;
	}
}

bool dp_sfu_remote_put(struct dp_sfu_remote_table *t, const struct dp_sfu_remote_key *key,
		       uint32_t transport_idx)
{
	uint32_t i = first_slot(t, key);
	struct slot *to = NULL;

	for (; t->slot[i].transport_idx != SLOT_FREE; i = (i + 1) & t->mask) {
		struct slot *s = &t->slot[i];

		if (s->transport_idx == SLOT_TAKEN_OUT) {
			if (to == NULL)
				to = s;
		} else if (slot_has(s, key)) {
			slot_mark(s, transport_idx);
			return true;
		}
	}
	if (to == NULL) {
		if (t->n_used == t->n_max)
			return false;
		t->n_used++;
		to = &t->slot[i];
	}
	for (uint32_t k = 0; k < 3; k++)
		__atomic_store_n(&to->word[k], key->word[k], __ATOMIC_RELAXED);
	slot_mark(to, transport_idx);
	return true;
}

void dp_sfu_remote_remove(struct dp_sfu_remote_table *t, const struct dp_sfu_remote_key *key,
			  uint32_t transport_idx)
{
	uint32_t i = first_slot(t, key);

	for (; t->slot[i].transport_idx != SLOT_FREE; i = (i + 1) & t->mask) {
		if (t->slot[i].transport_idx == transport_idx && slot_has(&t->slot[i], key))
			break;
	}
	if (t->slot[i].transport_idx == SLOT_FREE)
		return;
	slot_mark(&t->slot[i], SLOT_TAKEN_OUT);
	if (t->slot[(i + 1) & t->mask].transport_idx != SLOT_FREE)
		return;
	// Marks in front of a free slot lead nowhere.
	for (; t->slot[i].transport_idx == SLOT_TAKEN_OUT; i = (i - 1) & t->mask) {
		slot_mark(&t->slot[i], SLOT_FREE);
		t->n_used--;
	}
}
