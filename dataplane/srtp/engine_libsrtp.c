// SRTP by libsrtp2: every profile, and the reference that the other engines are compared with. One thread.
//
// libsrtp keeps ROC, sequence and replay window by itself, per SSRC. Here the caller owns them: the ROC is set before
// each packet, and where libsrtp's memory stands in the way of the index that the caller states, the stream is made
// anew. SRTCP indices of its own packets cannot be set, so those are sealed by the EVP engine.
#include "dataplane/srtp/engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <srtp2/srtp.h>

#include "dataplane/contract/wire/bytes.h"

#define STREAMS_MAX      16     // SSRCs that a session remembers
#define REORDER_MAX_PKTS 0x4000 // farther back libsrtp might guess another ROC

struct stream {
	uint64_t highest;
	uint32_t ssrc;
	uint8_t is_used;
};

struct session {
	srtp_t session; // NULL: not made yet
	struct stream stream[STREAMS_MAX];
	uint32_t next; // to be given up
};

struct libsrtp_key {
	uint8_t master[DP_SRTP_KEY_BYTES_MAX + DP_SRTP_SALT_BYTES_MAX];
	struct session session[2]; // without and with encryption, which libsrtp has as a policy
	void *evp;
	uint32_t profile;
	uint32_t half;
};

struct libsrtp_state {
	void *evp;
	uint8_t packet[DP_SRTP_PACKET_BYTES_MAX + SRTP_MAX_TRAILER_LEN + 4];
};

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static srtp_err_status_t init_status;

static void init(void)
{
	init_status = srtp_init();
}

static int libsrtp_open(enum dp_srtp_isa isa, void **state)
{
	struct libsrtp_state *s = calloc(1, sizeof(*s));
	int ret;

	if (s == NULL)
		return -ENOMEM;
	pthread_once(&init_once, init);
	ret = init_status == srtp_err_status_ok ? srtp_engine_evp.open(isa, &s->evp) : -EIO;
	if (ret < 0) {
		free(s);
		return ret;
	}
	*state = s;
	return 0;
}

