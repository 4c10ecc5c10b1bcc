// Users, secrets, limits and rules about peers in Redis, by coturn's schema:
//   turn/realm/<realm>/user/<user>/key     32 hex digits: MD5 of user:realm:password; 64: SHA-256
//   turn/realm/<realm>/secret              set of secrets of time-limited credentials
//   turn/realm/<realm>/allowed-peer-ip     set of addresses, prefixes, ranges; and denied-peer-ip
//   turn/realm/<realm>/max-bps, user-quota, total-quota
//   turn/oauth/kid/<kid>                   hash: ikm_key, timestamp, lifetime, as_rs_alg, realm
// Keys are kept for a while; when Redis does not answer, what is known goes on working. Control
// plane's loop thread.
#ifndef TP_TURN_REDIS_STORE_H
#define TP_TURN_REDIS_STORE_H

#include "controlplane/turn/store/redis_link.h"
#include "controlplane/turn/store/store.h"

struct redis_store;

struct redis_store_events {
	void *arg;
	// Something that was waited for has been answered: ask again.
	void (*answered)(void *arg);
	// The rules about peers are others now.
	void (*rules_changed)(void *arg);
};

enum redis_store_counter {
	REDIS_STORE_HIT = 0, // answered from what is kept
	REDIS_STORE_ASKED,
	REDIS_STORE_FOUND,
	REDIS_STORE_ABSENT,
	REDIS_STORE_KEPT_WHILE_DOWN,    // too old to be believed, but Redis does not answer
	REDIS_STORE_UNKNOWN_WHILE_DOWN, // names of which nothing is known then: refused
	REDIS_STORE_OVERLOAD,           // too many questions under way: not asked
	REDIS_STORE_BAD_VALUE,          // a key of no use: wrong type, wrong length
	REDIS_STORE_COUNTER_COUNT
};
const char *redis_store_counter_name(enum redis_store_counter c);

// Begins to connect; until the first answer everything has to wait. 0 or -errno.
int redis_store_new(struct event_base *base, const struct config *config,
		    const struct redis_store_events *events, struct redis_store **out);
void redis_store_free(struct redis_store *s); // wipes
const struct turn_store_backend *redis_store_backend(const struct redis_store *s);

// The rules about peers that stand in Redis now, of all realms, each with its realm_idx.
const struct config_peer_rule *redis_store_rules(const struct redis_store *s, uint32_t *n);
// Forgets what is known of a user, after a change.
void redis_store_forget(struct redis_store *s, uint8_t realm_idx, const char *name,
			size_t name_bytes);

bool redis_store_is_up(const struct redis_store *s);
uint32_t redis_store_n_known(const struct redis_store *s);
uint64_t redis_store_counter(const struct redis_store *s, enum redis_store_counter c);
const struct redis_link_stats *redis_store_link_stats(const struct redis_store *s);

#endif
