// Who the users are: their keys, the secrets of REST credentials, the keys of OAuth tokens and the
// limits, realm by realm. What stands in the configuration is asked first, then a shared store that
// may have to answer later (Redis). Control plane's loop thread.
#ifndef TP_TURN_STORE_H
#define TP_TURN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/turn/password_key.h"

#define TURN_STORE_SECRETS_MAX     32
#define TURN_STORE_OAUTH_KEY_BYTES 64
#define TURN_STORE_KID_BYTES_MAX   128

enum turn_store_result {
	TURN_STORE_FOUND = 0,
	TURN_STORE_ABSENT,
	TURN_STORE_WAIT, // asked elsewhere; the same question finds its answer later
};

// Secrets of time-limited credentials. They stay valid until the next call into the store.
struct turn_store_secrets {
	const char *secret[TURN_STORE_SECRETS_MAX];
	uint32_t n;
	uint64_t version; // changes with them: what was derived from older ones is void
};

// A key shared with an authorization server (RFC 7635), as coturn keeps it.
struct turn_store_oauth_key {
	uint8_t key[TURN_STORE_OAUTH_KEY_BYTES];
	uint32_t key_bytes;
	uint64_t valid_from_s;  // wall clock; 0 = always
	uint64_t valid_until_s; // 0 = for ever
	uint16_t tag_bits;      // 256: A256GCM, 128: A128GCM
	uint8_t realm_idx;
};

// 0 = no limit, everywhere.
struct turn_store_limits {
	uint32_t max_bps;        // bytes per second and direction of an allocation
	uint32_t quota_per_user; // live allocations
	uint32_t quota_total;    // live allocations of the realm
};

// A shared store. Each answers from what it holds, or asks and says TURN_STORE_WAIT.
struct turn_store_backend {
	void *arg;
	enum turn_store_result (*user)(void *arg, uint8_t realm_idx, const char *name,
				       size_t name_bytes, struct turn_keys *out);
	// Fills in what it has beside those that are there already.
	enum turn_store_result (*secrets)(void *arg, uint8_t realm_idx,
					  struct turn_store_secrets *inout);
	enum turn_store_result (*oauth)(void *arg, const char *kid, size_t kid_bytes,
					struct turn_store_oauth_key *out);
	// Replaces those that it sets.
	void (*limits)(void *arg, uint8_t realm_idx, struct turn_store_limits *inout);
};

struct turn_store;

// Copies what it needs of the configuration. 0 or -errno.
int turn_store_new(const struct config *config, struct turn_store **out);
void turn_store_free(struct turn_store *s); // wipes
// `backend` must outlive the store; NULL takes it away.
void turn_store_attach(struct turn_store *s, const struct turn_store_backend *backend);

uint32_t turn_store_n_realms(const struct turn_store *s);
// NUL-terminated; the default realm's for an index that is none.
const char *turn_store_realm(const struct turn_store *s, uint8_t realm_idx);

// Whether any realm has secrets, or may get some: then names of the form `expiry[:id]` are REST ones.
bool turn_store_has_rest(const struct turn_store *s);

enum turn_store_result turn_store_user(const struct turn_store *s, uint8_t realm_idx,
				       const char *name, size_t name_bytes, struct turn_keys *out);
// The name whose USERHASH this is (RFC 8489 §14.4: SHA-256(name:realm)); static users alone, since no
// other store can be asked by it. NULL: none.
const char *turn_store_name_of_hash(const struct turn_store *s, uint8_t realm_idx,
				    const uint8_t userhash[32]);
// ABSENT: none.
enum turn_store_result turn_store_secrets(const struct turn_store *s, uint8_t realm_idx,
					  struct turn_store_secrets *out);
enum turn_store_result turn_store_oauth(const struct turn_store *s, const char *kid,
					size_t kid_bytes, struct turn_store_oauth_key *out);
void turn_store_limits(const struct turn_store *s, uint8_t realm_idx,
		       struct turn_store_limits *out);

// Calls fn for each static user of a realm until it returns false.
void turn_store_each(const struct turn_store *s, uint8_t realm_idx,
		     bool (*fn)(void *arg, const char *name, const struct turn_keys *keys),
		     void *arg);

#endif
