// SRTP by intel-ipsec-mb: GCM by its direct calls, AES-CM and HMAC-SHA1 by its bursts. One thread per manager.
#include "dataplane/srtp/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#define SHA1_BLOCK_BYTES 64
#define SHA1_BYTES       20
#define PREFETCH_AHEAD   2 // keys; one of GCM is many cache lines

struct ipsec_mb_state {
	IMB_MGR *manager;
	const char *name;
	IMB_JOB cipher_jobs[SRTP_BURST_MAX]; // what is the same for every packet is set once
	IMB_JOB hash_jobs[SRTP_BURST_MAX];
	struct srtp_op *ciphered[SRTP_BURST_MAX]; // op of a cipher job
	uint8_t tags[SRTP_BURST_MAX][SHA1_BYTES];
};

struct counter_key {
	uint8_t schedule[16 * 15] __attribute__((aligned(16)));
	uint8_t inner[SHA1_BYTES] __attribute__((aligned(16)));
	uint8_t outer[SHA1_BYTES] __attribute__((aligned(16)));
};

struct ipsec_mb_key {
	union {
		struct gcm_key_data gcm;
		struct counter_key counter;
	};
} __attribute__((aligned(64)));
static_assert(SRTP_BURST_MAX <= IMB_MAX_BURST_SIZE, "one call takes a burst");

static void jobs_prepare(struct ipsec_mb_state *s, uint32_t i)
{
	s->cipher_jobs[i] = (IMB_JOB){
		.key_len_in_bytes = 16,
		.iv_len_in_bytes = 16,
		.cipher_mode = IMB_CIPHER_CNTR,
		.cipher_direction = IMB_DIR_ENCRYPT,
		.hash_alg = IMB_AUTH_NULL,
	};
	s->hash_jobs[i] = (IMB_JOB){
		.auth_tag_output = s->tags[i],
		.auth_tag_output_len_in_bytes = SHA1_BYTES,
		.cipher_mode = IMB_CIPHER_NULL,
		.hash_alg = IMB_AUTH_HMAC_SHA_1,
	};
}

static int ipsec_mb_open(enum dp_srtp_isa isa, void **state)
{
	static const struct {
		uint64_t features;
		void (*init)(IMB_MGR *);
		const char *name;
	} choices[DP_SRTP_ISA_COUNT] = {
		[DP_SRTP_ISA_SSE] = { IMB_CPUFLAGS_SSE, init_mb_mgr_sse, "ipsec-mb/sse" },
		[DP_SRTP_ISA_AVX2] = { IMB_CPUFLAGS_AVX2, init_mb_mgr_avx2, "ipsec-mb/avx2" },
		[DP_SRTP_ISA_AVX512] = { IMB_CPUFLAGS_AVX512, init_mb_mgr_avx512,
					 "ipsec-mb/avx512" },
	};
	struct ipsec_mb_state *s = calloc(1, sizeof(*s));
	uint32_t choice = DP_SRTP_ISA_COUNT;

	if (s == NULL)
		return -ENOMEM;
	s->manager = alloc_mb_mgr(0);
	if (s->manager == NULL) {
		free(s);
		return -ENOMEM;
	}
	while (--choice > DP_SRTP_ISA_AUTO) {
		uint64_t features = choices[choice].features;

		if ((isa == DP_SRTP_ISA_AUTO || isa == choice) &&
		    (s->manager->features & features) == features)
			break;
	}
	if (choice == DP_SRTP_ISA_AUTO) {
		free_mb_mgr(s->manager);
		free(s);
		return -ENOTSUP;
	}
	choices[choice].init(s->manager);
	for (uint32_t i = 0; i < SRTP_BURST_MAX; i++)
		jobs_prepare(s, i);
	s->name = choices[choice].name;
	*state = s;
	return 0;
}

static void ipsec_mb_close(void *state)
{
	struct ipsec_mb_state *s = state;

	free_mb_mgr(s->manager);
	free(s);
}

static const char *ipsec_mb_name(void *state)
{
	return ((struct ipsec_mb_state *)state)->name;
}

static bool ipsec_mb_has_profile(uint32_t profile)
{
	return profile == DP_SRTP_AEAD_AES_128_GCM || profile == DP_SRTP_AEAD_AES_256_GCM ||
	       profile == DP_SRTP_AES_CM_128_HMAC_SHA1_80 ||
	       profile == DP_SRTP_AES_CM_128_HMAC_SHA1_32;
}

// SHA-1 of the key in one padded block is where each HMAC begins.
static void hmac_half(IMB_MGR *m, const uint8_t *key, uint32_t key_bytes, uint8_t pad, uint8_t *out)
{
	uint8_t block[SHA1_BLOCK_BYTES];

	memset(block, pad, sizeof(block));
	for (uint32_t i = 0; i < key_bytes; i++)
		block[i] ^= key[i];
	IMB_SHA1_ONE_BLOCK(m, block, out);
	OPENSSL_cleanse(block, sizeof(block));
}

