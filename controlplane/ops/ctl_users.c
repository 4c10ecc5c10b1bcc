// user list, user show, user kill, user forget; and the counters of the shared store. Control plane's
// loop thread.
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/ctl_verbs.h"
#include "controlplane/ops/log.h"
#include "controlplane/turn/rest_key.h"
#include "controlplane/turn/store/accounting.h"
#include "controlplane/turn/store/redis_store.h"
#include "controlplane/turn/waiting.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     10000 // one answer must not hold up the loop

// What one call looks for and has found.
struct user_search {
	struct ctl_call *call;
	const struct turn_store *store;
	const char *name; // NULL: all
	int realm_idx;    // -1: all
	uint64_t limit;
	uint64_t n_matching;
	json_t *found;  // by key, see find_or_add
	json_t *ids;    // of allocations; NULL: not wanted
	uint32_t *idxs; // of allocations to be ended; NULL: none
	uint32_t n_idxs;
};

// The part of a username that stays the same from one credential to the next.
static const char *lasting_name(const char *name, size_t name_bytes, size_t *out_bytes,
				bool *is_rest)
{
	uint64_t expires_at_s;
	size_t id_offset;

	*is_rest = turn_rest_name_parse(name, name_bytes, &expires_at_s, &id_offset) &&
		   id_offset < name_bytes;
	*out_bytes = *is_rest ? name_bytes - id_offset : name_bytes;
	return *is_rest ? name + id_offset : name;
}

// The user's object; NULL when there are as many as are wanted. `source` is where a user comes from that is not there yet.
static json_t *find_or_add(struct user_search *s, uint8_t realm_idx, const char *name,
			   size_t name_bytes, const char *source)
{
	json_t *text = ctl_text(name, name_bytes), *user = NULL;
	json_t *key = text ? json_sprintf("%u %s", realm_idx, json_string_value(text)) : NULL;
	struct turn_store_limits limits;

	if (key)
		user = json_object_get(s->found, json_string_value(key));
	if (key && !user) {
		s->n_matching++;
		if (s->n_matching <= s->limit) {
			turn_store_limits(s->store, realm_idx, &limits);
			user = json_pack("{s:O, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "name",
					 text, "realm", turn_store_realm(s->store, realm_idx),
					 "source", source, "allocations", 0, "quota",
					 (json_int_t)limits.quota_per_user, "up_pkts",
					 (json_int_t)0, "up_bytes", (json_int_t)0, "down_pkts",
					 (json_int_t)0, "down_bytes", (json_int_t)0);
			json_object_set_new(s->found, json_string_value(key), user);
		}
	}
	json_decref(key);
	json_decref(text);
	return user;
}

static bool is_wanted(const struct user_search *s, uint8_t realm_idx, const char *name,
		      size_t name_bytes)
{
	if (s->realm_idx >= 0 && s->realm_idx != realm_idx)
		return false;
	return !s->name ||
	       (strlen(s->name) == name_bytes && memcmp(s->name, name, name_bytes) == 0);
}

static void add_number(json_t *user, const char *key, uint64_t n)
{
	json_t *v = json_object_get(user, key);

	json_integer_set(v, json_integer_value(v) + (json_int_t)n);
}

static bool wants_allocation(void *arg, const struct turn_allocation_brief *a)
{
	const struct user_search *s = arg;
	size_t name_bytes;
	bool is_rest;
	const char *name = lasting_name(a->username, a->username_bytes, &name_bytes, &is_rest);

	return is_wanted(s, a->realm_idx, name, name_bytes) ||
	       is_wanted(s, a->realm_idx, a->username, a->username_bytes);
}

static bool add_allocation(void *arg, const struct turn_allocation_info *a)
{
	struct user_search *s = arg;
	size_t name_bytes;
	bool is_rest;
	const char *name = lasting_name(a->username, a->username_bytes, &name_bytes, &is_rest);
	json_t *user = find_or_add(s, a->realm_idx, name, name_bytes,
				   is_rest                  ? "rest_secrets"
				   : s->call->engine->redis ? "redis"
							    : "file");

	if (s->ids)
		json_array_append_new(s->ids, json_string(a->id));
	if (s->idxs)
		s->idxs[s->n_idxs++] = a->idx;
	if (!user)
		return true;
	add_number(user, "allocations", 1);
	add_number(user, "up_pkts", a->usage.up_pkts);
	add_number(user, "up_bytes", a->usage.up_bytes);
	add_number(user, "down_pkts", a->usage.down_pkts);
	add_number(user, "down_bytes", a->usage.down_bytes);
	return true;
}

struct realm_walk {
	struct user_search *search;
	uint8_t realm_idx;
};

static bool add_static(void *arg, const char *name, const struct turn_keys *keys)
{
	struct realm_walk *w = arg;

	if (is_wanted(w->search, w->realm_idx, name, strlen(name)))
		find_or_add(w->search, w->realm_idx, name, strlen(name), "file");
	return true;
}

// The arguments id (a name) and realm.
static int read_args(struct user_search *s, bool needs_name)
{
	const char *realm = NULL;

	s->store = turn_server_store(s->call->engine->turn);
	s->realm_idx = -1;
	if (ctl_arg_text(s->call, "id", &s->name) < 0 || ctl_arg_text(s->call, "realm", &realm) < 0)
		return -1;
	if (needs_name && !s->name) {
		ctl_refuse(s->call, "bad_argument", "see: turnpikectl user list",
			   "no user is named");
		return -1;
	}
	if (!realm)
		return 0;
	for (uint32_t i = 0; i < turn_store_n_realms(s->store); i++) {
		if (strcmp(realm, turn_store_realm(s->store, (uint8_t)i)) == 0)
			s->realm_idx = (int)i;
	}
	if (s->realm_idx >= 0)
		return 0;
	ctl_refuse(s->call, "not_found", "see: turnpikectl config show",
		   "there is no realm \"%.100s\"", realm);
	return -1;
}

