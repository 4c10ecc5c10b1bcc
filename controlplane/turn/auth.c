// Checking and making MESSAGE-INTEGRITY. Control plane's loop thread; no state shared with anyone.
#include "controlplane/turn/auth.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/rest_key.h"
#include "controlplane/turn/store/store.h"
#include "dataplane/contract/wire/challenge.h"

#define SHA1_BYTES       20
#define PASSWORD_CHARS   28 // base64 of a SHA-1
#define REST_CACHE_SLOTS 4096

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
	struct turn_store *store;
	struct rest_cached *cache;
	uint64_t cache_version; // of the secrets that it was made from
};

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
	a->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	a->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	a->digest = EVP_MD_CTX_new();
	if (a->hmac == NULL || a->md5 == NULL || a->digest == NULL)
		goto fail;
	a->context = EVP_MAC_CTX_new(a->hmac);
	if (a->context == NULL || EVP_MAC_CTX_set_params(a->context, params) != 1 ||
	    RAND_bytes(a->hash_key, sizeof(a->hash_key)) != 1)
		goto fail;
	ret = turn_store_new(config, &a->store);
	if (ret < 0)
		goto fail;
	a->cache = calloc(REST_CACHE_SLOTS, sizeof(*a->cache));
	ret = a->cache != NULL ? 0 : -ENOMEM;
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
	if (a->cache != NULL)
		OPENSSL_cleanse(a->cache, REST_CACHE_SLOTS * sizeof(*a->cache));
	free(a->cache);
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

// key = MD5(username:realm:base64(HMAC-SHA1(secret, username)))
static bool rest_key(struct turn_auth *a, const char *realm, const char *secret, const char *name,
		     size_t name_bytes, uint8_t key[TURN_AUTH_KEY_BYTES])
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
	     EVP_DigestUpdate(a->digest, realm, strlen(realm)) == 1 &&
	     EVP_DigestUpdate(a->digest, ":", 1) == 1 &&
	     EVP_DigestUpdate(a->digest, password, PASSWORD_CHARS) == 1 &&
	     EVP_DigestFinal_ex(a->digest, key, &key_bytes) == 1;
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(mac, sizeof(mac));
	return ok;
}

static bool rest_check(struct turn_auth *a, uint8_t realm_idx,
		       const struct turn_store_secrets *secrets, const struct stun_view *msg,
		       const struct stun_attr *username, const struct stun_attr *integrity,
		       uint8_t key[TURN_AUTH_KEY_BYTES])
{
	const char *name = (const char *)username->value;
	struct rest_cached *cached;
	uint8_t hash[16];
	uint32_t slot;

	if (a->cache_version != secrets->version)
		OPENSSL_cleanse(a->cache, REST_CACHE_SLOTS * sizeof(*a->cache));
	a->cache_version = secrets->version;
	siphash128(a->hash_key, name, username->length_bytes, hash);
	hash[0] ^= realm_idx;
	memcpy(&slot, hash, sizeof(slot));
	cached = &a->cache[slot % REST_CACHE_SLOTS];
	if (CRYPTO_memcmp(cached->name_hash, hash, sizeof(hash)) == 0 &&
	    integrity_matches(a, cached->key, msg, integrity)) {
		memcpy(key, cached->key, TURN_AUTH_KEY_BYTES);
		return true;
	}
	for (uint32_t i = 0; i < secrets->n; i++) {
		if (!rest_key(a, turn_store_realm(a->store, realm_idx), secrets->secret[i], name,
			      username->length_bytes, key) ||
		    !integrity_matches(a, key, msg, integrity))
			continue;
		memcpy(cached->name_hash, hash, sizeof(hash));
		memcpy(cached->key, key, TURN_AUTH_KEY_BYTES);
		return true;
	}
	return false;
}

int turn_auth_check(struct turn_auth *a, uint8_t realm_idx, const struct stun_view *msg,
		    const struct stun_attr *username, const struct stun_attr *integrity,
		    const struct turn_auth_owner *owner, uint64_t wall_ns,
		    struct turn_identity *out)
{
	const char *name = (const char *)username->value;
	size_t name_bytes = username->length_bytes;
	struct turn_store_secrets secrets;
	enum turn_store_result found;
	struct turn_keys keys;
	uint64_t expires_at_s;
	size_t id_offset;
	bool is_good, is_rest;

	if (integrity->length_bytes != TURN_AUTH_TAG_BYTES)
		return -EACCES;
	out->username = name;
	out->username_bytes = username->length_bytes;
	is_rest = turn_rest_name_parse(name, name_bytes, &expires_at_s, &id_offset);
	// The owner of a REST credential is known by its key, also when that has expired meanwhile.
	if (is_rest && owner != NULL && owner->username_bytes == name_bytes &&
	    memcmp(owner->username, name, name_bytes) == 0 &&
	    integrity_matches(a, owner->key, msg, integrity)) {
		memcpy(out->key, owner->key, sizeof(out->key));
		return 0;
	}
	found = turn_store_user(a->store, realm_idx, name, name_bytes, &keys);
	if (found == TURN_STORE_WAIT)
		return -EAGAIN;
	if (found == TURN_STORE_FOUND) {
		is_good = keys.has_md5 && integrity_matches(a, keys.md5, msg, integrity);
		memcpy(out->key, keys.md5, sizeof(out->key));
		OPENSSL_cleanse(&keys, sizeof(keys));
		return is_good ? 0 : -EACCES;
	}
	found = is_rest ? turn_store_secrets(a->store, realm_idx, &secrets) : TURN_STORE_ABSENT;
	if (found == TURN_STORE_WAIT)
		return -EAGAIN;
	if (found == TURN_STORE_ABSENT) {
		// As long as for a user who exists, so that time does not tell which names do.
		integrity_matches(a, a->hash_key, msg, integrity);
		return -EACCES;
	}
	if (expires_at_s <= wall_ns / 1000000000ull)
		return -EACCES;
	return rest_check(a, realm_idx, &secrets, msg, username, integrity, out->key) ? 0 : -EACCES;
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
