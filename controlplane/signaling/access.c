// Who may do what: Bearer tokens (RFC 6750) against role and room. Control plane's loop thread; writes only the
// response. A token's claims are looked at only after its signature.
#include <string.h>
#include <strings.h>
#include <time.h>

#include "controlplane/signaling/signaling_private.h"

// RFC 6750 §3: what is wrong with the token is said to whoever showed one, in the field too.
static void unauthorized(struct http_response *response, const char *reason, bool has_token)
{
	http_response_text(response, 401, "%s", reason);
	if (has_token)
		http_response_add(response, "WWW-Authenticate",
				  "Bearer realm=\"turnpike\", error=\"invalid_token\", "
				  "error_description=\"%s\"",
				  reason);
	else
		http_response_add(response, "WWW-Authenticate", "Bearer realm=\"turnpike\"");
}

// The scheme is case-insensitive (RFC 9110 §11.1). NULL without a Bearer token.
static const char *bearer_token(const struct http_request *request)
{
	const char *value = request->authorization;

	if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0)
		return NULL;
	value += 7;
	return value + strspn(value, " ");
}

static bool check(const struct signaling *s, const struct http_request *request,
		  bool expired_serves, struct token_claims *claims, struct http_response *response)
{
	const struct signaling_settings *settings = &s->settings;
	const char *token = bearer_token(request), *reason;
	enum token_verdict verdict;

	memset(claims, 0, sizeof(*claims));
	if (!settings->requires_tokens) {
		strcpy(claims->room, "*");
		claims->may_publish = claims->may_watch = true;
		return true;
	}
	if (token == NULL) {
		unauthorized(response,
			     "a token is needed: send Authorization: Bearer TOKEN; one is made by "
			     "turnpikectl token new",
			     false);
		return false;
	}
	verdict = token_check((const char *const *)settings->token_secrets,
			      settings->n_token_secrets, token, time(NULL), claims, &reason);
	if (verdict == TOKEN_GOOD || (verdict == TOKEN_EXPIRED && expired_serves))
		return true;
	unauthorized(response, reason, true);
	return false;
}

static bool covers(const struct token_claims *claims, enum sfu_role role, const char *room,
		   struct http_response *response)
{
	bool may = role == SFU_ROLE_PUBLISH ? claims->may_publish : claims->may_watch;

	if (!may)
		http_response_text(response, 403, "the token does not let its holder %s",
				   role == SFU_ROLE_PUBLISH ? "publish" : "watch");
	else if (!token_claims_cover(claims, room))
		http_response_text(response, 403, "the token is for another room");
	else
		return true;
	return false;
}

bool signaling_may(const struct signaling *s, const struct http_request *request,
		   enum sfu_role role, const char *room, struct token_claims *claims,
		   struct http_response *response)
{
	return check(s, request, false, claims, response) && covers(claims, role, room, response);
}

bool signaling_may_end(const struct signaling *s, const struct http_request *request,
		       enum sfu_role role, const char *room, struct http_response *response)
{
	struct token_claims claims;

	return check(s, request, true, &claims, response) && covers(&claims, role, room, response);
}

bool signaling_knows(const struct signaling *s, const struct http_request *request,
		     struct http_response *response)
{
	struct token_claims claims;

	return check(s, request, true, &claims, response);
}
