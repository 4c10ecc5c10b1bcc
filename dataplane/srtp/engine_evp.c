// SRTP by OpenSSL's EVP: every profile on every CPU. One thread per key.
#include "dataplane/srtp/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

struct evp_key {
	EVP_CIPHER_CTX *cipher; // holds the expanded key; NULL without encryption
	EVP_MAC_CTX *mac;       // the same; NULL with GCM
};

struct evp_state {
	EVP_MAC *hmac;
};

static int evp_open(enum dp_srtp_isa isa, void **state)
{
	struct evp_state *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (s->hmac == NULL) {
		free(s);
		return -EIO;
	}
	*state = s;
	return 0;
}

static void evp_close(void *state)
{
	struct evp_state *s = state;

	EVP_MAC_free(s->hmac);
	free(s);
}

static const char *evp_name(void *state)
{
	return "openssl-evp";
}

static bool evp_has_profile(uint32_t profile)
{
	return dp_srtp_profile_info(profile) != NULL;
}

static const EVP_CIPHER *cipher_of(const struct dp_srtp_profile_info *info)
{
	if (info->cipher == DP_SRTP_CIPHER_AES_GCM)
		return info->key_bytes == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	if (info->cipher == DP_SRTP_CIPHER_AES_CM)
		return info->key_bytes == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
	return NULL;
}

static void evp_key_destroy(void *key)
{
	struct evp_key *k = key;

	// Both free functions wipe what they hold.
	EVP_CIPHER_CTX_free(k->cipher);
	EVP_MAC_CTX_free(k->mac);
	free(k);
}

static int evp_key_create(void *state, const struct srtp_keys *keys, uint32_t half, void **key)
{
	const struct dp_srtp_session_keys *session = &keys->session[half];
	const EVP_CIPHER *cipher = cipher_of(keys->info);
	struct evp_state *s = state;
	OSSL_PARAM params[2] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA1", 0),
		OSSL_PARAM_construct_end(),
	};
	struct evp_key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -ENOMEM;
	if (cipher != NULL) {
		k->cipher = EVP_CIPHER_CTX_new();
		if (k->cipher == NULL ||
		    EVP_CipherInit_ex(k->cipher, cipher, NULL, session->key, NULL, 1) != 1)
			goto fail_destroy;
	}
	if (keys->info->auth_key_bytes > 0) {
		k->mac = EVP_MAC_CTX_new(s->hmac);
		if (k->mac == NULL || EVP_MAC_init(k->mac, session->auth_key,
						   keys->info->auth_key_bytes, params) != 1)
			goto fail_destroy;
	}
	*key = k;
	return 0;
fail_destroy:
	evp_key_destroy(k);
	return -EIO;
}

static bool hmac(const struct srtp_op *op, uint8_t out[20])
{
	const struct evp_key *k = op->key;
	size_t n = 0;

	return EVP_MAC_init(k->mac, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(k->mac, op->authed, op->authed_bytes) == 1 &&
	       EVP_MAC_final(k->mac, out, &n, 20) == 1 && n == 20;
}

static bool counter_mode(const struct srtp_op *op)
{
	const struct evp_key *k = op->key;
	int n;

	return op->cipher_bytes == 0 ||
	       (EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, op->iv, 1) == 1 &&
		EVP_EncryptUpdate(k->cipher, op->dst, &n, op->src, (int)op->cipher_bytes) == 1);
}

static bool gcm_begin(const struct srtp_op *op, int is_seal)
{
	const struct evp_key *k = op->key;
	int n;

	return EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, op->iv, is_seal) == 1 &&
	       EVP_CipherUpdate(k->cipher, NULL, &n, op->authed, (int)op->authed_bytes) == 1 &&
	       (op->cipher_bytes == 0 ||
		EVP_CipherUpdate(k->cipher, op->dst, &n, op->src, (int)op->cipher_bytes) == 1);
}

static uint8_t gcm_seal(struct srtp_op *op)
{
	const struct evp_key *k = op->key;
	uint8_t none[16];
	int n;

	return gcm_begin(op, 1) && EVP_CipherFinal_ex(k->cipher, none, &n) == 1 &&
			       EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_GET_TAG, op->tag_bytes,
						   op->tag) == 1
		       ? DP_SRTP_OK
		       : DP_SRTP_FAILED;
}

static uint8_t gcm_unseal(struct srtp_op *op)
{
	const struct evp_key *k = op->key;
	uint8_t none[16];
	int n;

	if (!gcm_begin(op, 0) ||
	    EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_SET_TAG, op->tag_bytes, op->tag) != 1)
		return DP_SRTP_FAILED;
	return EVP_CipherFinal_ex(k->cipher, none, &n) == 1 ? DP_SRTP_OK : DP_SRTP_FORGED;
}

static uint8_t hmac_unseal(struct srtp_op *op)
{
	uint8_t tag[20];

	if (!hmac(op, tag))
		return DP_SRTP_FAILED;
	if (CRYPTO_memcmp(tag, op->tag, op->tag_bytes) != 0)
		return DP_SRTP_FORGED;
	return counter_mode(op) ? DP_SRTP_OK : DP_SRTP_FAILED;
}

static void evp_seal(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n)
{
	bool is_gcm = dp_srtp_profile_info(profile)->cipher == DP_SRTP_CIPHER_AES_GCM;

	for (uint32_t i = 0; i < n; i++) {
		if (is_gcm)
			ops[i]->status = gcm_seal(ops[i]);
		else
			ops[i]->status = counter_mode(ops[i]) && hmac(ops[i], ops[i]->tag)
						 ? DP_SRTP_OK
						 : DP_SRTP_FAILED;
	}
}

static void evp_unseal(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n)
{
	bool is_gcm = dp_srtp_profile_info(profile)->cipher == DP_SRTP_CIPHER_AES_GCM;

	for (uint32_t i = 0; i < n; i++)
		ops[i]->status = is_gcm ? gcm_unseal(ops[i]) : hmac_unseal(ops[i]);
}

const struct srtp_engine srtp_engine_evp = {
	.open = evp_open,
	.close = evp_close,
	.name = evp_name,
	.has_profile = evp_has_profile,
	.key_create = evp_key_create,
	.key_destroy = evp_key_destroy,
	.seal = evp_seal,
	.unseal = evp_unseal,
};