static void search(struct user_search *s)
{
	for (uint32_t i = 0; i < turn_store_n_realms(s->store); i++) {
		struct realm_walk w = { s, (uint8_t)i };

		turn_store_each(s->store, (uint8_t)i, add_static, &w);
	}
	turn_allocation_each(s->call->engine->turn, wants_allocation, add_allocation, s);
}

// The found users as an array; frees what they were collected in.
static json_t *take_users(struct user_search *s)
{
	json_t *array = json_array(), *user;
	const char *key;

	json_object_foreach(s->found, key, user)
	{
		json_array_append(array, user);
	}
	json_decref(s->found);
	return array;
}

json_t *ctl_user_list(struct ctl_call *call)
{
	struct user_search s = { .call = call, .limit = LIMIT_DEFAULT };

	if (read_args(&s, false) < 0 || ctl_arg_number(call, "limit", LIMIT_MAX, &s.limit) < 0)
		return NULL;
	s.found = json_object();
	search(&s);
	return json_pack("{s:o, s:o}", "users", take_users(&s), "matching",
			 ctl_counter(s.n_matching));
}

static json_t *refuse_unknown(struct user_search *s)
{
	return ctl_refuse(s->call, "not_found", "see: turnpikectl user list",
			  "neither the configuration nor a live allocation knows a user \"%.100s\"",
			  s->name);
}

json_t *ctl_user_show(struct ctl_call *call)
{
	struct user_search s = { .call = call, .limit = LIMIT_MAX };

	if (read_args(&s, true) < 0)
		return NULL;
	s.found = json_object();
	s.ids = json_array();
	search(&s);
	if (s.n_matching == 0) {
		json_decref(s.found);
		json_decref(s.ids);
		return refuse_unknown(&s);
	}
	return json_pack("{s:o, s:o}", "users", take_users(&s), "ids", s.ids);
}

json_t *ctl_user_kill(struct ctl_call *call)
{
	struct turn_server *turn = call->engine->turn;
	struct user_search s = { .call = call, .limit = LIMIT_MAX };
	json_t *users;

	if (read_args(&s, true) < 0)
		return NULL;
	s.idxs = calloc((size_t)turn_server_n_allocations(turn) + 1, sizeof(*s.idxs));
	if (!s.idxs)
		return NULL;
	s.found = json_object();
	search(&s);
	for (uint32_t i = 0; i < s.n_idxs; i++)
		turn_allocation_kill(turn, s.idxs[i], call->now_ns);
	free(s.idxs);
	users = take_users(&s);
	if (s.n_matching == 0) {
		json_decref(users);
		return refuse_unknown(&s);
	}
	log_info("an operator ended the %u allocations of user %.100s", s.n_idxs, s.name);
	return json_pack("{s:s, s:o, s:o}", "user", s.name, "killed", ctl_counter(s.n_idxs),
			 "users", users);
}

// After a change of the shared store, which would else be believed for a while.
json_t *ctl_user_forget(struct ctl_call *call)
{
	struct user_search s = { .call = call };

	if (read_args(&s, true) < 0)
		return NULL;
	for (uint32_t i = 0; call->engine->redis && i < turn_store_n_realms(s.store); i++) {
		if (s.realm_idx < 0 || s.realm_idx == (int)i)
			redis_store_forget(call->engine->redis, (uint8_t)i, s.name, strlen(s.name));
	}
	return json_pack("{s:s, s:b}", "user", s.name, "has_store", call->engine->redis != NULL);
}

json_t *ctl_store_counters(const struct engine *e)
{
	json_t *o = json_object();
	const struct turn_waiting *waiting = turn_server_waiting(e->turn);
	const struct redis_link_stats *link;

	if (!e->redis)
		return o;
	json_object_set_new(o, "is_up", json_boolean(redis_store_is_up(e->redis)));
	json_object_set_new(o, "known", json_integer(redis_store_n_known(e->redis)));
	for (int i = 0; i < REDIS_STORE_COUNTER_COUNT; i++)
		json_object_set_new(o, redis_store_counter_name(i),
				    ctl_counter(redis_store_counter(e->redis, i)));
	link = redis_store_link_stats(e->redis);
	json_object_set_new(o, "connects", ctl_counter(link->n_connects));
	json_object_set_new(o, "losses", ctl_counter(link->n_losses));
	json_object_set_new(o, "commands", ctl_counter(link->n_commands));
	json_object_set_new(o, "commands_refused_full", ctl_counter(link->n_refused_full));
	json_object_set_new(o, "waited", ctl_counter(waiting->n_kept));
	json_object_set_new(o, "waiting_dropped_full", ctl_counter(waiting->n_dropped_full));
	json_object_set_new(o, "waiting_dropped_source", ctl_counter(waiting->n_dropped_source));
	json_object_set_new(o, "waiting_dropped_late", ctl_counter(waiting->n_dropped_late));
	if (e->accounting) {
		struct accounting_stats a = accounting_stats(e->accounting);

		json_object_set_new(o, "statistics_told", ctl_counter(a.n_told));
		json_object_set_new(o, "statistics_lost", ctl_counter(a.n_lost));
		json_object_set_new(o, "statistics_queued", json_integer(a.n_queued));
	}
	return o;
}
