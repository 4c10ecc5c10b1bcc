// Bearer tokens: JSON Web Tokens signed with HS256 (RFC 7519, RFC 7518 §3.2). Pure but for memory; any thread.
#ifndef TP_SIGNALING_TOKEN_H
#define TP_SIGNALING_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/sfu/session.h"

#define TOKEN_BYTES_MAX        4096
#define TOKEN_SECRET_BYTES_MIN 32 // RFC 7518 §3.2: no shorter than the hash

// What a token grants. Claims: sub, room ("*" = every room), publish, watch, exp, nbf; or, in place of room, publish
// and watch, an object `video` with room, roomJoin, canPublish, canSubscribe.
struct token_claims {
	char participant[SFU_PARTICIPANT_BYTES_MAX]; // "" without sub
	char room[SFU_ROOM_BYTES_MAX];
	bool may_publish;
	bool may_watch;
	int64_t expires_at_s; // Unix seconds
};

enum token_verdict {
	TOKEN_GOOD = 0,
	TOKEN_REFUSED,  // no token of ours
	TOKEN_NOT_YET,  // nbf lies ahead
	TOKEN_EXPIRED,  // ours, and the claims are filled
	TOKEN_UNUSABLE, // ours, but its claims make no sense; reason says why
	TOKEN_VERDICT_COUNT
};

// Checks the signature with each of the secrets in constant time, then the claims. Every algorithm but HS256 is
// refused, "none" above all. `reason` is a static sentence, also for a good token.
enum token_verdict token_check(const char *const *secrets, uint32_t n_secrets, const char *token,
			       int64_t now_s, struct token_claims *out, const char **reason);
// The second half of it: the JSON text of claims that are known to be ours.
enum token_verdict token_claims_read(const char *json, int64_t now_s, struct token_claims *out,
				     const char **reason);
// Whether the claims reach this room.
bool token_claims_cover(const struct token_claims *c, const char *room);
// Signs a token; the caller frees *out. 0, -EINVAL or -ENOMEM.
int token_make(const char *secret, const struct token_claims *c, int64_t now_s, char **out);
// Names of rooms and participants: [A-Za-z0-9_.-]{1,63}.
bool token_name_is_good(const char *name);

#endif
