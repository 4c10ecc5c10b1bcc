// intel-ipsec-mb by itself. One thread.
#include "bench/srtp/raw.h"

#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#define HEADER_BYTES 12

struct raw_key {
	struct gcm_key_data gcm;
	uint8_t schedule[16 * 15] __attribute__((aligned(16)));
	uint8_t half[20] __attribute__((aligned(16)));
};

struct raw {
	IMB_MGR *manager;
	struct raw_key *keys;
	uint32_t n_keys;
	uint32_t next;
	uint32_t profile;
	IMB_JOB cipher_jobs[RAW_BURST];
	IMB_JOB hash_jobs[RAW_BURST];
	uint8_t tags[RAW_BURST][20];
};

struct raw *raw_open(uint32_t profile, uint32_t n_keys)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	uint8_t unused[16 * 15] __attribute__((aligned(16)));
	uint8_t key[32];

	if (raw == NULL)
		abort(); // nothing to measure with
	raw->manager = alloc_mb_mgr(0);
	raw->keys = aligned_alloc(64, (n_keys * sizeof(*raw->keys) + 63) & ~(size_t)63);
	if (raw->manager == NULL || raw->keys == NULL)
		abort(); // nothing to measure with
	init_mb_mgr_auto(raw->manager, NULL);
	raw->n_keys = n_keys;
	raw->profile = profile;
	for (uint32_t i = 0; i < RAW_BURST; i++) {
		raw->cipher_jobs[i] = (IMB_JOB){
			.key_len_in_bytes = 16,
			.iv_len_in_bytes = 16,
			.cipher_mode = IMB_CIPHER_CNTR,
			.cipher_direction = IMB_DIR_ENCRYPT,
			.hash_alg = IMB_AUTH_NULL,
		};
		raw->hash_jobs[i] = (IMB_JOB){
			.auth_tag_output = raw->tags[i],
			.auth_tag_output_len_in_bytes = 20,
			.cipher_mode = IMB_CIPHER_NULL,
			.hash_alg = IMB_AUTH_HMAC_SHA_1,
		};
	}
	for (uint32_t i = 0; i < n_keys; i++) {
		for (uint32_t k = 0; k < sizeof(key); k++)
			key[k] = (uint8_t)random();
		if (profile == DP_SRTP_AEAD_AES_128_GCM)
			IMB_AES128_GCM_PRE(raw->manager, key, &raw->keys[i].gcm);
		else if (profile == DP_SRTP_AEAD_AES_256_GCM)
			IMB_AES256_GCM_PRE(raw->manager, key, &raw->keys[i].gcm);
		else
			IMB_AES_KEYEXP_128(raw->manager, key, raw->keys[i].schedule, unused);
		memcpy(raw->keys[i].half, key, sizeof(raw->keys[i].half));
	}
	return raw;
}

static void counter_burst(struct raw *raw, struct raw_key *const *keys, const uint8_t *src,
			  uint8_t *const *dst, uint32_t n_bytes, const uint8_t *iv)
{
	for (uint32_t i = 0; i < RAW_BURST; i++) {
		raw->cipher_jobs[i].enc_keys = keys[i]->schedule;
		raw->cipher_jobs[i].dec_keys = keys[i]->schedule;
		raw->cipher_jobs[i].src = src;
		raw->cipher_jobs[i].dst = dst[i] + HEADER_BYTES;
		raw->cipher_jobs[i].msg_len_to_cipher_in_bytes = n_bytes;
		raw->cipher_jobs[i].iv = iv;
		raw->hash_jobs[i].src = dst[i];
		raw->hash_jobs[i].msg_len_to_hash_in_bytes = HEADER_BYTES + n_bytes + 4;
		raw->hash_jobs[i].u.HMAC._hashed_auth_key_xor_ipad = keys[i]->half;
		raw->hash_jobs[i].u.HMAC._hashed_auth_key_xor_opad = keys[i]->half;
	}
	IMB_SUBMIT_CIPHER_BURST(raw->manager, raw->cipher_jobs, RAW_BURST, IMB_CIPHER_CNTR,
				IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
	IMB_SUBMIT_HASH_BURST(raw->manager, raw->hash_jobs, RAW_BURST, IMB_AUTH_HMAC_SHA_1);
}

void raw_burst(struct raw *raw, const uint8_t *src, uint8_t *const *dst, uint32_t n_bytes)
{
	static const uint8_t iv[16];
	struct raw_key *keys[RAW_BURST];
	struct gcm_context_data scratch;
	uint8_t tag[16];

	for (uint32_t i = 0; i < RAW_BURST; i++) {
		keys[i] = &raw->keys[raw->next];
		raw->next = raw->next + 1 == raw->n_keys ? 0 : raw->next + 1;
	}
	if (raw->profile == DP_SRTP_AES_CM_128_HMAC_SHA1_80) {
		counter_burst(raw, keys, src, dst, n_bytes, iv);
		return;
	}
	for (uint32_t i = 0; i < RAW_BURST; i++) {
		if (raw->profile == DP_SRTP_AEAD_AES_128_GCM)
			IMB_AES128_GCM_ENC(raw->manager, &keys[i]->gcm, &scratch,
					   dst[i] + HEADER_BYTES, src, n_bytes, iv, dst[i],
					   HEADER_BYTES, tag, sizeof(tag));
		else
			IMB_AES256_GCM_ENC(raw->manager, &keys[i]->gcm, &scratch,
					   dst[i] + HEADER_BYTES, src, n_bytes, iv, dst[i],
					   HEADER_BYTES, tag, sizeof(tag));
	}
}
