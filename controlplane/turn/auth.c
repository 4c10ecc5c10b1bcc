// Checking and making MESSAGE-INTEGRITY. Control plane's loop thread; no state shared with anyone.
#include "controlplane/turn/auth.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/store/store.h"
#include "dataplane/contract/wire/challenge.h"

#define SHA1_BYTES       20
#define PASSWORD_CHARS   28 // base64 of a SHA-1
#define REST_CACHE_SLOTS 4096
#define REST_DIGITS_MAX  12

struct auth_user {
	char *name;
	uint32_t name_bytes;
	uint32_t next; // index + 1
	uint8_t key[TURN_AUTH_KEY_BYTES];
};

// Keys that verified once, found by the keyed hash of their username: saves an HMAC and an MD5 per
// request.
struct rest_cached {
	uint8_t name_hash[16];
	uint8_t key[TURN_AUTH_KEY_BYTES];
};

struct turn_auth {
	EVP_MAC *hmac;
	EVP_MAC_CTX *context;
	EVP_MD_CTX *digest;
	EVP_MD *md5;
	uint8_t context_key[TURN_AUTH_KEY_BYTES]; // the key that `context` holds
	bool has_context_key;
	uint8_t hash_key[16];
	char *realm;
	struct turn_store *store;
	struct auth_user *users;
	uint32_t n_users;
	uint32_t *bucket;
	uint32_t bucket_mask;
	char **secrets;
	uint32_t n_secrets;
	struct rest_cached *cache;
};

static uint32_t name_bucket(const struct turn_auth *a, const char *name, size_t name_bytes)
{
	uint8_t hash[16];
	uint32_t v;

	siphash128(a->hash_key, name, name_bytes, hash);
	memcpy(&v, hash, sizeof(v));
	return v & a->bucket_mask;
}

static int users_copy(struct turn_auth *a, const struct config *config)
{
	uint32_t n_buckets = 16;

	while (n_buckets < config->n_users * 2 && n_buckets < 1u << 30)
		n_buckets *= 2;
	a->users = calloc(config->n_users + 1, sizeof(*a->users));
	a->bucket = calloc(n_buckets, sizeof(*a->bucket));
	if (a->users == NULL || a->bucket == NULL)
		return -ENOMEM;
	a->bucket_mask = n_buckets - 1;
	for (uint32_t i = 0; i < config->n_users; i++) {
		struct auth_user *u = &a->users[i];
		uint32_t b;

		u->name = strdup(config->users[i].name);
		if (u->name == NULL)
			return -ENOMEM;
		a->n_users++;
		u->name_bytes = (uint32_t)strlen(u->name);
		memcpy(u->key, config->users[i].key, sizeof(u->key));
		b = name_bucket(a, u->name, u->name_bytes);
		u->next = a->bucket[b];
		a->bucket[b] = i + 1;
	}
	return 0;
}

static int secrets_copy(struct turn_auth *a, const struct config *config)
{
	a->secrets = calloc(config->n_rest_secrets + 1, sizeof(*a->secrets));
	if (a->secrets == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->n_rest_secrets; i++) {
		a->secrets[i] = strdup(config->rest_secrets[i]);
		if (a->secrets[i] == NULL)
			return -ENOMEM;
		a->n_secrets++;
	}
	if (a->n_secrets == 0)
		return 0;
	a->cache = calloc(REST_CACHE_SLOTS, sizeof(*a->cache));
	return a->cache == NULL ? -ENOMEM : 0;
}

int turn_auth_new(const struct config *config, struct turn_auth **out)
{
	struct turn_auth *a = calloc(1, sizeof(*a));
	char digest_name[] = "SHA1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
		OSSL_PARAM_construct_end(),
	};
	int ret = -ENOMEM;

	if (a == NULL)
		return -ENOMEM;
	a->realm = strdup(config->realm);
	a->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	a->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	a->digest = EVP_MD_CTX_new();
	if (a->realm == NULL || a->hmac == NULL || a->md5 == NULL || a->digest == NULL)
		goto fail;
	a->context = EVP_MAC_CTX_new(a->hmac);
	if (a->context == NULL || EVP_MAC_CTX_set_params(a->context, params) != 1 ||
	    RAND_bytes(a->hash_key, sizeof(a->hash_key)) != 1)
		goto fail;
	ret = turn_store_new(config, &a->store);
	if (ret < 0)
		goto fail;
	ret = users_copy(a, config);
	if (ret < 0)
		goto fail;
	ret = secrets_copy(a, config);
	if (ret < 0)
		goto fail;
	*out = a;
	return 0;
fail:
	turn_auth_free(a);
	return ret;
}

