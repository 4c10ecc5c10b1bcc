// See hmac.h.
#include "controlplane/turn/hmac.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_KEY_MAX 64

// Requests come in runs of one key, and the answer has its request's: then the keyed state is used
// again.
struct keyed {
	EVP_MAC_CTX *context;
	uint8_t key[KEPT_KEY_MAX]; // that the context holds
	size_t key_bytes;          // 0: none to be found again
};

struct turn_hmac {
	EVP_MAC *mac;
	struct keyed by_hash[TURN_HASH_COUNT];
};

static EVP_MAC_CTX *context_new(EVP_MAC *mac, enum turn_hash hash)
{
	char digest_name[] = "SHA2-256";
	OSSL_PARAM params[2];
	EVP_MAC_CTX *context;

	if (hash == TURN_HASH_SHA1)
		strcpy(digest_name, "SHA1");
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0);
	params[1] = OSSL_PARAM_construct_end();
	context = EVP_MAC_CTX_new(mac);
	if (context != NULL && EVP_MAC_CTX_set_params(context, params) != 1) {
		EVP_MAC_CTX_free(context);
		return NULL;
	}
	return context;
}

int turn_hmac_new(struct turn_hmac **out)
{
	struct turn_hmac *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (h->mac == NULL)
		goto fail;
	for (int i = 0; i < TURN_HASH_COUNT; i++) {
		h->by_hash[i].context = context_new(h->mac, (enum turn_hash)i);
		if (h->by_hash[i].context == NULL)
			goto fail;
	}
	*out = h;
	return 0;
fail:
	turn_hmac_free(h);
	return -ENOMEM;
}

void turn_hmac_free(struct turn_hmac *h)
{
	if (h == NULL)
		return;
	for (int i = 0; i < TURN_HASH_COUNT; i++)
		EVP_MAC_CTX_free(h->by_hash[i].context);
	EVP_MAC_free(h->mac);
	OPENSSL_cleanse(h, sizeof(*h));
	free(h);
}

static bool start(struct keyed *k, const void *key, size_t key_bytes)
{
	if (k->key_bytes != 0 && k->key_bytes == key_bytes &&
	    CRYPTO_memcmp(k->key, key, key_bytes) == 0)
		return EVP_MAC_init(k->context, NULL, 0, NULL) == 1;
	k->key_bytes = 0;
	if (EVP_MAC_init(k->context, key, key_bytes, NULL) != 1)
		return false;
	if (key_bytes <= sizeof(k->key)) {
		memcpy(k->key, key, key_bytes);
		k->key_bytes = key_bytes;
	}
	return true;
}

bool turn_hmac_compute(struct turn_hmac *h, enum turn_hash hash, const void *key, size_t key_bytes,
		       const void *head, size_t head_bytes, const void *body, size_t body_bytes,
		       uint8_t tag[TURN_TAG_BYTES_MAX])
{
	struct keyed *k = &h->by_hash[hash];
	size_t tag_bytes = 0;

	memset(tag, 0, TURN_TAG_BYTES_MAX);
	if (start(k, key, key_bytes) && EVP_MAC_update(k->context, head, head_bytes) == 1 &&
	    (body_bytes == 0 || EVP_MAC_update(k->context, body, body_bytes) == 1) &&
	    EVP_MAC_final(k->context, tag, &tag_bytes, TURN_TAG_BYTES_MAX) == 1 &&
	    tag_bytes == turn_hmac_bytes(hash))
		return true;
	memset(tag, 0, TURN_TAG_BYTES_MAX);
	return false;
}
