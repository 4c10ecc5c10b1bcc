// Writer of the flow table. Control plane only, one thread: the only code that stores into buckets and entries.
//
// What readers rely on: an entry is complete before its slot word is released and stays as it is until every reader has
// passed a grace period after the withdrawal; the overflow words of the buckets that a key passed count it from before
// its publication until after its withdrawal. A writer may die between any two stores: what is left over is an overflow
// word that is too high or an entry that no slot names, and shm_flow_writer_init mends both.
#include <errno.h>
#include <stdbool.h>

#include "dataplane/contract/shm/grace.h"
#include "dataplane/contract/shm/turn_bucket.h"

static struct shm_flow_bucket *bucket_at(struct shm_flow_writer *w, uint64_t hash, uint32_t probe)
{
	return &w->buckets[((uint32_t)hash + probe) & w->view.bucket_mask];
}

static void overflow_add(struct shm_flow_bucket *b, int64_t delta)
{
	uint64_t now = __atomic_load_n(&b->overflow, __ATOMIC_RELAXED);

	// Never below 0, which would count as "everything passed here".
	if (delta < 0 && now == 0)
		return;
	__atomic_store_n(&b->overflow, now + (uint64_t)delta, __ATOMIC_RELEASE);
}

static void retire(struct shm_flow_writer *w, uint32_t entry_idx, uint64_t generation)
{
	uint32_t at = (w->retired_head + w->n_retired) % w->view.n_entries;

	w->retired[at] =
		(struct shm_flow_retired){ .generation = generation, .entry_idx = entry_idx };
	w->n_retired++;
}

static void set_n_used(struct shm_flow_writer *w, uint32_t n_used)
{
	__atomic_store_n(&w->table->n_used, n_used, __ATOMIC_RELAXED);
}

// Whether the slot names an entry that a reader finds through it: in range, under the tag of its key, near enough to its home,
// and the first slot on the way from there that leads to this key. `marked` says which entries were claimed already.
static bool slot_is_sound(struct shm_flow_writer *w, const uint32_t *marked, uint32_t bucket_idx,
			  uint32_t slot_idx, uint32_t *out_probes)
{
	uint64_t word = w->buckets[bucket_idx].slot[slot_idx];
	uint32_t entry_idx = (uint32_t)word;
	const struct shm_flow_key *key;
	uint64_t hash;
	uint32_t probes;

	if (entry_idx == 0 || entry_idx >= w->view.n_entries || marked[entry_idx])
		return false;
	key = &w->entries[entry_idx].key;
	if (key->kind == SHM_FLOW_NONE || key->kind >= SHM_FLOW_KIND_COUNT)
		return false;
	hash = shm_flow_hash_inline(w->view.seed, key);
	probes = (bucket_idx - (uint32_t)hash) & w->view.bucket_mask;
	if (word >> 32 != shm_flow_tag(hash) || probes >= SHM_FLOW_PROBES_MAX)
		return false;
	for (uint32_t probe = 0; probe <= probes; probe++) {
		struct shm_flow_bucket *b = bucket_at(w, hash, probe);
		uint32_t match = shm_bucket_match(b, shm_flow_tag(hash));

		for (; match; match &= match - 1) {
			uint32_t other_idx = (uint32_t)b->slot[shm_match_slot(match)];

			if (probe == probes && shm_match_slot(match) == slot_idx)
				break;
			if (other_idx != 0 && other_idx < w->view.n_entries &&
			    shm_flow_key_equal(&w->entries[other_idx].key, key))
				return false;
		}
	}
	*out_probes = probes;
	return true;
}

