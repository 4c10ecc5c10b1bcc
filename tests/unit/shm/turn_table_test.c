// The flow table as its reader and its writer see it: publishing, withdrawing, overflow, reuse.
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

TestSuite(turn_table, .init = set_up, .fini = tear_down);

static uint32_t publish_key(struct shm_flow_key key)
{
	struct shm_flow f = table_fixture_flow(key);
	uint32_t idx = 0;

	cr_assert_eq(shm_flow_publish(&t.writer, &f, 2000, &idx), 0);
	cr_assert_neq(idx, 0, "index 0 is never used");
	return idx;
}

// Lets every reader pass everything that was withdrawn so far.
static void pass_grace(void)
{
	shm_flow_reclaim(&t.writer, t.tables->grace_generation);
	shm_flow_reclaim(&t.writer, t.tables->grace_generation);
}

// The n-th key whose home is that bucket.
static struct shm_flow_key key_with_home(uint32_t bucket_idx, uint32_t n)
{
	for (uint32_t i = 0;; i++) {
		struct shm_flow_key key = table_fixture_key(i);

		if (((uint32_t)shm_flow_hash(&t.view, &key) & t.view.bucket_mask) != bucket_idx)
			continue;
		if (n-- == 0)
			return key;
	}
}

Test(turn_table, published_entry_is_found_with_all_fields)
{
	for (uint8_t kind = SHM_FLOW_ALLOCATION; kind < SHM_FLOW_KIND_COUNT; kind++) {
		struct shm_flow_key key = table_fixture_key(7);
		struct shm_flow f;
		const struct shm_flow *found;
		uint32_t idx;

		key.kind = kind;
		cr_assert_null(shm_flow_lookup(&t.view, &key));
		f = table_fixture_flow(key);
		cr_assert_eq(shm_flow_publish(&t.writer, &f, 55, &idx), 0);
		found = shm_flow_lookup(&t.view, &key);
		cr_assert_eq(found, &t.view.entries[idx]);
		cr_assert_eq(memcmp(found, &f, sizeof(f)), 0);
		cr_assert_eq(t.writer.own_expiry_ns[idx], 55);
	}
	cr_assert_eq(t.tables->turn.n_used, 4);
}

Test(turn_table, every_byte_of_the_key_counts)
{
	struct shm_flow_key key = table_fixture_key(7);

	publish_key(key);
	for (size_t i = 0; i < sizeof(key); i++) {
		struct shm_flow_key other = key;

		((uint8_t *)&other)[i] ^= 1;
		cr_assert_null(shm_flow_lookup(&t.view, &other), "byte %zu", i);
	}
}

Test(turn_table, zero_key_is_never_found)
{
	struct shm_flow_key zero = { 0 };
	const struct shm_flow_key *keys[1] = { &zero };
	const struct shm_flow *out[1];

	publish_key(table_fixture_key(1));
	cr_assert_null(shm_flow_lookup(&t.view, &zero));
	shm_flow_lookup_bulk(&t.view, keys, 1, out);
	cr_assert_null(out[0]);
}

Test(turn_table, refuses_a_published_key_a_key_of_no_kind_and_more_than_fits)
{
	struct shm_flow f = table_fixture_flow(table_fixture_key(0));
	uint32_t idx;

	f.key.kind = SHM_FLOW_NONE;
	cr_assert_eq(shm_flow_publish(&t.writer, &f, 0, &idx), -EINVAL);
	f.key.kind = SHM_FLOW_KIND_COUNT;
	cr_assert_eq(shm_flow_publish(&t.writer, &f, 0, &idx), -EINVAL);
	for (uint32_t i = 0; i < 1023; i++)
		cr_assert_eq(publish_key(table_fixture_key(i)), i + 1, "lowest index first");
	f = table_fixture_flow(table_fixture_key(5));
	cr_assert_eq(shm_flow_publish(&t.writer, &f, 0, &idx), -EEXIST);
	f = table_fixture_flow(table_fixture_key(2000));
	cr_assert_eq(shm_flow_publish(&t.writer, &f, 0, &idx), -ENOSPC);
	cr_assert_eq(t.tables->turn.n_used, 1023);
	for (uint32_t i = 0; i < 1023; i++) {
		struct shm_flow_key key = table_fixture_key(i);

		cr_assert_not_null(shm_flow_lookup(&t.view, &key));
	}
}