void turn_auth_free(struct turn_auth *a)
{
	if (a == NULL)
		return;
	for (uint32_t i = 0; i < a->n_users; i++) {
		OPENSSL_cleanse(a->users[i].key, sizeof(a->users[i].key));
		free(a->users[i].name);
	}
	for (uint32_t i = 0; i < a->n_secrets; i++) {
		OPENSSL_cleanse(a->secrets[i], strlen(a->secrets[i]));
		free(a->secrets[i]);
	}
	if (a->cache != NULL)
		OPENSSL_cleanse(a->cache, REST_CACHE_SLOTS * sizeof(*a->cache));
	free(a->cache);
	free(a->secrets);
	free(a->users);
	free(a->bucket);
	free(a->realm);
	turn_store_free(a->store);
	EVP_MD_CTX_free(a->digest);
	EVP_MD_free(a->md5);
	EVP_MAC_CTX_free(a->context);
	EVP_MAC_free(a->hmac);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

struct turn_store *turn_auth_store(struct turn_auth *a)
{
	return a->store;
}

// Starts an HMAC. Requests come in runs of one key, and the answer has its request's: then the
// keyed state is used again.
static bool hmac_start(struct turn_auth *a, const uint8_t key[TURN_AUTH_KEY_BYTES])
{
	if (a->has_context_key && CRYPTO_memcmp(a->context_key, key, TURN_AUTH_KEY_BYTES) == 0)
		return EVP_MAC_init(a->context, NULL, 0, NULL) == 1;
	a->has_context_key = false;
	if (EVP_MAC_init(a->context, key, TURN_AUTH_KEY_BYTES, NULL) != 1)
		return false;
	memcpy(a->context_key, key, TURN_AUTH_KEY_BYTES);
	a->has_context_key = true;
	return true;
}

// MESSAGE-INTEGRITY covers what stands before it, with the header's length as if the message ended
// behind it (RFC 8489 §14.5).
static bool integrity_matches(struct turn_auth *a, const uint8_t key[TURN_AUTH_KEY_BYTES],
			      const struct stun_view *msg, const struct stun_attr *integrity)
{
	uint8_t header[STUN_HEADER_BYTES];
	uint8_t tag[TURN_AUTH_TAG_BYTES];
	size_t tag_bytes = 0;

	memcpy(header, msg->msg, sizeof(header));
	bytes_put_be16(header + 2, (uint16_t)(integrity->offset_bytes + STUN_ATTR_HEADER_BYTES +
					      TURN_AUTH_TAG_BYTES - STUN_HEADER_BYTES));
	if (!hmac_start(a, key) || EVP_MAC_update(a->context, header, sizeof(header)) != 1 ||
	    EVP_MAC_update(a->context, msg->msg + STUN_HEADER_BYTES,
			   integrity->offset_bytes - STUN_HEADER_BYTES) != 1 ||
	    EVP_MAC_final(a->context, tag, &tag_bytes, sizeof(tag)) != 1 ||
	    tag_bytes != sizeof(tag))
		return false;
	return CRYPTO_memcmp(tag, integrity->value, sizeof(tag)) == 0;
}

void turn_auth_sign(struct turn_auth *a, const uint8_t key[TURN_AUTH_KEY_BYTES], const uint8_t *msg,
		    size_t covered_bytes, uint8_t tag[TURN_AUTH_TAG_BYTES])
{
	size_t tag_bytes = 0;

	if (!hmac_start(a, key) || EVP_MAC_update(a->context, msg, covered_bytes) != 1 ||
	    EVP_MAC_final(a->context, tag, &tag_bytes, TURN_AUTH_TAG_BYTES) != 1)
		memset(tag, 0, TURN_AUTH_TAG_BYTES);
}

static const struct auth_user *user_find(const struct turn_auth *a, const char *name,
					 size_t name_bytes)
{
	uint32_t i = a->bucket[name_bucket(a, name, name_bytes)];

	for (; i != 0; i = a->users[i - 1].next) {
		const struct auth_user *u = &a->users[i - 1];

		if (u->name_bytes == name_bytes && memcmp(u->name, name, name_bytes) == 0)
			return u;
	}
	return NULL;
}

// Whether a username has the form `digits` or `digits:id`. The id starts at *id_offset (name_bytes:
// there is none).
static bool rest_parse(const char *name, size_t name_bytes, uint64_t *expires_at_s,
		       size_t *id_offset)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < name_bytes && name[i] >= '0' && name[i] <= '9'; i++) {
		if (i == REST_DIGITS_MAX)
			return false;
		v = v * 10 + (uint64_t)(name[i] - '0');
	}
	if (i == 0 || (i < name_bytes && name[i] != ':'))
		return false;
	*expires_at_s = v;
	*id_offset = i < name_bytes ? i + 1 : i;
	return true;
}

