// Asks Redis for users and token keys as they are needed, and keeps the answers. Control plane's loop
// thread.
#include "controlplane/turn/store/redis_store.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/ops/log.h"
#include "controlplane/turn/rest_key.h"
#include "controlplane/turn/store/redis_store_private.h"
#include "dataplane/contract/shm/allocation_table.h"

#define NS_PER_S   1000000000ull
#define ABSENT_S   10             // how long a name that is not there is believed not to be
#define SLOW_NS    NS_PER_S       // an answer that takes longer is not waited for
#define PATIENT_NS (2 * NS_PER_S) // as long Redis may be away before unknown names are refused
#define POLL_S     2
#define ASKED_MAX  1024 // questions under way

uint64_t redis_store_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

// ---- asking for one name

struct ask {
	struct redis_store *store;
	uint64_t serial; // of the entry, which may be gone when the answer comes
	uint8_t realm_idx;
	uint32_t name_bytes;
	char name[];
};

static void oauth_take(struct redis_store *s, const redisReply *reply, struct name_cache_entry *e,
		       enum name_cache_state *state)
{
	struct turn_store_oauth_key key;
	const redisReply *realm;

	*state = NAME_CACHE_ABSENT;
	if (reply->elements == 0)
		return;
	if (redis_value_oauth(reply, &key, &realm) < 0) {
		s->counter[REDIS_STORE_BAD_VALUE]++;
		return;
	}
	*state = NAME_CACHE_FOUND;
	for (uint32_t i = 0; realm != NULL && i < s->n_realms; i++) {
		const char *name = s->realm[i].name;

		if ((size_t)realm->len == strlen(name) &&
		    memcmp(realm->str, name, strlen(name)) == 0) {
			key.realm_idx = (uint8_t)i;
			realm = NULL;
		}
	}
	if (realm != NULL) // of a realm that is none of ours
		*state = NAME_CACHE_ABSENT;
	else
		e->value.oauth = key;
	OPENSSL_cleanse(&key, sizeof(key));
}

static void user_take(struct redis_store *s, const redisReply *reply, struct name_cache_entry *e,
		      enum name_cache_state *state)
{
	*state = NAME_CACHE_ABSENT;
	if (reply->type == REDIS_REPLY_NIL)
		return;
	if (redis_value_key(reply->str, (size_t)reply->len, &e->value.user) == 0)
		*state = NAME_CACHE_FOUND;
	else
		s->counter[REDIS_STORE_BAD_VALUE]++;
}

static void on_answer(void *arg, const redisReply *reply)
{
	struct ask *a = arg;
	struct redis_store *s = a->store;
	struct name_cache_entry *e =
		name_cache_find(s->names, a->realm_idx, a->name, a->name_bytes);
	bool is_oauth = a->realm_idx == NAME_CACHE_OAUTH;
	enum name_cache_state state = NAME_CACHE_ABSENT;

	if (e != NULL && e->serial != a->serial)
		e = NULL;
	free(a);
	if (e == NULL)
		return;
	e->is_asked = false;
	if (reply == NULL) {
		if (e->state == NAME_CACHE_ASKED)
			name_cache_remove(s->names, e);
		return;
	}
	if (reply->type == REDIS_REPLY_ARRAY && is_oauth) {
		oauth_take(s, reply, e, &state);
	} else if (!is_oauth &&
		   (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL)) {
		user_take(s, reply, e, &state);
	} else {
		s->counter[REDIS_STORE_BAD_VALUE]++;
	}
	s->counter[state == NAME_CACHE_FOUND ? REDIS_STORE_FOUND : REDIS_STORE_ABSENT]++;
	name_cache_settle(s->names, e, state, redis_store_now_ns());
	s->events.answered(s->events.arg);
}

static void ask(struct redis_store *s, struct name_cache_entry *e, uint64_t now_ns)
{
	char key[sizeof("turn/realm//user//key") + SHM_USERNAME_MAX + 128];
	struct redis_word words[2] = { { "GET", 3 }, { key, 0 } };
	struct ask *a = malloc(sizeof(*a) + e->name_bytes);
	int n;

	if (a == NULL)
		return;
	*a = (struct ask){ s, e->serial, e->realm_idx, e->name_bytes };
	memcpy(a->name, e->name, e->name_bytes);
	if (e->realm_idx == NAME_CACHE_OAUTH) {
		words[0] = (struct redis_word){ "HGETALL", 7 };
		n = sprintf(key, "turn/oauth/kid/");
	} else {
		n = sprintf(key, "turn/realm/%s/user/", s->realm[e->realm_idx].name);
	}
	memcpy(key + n, e->name, e->name_bytes);
	words[1].n_bytes = (size_t)n + e->name_bytes;
	if (e->realm_idx != NAME_CACHE_OAUTH) {
		memcpy(key + words[1].n_bytes, "/key", 4);
		words[1].n_bytes += 4;
	}
	if (redis_link_send(s->link, words, 2, on_answer, a) < 0) {
		free(a);
		return;
	}
	e->is_asked = true;
	e->asked_at_ns = now_ns;
	s->counter[REDIS_STORE_ASKED]++;
}