Test(turn_table, unpublish_refuses_what_is_not_published)
{
	uint32_t idx = publish_key(table_fixture_key(3));
	struct shm_flow_key key = table_fixture_key(3);

	cr_assert_eq(shm_flow_unpublish(&t.writer, 0, 0), -ENOENT);
	cr_assert_eq(shm_flow_unpublish(&t.writer, 1024, 0), -ENOENT);
	cr_assert_eq(shm_flow_unpublish(&t.writer, UINT32_MAX, 0), -ENOENT);
	cr_assert_eq(shm_flow_unpublish(&t.writer, idx + 1, 0), -ENOENT);
	cr_assert_eq(shm_flow_unpublish(&t.writer, idx, 0), 0);
	cr_assert_eq(shm_flow_unpublish(&t.writer, idx, 0), -ENOENT);
	cr_assert_null(shm_flow_lookup(&t.view, &key));
	cr_assert_eq(t.tables->turn.n_used, 0);
}

Test(turn_table, entry_is_reused_only_after_a_generation_that_began_later)
{
	uint32_t idx = publish_key(table_fixture_key(3));
	uint32_t n_free = t.writer.n_free;
	uint64_t before = shm_grace_advance(t.tables);

	// A reader may have passed `before` and have looked the entry up since: naming it must not free the entry.
	cr_assert_eq(shm_flow_unpublish(&t.writer, idx, before), 0);
	shm_flow_reclaim(&t.writer, before);
	cr_assert_eq(t.writer.n_free, n_free);
	cr_assert_eq(t.tables->grace_generation, before + 1, "reclaim asks the readers to pass");
	shm_flow_reclaim(&t.writer, before);
	cr_assert_eq(t.tables->grace_generation, before + 1, "but once");
	shm_flow_reclaim(&t.writer, before + 1);
	cr_assert_eq(t.writer.n_free, n_free + 1);
	cr_assert_eq(publish_key(table_fixture_key(4)), idx);
}

Test(turn_table, withdrawn_entry_stays_intact_until_it_is_reclaimed)
{
	struct shm_flow_key key = table_fixture_key(3);
	struct shm_flow f = table_fixture_flow(key);
	uint32_t idx = publish_key(key);
	const struct shm_flow *held = shm_flow_lookup(&t.view, &key);

	cr_assert_eq(shm_flow_unpublish(&t.writer, idx, 0), 0);
	for (uint32_t i = 100; i < 100 + 1022; i++)
		publish_key(table_fixture_key(i));
	cr_assert_eq(memcmp(held, &f, sizeof(f)), 0);
}

// The ring has room for every entry of the table, 13 MiB by default: a process that walked through it would grow by as much, page by
// page, over its first hundred thousand allocations.
Test(turn_table, entries_that_come_and_go_leave_the_rest_of_the_ring_untouched)
{
	static const uint32_t at_once = 10;
	struct shm_flow_retired untouched[1024];

	memset(t.retired, 0xa5, sizeof(untouched));
	memcpy(untouched, t.retired, sizeof(untouched));
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t idx[10];

		for (uint32_t i = 0; i < at_once; i++)
			idx[i] = publish_key(table_fixture_key(i));
		for (uint32_t i = 0; i < at_once; i++)
			cr_assert_eq(shm_flow_unpublish(&t.writer, idx[i], 0), 0);
		pass_grace();
		cr_assert_eq(t.writer.n_retired, 0);
	}
	cr_expect_arr_eq(t.retired + at_once, untouched + at_once,
			 sizeof(untouched) - at_once * sizeof(untouched[0]));
}