static int ipsec_mb_key_create(void *state, const struct srtp_keys *keys, uint32_t half, void **key)
{
	const struct dp_srtp_session_keys *session = &keys->session[half];
	struct ipsec_mb_state *s = state;
	struct ipsec_mb_key *k = *key;
	uint8_t unused[16 * 15] __attribute__((aligned(16)));

	if (keys->profile == DP_SRTP_AEAD_AES_128_GCM) {
		IMB_AES128_GCM_PRE(s->manager, session->key, &k->gcm);
	} else if (keys->profile == DP_SRTP_AEAD_AES_256_GCM) {
		IMB_AES256_GCM_PRE(s->manager, session->key, &k->gcm);
	} else {
		IMB_AES_KEYEXP_128(s->manager, session->key, k->counter.schedule, unused);
		hmac_half(s->manager, session->auth_key, keys->info->auth_key_bytes, 0x36,
			  k->counter.inner);
		hmac_half(s->manager, session->auth_key, keys->info->auth_key_bytes, 0x5c,
			  k->counter.outer);
		OPENSSL_cleanse(unused, sizeof(unused));
	}
	return 0;
}

static void ipsec_mb_key_destroy(void *key)
{
	OPENSSL_cleanse(key, sizeof(struct ipsec_mb_key));
}

// What a payload needs of a GCM key: round keys at its head, and powers of the hash key, of which short payloads use the last.
// Two more blocks are hashed than there are of payload: AAD, lengths. With other instructions than AVX-512's the powers stand
// elsewhere, and what is not asked for here is only slower.
#define GCM_ROUND_KEYS_BYTES (16 * 11)
#define GCM_POWERS_BYTES     (16 * 48)
#define GCM_KEY_END          (sizeof(((struct gcm_key_data *)0)->expanded_keys) + GCM_POWERS_BYTES)

static inline uint32_t gcm_powers_at(uint32_t payload_bytes)
{
	uint32_t n_bytes = payload_bytes + 4 * 16;

	n_bytes = n_bytes < GCM_POWERS_BYTES ? n_bytes : GCM_POWERS_BYTES;
	return (uint32_t)GCM_KEY_END - n_bytes;
}

static void prefetch_key(const struct srtp_op *op)
{
	const uint8_t *k = op->key;

	for (uint32_t at = 0; at < GCM_ROUND_KEYS_BYTES; at += 64)
		__builtin_prefetch(k + at);
	for (uint32_t at = gcm_powers_at(op->cipher_bytes) & ~63u; at < GCM_KEY_END; at += 64)
		__builtin_prefetch(k + at);
}

// Into the second level: a batch of keys is as large as the first.
static void ipsec_mb_prefetch(const void *key, uint32_t profile, uint32_t payload_bytes)
{
	const uint8_t *k = key;

	if (profile != DP_SRTP_AEAD_AES_128_GCM && profile != DP_SRTP_AEAD_AES_256_GCM) {
		for (uint32_t at = 0; at < sizeof(struct counter_key); at += 64)
			__builtin_prefetch(k + at, 0, 2);
		return;
	}
	for (uint32_t at = 0; at < GCM_ROUND_KEYS_BYTES; at += 64)
		__builtin_prefetch(k + at, 0, 2);
	for (uint32_t at = gcm_powers_at(payload_bytes) & ~63u; at < GCM_KEY_END; at += 64)
		__builtin_prefetch(k + at, 0, 2);
}

// In constant time, and without a call.
static bool tag_is_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2];
	uint64_t y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

static void gcm_burst(struct ipsec_mb_state *s, bool is_128, bool is_seal,
		      struct srtp_op *const *ops, uint32_t n)
{
	aes_gcm_enc_dec_t gcm =
		is_seal ? (is_128 ? s->manager->gcm128_enc : s->manager->gcm256_enc)
			: (is_128 ? s->manager->gcm128_dec : s->manager->gcm256_dec);
	struct gcm_context_data scratch;

	for (uint32_t i = 0; i < n; i++) {
		struct ipsec_mb_key *k = ops[i]->key;
		struct srtp_op *op = ops[i];
		uint8_t tag[16];

		if (i + PREFETCH_AHEAD < n && ops[i + PREFETCH_AHEAD]->key != k)
			prefetch_key(ops[i + PREFETCH_AHEAD]);
		gcm(&k->gcm, &scratch, op->dst, op->src, op->cipher_bytes, op->iv, op->authed,
		    op->authed_bytes, is_seal ? op->tag : tag, sizeof(tag));
		op->status = is_seal || tag_is_equal(tag, op->tag) ? DP_SRTP_OK : DP_SRTP_FORGED;
	}
}

