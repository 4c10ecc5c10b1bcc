// Who sent a request, and the integrity of messages: long-term credentials (RFC 8489 §9.2) of static
// users, of users of a shared store and of time-limited REST users, and access tokens (RFC 7635).
// Control plane's loop thread.
#ifndef TP_TURN_AUTH_H
#define TP_TURN_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/turn/hmac.h"
#include "controlplane/turn/password_key.h"
#include "dataplane/contract/wire/stun.h"

#define TURN_AUTH_KEY_BYTES_MAX TURN_KEY_BYTES_MAX

struct turn_auth;
struct turn_store;

// What stands in shm_allocation.integrity: how the owner signed its Allocate.
#define TURN_SIGNED_SHA256     0x01 // MESSAGE-INTEGRITY-SHA256, else MESSAGE-INTEGRITY
#define TURN_SIGNED_KEY_SHA256 0x02 // by a key of the password algorithm SHA-256, else MD5
#define TURN_SIGNED_TOKEN      0x04 // by the key of an access token
#define TURN_SIGNED_ALL        0x07

// Who sent a request. `username` points into it, or into the store. The owner wipes it.
struct turn_identity {
	const char *username; // NULL: nobody proved anything yet
	uint16_t username_bytes;
	uint8_t signing; // TURN_SIGNED_*
	uint8_t key_bytes;
	uint8_t key[TURN_AUTH_KEY_BYTES_MAX];
	bool has_token;              // the request itself brought the access token
	uint64_t expires_at_wall_ns; // of the access token; 0 = nothing limits the allocation
};

// What an allocation remembers of its owner: its key goes on working when a REST credential expires
// or its secret is rotated out, and when a token was shown once.
struct turn_auth_owner {
	const char *username;
	uint16_t username_bytes;
	uint8_t signing;
	uint8_t key_bytes;
	const uint8_t *key;
};

// 0 or -errno. Copies what it needs of config.
int turn_auth_new(const struct config *config, struct turn_auth **out);
void turn_auth_free(struct turn_auth *a); // wipes
// Where it takes keys and secrets from.
struct turn_store *turn_auth_store(struct turn_auth *a);

struct turn_auth_question {
	const struct stun_view *msg;
	uint8_t realm_idx;
	const struct turn_auth_owner *owner; // of the allocation on the 5-tuple, or NULL
	uint64_t wall_ns;
};

enum turn_auth_verdict {
	TURN_AUTH_OK = 0,
	TURN_AUTH_BAD_REQUEST, // 400: attributes are missing or contradict each other
	// 401: unknown user, expired credential, wrong integrity, which a client cannot tell apart
	TURN_AUTH_REFUSED,
	TURN_AUTH_WAIT, // no answer: a store was asked, the retransmission finds the user
	TURN_AUTH_VERDICT_COUNT
};

// Whether the request carries what must be there for a check at all, but for the nonce: OK (go on to
// turn_auth_check), REFUSED (no integrity at all) or BAD_REQUEST.
enum turn_auth_verdict turn_auth_precheck(const struct stun_view *msg);
// The rest of RFC 8489 §9.2.4; the nonce is the caller's. Fills *out with OK only.
enum turn_auth_verdict turn_auth_check(struct turn_auth *a, const struct turn_auth_question *q,
				       struct turn_identity *out);

// Appends the kind of integrity that the request had.
void turn_auth_sign(struct turn_auth *a, const struct turn_identity *id, struct stun_builder *b);

// The part of a username that quotas count: behind the expiry of a REST username, else all of it.
void turn_auth_quota_name(const struct turn_auth *a, const char *username, size_t username_bytes,
			  const char **out, size_t *out_bytes);

#endif