Test(turn_table, expiry_is_stored_in_place)
{
	struct shm_flow_key key = table_fixture_key(3);
	uint32_t idx = publish_key(key);

	shm_flow_set_expiry(&t.writer, idx, 77, 88);
	cr_assert_eq(shm_flow_lookup(&t.view, &key)->expires_at_ns, 77);
	cr_assert_eq(t.writer.own_expiry_ns[idx], 88);
	shm_flow_set_expiry(&t.writer, 0, 1, 1);
	shm_flow_set_expiry(&t.writer, 1024, 1, 1);
	cr_assert_eq(t.writer.own_expiry_ns[0], 0);
}

Test(turn_table, keys_that_pass_a_full_bucket_are_found_and_counted)
{
	uint32_t home = t.view.bucket_mask; // so that the walk goes around the end
	struct shm_flow_key key[20];
	uint32_t idx[20];

	for (uint32_t i = 0; i < 20; i++) {
		key[i] = key_with_home(home, i);
		idx[i] = publish_key(key[i]);
	}
	cr_assert_eq(t.writer.buckets[home].overflow, 13);
	cr_assert_eq(t.writer.buckets[0].overflow, 6);
	cr_assert_eq(t.writer.buckets[1].overflow, 0);
	for (uint32_t i = 0; i < 20; i++)
		cr_assert_eq(shm_flow_lookup(&t.view, &key[i]), &t.view.entries[idx[i]]);
	// A hole in the home bucket must not hide those behind it, and is filled first.
	cr_assert_eq(shm_flow_unpublish(&t.writer, idx[2], 0), 0);
	cr_assert_eq(t.writer.buckets[home].overflow, 13);
	cr_assert_null(shm_flow_lookup(&t.view, &key[2]));
	cr_assert_not_null(shm_flow_lookup(&t.view, &key[19]));
	idx[2] = publish_key(key[2]);
	cr_assert_eq(t.writer.buckets[home].overflow, 13);
	cr_assert_neq(t.writer.buckets[home].slot[2], 0);
	for (uint32_t i = 0; i < 20; i++) {
		cr_assert_eq(shm_flow_unpublish(&t.writer, idx[i], 0), 0);
		for (uint32_t j = i + 1; j < 20; j++)
			cr_assert_not_null(shm_flow_lookup(&t.view, &key[j]), "%u after %u", j, i);
	}
	for (uint32_t i = 0; i <= t.view.bucket_mask; i++)
		cr_assert_eq(t.writer.buckets[i].overflow, 0);
}

Test(turn_table, published_key_is_refused_behind_a_hole_too)
{
	struct shm_flow f;
	uint32_t idx[9], out;

	for (uint32_t i = 0; i < 9; i++)
		idx[i] = publish_key(key_with_home(5, i));
	cr_assert_eq(shm_flow_unpublish(&t.writer, idx[0], 0), 0);
	f = table_fixture_flow(key_with_home(5, 8));
	cr_assert_eq(shm_flow_publish(&t.writer, &f, 0, &out), -EEXIST);
}

Test(turn_table, walk_is_bounded)
{
	uint32_t n = SHM_FLOW_PROBES_MAX * SHM_BUCKET_SLOTS;
	struct shm_flow f;
	uint32_t out;

	for (uint32_t i = 0; i < n; i++)
		publish_key(key_with_home(9, i));
	f = table_fixture_flow(key_with_home(9, n));
	cr_assert_eq(shm_flow_publish(&t.writer, &f, 0, &out), -ENOSPC);
	f = table_fixture_flow(key_with_home(9, n - 1));
	cr_assert_not_null(shm_flow_lookup(&t.view, &f.key));
}

