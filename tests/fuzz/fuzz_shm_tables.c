// A hostile tables segment: whatever placement, buckets and entries say, a reader stays inside the segment and finds only
// entries with the key it asked for, and a writer that takes it over leaves a table in which all agrees.
#include <stdalign.h>

#include "dataplane/contract/shm/grace.h"
#include "dataplane/contract/shm/turn_bucket.h"
#include "tests/fuzz/fuzz.h"

#define PART_BYTES  (16u << 10) // behind the fixed front
#define ENTRIES_MAX (PART_BYTES / sizeof(struct shm_flow))

static struct {
	alignas(64) struct shm_tables front;
	uint8_t part[PART_BYTES];
} segment;

static const uint8_t *input;
static size_t input_left;

// Fills `out` from the input; zeros where it ends.
static void take(void *out, size_t n)
{
	size_t taken = n < input_left ? n : input_left;

	memset(out, 0, n);
	memcpy(out, input, taken);
	input += taken;
	input_left -= taken;
}

static void look_up(const struct shm_flow_view *v, const struct shm_flow_key *key)
{
	const struct shm_flow_key *keys[3] = { key, key, key };
	const struct shm_flow *found = shm_flow_lookup(v, key), *bulk[3];

	shm_flow_lookup_bulk(v, keys, 3, bulk);
	for (uint32_t i = 0; i < 3; i++)
		FUZZ_ASSERT(bulk[i] == found);
	if (!found)
		return;
	FUZZ_ASSERT(found > v->entries && found < v->entries + v->n_entries);
	FUZZ_ASSERT(shm_flow_key_equal(&found->key, key));
}

static void look_up_all(const struct shm_flow_view *v)
{
	struct shm_flow_key key;

	for (uint32_t i = 0; i < v->n_entries && i < ENTRIES_MAX; i++) {
		key = v->entries[i].key;
		look_up(v, &key);
	}
	take(&key, sizeof(key));
	look_up(v, &key);
}

static void each(void *arg, uint32_t idx, const struct shm_flow *f)
{
	struct shm_flow_writer *w = arg;

	// The heir left only what a reader finds, once each.
	FUZZ_ASSERT(shm_flow_lookup(&w->view, &f->key) == f);
	FUZZ_ASSERT(shm_flow_unpublish(w, idx, 0) == 0);
	FUZZ_ASSERT(shm_flow_lookup(&w->view, &f->key) == NULL);
}

static void take_over(void)
{
	static uint32_t free_idx[ENTRIES_MAX];
	static struct shm_flow_retired retired[ENTRIES_MAX];
	struct shm_flow_writer w;
	struct shm_flow f = { .key.kind = SHM_FLOW_PEER };
	uint32_t idx, n;

	if (segment.front.turn.n_entries > ENTRIES_MAX ||
	    shm_flow_writer_init(&w, &segment, sizeof(segment), &segment.front.turn, free_idx,
				 retired) != 0)
		return;
	n = w.view.n_entries - 1;
	FUZZ_ASSERT(segment.front.turn.n_used + w.n_free + w.n_retired == n);
	shm_flow_each(&w, each, &w);
	FUZZ_ASSERT(segment.front.turn.n_used == 0);
	shm_flow_reclaim(&w, UINT64_MAX);
	FUZZ_ASSERT(w.n_free == n);
	FUZZ_ASSERT(shm_flow_publish(&w, &f, 0, &idx) == 0);
	FUZZ_ASSERT(shm_flow_lookup(&w.view, &f.key) == &w.view.entries[idx]);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct shm_flow_view v;
	uint8_t how = 0, n_entries = 0;

	input = data;
	input_left = n;
	memset(&segment.front.turn, 0, sizeof(segment.front.turn));
	segment.front.grace_generation = 0;
	take(&how, 1);
	take(&n_entries, 1);
	if (how & 1) {
		// A sound placement around hostile contents.
		if (shm_turn_table_size(sizeof(segment.front), n_entries % 64,
					&segment.front.turn) == 0)
			return;
	} else {
		take(&segment.front.turn, sizeof(segment.front.turn));
	}
	take(segment.part, sizeof(segment.part));
	if (how & 2) {
		// Slots whose tags fit the entries they name, in any bucket.
		struct shm_flow_bucket *b = (void *)segment.part;

		if (shm_flow_view_init(&v, &segment, sizeof(segment), &segment.front.turn) != 0)
			return;
		for (uint32_t i = 0; (how & 1) && i <= v.bucket_mask; i++) {
			for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++) {
				uint32_t idx = (uint32_t)b[i].slot[s] % v.n_entries;

				b[i].slot[s] = shm_slot_word(
					shm_flow_tag(shm_flow_hash(&v, &v.entries[idx].key)), idx);
			}
		}
	}
	if (shm_flow_view_init(&v, &segment, sizeof(segment), &segment.front.turn) != 0)
		return;
	look_up_all(&v);
	// A placement may lay the parts over each other, which only a writer of ours never does.
	if (how & 1)
		take_over();
}
