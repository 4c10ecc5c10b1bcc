// See auth.h.
#include "controlplane/turn/auth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/oauth.h"
#include "controlplane/turn/rest_key.h"
#include "controlplane/turn/store/store.h"
#include "dataplane/contract/shm/allocation_table.h"
#include "dataplane/contract/wire/challenge.h"

#define SHA1_TAG_BYTES       20
#define SHA256_TAG_BYTES_MIN 16 // RFC 8489 §14.6
#define USERHASH_BYTES       32
// coturn signs with so much of a token's key, as if it were of MD5; RFC 7635 means all of it.
#define COTURN_TOKEN_KEY_BYTES 16
#define NS_PER_S               1000000000ull

static_assert(TURN_AUTH_KEY_BYTES_MAX == SHM_KEY_MAX && TURN_OAUTH_MAC_KEY_MAX <= SHM_KEY_MAX,
	      "allocations keep their owner's key");

struct turn_auth {
	struct turn_store *store;
	struct turn_hmac *hmac;
	struct turn_rest_keys *rest;
	struct turn_oauth *oauth;
	bool offers_sha256;
	bool refuses_md5;
	uint8_t nobodys_key[TURN_KEY_BYTES_MAX];
};

// A request while it is checked.
struct check {
	struct turn_auth *auth;
	const struct turn_auth_question *q;
	struct stun_attr integrity;
	enum turn_hash hash;
	enum turn_password_algorithm algorithm;
	const char *name;
	size_t name_bytes;
};

// ---- life

int turn_auth_new(const struct config *config, struct turn_auth **out)
{
	struct turn_auth *a = calloc(1, sizeof(*a));
	int ret;

	if (a == NULL)
		return -ENOMEM;
	a->offers_sha256 = config->offers_sha256;
	a->refuses_md5 = config->refuses_md5;
	ret = RAND_bytes(a->nobodys_key, sizeof(a->nobodys_key)) == 1 ? 0 : -EIO;
	if (ret == 0)
		ret = turn_store_new(config, &a->store);
	if (ret == 0)
		ret = turn_hmac_new(&a->hmac);
	if (ret == 0)
		ret = turn_rest_keys_new(&a->rest);
	if (ret == 0)
		ret = turn_oauth_new(config, &a->oauth);
	if (ret < 0) {
		turn_auth_free(a);
		return ret;
	}
	*out = a;
	return 0;
}