Test(turn_table, bulk_lookup_agrees_with_single)
{
	struct shm_flow_key key[SHM_FLOW_BULK_MAX];
	const struct shm_flow_key *keys[SHM_FLOW_BULK_MAX];
	const struct shm_flow *out[SHM_FLOW_BULK_MAX + 1];
	uint64_t seed = 42;

	for (uint32_t i = 0; i < 1023; i++)
		publish_key(table_fixture_key(i));
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t n = round % (SHM_FLOW_BULK_MAX + 1);

		for (uint32_t i = 0; i < n; i++) {
			key[i] = table_fixture_key(table_fixture_random(&seed) % 1500);
			keys[i] = &key[i];
		}
		out[n] = (const void *)&t;
		shm_flow_lookup_bulk(&t.view, keys, n, out);
		for (uint32_t i = 0; i < n; i++)
			cr_assert_eq(out[i], shm_flow_lookup(&t.view, &key[i]));
		cr_assert_eq(out[n], (const void *)&t);
	}
}

// Fills and empties the table at random beside a model of it: 1 M operations on 3000 keys for 1023 entries.
Test(turn_table, churn_agrees_with_a_model)
{
	enum { N_KEYS = 3000 };
	static uint32_t published[N_KEYS]; // entry index, 0 = not
	uint32_t n_published = 0;
	uint64_t seed = 4711;

	for (uint32_t op = 0; op < 1000000; op++) {
		uint32_t i = (uint32_t)(table_fixture_random(&seed) % N_KEYS);
		struct shm_flow_key key = table_fixture_key(i);
		struct shm_flow f = table_fixture_flow(key);
		const struct shm_flow *found;
		uint32_t idx = 0;
		int ret;

		switch (table_fixture_random(&seed) % 8) {
		case 0:
		case 1:
		case 2:
			ret = shm_flow_publish(&t.writer, &f, op, &idx);
			if (published[i]) {
				cr_assert_eq(ret, -EEXIST);
			} else if (t.writer.n_free == 0 && ret != 0) {
				cr_assert_eq(ret, -ENOSPC);
			} else {
				cr_assert_eq(ret, 0);
				published[i] = idx;
				n_published++;
			}
			break;
		case 3:
		case 4:
			ret = shm_flow_unpublish(&t.writer, published[i], 0);
			cr_assert_eq(ret, published[i] ? 0 : -ENOENT);
			n_published -= published[i] != 0;
			published[i] = 0;
			break;
		case 5:
			pass_grace();
			break;
		default:
			found = shm_flow_lookup(&t.view, &key);
			cr_assert_eq(found, published[i] ? &t.view.entries[published[i]] : NULL);
			if (found)
				cr_assert_eq(memcmp(found, &f, sizeof(f)), 0);
		}
		cr_assert_eq(t.tables->turn.n_used, n_published);
		cr_assert_eq(n_published + t.writer.n_free + t.writer.n_retired, 1023);
	}
	for (uint32_t i = 0; i < N_KEYS; i++)
		if (published[i])
			cr_assert_eq(shm_flow_unpublish(&t.writer, published[i], 0), 0);
	for (uint32_t i = 0; i <= t.view.bucket_mask; i++) {
		static const struct shm_flow_bucket empty;

		cr_assert_eq(memcmp(&t.writer.buckets[i], &empty, sizeof(empty)), 0);
	}
}

struct visit {
	uint32_t n;
	bool unpublish;
	bool seen[1024];
};

static void visit_one(void *arg, uint32_t idx, const struct shm_flow *f)
{
	struct visit *v = arg;

	cr_assert_eq(f, &t.writer.entries[idx]);
	cr_assert_not(v->seen[idx], "twice");
	v->seen[idx] = true;
	v->n++;
	if (v->unpublish)
		cr_assert_eq(shm_flow_unpublish(&t.writer, idx, 0), 0);
}

