// The flow table with contents that no sound writer leaves: a hostile one seen by the reader, a dead one's by its heir.
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/shm/turn_bucket.h"
#include "tests/unit/shm/table_fixture.h"

static struct table_fixture t;

static void set_up(void)
{
	cr_assert_eq(table_fixture_init(&t, 1024), 0);
}

static void tear_down(void)
{
	table_fixture_free(&t);
}

TestSuite(turn_table_damage, .init = set_up, .fini = tear_down);

static uint32_t publish(uint32_t i)
{
	struct shm_flow f = table_fixture_flow(table_fixture_key(i));
	uint32_t idx = 0;

	cr_assert_eq(shm_flow_publish(&t.writer, &f, 2000, &idx), 0);
	return idx;
}

static const struct shm_flow *lookup(uint32_t i)
{
	struct shm_flow_key key = table_fixture_key(i);

	return shm_flow_lookup(&t.view, &key);
}

// The slot that names the entry; NULL if none does.
static uint64_t *slot_of(uint32_t idx)
{
	for (uint32_t i = 0; i <= t.view.bucket_mask; i++)
		for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++)
			if ((uint32_t)t.writer.buckets[i].slot[s] == idx)
				return &t.writer.buckets[i].slot[s];
	return NULL;
}

static uint64_t *free_slot(uint32_t bucket_idx)
{
	for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++)
		if (t.writer.buckets[bucket_idx].slot[s] == 0)
			return &t.writer.buckets[bucket_idx].slot[s];
	cr_assert_fail("no free slot");
	return NULL;
}

Test(turn_table_damage, placement_outside_the_segment_is_refused)
{
	struct shm_turn_table good = t.tables->turn;
	struct shm_flow_view v;

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct shm_turn_table bad = good;                                                  \
		bad.change;                                                                        \
		cr_assert_eq(shm_flow_view_init(&v, t.tables, t.size_bytes, &bad), -EINVAL,        \
			     #change);                                                             \
	} while (0)

	cr_assert_eq(shm_flow_view_init(&v, t.tables, t.size_bytes, &good), 0);
	REFUSED(buckets_offset += 8);
	REFUSED(buckets_offset = 0);
	REFUSED(buckets_offset = t.size_bytes & ~(size_t)63);
	REFUSED(buckets_offset = UINT64_MAX - 63);
	REFUSED(entries_offset += 1);
	REFUSED(entries_offset = good.own_expiry_offset + 64);
	REFUSED(entries_offset = UINT64_MAX - 63);
	REFUSED(own_expiry_offset += 64);
	REFUSED(own_expiry_offset = UINT64_MAX - 63);
	REFUSED(n_buckets_log2 = 27);
	REFUSED(n_buckets_log2 = 64);
	REFUSED(n_buckets_log2 = UINT32_MAX);
	REFUSED(n_entries = 0);
	REFUSED(n_entries = 1);
	REFUSED(n_entries = 1025 + 64);
	REFUSED(n_entries = UINT32_MAX);
	cr_assert_eq(shm_flow_view_init(&v, (uint8_t *)t.tables + 8, t.size_bytes - 8, &good),
		     -EINVAL);
	cr_assert_eq(shm_flow_view_init(&v, t.tables, t.size_bytes - 64, &good), -EINVAL);
	cr_assert_eq(shm_flow_view_init(&v, t.tables, 0, &good), -EINVAL);
}

Test(turn_table_damage, writer_refuses_a_table_that_is_not_of_the_segment)
{
	struct shm_turn_table stray = t.tables->turn;

	cr_assert_eq(shm_flow_writer_init(&t.writer, t.tables, t.size_bytes, &stray, t.free_idx,
					  t.retired),
		     -EINVAL);
	cr_assert_eq(shm_flow_writer_init(&t.writer, t.tables, 4096, &t.tables->turn, t.free_idx,
					  t.retired),
		     -EINVAL);
}

Test(turn_table_damage, sizes_have_bounds)
{
	struct shm_turn_table p;

	cr_assert_eq(shm_turn_table_size(4096, 0, &p), 0);
	cr_assert_eq(shm_turn_table_size(4096, 1, &p), 0);
	cr_assert_eq(shm_turn_table_size(4096, (1u << 27) + 1, &p), 0);
	for (uint32_t n = 2; n <= 1u << 27; n = n * 3 / 2 + 1) {
		size_t bytes = shm_turn_table_size(4097, n, &p);

		cr_assert_eq(p.buckets_offset, 4160);
		cr_assert_leq(p.own_expiry_offset + 8ul * n, 4097 + bytes);
		cr_assert_leq(n, 5ul << p.n_buckets_log2, "fill of at most 5 in 7");
		cr_assert_lt(1ul << p.n_buckets_log2, 2ul * n);
	}
}

