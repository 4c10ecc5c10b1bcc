// Engine instances, contexts and bursts. One thread per instance; writes only what it is given.
#include "dataplane/srtp/srtp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "dataplane/block_pool.h"
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/srtp/operation.h"

#define RTCP_MIN_BYTES 8 // header and sender's SSRC
#define RTCP_INDEX_MAX UINT32_C(0x7fffffff)

static const struct srtp_engine *const engines[DP_SRTP_ENGINE_COUNT] = {
	[DP_SRTP_ENGINE_IPSEC_MB] = &srtp_engine_ipsec_mb,
	[DP_SRTP_ENGINE_EVP] = &srtp_engine_evp,
	[DP_SRTP_ENGINE_LIBSRTP] = &srtp_engine_libsrtp,
};

struct dp_srtp {
	struct dp_block_pool *room
		[SRTP_HALF_COUNT]; // of contexts with the keys of RTP behind them; of the keys of RTCP
	void *state[DP_SRTP_ENGINE_COUNT]; // NULL: not in use
};

int dp_srtp_open(enum dp_srtp_engine engine, enum dp_srtp_isa isa, struct dp_srtp **out)
{
	size_t key_bytes = 0;
	struct dp_srtp *srtp;
	int ret;

	if ((uint32_t)engine >= DP_SRTP_ENGINE_COUNT || (uint32_t)isa >= DP_SRTP_ISA_COUNT)
		return -EINVAL;
	srtp = calloc(1, sizeof(*srtp));
	if (srtp == NULL)
		return -ENOMEM;
	for (uint32_t i = DP_SRTP_ENGINE_AUTO + 1; i < DP_SRTP_ENGINE_COUNT; i++) {
		// libsrtp is the slowest, so nobody gets it who did not ask for it.
		bool is_wanted = engine == DP_SRTP_ENGINE_AUTO ? i != DP_SRTP_ENGINE_LIBSRTP
							       : i == (uint32_t)engine;

		if (!is_wanted)
			continue;
		ret = engines[i]->open(isa, &srtp->state[i]);
		if (ret < 0 && !(engine == DP_SRTP_ENGINE_AUTO && ret == -ENOTSUP))
			goto fail_close;
		if (ret == 0 && engines[i]->key_bytes > key_bytes)
			key_bytes = engines[i]->key_bytes;
	}
	ret = -ENOMEM;
	srtp->room[SRTP_HALF_RTP] =
		dp_block_pool_create(sizeof(struct dp_srtp_context) + key_bytes);
	srtp->room[SRTP_HALF_RTCP] = dp_block_pool_create(key_bytes);
	if (srtp->room[SRTP_HALF_RTP] == NULL || srtp->room[SRTP_HALF_RTCP] == NULL)
		goto fail_close;
	*out = srtp;
	return 0;
fail_close:
	dp_srtp_close(srtp);
	return ret;
}

void dp_srtp_close(struct dp_srtp *srtp)
{
	if (srtp == NULL)
		return;
	for (uint32_t i = 0; i < DP_SRTP_ENGINE_COUNT; i++) {
		if (srtp->state[i] != NULL)
			engines[i]->close(srtp->state[i]);
	}
	for (uint32_t half = 0; half < SRTP_HALF_COUNT; half++)
		dp_block_pool_destroy(srtp->room[half]);
	free(srtp);
}

// The engines stand in the order of their speed. DP_SRTP_ENGINE_AUTO, which is 0, if none will do.
static uint32_t engine_for(const struct dp_srtp *srtp, uint32_t profile)
{
	for (uint32_t i = 0; i < DP_SRTP_ENGINE_COUNT; i++) {
		if (srtp->state[i] != NULL && engines[i]->has_profile(profile))
			return i;
	}
	return DP_SRTP_ENGINE_AUTO;
}

const char *dp_srtp_engine_for(const struct dp_srtp *srtp, uint32_t profile)
{
	uint32_t i = engine_for(srtp, profile);

	if (i == DP_SRTP_ENGINE_AUTO || dp_srtp_profile_info(profile) == NULL)
		return "none";
	return engines[i]->name(srtp->state[i]);
}

