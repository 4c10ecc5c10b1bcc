// Fan-out lists: blocks of a pool, swapped by one word. Control plane's loop thread; writes `sfu`.
#include <errno.h>
#include <string.h>

#include "controlplane/table_writer_private.h"
#include "controlplane/table_writer_sfu_private.h"

#define UNIT TABLE_WRITER_UNIT_WORDS

static uint32_t units_for(uint32_t n_words)
{
	return (n_words + UNIT - 1) / UNIT;
}

static uint32_t *units_of(struct table_writer_sfu *s, uint32_t track_idx, uint32_t worker_idx)
{
	return &s->list_units[(size_t)track_idx * SHM_WORKERS_MAX + worker_idx];
}

// Whether a word names a whole block that nobody else has.
static bool block_is_sound(const struct table_writer_sfu *s, uint64_t word)
{
	uint32_t offset = shm_sfu_list_offset(word), n = shm_sfu_list_count(word);

	if (n == 0 || offset % UNIT != 0 || offset / UNIT >= s->n_units ||
	    n > (s->n_units - offset / UNIT) * UNIT)
		return false;
	return memchr(s->unit_used + offset / UNIT, 1, units_for(n)) == NULL;
}

void table_writer_fanout_init(struct table_writer *w)
{
	struct table_writer_sfu *s = w->sfu;
	static const uint32_t none[UNIT];

	for (uint32_t i = 1; i < s->view.n_tracks; i++) {
		for (uint32_t k = 0; k < SHM_WORKERS_MAX && s->track[i].serial != 0; k++) {
			uint64_t word = s->track[i].list[k];

			if (block_is_sound(s, word)) {
				*units_of(s, i, k) = units_for(shm_sfu_list_count(word));
				memset(s->unit_used + shm_sfu_list_offset(word) / UNIT, 1,
				       *units_of(s, i, k));
			} else if (word != 0) {
				__atomic_store_n(&s->track[i].list[k], 0, __ATOMIC_RELEASE);
			}
		}
	}
	// What was written once may be read still.
	for (uint32_t u = 0; u < s->n_units; u++) {
		if (!s->unit_used[u] && memcmp(s->fanout + (size_t)u * UNIT, none, sizeof(none))) {
			s->unit_used[u] = 1;
			table_writer_sfu_retire(w, TABLE_WRITER_UNITS, u, 1);
		}
	}
}

// First fit from where the last search ended; UINT32_MAX when no run is long enough.
static uint32_t find_run(struct table_writer_sfu *s, uint32_t n)
{
	for (uint32_t pass = 0; pass < 2; pass++) {
		uint32_t from = pass == 0 ? s->next_unit : 0;
		uint32_t length = 0;

		for (uint32_t u = from; u < s->n_units; u++) {
			length = s->unit_used[u] ? 0 : length + 1;
			if (length == n) {
				s->next_unit = u + 1;
				return u + 1 - n;
			}
		}
	}
	return UINT32_MAX;
}

static uint32_t take_units(struct table_writer *w, uint32_t n)
{
	uint32_t at = find_run(w->sfu, n);

	if (at == UINT32_MAX && w->sfu->n_retired > 0) {
		table_writer_reclaim(w, table_writer_now_ns());
		at = find_run(w->sfu, n);
	}
	if (at != UINT32_MAX)
		memset(w->sfu->unit_used + at, 1, n);
	return at;
}

// The word is not the block's any more.
static void retire_block(struct table_writer *w, uint64_t word, uint32_t n_units)
{
	if (n_units > 0)
		table_writer_sfu_retire(w, TABLE_WRITER_UNITS, shm_sfu_list_offset(word) / UNIT,
					n_units);
}

void table_writer_fanout_drop(struct table_writer *w, uint32_t track_idx, uint32_t worker_idx)
{
	uint64_t *word = &w->sfu->track[track_idx].list[worker_idx];
	uint32_t *n_units = units_of(w->sfu, track_idx, worker_idx);
	uint64_t old = *word;

	if (old == 0)
		return;
	__atomic_store_n(word, 0, __ATOMIC_RELEASE);
	retire_block(w, old, *n_units);
	*n_units = 0;
}

// Without room for a copy: entries that go become 0, which readers skip. False when there are new ones.
static bool punch_holes(uint32_t *block, uint32_t n_old, const uint32_t *subscriptions, uint32_t n)
{
	uint32_t n_kept = 0;

	for (uint32_t i = 0; i < n_old; i++)
		n_kept += n_kept < n && block[i] == subscriptions[n_kept];
	if (n_kept < n)
		return false;
	n_kept = 0;
	for (uint32_t i = 0; i < n_old; i++) {
		if (n_kept < n && block[i] == subscriptions[n_kept])
			n_kept++;
		else
			__atomic_store_n(&block[i], 0, __ATOMIC_RELEASE);
	}
	return true;
}

int table_writer_list_set(struct table_writer *w, uint32_t track_idx, uint32_t worker_idx,
			  const uint32_t *subscriptions, uint32_t n)
{
	struct table_writer_sfu *s = w->sfu;
	uint64_t *word = &s->track[track_idx].list[worker_idx];
	uint32_t *n_units = units_of(s, track_idx, worker_idx);
	uint64_t old = *word;
	uint32_t n_old = shm_sfu_list_count(old);
	uint32_t *block = s->fanout + shm_sfu_list_offset(old);
	uint32_t units, at;

	if (n == 0) {
		table_writer_fanout_drop(w, track_idx, worker_idx);
		return 0;
	}
	if (n >= n_old && n <= *n_units * UNIT &&
	    memcmp(block, subscriptions, n_old * sizeof(*block)) == 0) {
		if (n == n_old)
			return 0;
		// Readers of the old word do not look behind its end.
		memcpy(block + n_old, subscriptions + n_old, (n - n_old) * sizeof(*block));
		__atomic_store_n(word, shm_sfu_list_word(shm_sfu_list_offset(old), n),
				 __ATOMIC_RELEASE);
		return 0;
	}
	units = units_for(n + n / 2);
	at = take_units(w, units);
	if (at == UINT32_MAX) {
		units = units_for(n);
		at = take_units(w, units);
	}
	if (at == UINT32_MAX)
		return punch_holes(block, n_old, subscriptions, n) ? 0 : -ENOSPC;
	memcpy(s->fanout + (size_t)at * UNIT, subscriptions, n * sizeof(*block));
	__atomic_store_n(word, shm_sfu_list_word(at * UNIT, n), __ATOMIC_RELEASE);
	retire_block(w, old, *n_units);
	*n_units = units;
	return 0;
}
