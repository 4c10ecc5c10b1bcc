// What is known of names is bounded, and names that do not exist push out nobody who does.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/turn/store/name_cache.h"

static struct name_cache *cache;

static void init(void)
{
	cr_assert_eq(name_cache_new(&cache), 0);
}

static void fini(void)
{
	name_cache_free(cache);
}

static struct name_cache_entry *add(uint8_t realm_idx, const char *name,
				    enum name_cache_state state)
{
	struct name_cache_entry *e = name_cache_add(cache, realm_idx, name, strlen(name));

	cr_assert_not_null(e);
	if (state != NAME_CACHE_ASKED)
		name_cache_settle(cache, e, state, 1);
	return e;
}

static struct name_cache_entry *find(uint8_t realm_idx, const char *name)
{
	return name_cache_find(cache, realm_idx, name, strlen(name));
}

TestSuite(name_cache, .init = init, .fini = fini);

Test(name_cache, names_are_of_their_realm)
{
	struct name_cache_entry *e = add(0, "alice", NAME_CACHE_FOUND);

	cr_expect_eq(find(0, "alice"), e);
	cr_expect_null(find(1, "alice"));
	cr_expect_null(find(NAME_CACHE_OAUTH, "alice"));
	cr_expect_null(find(0, "alic"));
	name_cache_remove(cache, e);
	cr_expect_null(find(0, "alice"));
}

Test(name_cache, a_flood_of_unknown_names_pushes_out_no_user)
{
	char name[32];

	add(0, "alice", NAME_CACHE_FOUND);
	for (int i = 0; i < 3 * NAME_CACHE_ABSENT_MAX; i++) {
		snprintf(name, sizeof(name), "nobody%d", i);
		add(0, name, i % 2 ? NAME_CACHE_ABSENT : NAME_CACHE_ASKED);
	}
	cr_expect_not_null(find(0, "alice"));
	cr_expect_null(find(0, "nobody0"));
	cr_expect_not_null(find(0, name));
	cr_expect_leq(name_cache_n(cache, NAME_CACHE_ABSENT), NAME_CACHE_ABSENT_MAX);
	cr_expect_eq(name_cache_n(cache, NAME_CACHE_FOUND), 1);
}

Test(name_cache, the_least_recently_used_user_goes_first)
{
	char name[32];

	for (int i = 0; i < NAME_CACHE_FOUND_MAX; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		add(0, name, NAME_CACHE_FOUND);
	}
	cr_assert_not_null(find(0, "u0"));
	add(0, "one more", NAME_CACHE_FOUND);
	cr_expect_not_null(find(0, "u0"));
	cr_expect_null(find(0, "u1"));
	cr_expect_eq(name_cache_n(cache, NAME_CACHE_FOUND), NAME_CACHE_FOUND_MAX);
}

Test(name_cache, a_user_who_was_removed_leaves_no_key)
{
	struct name_cache_entry *e = add(0, "alice", NAME_CACHE_FOUND);
	static const uint8_t zero[16];

	memset(e->value.user.md5, 7, 16);
	name_cache_settle(cache, e, NAME_CACHE_ABSENT, 2);
	cr_expect_arr_eq(e->value.user.md5, zero, 16);
	cr_expect_eq(name_cache_n(cache, NAME_CACHE_FOUND), 0);
}