int dp_srtp_context_create(struct dp_srtp *srtp, uint32_t profile, const uint8_t *master_key,
			   const uint8_t *master_salt, struct dp_srtp_context **out)
{
	struct srtp_keys keys = {
		.info = dp_srtp_profile_info(profile),
		.profile = profile,
		.master_key = master_key,
		.master_salt = master_salt,
	};
	struct dp_srtp_context *context;
	uint32_t engine;
	int ret;

	if (keys.info == NULL)
		return -EINVAL;
	engine = engine_for(srtp, profile);
	if (engine == DP_SRTP_ENGINE_AUTO)
		return -ENOTSUP;
	context = dp_block_pool_take(srtp->room[SRTP_HALF_RTP]);
	if (context == NULL)
		return -ENOMEM;
	context->room = srtp->room[SRTP_HALF_RTP];
	context->info = keys.info;
	context->profile = profile;
	context->engine = engines[engine];
	context->state = srtp->state[engine];
	context->rtcp_room = srtp->room[SRTP_HALF_RTCP];
	ret = dp_srtp_derive_session(profile, master_key, master_salt, &keys.session[SRTP_HALF_RTP],
				     &keys.session[SRTP_HALF_RTCP]);
	if (ret == 0 && context->engine->key_bytes > 0) {
		context->rtcp_key = dp_block_pool_take(context->rtcp_room);
		if (context->rtcp_key == NULL)
			ret = -ENOMEM;
	}
	for (uint32_t half = 0; half < SRTP_HALF_COUNT && ret == 0; half++) {
		void *key = half == SRTP_HALF_RTP ? context + 1 : context->rtcp_key;

		if (context->engine->key_bytes == 0)
			key = NULL;
		srtp_operation_salt(context, half, keys.session[half].salt);
		ret = context->engine->key_create(context->state, &keys, half, &key);
		if (ret == 0)
			context->key[half] = key;
	}
	OPENSSL_cleanse(keys.session, sizeof(keys.session));
	if (ret < 0) {
		dp_srtp_context_destroy(context);
		return ret;
	}
	*out = context;
	return 0;
}

void dp_srtp_context_destroy(struct dp_srtp_context *context)
{
	if (context == NULL)
		return;
	for (uint32_t half = 0; half < SRTP_HALF_COUNT; half++) {
		if (context->key[half] != NULL)
			context->engine->key_destroy(context->key[half]);
	}
	dp_block_pool_give(context->rtcp_room, context->rtcp_key);
	dp_block_pool_give(context->room, context);
}

const char *dp_srtp_context_engine(const struct dp_srtp_context *context)
{
	return context->engine->name(context->state);
}

void dp_srtp_prefetch(const struct dp_srtp_context *context, uint32_t payload_bytes)
{
	if (context->engine->prefetch != NULL)
		context->engine->prefetch(context->key[SRTP_HALF_RTP], context->profile,
					  payload_bytes);
}

struct batch {
	struct srtp_op op[SRTP_BURST_MAX];
	struct srtp_op *work[SRTP_BURST_MAX];
	const struct dp_srtp_context *context[SRTP_BURST_MAX]; // by op; NULL: refused before
	uint32_t n;
};

// Hands runs of one engine and profile to their engine, in order.
static void batch_run(struct batch *b, bool is_seal)
{
	const struct dp_srtp_context *run = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i <= b->n; i++) {
		const struct dp_srtp_context *c = i < b->n ? b->context[i] : NULL;

		if (i < b->n && c == NULL)
			continue;
		if (n > 0 &&
		    (c == NULL || c->engine != run->engine || c->profile != run->profile)) {
			if (is_seal)
				run->engine->seal(run->state, run->profile, b->work, n);
			else
				run->engine->unseal(run->state, run->profile, b->work, n);
			n = 0;
		}
		if (c == NULL)
			break;
		run = c;
		b->work[n++] = &b->op[i];
	}
}

uint32_t dp_srtp_protect_burst(struct dp_srtp_protect *packets, uint32_t n)
{
	struct batch b;
	uint32_t n_ok = 0;

	for (uint32_t from = 0; from < n; from += b.n) {
		struct dp_srtp_protect *p = packets + from;

		b.n = n - from < SRTP_BURST_MAX ? n - from : SRTP_BURST_MAX;
		for (uint32_t i = 0; i < b.n; i++) {
			p[i].protected_bytes = 0;
			p[i].status = (uint8_t)srtp_operation_protect(&p[i], &b.op[i]);
			b.context[i] = p[i].status == DP_SRTP_OK ? p[i].context : NULL;
		}
		batch_run(&b, true);
		for (uint32_t i = 0; i < b.n; i++) {
			if (b.context[i] == NULL)
				continue;
			p[i].status = b.op[i].status;
			p[i].protected_bytes =
				(uint16_t)srtp_operation_finish_protect(p[i].context, &b.op[i]);
			n_ok += p[i].status == DP_SRTP_OK;
		}
	}
	return n_ok;
}