// Redis has been away for so long that nobody should wait for it.
static bool is_away(const struct redis_store *s)
{
	return redis_link_down_ns(s->link) > PATIENT_NS;
}

static enum turn_store_result look_up(struct redis_store *s, uint8_t realm_idx, const char *name,
				      size_t name_bytes, struct name_cache_entry **out)
{
	struct name_cache_entry *e = name_cache_find(s->names, realm_idx, name, name_bytes);
	uint64_t now_ns = redis_store_now_ns();
	bool is_new = e == NULL || e->state == NAME_CACHE_ASKED;
	uint64_t keep_ns;

	*out = e;
	if (!is_new) {
		keep_ns = e->state == NAME_CACHE_FOUND ? s->cache_ns : s->absent_ns;
		if (now_ns - e->said_at_ns < keep_ns) {
			s->counter[REDIS_STORE_HIT]++;
			return e->state == NAME_CACHE_FOUND ? TURN_STORE_FOUND : TURN_STORE_ABSENT;
		}
		// Old, but there is nobody to ask.
		if (!redis_link_is_prompt(s->link) ||
		    (e->is_asked && now_ns - e->asked_at_ns > SLOW_NS)) {
			s->counter[REDIS_STORE_KEPT_WHILE_DOWN]++;
			return e->state == NAME_CACHE_FOUND ? TURN_STORE_FOUND : TURN_STORE_ABSENT;
		}
	}
	if (!redis_link_is_up(s->link)) {
		if (!is_away(s))
			return TURN_STORE_WAIT;
		s->counter[REDIS_STORE_UNKNOWN_WHILE_DOWN]++;
		return TURN_STORE_ABSENT;
	}
	if (e != NULL && e->is_asked)
		return TURN_STORE_WAIT;
	if (redis_link_n_unanswered(s->link) >= ASKED_MAX) {
		s->counter[REDIS_STORE_OVERLOAD]++;
		return TURN_STORE_WAIT;
	}
	if (e == NULL)
		e = name_cache_add(s->names, realm_idx, name, name_bytes);
	if (e != NULL)
		ask(s, e, now_ns);
	return TURN_STORE_WAIT;
}

// ---- as a backend of the store

static enum turn_store_result find_user(void *arg, uint8_t realm_idx, const char *name,
					size_t name_bytes, struct turn_keys *out)
{
	struct redis_store *s = arg;
	struct name_cache_entry *e;
	enum turn_store_result result;
	uint64_t expires_at_s;
	size_t id_offset;

	if (realm_idx >= s->n_realms || name_bytes > SHM_USERNAME_MAX)
		return TURN_STORE_ABSENT;
	// A time-limited credential needs no user, so that it need not wait for a server that is away.
	if (!redis_link_is_prompt(s->link) && s->realm[realm_idx].n_secrets > 0 &&
	    turn_rest_name_parse(name, name_bytes, &expires_at_s, &id_offset))
		return TURN_STORE_ABSENT;
	result = look_up(s, realm_idx, name, name_bytes, &e);
	if (result == TURN_STORE_FOUND)
		*out = e->value.user;
	return result;
}

static enum turn_store_result add_secrets(void *arg, uint8_t realm_idx,
					  struct turn_store_secrets *inout)
{
	const struct redis_store *s = arg;
	const struct redis_realm *r;

	inout->version = s->secrets_version;
	if (realm_idx >= s->n_realms)
		return TURN_STORE_ABSENT;
	r = &s->realm[realm_idx];
	for (uint32_t i = 0; i < r->n_secrets && inout->n < TURN_STORE_SECRETS_MAX; i++)
		inout->secret[inout->n++] = r->secret[i];
	if (r->n_secrets > 0)
		return TURN_STORE_FOUND;
	return r->secrets_known || is_away(s) ? TURN_STORE_ABSENT : TURN_STORE_WAIT;
}

static enum turn_store_result find_oauth(void *arg, const char *kid, size_t kid_bytes,
					 struct turn_store_oauth_key *out)
{
	struct name_cache_entry *e;
	enum turn_store_result result = look_up(arg, NAME_CACHE_OAUTH, kid, kid_bytes, &e);

	if (result == TURN_STORE_FOUND)
		*out = e->value.oauth;
	return result;
}

static void set_limits(void *arg, uint8_t realm_idx, struct turn_store_limits *inout)
{
	const struct redis_store *s = arg;
	const struct redis_realm *r;

	if (realm_idx >= s->n_realms)
		return;
	r = &s->realm[realm_idx];
	if (r->has_max_bps)
		inout->max_bps = r->limits.max_bps;
	if (r->has_quota_per_user)
		inout->quota_per_user = r->limits.quota_per_user;
	if (r->has_quota_total)
		inout->quota_total = r->limits.quota_total;
}

