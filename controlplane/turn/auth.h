// Long-term credentials (RFC 8489 §9.2) of static users and of time-limited REST users: username
// `expiry[:id]`, password base64(HMAC-SHA1(secret, username)). Control plane's loop thread.
#ifndef TP_TURN_AUTH_H
#define TP_TURN_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "dataplane/contract/wire/stun.h"

#define TURN_AUTH_KEY_BYTES 16 // MD5
#define TURN_AUTH_TAG_BYTES 20 // HMAC-SHA1

struct turn_auth;
struct turn_store;

// Who sent a request. `username` points into it.
struct turn_identity {
	const char *username;
	uint16_t username_bytes;
	uint8_t key[TURN_AUTH_KEY_BYTES];
};

// What an allocation remembers of its owner: its key goes on working when a REST credential expires
// or its secret is rotated out.
struct turn_auth_owner {
	const char *username;
	uint16_t username_bytes;
	const uint8_t *key;
};

// 0 or -errno. Copies what it needs of config.
int turn_auth_new(const struct config *config, struct turn_auth **out);
void turn_auth_free(struct turn_auth *a); // wipes
// Where it takes keys and secrets from.
struct turn_store *turn_auth_store(struct turn_auth *a);

// Checks USERNAME and MESSAGE-INTEGRITY; nonce and presence of the attributes are the caller's.
// `owner` may be NULL. 0 and the identity, or -EACCES: unknown user, expired credential or wrong
// integrity, which a client cannot tell apart. -EAGAIN: its key has to be asked for elsewhere.
int turn_auth_check(struct turn_auth *a, uint8_t realm_idx, const struct stun_view *msg,
		    const struct stun_attr *username, const struct stun_attr *integrity,
		    const struct turn_auth_owner *owner, uint64_t wall_ns,
		    struct turn_identity *out);

// HMAC-SHA1 over msg[0..covered), for answers.
void turn_auth_sign(struct turn_auth *a, const uint8_t key[TURN_AUTH_KEY_BYTES], const uint8_t *msg,
		    size_t covered_bytes, uint8_t tag[TURN_AUTH_TAG_BYTES]);

// The part of a username that quotas count: behind the expiry of a REST username, else all of it.
void turn_auth_quota_name(const struct turn_auth *a, const char *username, size_t username_bytes,
			  const char **out, size_t *out_bytes);

#endif
