// Third-party authorization (RFC 7635): which key opens a client's access token, and what it grants.
// Control plane's loop thread.
#ifndef TP_TURN_OAUTH_H
#define TP_TURN_OAUTH_H

#include "controlplane/config/config.h"
#include "controlplane/turn/oauth_token.h"
#include "controlplane/turn/store/store.h"

struct turn_oauth;

// Copies. 0 or -errno.
int turn_oauth_new(const struct config *config, struct turn_oauth **out);
void turn_oauth_free(struct turn_oauth *o); // wipes
// Without a server name no token is accepted.
bool turn_oauth_is_enabled(const struct turn_oauth *o);

// What a token grants: the key of the client's messages, until when.
struct turn_oauth_grant {
	uint16_t key_bytes;
	uint8_t key[TURN_OAUTH_MAC_KEY_MAX];
	uint64_t expires_at_wall_ns;
};
// FOUND: the token is good now. ABSENT: it is not, or its key is unknown or out of its time. WAIT: the
// store has to be asked for the key. The caller wipes *out.
enum turn_store_result turn_oauth_open(const struct turn_oauth *o, const struct turn_store *store,
				       uint8_t realm_idx, const char *kid, size_t kid_bytes,
				       const uint8_t *token, size_t token_bytes, uint64_t wall_ns,
				       struct turn_oauth_grant *out);

#endif