// Sorts all entries into published and free, and mends what a writer that died left behind.
static void take_stock(struct shm_flow_writer *w)
{
	uint32_t n_buckets = w->view.bucket_mask + 1;
	uint32_t n_entries = w->view.n_entries;
	uint32_t *marked = w->free_idx;            // flags, until the free entries are known
	uint32_t *passed = (uint32_t *)w->retired; // per bucket, until entries are retired
	uint64_t generation;
	uint32_t n_used = 0;

	static_assert(sizeof(struct shm_flow_retired) >= 2 * sizeof(uint32_t),
		      "n_buckets < 2 n_entries words fit in the retired ring");
	memset(marked, 0, n_entries * sizeof(*marked));
	memset(passed, 0, n_buckets * sizeof(*passed));
	for (uint32_t i = 0; i < n_buckets; i++) {
		struct shm_flow_bucket *b = &w->buckets[i];

		for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++) {
			uint64_t word = b->slot[s];
			uint32_t probes;

			if (word == 0)
				continue;
			if (!slot_is_sound(w, marked, i, s, &probes)) {
				__atomic_store_n(&b->slot[s], 0, __ATOMIC_RELEASE);
				continue;
			}
			marked[(uint32_t)word] = 1;
			n_used++;
			for (uint32_t probe = 1; probe <= probes; probe++)
				passed[(i - probe) & w->view.bucket_mask]++;
		}
	}
	// Each word goes from one value that keeps every key reachable to another.
	for (uint32_t i = 0; i < n_buckets; i++)
		if (w->buckets[i].overflow != passed[i])
			__atomic_store_n(&w->buckets[i].overflow, passed[i], __ATOMIC_RELEASE);

	// A free entry that was in use once may have been withdrawn a moment before the last writer died: a grace period
	// must pass over it. The others are free now. The list grows over flags that were read already.
	generation = __atomic_load_n(w->grace_generation, __ATOMIC_RELAXED) + 1;
	w->retired_head = w->n_retired = w->n_free = 0;
	for (uint32_t i = 1; i < n_entries; i++) {
		if (marked[i])
			continue;
		if (w->entries[i].key.kind != SHM_FLOW_NONE)
			retire(w, i, generation);
		else
			w->free_idx[w->n_free++] = i;
	}
	// The last one is handed out first; the lowest shall be, so that a table in light use stays small.
	for (uint32_t i = 0; i < w->n_free / 2; i++) {
		uint32_t other = w->n_free - 1 - i;
		uint32_t swap = w->free_idx[i];

		w->free_idx[i] = w->free_idx[other];
		w->free_idx[other] = swap;
	}
	set_n_used(w, n_used);
}

int shm_flow_writer_init(struct shm_flow_writer *w, void *segment, size_t segment_bytes,
			 struct shm_turn_table *table, uint32_t *free_idx,
			 struct shm_flow_retired *retired)
{
	struct shm_tables *tables = segment;
	int ret;

	memset(w, 0, sizeof(*w));
	if (segment_bytes < sizeof(*tables) || table != &tables->turn)
		return -EINVAL;
	ret = shm_flow_view_init(&w->view, segment, segment_bytes, table);
	if (ret < 0)
		return ret;
	// The scratch of take_stock lies in the caller's memory.
	if (w->view.bucket_mask >= 2 * (uint64_t)w->view.n_entries)
		return -EINVAL;
	w->table = table;
	w->grace_generation = &tables->grace_generation;
	w->buckets = (void *)((uint8_t *)segment + table->buckets_offset);
	w->entries = (void *)((uint8_t *)segment + table->entries_offset);
	w->own_expiry_ns = (void *)((uint8_t *)segment + table->own_expiry_offset);
	w->free_idx = free_idx;
	w->retired = retired;
	take_stock(w);
	return 0;
}

int shm_flow_publish(struct shm_flow_writer *w, const struct shm_flow *f,
		     uint64_t own_expires_at_ns, uint32_t *out_idx)
{
	uint64_t hash = shm_flow_hash_inline(w->view.seed, &f->key);
	uint32_t tag = shm_flow_tag(hash);
	uint32_t n_probes = w->view.bucket_mask < SHM_FLOW_PROBES_MAX ? w->view.bucket_mask + 1
								      : SHM_FLOW_PROBES_MAX;
	struct shm_flow_bucket *to = NULL;
	uint32_t to_probe = 0, to_slot = 0, entry_idx;

	if (f->key.kind == SHM_FLOW_NONE || f->key.kind >= SHM_FLOW_KIND_COUNT)
		return -EINVAL;
	for (uint32_t probe = 0; probe < n_probes; probe++) {
		struct shm_flow_bucket *b = bucket_at(w, hash, probe);

		for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++) {
			uint64_t word = b->slot[s];

			if (word == 0) {
				if (!to) {
					to = b;
					to_probe = probe;
					to_slot = s;
				}
			} else if (word >> 32 == tag && (uint32_t)word < w->view.n_entries &&
				   shm_flow_key_equal(&w->entries[(uint32_t)word].key, &f->key)) {
				return -EEXIST;
			}
		}
		// No key of this walk stands further on.
		if (b->overflow == 0 && to)
			break;
	}
	if (!to || w->n_free == 0)
		return -ENOSPC;
	entry_idx = w->free_idx[--w->n_free];
	w->entries[entry_idx] = *f;
	__atomic_store_n(&w->own_expiry_ns[entry_idx], own_expires_at_ns, __ATOMIC_RELAXED);
	for (uint32_t probe = 0; probe < to_probe; probe++)
		overflow_add(bucket_at(w, hash, probe), 1);
	__atomic_store_n(&to->slot[to_slot], shm_slot_word(tag, entry_idx), __ATOMIC_RELEASE);
	set_n_used(w, w->table->n_used + 1);
	*out_idx = entry_idx;
	return 0;
}