Test(turn_table_damage, reader_survives_indices_and_overflow_out_of_range)
{
	uint32_t idx = publish(1);
	struct shm_flow_key key = table_fixture_key(1);
	const struct shm_flow_key *keys[1] = { &key };
	const struct shm_flow *out[1];
	uint64_t *slot = slot_of(idx);
	uint64_t tag = *slot >> 32 << 32;
	static const uint32_t bad[] = { 0, 1024, 1025, 0x80000000u, UINT32_MAX };

	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		*slot = tag | bad[i];
		cr_assert_null(lookup(1));
		shm_flow_lookup_bulk(&t.view, keys, 1, out);
		cr_assert_null(out[0]);
	}
	for (uint32_t i = 0; i <= t.view.bucket_mask; i++)
		memset(&t.writer.buckets[i], 0xff, sizeof(t.writer.buckets[i]));
	cr_assert_null(lookup(1));
	shm_flow_lookup_bulk(&t.view, keys, 1, out);
	cr_assert_null(out[0]);
}

Test(turn_table_damage, heir_keeps_what_is_sound)
{
	for (uint32_t i = 0; i < 800; i++)
		publish(i);
	cr_assert_eq(table_fixture_adopt(&t), 0);
	cr_assert_eq(t.tables->turn.n_used, 800);
	cr_assert_eq(t.writer.n_free, 223);
	for (uint32_t i = 0; i < 800; i++)
		cr_assert_not_null(lookup(i));
	for (uint32_t i = 800; i < 1023; i++)
		publish(i);
	for (uint32_t i = 0; i < 1023; i++)
		cr_assert_not_null(lookup(i));
}

Test(turn_table_damage, heir_empties_slots_that_name_nothing)
{
	uint32_t a = publish(1), b = publish(2), c = publish(3);
	uint64_t word = *slot_of(a);

	// Out of range; never filled; another tag; a second slot for one entry.
	*slot_of(b) = 0xabcd00000000ull << 4 | 5000;
	*free_slot(0) = 0x1234ull << 32 | 900;
	*slot_of(c) ^= 1ull << 40;
	*free_slot(1) = word;
	cr_assert_eq(table_fixture_adopt(&t), 0);
	cr_assert_eq(t.tables->turn.n_used, 1);
	cr_assert_not_null(lookup(1));
	cr_assert_null(lookup(2));
	cr_assert_null(lookup(3));
	cr_assert_null(slot_of(900));
	cr_assert_null(slot_of(5000));
	cr_assert_null(slot_of(c));
	cr_assert_eq(t.writer.n_free + t.writer.n_retired, 1022);
}

Test(turn_table_damage, heir_keeps_the_first_of_two_entries_with_one_key)
{
	uint32_t a = publish(1), b = publish(2);
	uint64_t hash;

	t.writer.entries[b].key = t.writer.entries[a].key;
	hash = shm_flow_hash(&t.view, &t.writer.entries[a].key);
	*slot_of(b) = 0;
	*free_slot((uint32_t)hash & t.view.bucket_mask) = shm_slot_word(shm_flow_tag(hash), b);
	cr_assert_eq(table_fixture_adopt(&t), 0);
	cr_assert_eq(t.tables->turn.n_used, 1);
	cr_assert_eq(lookup(1), &t.view.entries[a]);
	cr_assert_null(slot_of(b));
}

Test(turn_table_damage, heir_counts_overflow_anew)
{
	for (uint32_t i = 0; i < 1023; i++)
		publish(i);
	for (uint32_t round = 0; round < 2; round++) {
		uint64_t overflow[1024];

		for (uint32_t i = 0; i <= t.view.bucket_mask; i++) {
			overflow[i] = t.writer.buckets[i].overflow;
			t.writer.buckets[i].overflow = round ? 9 : 0;
		}
		cr_assert_eq(table_fixture_adopt(&t), 0);
		for (uint32_t i = 0; i <= t.view.bucket_mask; i++)
			cr_assert_eq(t.writer.buckets[i].overflow, overflow[i]);
	}
	cr_assert_eq(t.tables->turn.n_used, 1023);
}

// Readers may still hold what the dead writer withdrew last.
Test(turn_table_damage, heir_lets_grace_pass_over_entries_that_were_in_use)
{
	uint32_t idx = publish(1);

	publish(2);
	cr_assert_eq(shm_flow_unpublish(&t.writer, idx, 0), 0);
	cr_assert_eq(table_fixture_adopt(&t), 0);
	cr_assert_eq(t.writer.n_retired, 1);
	cr_assert_eq(t.writer.n_free, 1021);
	shm_flow_reclaim(&t.writer, t.tables->grace_generation);
	cr_assert_eq(t.writer.n_retired, 1, "nobody can have passed yet");
	shm_flow_reclaim(&t.writer, t.tables->grace_generation);
	cr_assert_eq(t.writer.n_retired, 0);
	cr_assert_eq(t.writer.n_free, 1022);
}