// key = MD5(username:realm:base64(HMAC-SHA1(secret, username)))
static bool rest_key(struct turn_auth *a, const char *secret, const char *name, size_t name_bytes,
		     uint8_t key[TURN_AUTH_KEY_BYTES])
{
	uint8_t mac[SHA1_BYTES];
	size_t mac_bytes = 0;
	unsigned char password[PASSWORD_CHARS + 1];
	unsigned int key_bytes = 0;
	bool ok;

	a->has_context_key = false;
	if (EVP_MAC_init(a->context, (const unsigned char *)secret, strlen(secret), NULL) != 1 ||
	    EVP_MAC_update(a->context, (const unsigned char *)name, name_bytes) != 1 ||
	    EVP_MAC_final(a->context, mac, &mac_bytes, sizeof(mac)) != 1 ||
	    mac_bytes != sizeof(mac))
		return false;
	EVP_EncodeBlock(password, mac, sizeof(mac));
	ok = EVP_DigestInit_ex(a->digest, a->md5, NULL) == 1 &&
	     EVP_DigestUpdate(a->digest, name, name_bytes) == 1 &&
	     EVP_DigestUpdate(a->digest, ":", 1) == 1 &&
	     EVP_DigestUpdate(a->digest, a->realm, strlen(a->realm)) == 1 &&
	     EVP_DigestUpdate(a->digest, ":", 1) == 1 &&
	     EVP_DigestUpdate(a->digest, password, PASSWORD_CHARS) == 1 &&
	     EVP_DigestFinal_ex(a->digest, key, &key_bytes) == 1;
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(mac, sizeof(mac));
	return ok;
}

static bool rest_check(struct turn_auth *a, const struct stun_view *msg,
		       const struct stun_attr *username, const struct stun_attr *integrity,
		       uint8_t key[TURN_AUTH_KEY_BYTES])
{
	const char *name = (const char *)username->value;
	struct rest_cached *cached;
	uint8_t hash[16];
	uint32_t slot;

	siphash128(a->hash_key, name, username->length_bytes, hash);
	memcpy(&slot, hash, sizeof(slot));
	cached = &a->cache[slot % REST_CACHE_SLOTS];
	if (CRYPTO_memcmp(cached->name_hash, hash, sizeof(hash)) == 0 &&
	    integrity_matches(a, cached->key, msg, integrity)) {
		memcpy(key, cached->key, TURN_AUTH_KEY_BYTES);
		return true;
	}
	for (uint32_t i = 0; i < a->n_secrets; i++) {
		if (!rest_key(a, a->secrets[i], name, username->length_bytes, key) ||
		    !integrity_matches(a, key, msg, integrity))
			continue;
		memcpy(cached->name_hash, hash, sizeof(hash));
		memcpy(cached->key, key, TURN_AUTH_KEY_BYTES);
		return true;
	}
	return false;
}

int turn_auth_check(struct turn_auth *a, const struct stun_view *msg,
		    const struct stun_attr *username, const struct stun_attr *integrity,
		    const struct turn_auth_owner *owner, uint64_t wall_ns,
		    struct turn_identity *out)
{
	const char *name = (const char *)username->value;
	size_t name_bytes = username->length_bytes;
	const struct auth_user *user;
	uint64_t expires_at_s;
	size_t id_offset;
	bool is_rest;

	if (integrity->length_bytes != TURN_AUTH_TAG_BYTES)
		return -EACCES;
	out->username = name;
	out->username_bytes = username->length_bytes;

	user = user_find(a, name, name_bytes);
	if (user != NULL) {
		memcpy(out->key, user->key, sizeof(out->key));
		return integrity_matches(a, user->key, msg, integrity) ? 0 : -EACCES;
	}
	is_rest = rest_parse(name, name_bytes, &expires_at_s, &id_offset);
	if (is_rest && owner != NULL && owner->username_bytes == name_bytes &&
	    memcmp(owner->username, name, name_bytes) == 0 &&
	    integrity_matches(a, owner->key, msg, integrity)) {
		memcpy(out->key, owner->key, sizeof(out->key));
		return 0;
	}
	if (!is_rest || a->n_secrets == 0) {
		// As long as for a user who exists, so that time does not tell which names do.
		integrity_matches(a, a->hash_key, msg, integrity);
		return -EACCES;
	}
	if (expires_at_s <= wall_ns / 1000000000ull)
		return -EACCES;
	return rest_check(a, msg, username, integrity, out->key) ? 0 : -EACCES;
}

void turn_auth_quota_name(const struct turn_auth *a, const char *username, size_t username_bytes,
			  const char **out, size_t *out_bytes)
{
	uint64_t expires_at_s;
	size_t id_offset;

	*out = username;
	*out_bytes = username_bytes;
	if (a->n_secrets == 0 || user_find(a, username, username_bytes) != NULL ||
	    !rest_parse(username, username_bytes, &expires_at_s, &id_offset) ||
	    id_offset == username_bytes)
		return;
	*out = username + id_offset;
	*out_bytes = username_bytes - id_offset;
}