// ---- life

static void on_up(void *arg)
{
	struct redis_store *s = arg;

	if (s->is_down)
		log_info("%s: answers again", s->where);
	else if (!s->was_up)
		log_info("%s: connected; users of %u realms are looked up there", s->where,
			 s->n_realms);
	s->is_down = false;
	s->was_up = true;
	redis_realm_poll(s);
	// What waited for the connection can ask now.
	s->events.answered(s->events.arg);
}

static void on_down(void *arg, const char *why)
{
	struct redis_store *s = arg;

	if (!s->is_down)
		log_warning("%s: %s; %u known users keep working, others are refused until it "
			    "answers",
			    s->where, why, name_cache_n(s->names, NAME_CACHE_FOUND));
	s->is_down = true;
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	redis_realm_poll(arg);
}

int redis_store_new(struct event_base *base, const struct config *config,
		    const struct redis_store_events *events, struct redis_store **out)
{
	const struct config_redis *c = &config->redis;
	const struct timeval period = { .tv_sec = POLL_S };
	struct redis_store *s = calloc(1, sizeof(*s));
	const struct redis_link_events link_events = { s, on_up, on_down };
	int ret = -ENOMEM;

	if (s == NULL)
		return -ENOMEM;
	s->events = *events;
	s->backend =
		(struct turn_store_backend){ s, find_user, add_secrets, find_oauth, set_limits };
	s->rules_are_new = true;
	s->cache_ns = c->cache_s * NS_PER_S;
	s->absent_ns = (c->cache_s < ABSENT_S ? c->cache_s : ABSENT_S) * NS_PER_S;
	if (c->path != NULL)
		snprintf(s->where, sizeof(s->where), "redis unix:%s", c->path);
	else
		snprintf(s->where, sizeof(s->where), "redis %s:%u", c->host, c->port);
	for (uint32_t i = 0; i <= config->n_realms && i < SHM_REALMS_MAX; i++) {
		s->realm[i].name = strdup(i == 0 ? config->realm : config->realms[i - 1].name);
		s->n_realms++;
		if (s->realm[i].name == NULL)
			goto fail;
	}
	ret = name_cache_new(&s->names);
	if (ret < 0)
		goto fail;
	ret = redis_link_new(base, c, &link_events, &s->link);
	if (ret < 0)
		goto fail;
	ret = -ENOMEM;
	s->poll = event_new(base, -1, EV_PERSIST, on_poll, s);
	if (s->poll == NULL || event_add(s->poll, &period) < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	redis_store_free(s);
	return ret;
}

void redis_store_free(struct redis_store *s)
{
	if (s == NULL)
		return;
	redis_link_free(s->link);
	if (s->poll != NULL)
		event_free(s->poll);
	name_cache_free(s->names);
	for (uint32_t i = 0; i < s->n_realms; i++)
		redis_realm_wipe(&s->realm[i]);
	free(s->rules);
	free(s);
}

const struct turn_store_backend *redis_store_backend(const struct redis_store *s)
{
	return &s->backend;
}

const struct config_peer_rule *redis_store_rules(const struct redis_store *s, uint32_t *n)
{
	*n = s->n_rules;
	return s->rules;
}

void redis_store_forget(struct redis_store *s, uint8_t realm_idx, const char *name,
			size_t name_bytes)
{
	struct name_cache_entry *e = name_cache_find(s->names, realm_idx, name, name_bytes);

	if (e != NULL)
		name_cache_remove(s->names, e);
}

bool redis_store_is_up(const struct redis_store *s)
{
	return redis_link_is_up(s->link);
}

uint32_t redis_store_n_known(const struct redis_store *s)
{
	return name_cache_n(s->names, NAME_CACHE_FOUND);
}

uint64_t redis_store_counter(const struct redis_store *s, enum redis_store_counter c)
{
	return s->counter[c];
}

const struct redis_link_stats *redis_store_link_stats(const struct redis_store *s)
{
	return redis_link_stats(s->link);
}

const char *redis_store_counter_name(enum redis_store_counter c)
{
	static const char *const names[REDIS_STORE_COUNTER_COUNT] = {
		[REDIS_STORE_HIT] = "hits",
		[REDIS_STORE_ASKED] = "asked",
		[REDIS_STORE_FOUND] = "found",
		[REDIS_STORE_ABSENT] = "absent",
		[REDIS_STORE_KEPT_WHILE_DOWN] = "kept_while_down",
		[REDIS_STORE_UNKNOWN_WHILE_DOWN] = "unknown_while_down",
		[REDIS_STORE_OVERLOAD] = "overload",
		[REDIS_STORE_BAD_VALUE] = "bad_value",
	};

	return c < REDIS_STORE_COUNTER_COUNT ? names[c] : "unknown";
}
