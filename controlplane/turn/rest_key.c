// See rest_key.h.
#include "controlplane/turn/rest_key.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/shm/allocation_table.h"
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/challenge.h"

#define CACHE_SLOTS        4096
#define DIGITS_MAX         12
#define PASSWORD_CHARS_MAX 44 // base64 of a SHA-256

// Found by the keyed hash of what it was made from; saves the HMACs and digests of most requests.
struct rest_key {
	uint8_t hash[16];
	uint8_t key_bytes; // 0: free
	uint8_t key[TURN_KEY_BYTES_MAX];
};

struct turn_rest_keys {
	uint8_t hash_key[16];
	struct rest_key slot[CACHE_SLOTS];
};

int turn_rest_keys_new(struct turn_rest_keys **out)
{
	struct turn_rest_keys *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -ENOMEM;
	if (RAND_bytes(k->hash_key, sizeof(k->hash_key)) != 1) {
		free(k);
		return -EIO;
	}
	*out = k;
	return 0;
}

void turn_rest_keys_free(struct turn_rest_keys *k)
{
	if (k == NULL)
		return;
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

bool turn_rest_name_parse(const char *name, size_t name_bytes, uint64_t *expires_at_s,
			  size_t *id_offset)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < name_bytes && name[i] >= '0' && name[i] <= '9'; i++) {
		if (i == DIGITS_MAX)
			return false;
		v = v * 10 + (uint64_t)(name[i] - '0');
	}
	if (i == 0 || (i < name_bytes && name[i] != ':'))
		return false;
	*expires_at_s = v;
	*id_offset = i < name_bytes ? i + 1 : i;
	return true;
}

// The key of the password that `secret` gives the name.
static bool key_make(struct turn_hmac *hmac, const struct turn_rest_question *q, const char *secret,
		     enum turn_hash hash, uint8_t key[TURN_KEY_BYTES_MAX])
{
	unsigned char password[PASSWORD_CHARS_MAX + 1];
	uint8_t mac[TURN_TAG_BYTES_MAX];
	int password_chars;
	bool ok;

	if (!turn_hmac_compute(hmac, hash, secret, strlen(secret), q->name, q->name_bytes, NULL, 0,
			       mac))
		return false;
	password_chars = EVP_EncodeBlock(password, mac, (int)turn_hmac_bytes(hash));
	ok = turn_password_key(q->algorithm, q->name, q->name_bytes, q->realm,
			       (const char *)password, (size_t)password_chars, key) == 0;
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(mac, sizeof(mac));
	return ok;
}

static struct rest_key *slot_of(struct turn_rest_keys *k, const struct turn_rest_question *q,
				uint8_t hash[16])
{
	uint8_t made_from[10 + SHM_USERNAME_MAX];
	uint32_t v;

	bytes_put_be64(made_from, q->secrets->version);
	made_from[8] = q->realm_idx;
	made_from[9] = (uint8_t)q->algorithm;
	memcpy(made_from + 10, q->name, q->name_bytes);
	siphash128(k->hash_key, made_from, 10 + q->name_bytes, hash);
	memcpy(&v, hash, sizeof(v));
	return &k->slot[v % CACHE_SLOTS];
}

bool turn_rest_key_find(struct turn_rest_keys *k, struct turn_hmac *hmac,
			const struct turn_rest_question *q, uint8_t key[TURN_KEY_BYTES_MAX])
{
	size_t key_bytes = turn_password_key_bytes(q->algorithm);
	struct rest_key *slot;
	uint8_t hash[16];

	if (q->name_bytes > SHM_USERNAME_MAX)
		return false;
	slot = slot_of(k, q, hash);
	if (slot->key_bytes == key_bytes && CRYPTO_memcmp(slot->hash, hash, sizeof(hash)) == 0 &&
	    q->fits(q->arg, slot->key, key_bytes)) {
		memcpy(key, slot->key, key_bytes);
		return true;
	}
	for (uint32_t i = 0; i < q->secrets->n; i++) {
		for (int by = 0; by < TURN_HASH_COUNT; by++) {
			if (!key_make(hmac, q, q->secrets->secret[i], (enum turn_hash)by, key) ||
			    !q->fits(q->arg, key, key_bytes))
				continue;
			memcpy(slot->hash, hash, sizeof(hash));
			memcpy(slot->key, key, key_bytes);
			slot->key_bytes = (uint8_t)key_bytes;
			return true;
		}
	}
	OPENSSL_cleanse(key, TURN_KEY_BYTES_MAX);
	return false;
}