static void libsrtp_close(void *state)
{
	struct libsrtp_state *s = state;

	srtp_engine_evp.close(s->evp);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static const char *libsrtp_name(void *state)
{
	return "libsrtp";
}

static bool libsrtp_has_profile(uint32_t profile)
{
	return dp_srtp_profile_info(profile) != NULL;
}

static void policy_set(srtp_policy_t *policy, uint32_t profile, bool is_encrypted)
{
	static void (*const set[DP_SRTP_PROFILE_COUNT])(srtp_crypto_policy_t *) = {
		[DP_SRTP_AEAD_AES_128_GCM] = srtp_crypto_policy_set_aes_gcm_128_16_auth,
		[DP_SRTP_AEAD_AES_256_GCM] = srtp_crypto_policy_set_aes_gcm_256_16_auth,
		[DP_SRTP_AES_CM_128_HMAC_SHA1_80] = srtp_crypto_policy_set_rtp_default,
		[DP_SRTP_AES_CM_128_HMAC_SHA1_32] = srtp_crypto_policy_set_rtp_default,
		[DP_SRTP_AES_CM_256_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
		[DP_SRTP_AES_CM_256_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
		[DP_SRTP_NULL_HMAC_SHA1_80] = srtp_crypto_policy_set_null_cipher_hmac_sha1_80,
		[DP_SRTP_NULL_HMAC_SHA1_32] = srtp_crypto_policy_set_null_cipher_hmac_sha1_80,
	};
	const struct dp_srtp_profile_info *info = dp_srtp_profile_info(profile);

	set[profile](&policy->rtp);
	set[profile](&policy->rtcp);
	policy->rtp.auth_tag_len = info->rtp_tag_bytes;
	policy->rtcp.auth_tag_len = info->rtcp_tag_bytes;
	policy->rtcp.sec_serv = is_encrypted ? sec_serv_conf_and_auth : sec_serv_auth;
	policy->allow_repeat_tx = 1;
}

static void libsrtp_key_destroy(void *key)
{
	struct libsrtp_key *k = key;

	for (uint32_t i = 0; i < 2; i++) {
		if (k->session[i].session != NULL)
			srtp_dealloc(k->session[i].session);
	}
	if (k->evp != NULL)
		srtp_engine_evp.key_destroy(k->evp);
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

static int libsrtp_key_create(void *state, const struct srtp_keys *keys, uint32_t half, void **key)
{
	struct libsrtp_state *s = state;
	struct libsrtp_key *k = calloc(1, sizeof(*k));
	int ret;

	if (k == NULL)
		return -ENOMEM;
	memcpy(k->master, keys->master_key, keys->info->key_bytes);
	memcpy(k->master + keys->info->key_bytes, keys->master_salt, keys->info->salt_bytes);
	k->profile = keys->profile;
	k->half = half;
	for (uint32_t i = 0; i < 2; i++) {
		if (srtp_create(&k->session[i].session, NULL) != srtp_err_status_ok) {
			ret = -EIO;
			goto fail_destroy;
		}
	}
	ret = srtp_engine_evp.key_create(s->evp, keys, half, &k->evp);
	if (ret < 0)
		goto fail_destroy;
	*key = k;
	return 0;
fail_destroy:
	libsrtp_key_destroy(k);
	return ret;
}

static void stream_drop(struct session *session, struct stream *stream)
{
	srtp_remove_stream(session->session, __builtin_bswap32(stream->ssrc)); // in network order
	stream->is_used = 0;
}

static struct stream *stream_find(struct session *session, uint32_t ssrc)
{
	for (uint32_t i = 0; i < STREAMS_MAX; i++) {
		if (session->stream[i].is_used && session->stream[i].ssrc == ssrc)
			return &session->stream[i];
	}
	return NULL;
}

static struct stream *stream_add(struct libsrtp_key *k, struct session *session, uint32_t ssrc)
{
	struct stream *stream = &session->stream[session->next++ % STREAMS_MAX];
	srtp_policy_t policy = {
		.ssrc = { .type = ssrc_specific, .value = ssrc },
		.key = k->master,
	};

	if (stream->is_used)
		stream_drop(session, stream);
	policy_set(&policy, k->profile, session == &k->session[1]);
	if (srtp_add_stream(session->session, &policy) != srtp_err_status_ok)
		return NULL;
	*stream = (struct stream){ .ssrc = ssrc, .is_used = 1 };
	return stream;
}

static srtp_err_status_t call(srtp_t session, const struct srtp_op *op, bool is_seal, uint32_t ssrc,
			      uint8_t *packet, int *n)
{
	if (op->is_rtcp)
		return srtp_unprotect_rtcp(session, packet, n);
	if (srtp_set_stream_roc(session, ssrc, (uint32_t)(op->index >> 16)) != srtp_err_status_ok)
		return srtp_err_status_fail;
	return is_seal ? srtp_protect(session, packet, n) : srtp_unprotect(session, packet, n);
}

static uint8_t run(struct libsrtp_key *k, const struct srtp_op *op, bool is_seal, uint8_t *packet,
		   int *n)
{
	struct session *session = &k->session[op->is_encrypted];
	uint32_t ssrc = bytes_get_be32(packet + (op->is_rtcp ? 4 : 8));
	struct stream *stream = stream_find(session, ssrc);
	bool is_new = stream == NULL;
	srtp_err_status_t status;

	if (!is_new && op->index + REORDER_MAX_PKTS < stream->highest) {
		stream_drop(session, stream);
		is_new = true;
	}
	for (;;) {
		if (is_new)
			stream = stream_add(k, session, ssrc);
		if (stream == NULL)
			return DP_SRTP_FAILED;
		status = call(session->session, op, is_seal, ssrc, packet, n);
		if (is_new ||
		    (status != srtp_err_status_replay_fail &&
		     status != srtp_err_status_replay_old && status != srtp_err_status_pkt_idx_old))
			break;
		stream_drop(session, stream);
		is_new = true;
	}
	if (status == srtp_err_status_ok) {
		if (op->index > stream->highest)
			stream->highest = op->index;
		return DP_SRTP_OK;
	}
	// A forged packet must not push out the streams of real ones for good.
	if (is_new)
		stream_drop(session, stream);
	return status == srtp_err_status_auth_fail ? DP_SRTP_FORGED : DP_SRTP_FAILED;
}

static void seal_one(struct libsrtp_state *s, struct srtp_op *op)
{
	struct libsrtp_key *k = op->key;
	uint32_t header_bytes = (uint32_t)(op->dst - op->packet);
	int n = (int)op->packet_bytes;

	// libsrtp asks for more room behind the packet than the tag needs.
	memcpy(s->packet, op->packet, header_bytes);
	memcpy(s->packet + header_bytes, op->src, op->packet_bytes - header_bytes);
	op->status = run(k, op, true, s->packet, &n);
	if (op->status == DP_SRTP_OK && n != (int)(op->packet_bytes + op->tag_bytes))
		op->status = DP_SRTP_FAILED;
	if (op->status != DP_SRTP_OK)
		return;
	memcpy(op->dst, s->packet + header_bytes, op->packet_bytes - header_bytes);
	memcpy(op->tag, s->packet + op->packet_bytes, op->tag_bytes);
}

static void libsrtp_seal(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n)
{
	struct libsrtp_state *s = state;

	for (uint32_t i = 0; i < n; i++) {
		struct libsrtp_key *k = ops[i]->key;

		if (k->half == SRTP_HALF_RTP) {
			seal_one(s, ops[i]);
			continue;
		}
		ops[i]->key = k->evp;
		srtp_engine_evp.seal(s->evp, profile, &ops[i], 1);
	}
}

static void libsrtp_unseal(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n)
{
	struct libsrtp_state *s = state;

	for (uint32_t i = 0; i < n; i++) {
		struct srtp_op *op = ops[i];
		uint32_t header_bytes = (uint32_t)(op->dst - op->plain);
		uint32_t tag_at = (uint32_t)(op->tag_at - op->packet);
		uint32_t plain_bytes = op->packet_bytes - op->tag_bytes -
				       (op->is_rtcp ? DP_SRTCP_TRAILER_BYTES : 0);
		int plain = (int)op->packet_bytes;

		memcpy(s->packet, op->packet, op->packet_bytes);
		memcpy(s->packet + tag_at, op->tag, op->tag_bytes);
		// The word in front of a tag that follows it, and behind one that stands before it.
		if (op->is_rtcp)
			bytes_put_be32(s->packet + plain_bytes +
					       (tag_at == plain_bytes ? op->tag_bytes : 0),
				       (uint32_t)op->index | (uint32_t)op->is_encrypted << 31);
		op->status = run(op->key, op, false, s->packet, &plain);
		if (op->status == DP_SRTP_OK && plain != (int)plain_bytes)
			op->status = DP_SRTP_FAILED;
		if (op->status == DP_SRTP_OK)
			memcpy(op->dst, s->packet + header_bytes, plain_bytes - header_bytes);
	}
}

const struct srtp_engine srtp_engine_libsrtp = {
	.open = libsrtp_open,
	.close = libsrtp_close,
	.name = libsrtp_name,
	.has_profile = libsrtp_has_profile,
	.key_create = libsrtp_key_create,
	.key_destroy = libsrtp_key_destroy,
	.seal = libsrtp_seal,
	.unseal = libsrtp_unseal,
};
