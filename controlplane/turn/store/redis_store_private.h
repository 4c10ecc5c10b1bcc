// What the files of the Redis store share. Private to them. Control plane's loop thread.
#ifndef TP_TURN_REDIS_STORE_PRIVATE_H
#define TP_TURN_REDIS_STORE_PRIVATE_H

#include <hiredis/hiredis.h>

#include "controlplane/turn/store/name_cache.h"
#include "controlplane/turn/store/redis_store.h"

#define REDIS_SECRET_BYTES_MAX 256

struct redis_realm {
	char *name;
	char *secret[TURN_STORE_SECRETS_MAX];
	uint32_t n_secrets;
	bool secrets_known; // answered at least once
	bool has_max_bps, has_quota_per_user, has_quota_total;
	struct turn_store_limits limits;
	struct config_peer_rule *rules[2]; // allowed, denied
	uint32_t n_rules[2];
};

struct redis_store {
	struct redis_link *link;
	struct redis_store_events events;
	struct turn_store_backend backend;
	struct name_cache *names;
	uint64_t cache_ns;
	uint64_t absent_ns;
	struct redis_realm realm[SHM_REALMS_MAX];
	uint32_t n_realms;
	uint64_t secrets_version;
	struct config_peer_rule *rules; // of all realms
	uint32_t n_rules;
	bool rules_overflow; // said already
	bool rules_are_new;  // since they were told of; also before the first answer
	bool round_failed;   // not everything was answered
	struct event *poll;
	uint32_t n_polls; // unanswered
	bool is_down;     // said already
	bool was_up;
	char where[160]; // for messages
	uint64_t counter[REDIS_STORE_COUNTER_COUNT];
};

uint64_t redis_store_now_ns(void);

// ---- redis_realm.c: what is asked for all realms every other second

// Asks for everything of all realms, unless answers to the last time are still to come.
void redis_realm_poll(struct redis_store *s);
void redis_realm_wipe(struct redis_realm *r);

// ---- redis_value.c: what Redis said, as untrusted input. All return 0 or -EINVAL.

// Hexadecimal MD5 or SHA-256.
int redis_value_key(const char *text, size_t n_bytes, struct turn_keys *out);
// A decimal number; more than fits is as much as fits.
int redis_value_number(const char *text, size_t n_bytes, uint32_t *out);
// An answer to HGETALL: field, value, field, value, … `realm` gets the value of that field, or NULL.
int redis_value_oauth(const redisReply *fields, struct turn_store_oauth_key *out,
		      const redisReply **realm);

#endif