void turn_auth_free(struct turn_auth *a)
{
	if (a == NULL)
		return;
	turn_store_free(a->store);
	turn_hmac_free(a->hmac);
	turn_rest_keys_free(a->rest);
	turn_oauth_free(a->oauth);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

struct turn_store *turn_auth_store(struct turn_auth *a)
{
	return a->store;
}

// ---- integrity

// MESSAGE-INTEGRITY covers what stands before it, with the header's length as if the message ended
// behind it (RFC 8489 §14.5, §14.6). A shortened MESSAGE-INTEGRITY-SHA256 is compared as far as it goes.
static bool integrity_fits(const struct check *c, const uint8_t *key, size_t key_bytes)
{
	const struct stun_attr *i = &c->integrity;
	const struct stun_view *msg = c->q->msg;
	uint8_t header[STUN_HEADER_BYTES];
	uint8_t tag[TURN_TAG_BYTES_MAX];

	memcpy(header, msg->msg, sizeof(header));
	bytes_put_be16(header + 2, (uint16_t)(i->offset_bytes + STUN_ATTR_HEADER_BYTES +
					      i->length_bytes - STUN_HEADER_BYTES));
	if (!turn_hmac_compute(c->auth->hmac, c->hash, key, key_bytes, header, sizeof(header),
			       msg->msg + STUN_HEADER_BYTES,
			       (size_t)i->offset_bytes - STUN_HEADER_BYTES, tag))
		return false;
	return CRYPTO_memcmp(tag, i->value, i->length_bytes) == 0;
}

static bool fits(void *arg, const uint8_t *key, size_t key_bytes)
{
	return integrity_fits(arg, key, key_bytes);
}

void turn_auth_sign(struct turn_auth *a, const struct turn_identity *id, struct stun_builder *b)
{
	enum turn_hash hash = id->signing & TURN_SIGNED_SHA256 ? TURN_HASH_SHA256 : TURN_HASH_SHA1;
	uint8_t tag[TURN_TAG_BYTES_MAX];
	size_t covered_bytes;
	uint8_t *at;

	at = stun_build_integrity(b,
				  hash == TURN_HASH_SHA256 ? STUN_ATTR_MESSAGE_INTEGRITY_SHA256
							   : STUN_ATTR_MESSAGE_INTEGRITY,
				  (uint16_t)turn_hmac_bytes(hash), &covered_bytes);
	if (at == NULL)
		return;
	turn_hmac_compute(a->hmac, hash, id->key, id->key_bytes, b->w.base, covered_bytes, NULL, 0,
			  tag);
	memcpy(at, tag, turn_hmac_bytes(hash));
}

// The integrity that counts: by SHA-256 where the request has that, whatever stands beside it (RFC 8489
// §9.2.4). False: none, or of a length that none has.
static bool integrity_find(const struct stun_view *msg, struct stun_attr *out, enum turn_hash *hash)
{
	if (stun_attr_find(msg, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, out)) {
		*hash = TURN_HASH_SHA256;
		return out->length_bytes >= SHA256_TAG_BYTES_MIN &&
		       out->length_bytes <= TURN_TAG_BYTES_MAX && out->length_bytes % 4 == 0;
	}
	*hash = TURN_HASH_SHA1;
	return stun_attr_find(msg, STUN_ATTR_MESSAGE_INTEGRITY, out) &&
	       out->length_bytes == SHA1_TAG_BYTES;
}

enum turn_auth_verdict turn_auth_precheck(const struct stun_view *msg)
{
	struct stun_attr a;

	if (!stun_attr_find(msg, STUN_ATTR_MESSAGE_INTEGRITY, &a) &&
	    !stun_attr_find(msg, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, &a))
		return TURN_AUTH_REFUSED;
	if (!stun_attr_find(msg, STUN_ATTR_REALM, &a) || !stun_attr_find(msg, STUN_ATTR_NONCE, &a))
		return TURN_AUTH_BAD_REQUEST;
	if (stun_attr_find(msg, STUN_ATTR_USERNAME, &a))
		return a.length_bytes <= SHM_USERNAME_MAX ? TURN_AUTH_OK : TURN_AUTH_BAD_REQUEST;
	return stun_attr_find(msg, STUN_ATTR_USERHASH, &a) ? TURN_AUTH_OK : TURN_AUTH_BAD_REQUEST;
}

// ---- the password algorithm

// RFC 8489 §9.2.4: a client that knows nothing of algorithms means MD5; any other returns the list as it
// got it, or somebody on the way shortened it, and says which of the list it took.
static bool algorithm_choose(struct check *c)
{
	struct stun_attr list, chosen;
	bool has_list = stun_attr_find(c->q->msg, STUN_ATTR_PASSWORD_ALGORITHMS, &list);
	bool has_chosen = stun_attr_find(c->q->msg, STUN_ATTR_PASSWORD_ALGORITHM, &chosen);

	c->algorithm = TURN_PASSWORD_MD5;
	if (!has_list && !has_chosen)
		return true;
	if (!has_list || !has_chosen || !c->auth->offers_sha256 ||
	    !challenge_algorithms_match(list.value, list.length_bytes) ||
	    chosen.length_bytes != CHALLENGE_ALGORITHM_BYTES ||
	    bytes_get_be16(chosen.value) != TURN_PASSWORD_SHA256 ||
	    bytes_get_be16(chosen.value + 2) != 0)
		return false;
	c->algorithm = TURN_PASSWORD_SHA256;
	return true;
}

// ---- who

static void identity_set(const struct check *c, const uint8_t *key, size_t key_bytes,
			 struct turn_identity *out)
{
	memset(out, 0, sizeof(*out));
	out->username = c->name;
	out->username_bytes = (uint16_t)c->name_bytes;
	out->signing = c->hash == TURN_HASH_SHA256 ? TURN_SIGNED_SHA256 : 0;
	if (c->algorithm == TURN_PASSWORD_SHA256)
		out->signing |= TURN_SIGNED_KEY_SHA256;
	out->key_bytes = (uint8_t)key_bytes;
	memcpy(out->key, key, key_bytes);
}

// Takes as long as for a user who exists, so that time does not tell which names do.
static enum turn_auth_verdict refuse(const struct check *c)
{
	integrity_fits(c, c->auth->nobodys_key, turn_password_key_bytes(c->algorithm));
	return TURN_AUTH_REFUSED;
}

static enum turn_auth_verdict prove(const struct check *c, const uint8_t *key, size_t key_bytes,
				    struct turn_identity *out)
{
	if (!integrity_fits(c, key, key_bytes))
		return TURN_AUTH_REFUSED;
	identity_set(c, key, key_bytes, out);
	return TURN_AUTH_OK;
}

static bool is_owner(const struct check *c)
{
	const struct turn_auth_owner *o = c->q->owner;

	return o != NULL && o->username_bytes == c->name_bytes &&
	       memcmp(o->username, c->name, c->name_bytes) == 0;
}

// The key that the allocation was made with, of the same kind as this request's.
static bool owner_proves(const struct check *c, struct turn_identity *out)
{
	const struct turn_auth_owner *o = c->q->owner;
	bool is_token = (o->signing & TURN_SIGNED_TOKEN) != 0;

	if (!is_token && o->key_bytes != turn_password_key_bytes(c->algorithm))
		return false;
	if (prove(c, o->key, o->key_bytes, out) != TURN_AUTH_OK)
		return false;
	if (is_token)
		out->signing |= TURN_SIGNED_TOKEN;
	return true;
}

static enum turn_auth_verdict by_token(const struct check *c, const struct stun_attr *token,
				       struct turn_identity *out)
{
	struct turn_oauth_grant grant;
	enum turn_auth_verdict verdict = TURN_AUTH_WAIT;

	switch (turn_oauth_open(c->auth->oauth, c->auth->store, c->q->realm_idx, c->name,
				c->name_bytes, token->value, token->length_bytes, c->q->wall_ns,
				&grant)) {
	case TURN_STORE_FOUND:
		verdict = prove(c, grant.key, grant.key_bytes, out);
		if (verdict != TURN_AUTH_OK && grant.key_bytes > COTURN_TOKEN_KEY_BYTES &&
		    c->hash == TURN_HASH_SHA1)
			verdict = prove(c, grant.key, COTURN_TOKEN_KEY_BYTES, out);
		OPENSSL_cleanse(grant.key, sizeof(grant.key));
		if (verdict == TURN_AUTH_OK) {
			out->signing |= TURN_SIGNED_TOKEN;
			out->has_token = true;
			out->expires_at_wall_ns = grant.expires_at_wall_ns;
		}
		return verdict;
	case TURN_STORE_WAIT:
		return TURN_AUTH_WAIT;
	default:
		return refuse(c);
	}
}

static enum turn_auth_verdict by_rest(const struct check *c, struct turn_identity *out)
{
	struct turn_store_secrets secrets;
	uint8_t key[TURN_KEY_BYTES_MAX];
	struct turn_rest_question q = {
		.algorithm = c->algorithm,
		.realm_idx = c->q->realm_idx,
		.realm = turn_store_realm(c->auth->store, c->q->realm_idx),
		.name = c->name,
		.name_bytes = c->name_bytes,
		.secrets = &secrets,
		.fits = fits,
		.arg = (void *)(uintptr_t)c,
	};

	switch (turn_store_secrets(c->auth->store, c->q->realm_idx, &secrets)) {
	case TURN_STORE_FOUND:
		break;
	case TURN_STORE_WAIT:
		return TURN_AUTH_WAIT;
	default:
		return refuse(c);
	}
	if (!turn_rest_key_find(c->auth->rest, c->auth->hmac, &q, key))
		return TURN_AUTH_REFUSED;
	identity_set(c, key, turn_password_key_bytes(c->algorithm), out);
	OPENSSL_cleanse(key, sizeof(key));
	return TURN_AUTH_OK;
}

static enum turn_auth_verdict by_password(const struct check *c, struct turn_identity *out)
{
	bool sha256 = c->algorithm == TURN_PASSWORD_SHA256;
	enum turn_auth_verdict verdict;
	struct turn_keys user;
	uint64_t expires_at_s;
	size_t id_offset;
	bool is_rest;

	if (c->auth->refuses_md5 && !sha256)
		return refuse(c);
	// The owner of a REST credential is known by its key, also when that has expired meanwhile.
	is_rest = turn_rest_name_parse(c->name, c->name_bytes, &expires_at_s, &id_offset);
	if (is_rest && is_owner(c) && owner_proves(c, out))
		return TURN_AUTH_OK;
	switch (turn_store_user(c->auth->store, c->q->realm_idx, c->name, c->name_bytes, &user)) {
	case TURN_STORE_FOUND:
		if (sha256 ? !user.has_sha256 : !user.has_md5)
			verdict = refuse(c);
		else if (sha256)
			verdict = prove(c, user.sha256, sizeof(user.sha256), out);
		else
			verdict = prove(c, user.md5, sizeof(user.md5), out);
		OPENSSL_cleanse(&user, sizeof(user));
		return verdict;
	case TURN_STORE_WAIT:
		return TURN_AUTH_WAIT;
	default:
		break;
	}
	if (!is_rest || expires_at_s <= c->q->wall_ns / NS_PER_S)
		return refuse(c);
	return by_rest(c, out);
}

// The name behind USERNAME or USERHASH. False: a hash of nobody that we know. Only users of the
// configuration are found by it: a REST name cannot be, nor one that only a shared store knows.
static bool name_find(struct check *c)
{
	struct stun_attr a;

	if (stun_attr_find(c->q->msg, STUN_ATTR_USERNAME, &a)) {
		c->name = (const char *)a.value;
		c->name_bytes = a.length_bytes;
		return true;
	}
	if (!stun_attr_find(c->q->msg, STUN_ATTR_USERHASH, &a) || a.length_bytes != USERHASH_BYTES)
		return false;
	c->name = turn_store_name_of_hash(c->auth->store, c->q->realm_idx, a.value);
	if (c->name == NULL)
		return false;
	c->name_bytes = strlen(c->name);
	return true;
}

enum turn_auth_verdict turn_auth_check(struct turn_auth *a, const struct turn_auth_question *q,
				       struct turn_identity *out)
{
	struct check c = { .auth = a, .q = q };
	struct stun_attr token;

	out->username = NULL;
	if (!algorithm_choose(&c))
		return TURN_AUTH_BAD_REQUEST;
	if (!integrity_find(q->msg, &c.integrity, &c.hash))
		return TURN_AUTH_REFUSED;
	if (!name_find(&c))
		return refuse(&c);
	if (turn_oauth_is_enabled(a->oauth)) {
		if (stun_attr_find(q->msg, STUN_ATTR_ACCESS_TOKEN, &token))
			return by_token(&c, &token, out);
		// The token comes with Allocate and Refresh; its key signs what is between them.
		if (q->owner != NULL && q->owner->signing & TURN_SIGNED_TOKEN && is_owner(&c) &&
		    owner_proves(&c, out))
			return TURN_AUTH_OK;
	}
	return by_password(&c, out);
}

void turn_auth_quota_name(const struct turn_auth *a, const char *username, size_t username_bytes,
			  const char **out, size_t *out_bytes)
{
	uint64_t expires_at_s;
	size_t id_offset;

	*out = username;
	*out_bytes = username_bytes;
	if (!turn_store_has_rest(a->store) ||
	    !turn_rest_name_parse(username, username_bytes, &expires_at_s, &id_offset) ||
	    id_offset == username_bytes)
		return;
	*out = username + id_offset;
	*out_bytes = username_bytes - id_offset;
}
