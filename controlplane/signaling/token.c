// Signs and checks tokens with libjwt, reads claims with jansson. Any thread; writes only its results.
#include "controlplane/signaling/token.h"

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_SKEW_S 30 // between us and whoever signs

bool token_name_is_good(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < SFU_ROOM_BYTES_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       n;
}

bool token_claims_cover(const struct token_claims *c, const char *room)
{
	return strcmp(c->room, "*") == 0 || strcmp(c->room, room) == 0;
}

// RFC 7519 §2: a NumericDate may have a fraction. False if it is no time at all.
static bool read_time(const json_t *v, int64_t *out)
{
	double s;

	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return true;
	}
	s = json_real_value(v);
	if (!json_is_real(v) || !(s > -9e15 && s < 9e15))
		return false;
	*out = (int64_t)s;
	return true;
}

// jansson's strings may hold NUL bytes; such a name must not pass for the one in front of them.
static bool read_name(const json_t *v, bool may_be_all, char *out)
{
	const char *text = json_string_value(v);

	if (text == NULL || strlen(text) != json_string_length(v))
		return false;
	if (!token_name_is_good(text) && !(may_be_all && strcmp(text, "*") == 0))
		return false;
	strcpy(out, text);
	return true;
}

// {"video": {"room": …, "roomJoin": true, "canPublish": …, "canSubscribe": …}}: what is not said is granted.
static const char *read_video_grant(const json_t *video, struct token_claims *out)
{
	const json_t *publish = json_object_get(video, "canPublish");
	const json_t *watch = json_object_get(video, "canSubscribe");

	if (!json_is_object(video))
		return "the claim video of the token is no object";
	if (!json_is_true(json_object_get(video, "roomJoin")))
		return "the claim video of the token does not grant roomJoin";
	if (!read_name(json_object_get(video, "room"), true, out->room))
		return "the claim video of the token names no room";
	out->may_publish = publish == NULL || json_is_true(publish);
	out->may_watch = watch == NULL || json_is_true(watch);
	return NULL;
}

static const char *read_grants(const json_t *claims, struct token_claims *out)
{
	const json_t *sub = json_object_get(claims, "sub");

	if (sub != NULL && !read_name(sub, false, out->participant))
		return "the claim sub of the token is no name of 1 to 63 letters, digits, '_', '.' "
		       "and '-'";
	if (json_object_get(claims, "video") != NULL)
		return read_video_grant(json_object_get(claims, "video"), out);
	if (!read_name(json_object_get(claims, "room"), true, out->room))
		return "the claim room of the token is missing or no name";
	out->may_publish = json_is_true(json_object_get(claims, "publish"));
	out->may_watch = json_is_true(json_object_get(claims, "watch"));
	return NULL;
}

static enum token_verdict read_claims(const json_t *claims, int64_t now_s, struct token_claims *out,
				      const char **reason)
{
	const json_t *nbf = json_object_get(claims, "nbf");
	int64_t not_before_s = 0;

	*reason = read_grants(claims, out);
	if (*reason != NULL)
		return TOKEN_UNUSABLE;
	// A token without an end could never be taken back but with its secret.
	*reason = "the claim exp of the token is missing or no time";
	if (!read_time(json_object_get(claims, "exp"), &out->expires_at_s))
		return TOKEN_UNUSABLE;
	*reason = "the claim nbf of the token is no time";
	if (nbf != NULL && !read_time(nbf, &not_before_s))
		return TOKEN_UNUSABLE;
	*reason = "the token is not valid yet; compare the clocks";
	if (nbf != NULL && not_before_s > now_s + CLOCK_SKEW_S)
		return TOKEN_NOT_YET;
	*reason = "the token has expired; get a new one";
	if (out->expires_at_s <= now_s)
		return TOKEN_EXPIRED;
	*reason = "the token is good";
	return TOKEN_GOOD;
}

enum token_verdict token_claims_read(const char *json, int64_t now_s, struct token_claims *out,
				     const char **reason)
{
	json_t *claims = json_loads(json, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	enum token_verdict verdict = TOKEN_UNUSABLE;

	memset(out, 0, sizeof(*out));
	*reason = "the claims of the token are no JSON object";
	if (json_is_object(claims))
		verdict = read_claims(claims, now_s, out, reason);
	json_decref(claims);
	return verdict;
}

enum token_verdict token_check(const char *const *secrets, uint32_t n_secrets, const char *token,
			       int64_t now_s, struct token_claims *out, const char **reason)
{
	enum token_verdict verdict;
	jwt_t *jwt = NULL;
	char *json;

	memset(out, 0, sizeof(*out));
	*reason = "the token is not one of ours; get one with: turnpikectl token new";
	if (strlen(token) > TOKEN_BYTES_MAX)
		return TOKEN_REFUSED;
	for (uint32_t i = 0; i < n_secrets && jwt == NULL; i++)
		if (jwt_decode(&jwt, token, (const unsigned char *)secrets[i],
			       (int)strlen(secrets[i])) != 0)
			jwt = NULL;
	if (jwt == NULL)
		return TOKEN_REFUSED;
	// libjwt lets the token's header choose; only one algorithm may.
	if (jwt_get_alg(jwt) != JWT_ALG_HS256) {
		*reason = "the token is not signed with HS256";
		jwt_free(jwt);
		return TOKEN_REFUSED;
	}
	json = jwt_get_grants_json(jwt, NULL);
	jwt_free(jwt);
	if (json == NULL)
		return TOKEN_REFUSED;
	verdict = token_claims_read(json, now_s, out, reason);
	free(json);
	return verdict;
}

int token_make(const char *secret, const struct token_claims *c, int64_t now_s, char **out)
{
	jwt_t *jwt = NULL;
	char *text;
	int ret;

	ret = -jwt_new(&jwt);
	if (ret < 0)
		return ret;
	ret = -EINVAL;
	if (jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)) ||
	    jwt_add_grant(jwt, "room", c->room) ||
	    jwt_add_grant_bool(jwt, "publish", c->may_publish) ||
	    jwt_add_grant_bool(jwt, "watch", c->may_watch) ||
	    jwt_add_grant_int(jwt, "iat", now_s) || jwt_add_grant_int(jwt, "exp", c->expires_at_s))
		goto out_jwt;
	if (c->participant[0] != '\0' && jwt_add_grant(jwt, "sub", c->participant))
		goto out_jwt;
	text = jwt_encode_str(jwt);
	ret = -ENOMEM;
	if (text == NULL)
		goto out_jwt;
	*out = strdup(text);
	free(text);
	ret = *out != NULL ? 0 : -ENOMEM;
out_jwt:
	jwt_free(jwt);
	return ret;
}