uint32_t dp_srtp_unprotect_burst(struct dp_srtp_unprotect *packets, uint32_t n)
{
	struct batch b;
	uint32_t n_ok = 0;

	for (uint32_t from = 0; from < n; from += b.n) {
		struct dp_srtp_unprotect *p = packets + from;

		b.n = n - from < SRTP_BURST_MAX ? n - from : SRTP_BURST_MAX;
		for (uint32_t i = 0; i < b.n; i++) {
			p[i].plain_bytes = 0;
			p[i].header_bytes = 0;
			p[i].status = (uint8_t)srtp_operation_unprotect(&p[i], &b.op[i]);
			b.context[i] = p[i].status == DP_SRTP_OK ? p[i].context : NULL;
		}
		batch_run(&b, false);
		for (uint32_t i = 0; i < b.n; i++) {
			if (b.context[i] == NULL)
				continue;
			p[i].status = b.op[i].status;
			p[i].plain_bytes =
				(uint16_t)srtp_operation_finish_unprotect(p[i].context, &b.op[i]);
			n_ok += p[i].status == DP_SRTP_OK;
		}
	}
	return n_ok;
}

enum dp_srtp_status dp_srtcp_protect(struct dp_srtp_context *context, const uint8_t *packet,
				     uint32_t packet_bytes, uint32_t index, bool is_encrypted,
				     uint8_t *out, uint32_t room_bytes, uint32_t *out_bytes)
{
	uint32_t growth = (uint32_t)context->info->rtcp_tag_bytes + DP_SRTCP_TRAILER_BYTES;
	struct srtp_op op;
	struct srtp_op *work = &op;

	*out_bytes = 0;
	if (packet_bytes < RTCP_MIN_BYTES || packet_bytes + growth > DP_SRTP_PACKET_BYTES_MAX ||
	    packet[0] >> 6 != 2 || index > RTCP_INDEX_MAX)
		return DP_SRTP_MALFORMED;
	if (packet_bytes + growth > room_bytes)
		return DP_SRTP_NO_ROOM;
	if (out != packet)
		memcpy(out, packet, packet_bytes);
	srtp_operation_rtcp_protect(context, out, packet_bytes, index, is_encrypted, &op);
	context->engine->seal(context->state, context->profile, &work, 1);
	*out_bytes = srtp_operation_finish_protect(context, &op);
	return (enum dp_srtp_status)op.status;
}

enum dp_srtp_status dp_srtcp_peek(const struct dp_srtp_context *context, const uint8_t *packet,
				  uint32_t packet_bytes, uint32_t *index, bool *is_encrypted)
{
	const struct dp_srtp_profile_info *info = context->info;
	uint32_t behind = info->cipher == DP_SRTP_CIPHER_AES_GCM ? 0 : info->rtcp_tag_bytes;
	uint32_t word;

	if (packet_bytes <
		    RTCP_MIN_BYTES + (uint32_t)info->rtcp_tag_bytes + DP_SRTCP_TRAILER_BYTES ||
	    packet_bytes > DP_SRTP_PACKET_BYTES_MAX || packet[0] >> 6 != 2)
		return DP_SRTP_MALFORMED;
	word = bytes_get_be32(packet + packet_bytes - behind - DP_SRTCP_TRAILER_BYTES);
	*index = word & RTCP_INDEX_MAX;
	*is_encrypted = word > RTCP_INDEX_MAX;
	return DP_SRTP_OK;
}

enum dp_srtp_status dp_srtcp_unprotect(struct dp_srtp_context *context, const uint8_t *packet,
				       uint32_t packet_bytes, uint8_t *out, uint32_t room_bytes,
				       uint32_t *out_bytes)
{
	struct srtp_op op;
	struct srtp_op *work = &op;
	enum dp_srtp_status status;
	bool is_encrypted;
	uint32_t index;

	*out_bytes = 0;
	status = dp_srtcp_peek(context, packet, packet_bytes, &index, &is_encrypted);
	if (status != DP_SRTP_OK)
		return status;
	if (packet_bytes > room_bytes)
		return DP_SRTP_NO_ROOM;
	if (out != packet)
		memcpy(out, packet, packet_bytes);
	srtp_operation_rtcp_unprotect(context, out, packet_bytes, &op);
	context->engine->unseal(context->state, context->profile, &work, 1);
	*out_bytes = srtp_operation_finish_unprotect(context, &op);
	return (enum dp_srtp_status)op.status;
}