// The slot that names a published entry; *probes gets its bucket's distance from the key's home. NULL when there is none.
static uint64_t *slot_of(struct shm_flow_writer *w, uint32_t idx, uint32_t *probes)
{
	uint64_t hash = shm_flow_hash_inline(w->view.seed, &w->entries[idx].key);
	uint64_t word = shm_slot_word(shm_flow_tag(hash), idx);

	for (*probes = 0; *probes < SHM_FLOW_PROBES_MAX; ++*probes) {
		struct shm_flow_bucket *b = bucket_at(w, hash, *probes);

		for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++)
			if (b->slot[s] == word)
				return &b->slot[s];
		if (b->overflow == 0)
			break;
	}
	return NULL;
}

// A reader at the present generation may have got hold of it before its slot was stored.
static void retire_behind_readers(struct shm_flow_writer *w, uint32_t idx, uint64_t generation)
{
	uint64_t now = __atomic_load_n(w->grace_generation, __ATOMIC_RELAXED) + 1;

	retire(w, idx, generation > now ? generation : now);
}

int shm_flow_unpublish(struct shm_flow_writer *w, uint32_t idx, uint64_t generation)
{
	uint64_t hash, *slot;
	uint32_t probes;

	if (idx == 0 || idx >= w->view.n_entries)
		return -ENOENT;
	slot = slot_of(w, idx, &probes);
	if (!slot)
		return -ENOENT;
	hash = shm_flow_hash_inline(w->view.seed, &w->entries[idx].key);
	__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
	for (uint32_t p = 0; p < probes; p++)
		overflow_add(bucket_at(w, hash, p), -1);
	set_n_used(w, w->table->n_used - 1);
	retire_behind_readers(w, idx, generation);
	return 0;
}

int shm_flow_replace(struct shm_flow_writer *w, uint32_t idx, const struct shm_flow *f,
		     uint64_t own_expires_at_ns, uint64_t generation, uint32_t *out_idx)
{
	uint32_t entry_idx, probes;
	uint64_t *slot;

	if (idx == 0 || idx >= w->view.n_entries)
		return -ENOENT;
	if (!shm_flow_key_equal(&w->entries[idx].key, &f->key))
		return -EINVAL;
	slot = slot_of(w, idx, &probes);
	if (!slot)
		return -ENOENT;
	if (w->n_free == 0)
		return -ENOSPC;
	entry_idx = w->free_idx[--w->n_free];
	w->entries[entry_idx] = *f;
	__atomic_store_n(&w->own_expiry_ns[entry_idx], own_expires_at_ns, __ATOMIC_RELAXED);
	// The tag is the key's and stays.
	__atomic_store_n(slot, shm_slot_word((uint32_t)(*slot >> 32), entry_idx), __ATOMIC_RELEASE);
	retire_behind_readers(w, idx, generation);
	*out_idx = entry_idx;
	return 0;
}

void shm_flow_set_expiry(struct shm_flow_writer *w, uint32_t idx, uint64_t expires_at_ns,
			 uint64_t own_expires_at_ns)
{
	if (idx == 0 || idx >= w->view.n_entries)
		return;
	__atomic_store_n(&w->entries[idx].expires_at_ns, expires_at_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&w->own_expiry_ns[idx], own_expires_at_ns, __ATOMIC_RELAXED);
}

void shm_flow_reclaim(struct shm_flow_writer *w, uint64_t passed_generation)
{
	uint64_t now;

	while (w->n_retired && w->retired[w->retired_head].generation <= passed_generation) {
		w->free_idx[w->n_free++] = w->retired[w->retired_head].entry_idx;
		w->retired_head = (w->retired_head + 1) % w->view.n_entries;
		w->n_retired--;
	}
	if (w->n_retired == 0) {
		// From its start again: what comes and goes on a quiet relay touches a page or two of the ring, not all of it.
		w->retired_head = 0;
		return;
	}
	// Readers can pass what is left only once they are asked to.
	now = __atomic_load_n(w->grace_generation, __ATOMIC_RELAXED);
	if (w->retired[w->retired_head].generation > now)
		__atomic_store_n(w->grace_generation, now + 1, __ATOMIC_SEQ_CST);
}

void shm_flow_each(struct shm_flow_writer *w,
		   void (*fn)(void *arg, uint32_t idx, const struct shm_flow *f), void *arg)
{
	for (uint32_t i = 0; i <= w->view.bucket_mask; i++) {
		for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++) {
			uint32_t entry_idx = (uint32_t)w->buckets[i].slot[s];

			if (entry_idx && entry_idx < w->view.n_entries)
				fn(arg, entry_idx, &w->entries[entry_idx]);
		}
	}
}