// Ciphers those whose status is DP_SRTP_OK; those that the library leaves undone become DP_SRTP_FAILED.
static void counter_burst(struct ipsec_mb_state *s, struct srtp_op *const *ops, uint32_t n)
{
	uint32_t n_jobs = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct ipsec_mb_key *k = ops[i]->key;
		IMB_JOB *job;

		if (ops[i]->status != DP_SRTP_OK || ops[i]->cipher_bytes == 0)
			continue;
		s->ciphered[n_jobs] = ops[i];
		job = &s->cipher_jobs[n_jobs++];
		job->enc_keys = k->counter.schedule;
		job->dec_keys = k->counter.schedule;
		job->src = ops[i]->src;
		job->dst = ops[i]->dst;
		job->msg_len_to_cipher_in_bytes = ops[i]->cipher_bytes;
		job->iv = ops[i]->iv;
		job->status = IMB_STATUS_BEING_PROCESSED;
	}
	if (n_jobs == 0)
		return;
	IMB_SUBMIT_CIPHER_BURST(s->manager, s->cipher_jobs, n_jobs, IMB_CIPHER_CNTR,
				IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
	for (uint32_t i = 0; i < n_jobs; i++) {
		if (s->cipher_jobs[i].status != IMB_STATUS_COMPLETED)
			s->ciphered[i]->status = DP_SRTP_FAILED;
	}
}

// All tags into s->tags, and DP_SRTP_OK or DP_SRTP_FAILED into each status.
static void hmac_burst(struct ipsec_mb_state *s, struct srtp_op *const *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct ipsec_mb_key *k = ops[i]->key;
		IMB_JOB *job = &s->hash_jobs[i];

		job->src = ops[i]->authed;
		job->msg_len_to_hash_in_bytes = ops[i]->authed_bytes;
		job->u.HMAC._hashed_auth_key_xor_ipad = k->counter.inner;
		job->u.HMAC._hashed_auth_key_xor_opad = k->counter.outer;
		job->status = IMB_STATUS_BEING_PROCESSED;
	}
	IMB_SUBMIT_HASH_BURST(s->manager, s->hash_jobs, n, IMB_AUTH_HMAC_SHA_1);
	for (uint32_t i = 0; i < n; i++)
		ops[i]->status = s->hash_jobs[i].status == IMB_STATUS_COMPLETED ? DP_SRTP_OK
										: DP_SRTP_FAILED;
}

static bool is_gcm(uint32_t profile)
{
	return dp_srtp_profile_info(profile)->cipher == DP_SRTP_CIPHER_AES_GCM;
}

static void ipsec_mb_seal(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n)
{
	struct ipsec_mb_state *s = state;
	bool is_ciphered[SRTP_BURST_MAX];

	if (is_gcm(profile)) {
		gcm_burst(s, profile == DP_SRTP_AEAD_AES_128_GCM, true, ops, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		ops[i]->status = DP_SRTP_OK;
	counter_burst(s, ops, n);
	for (uint32_t i = 0; i < n; i++)
		is_ciphered[i] = ops[i]->status == DP_SRTP_OK;
	hmac_burst(s, ops, n);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(ops[i]->tag, s->tags[i], SHA1_BYTES);
		if (!is_ciphered[i])
			ops[i]->status = DP_SRTP_FAILED;
	}
}

static void ipsec_mb_unseal(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n)
{
	struct ipsec_mb_state *s = state;

	if (is_gcm(profile)) {
		gcm_burst(s, profile == DP_SRTP_AEAD_AES_128_GCM, false, ops, n);
		return;
	}
	hmac_burst(s, ops, n);
	for (uint32_t i = 0; i < n; i++) {
		if (ops[i]->status == DP_SRTP_OK &&
		    CRYPTO_memcmp(s->tags[i], ops[i]->tag, ops[i]->tag_bytes) != 0)
			ops[i]->status = DP_SRTP_FORGED;
	}
	counter_burst(s, ops, n);
}

const struct srtp_engine srtp_engine_ipsec_mb = {
	.open = ipsec_mb_open,
	.close = ipsec_mb_close,
	.name = ipsec_mb_name,
	.has_profile = ipsec_mb_has_profile,
	.key_bytes = sizeof(struct ipsec_mb_key),
	.key_create = ipsec_mb_key_create,
	.key_destroy = ipsec_mb_key_destroy,
	.prefetch = ipsec_mb_prefetch,
	.seal = ipsec_mb_seal,
	.unseal = ipsec_mb_unseal,
};