Test(turn_table, each_visits_every_entry_once_and_may_withdraw_it)
{
	struct visit v = { 0 };

	for (uint32_t i = 0; i < 700; i++)
		publish_key(table_fixture_key(i));
	shm_flow_each(&t.writer, visit_one, &v);
	cr_assert_eq(v.n, 700);
	v = (struct visit){ .unpublish = true };
	shm_flow_each(&t.writer, visit_one, &v);
	cr_assert_eq(v.n, 700);
	cr_assert_eq(t.tables->turn.n_used, 0);
}

// Regular addresses, ports and channels, as clients have them: no bucket may get much more than its share.
Test(turn_table, regular_keys_spread_whatever_the_seed)
{
	static uint8_t load[1 << 14];

	for (uint64_t seed = 0; seed < 3; seed++) {
		struct shm_flow_view v;
		uint32_t worst = 0;

		memset(t.tables->turn.hash_seed, (int)seed, sizeof(t.tables->turn.hash_seed));
		cr_assert_eq(shm_flow_view_init(&v, t.tables, t.size_bytes, &t.tables->turn), 0);
		memset(load, 0, sizeof(load));
		for (uint32_t i = 0; i < 1 << 16; i++) {
			struct shm_flow_key key = table_fixture_key(i >> 4);

			key.channel_be = __builtin_bswap16((uint16_t)(0x4000 + (i & 15)));
			load[shm_flow_hash(&v, &key) % sizeof(load)]++;
		}
		for (uint32_t i = 0; i < sizeof(load); i++)
			worst = load[i] > worst ? load[i] : worst;
		// 4 on average: by chance alone some bucket has 14 to 17.
		cr_assert_leq(worst, 20, "seed %lu: %u", (unsigned long)seed, worst);
	}
}

#ifdef SHM_BUCKET_AVX2
Test(turn_table, both_tag_matches_agree)
{
	struct shm_flow_bucket b;
	uint64_t seed = 1;

	for (uint32_t round = 0; round < 200000; round++) {
		uint64_t *word = (uint64_t *)&b;
		uint32_t tag = 1 + (uint32_t)(table_fixture_random(&seed) % 4);

		// Few values, so that tags, indices and the overflow word hit each other often.
		for (uint32_t i = 0; i < 8; i++)
			word[i] = (table_fixture_random(&seed) % 5) << 32 |
				  table_fixture_random(&seed) % 5;
		cr_assert_eq(shm_bucket_match_avx2(&b, tag), shm_bucket_match_portable(&b, tag));
	}
}
#endif

Test(turn_table, replaced_entry_is_found_under_the_same_key_and_the_old_one_waits_for_readers)
{
	struct shm_flow_key key = table_fixture_key(7);
	struct shm_flow f = table_fixture_flow(key);
	uint32_t n_free = t.writer.n_free, idx = publish_key(key), next = 0;

	f.to_port_be = 77;
	cr_assert_eq(shm_flow_replace(&t.writer, idx, &f, 55, 0, &next), 0);
	cr_assert_neq(next, idx);
	cr_assert_eq(shm_flow_lookup(&t.view, &key), &t.view.entries[next]);
	cr_assert_eq(t.view.entries[next].to_port_be, 77);
	cr_assert_eq(t.writer.own_expiry_ns[next], 55);
	cr_assert_eq(t.tables->turn.n_used, 1);
	cr_assert_eq(t.writer.n_free, n_free - 2);
	pass_grace();
	cr_assert_eq(t.writer.n_free, n_free - 1);
	cr_assert_eq(shm_flow_replace(&t.writer, idx, &f, 55, 0, &idx), -ENOENT);
	f.key = table_fixture_key(8);
	cr_assert_eq(shm_flow_replace(&t.writer, next, &f, 55, 0, &idx), -EINVAL);
	t.writer.n_free = 0;
	f.key = key;
	cr_assert_eq(shm_flow_replace(&t.writer, next, &f, 55, 0, &idx), -ENOSPC);
	cr_assert_eq(shm_flow_unpublish(&t.writer, next, 0), 0);
	cr_assert_null(shm_flow_lookup(&t.view, &key));
}
