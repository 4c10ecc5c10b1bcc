// Published vectors through the derivation and through every engine that takes session keys.
#include <errno.h>

#include <criterion/criterion.h>

#include "dataplane/srtp/operation.h"
#include "tests/vectors/srtp_vectors.h"

Test(srtp_vectors, rfc3711_b2_aes_cm_key_stream)
{
	uint32_t n_bytes = 0xff02 * 16;
	uint8_t *stream = malloc(n_bytes);
	uint8_t expected[48];
	uint8_t salt[14];
	uint8_t key[16];

	vector_hex(RFC3711_CM_KEY, key);
	vector_hex(RFC3711_CM_SALT, salt);
	cr_assert_eq(dp_srtp_derive(key, 16, salt, 14, 0, stream, n_bytes), 0);
	vector_hex(RFC3711_CM_FIRST, expected);
	cr_assert_arr_eq(stream, expected, 48);
	vector_hex(RFC3711_CM_LAST, expected);
	cr_assert_arr_eq(stream + 0xfeff * 16, expected, 48);
	free(stream);
}

Test(srtp_vectors, rfc3711_b3_key_derivation)
{
	struct dp_srtp_session_keys rtp;
	struct dp_srtp_session_keys rtcp;
	uint8_t expected[94];
	uint8_t out[94];
	uint8_t salt[14];
	uint8_t key[16];

	vector_hex(RFC3711_KDF_KEY, key);
	vector_hex(RFC3711_KDF_SALT, salt);
	cr_assert_eq(vector_hex(RFC3711_KDF_AUTH, expected), 94);
	cr_assert_eq(dp_srtp_derive(key, 16, salt, 14, 1, out, 94), 0);
	cr_assert_arr_eq(out, expected, 94);
	cr_assert_eq(
		dp_srtp_derive_session(DP_SRTP_AES_CM_128_HMAC_SHA1_80, key, salt, &rtp, &rtcp), 0);
	cr_assert_arr_eq(rtp.auth_key, expected, 20);
	vector_hex(RFC3711_KDF_CIPHER, expected);
	cr_assert_arr_eq(rtp.key, expected, 16);
	vector_hex(RFC3711_KDF_CSALT, expected);
	cr_assert_arr_eq(rtp.salt, expected, 14);
	cr_assert_neq(memcmp(rtp.key, rtcp.key, 16), 0);
}

Test(srtp_vectors, derivation_refuses_sizes_that_are_none)
{
	uint8_t bytes[32] = { 0 };
	uint8_t out[16];

	cr_assert_eq(dp_srtp_derive(bytes, 24, bytes, 14, 0, out, 16), -EINVAL);
	cr_assert_eq(dp_srtp_derive(bytes, 16, bytes, 15, 0, out, 16), -EINVAL);
	cr_assert_null(dp_srtp_profile_info(DP_SRTP_PROFILE_COUNT));
	cr_assert_eq(dp_srtp_profile_by_dtls_id(7), DP_SRTP_AEAD_AES_128_GCM);
	cr_assert_eq(dp_srtp_profile_by_dtls_id(0), DP_SRTP_PROFILE_NONE);
}

// A context with the session keys of the vectors, which no master key gives.
static bool context_from_session(struct dp_srtp_context *c, const struct srtp_engine *engine,
				 enum dp_srtp_isa isa, uint32_t profile)
{
	struct srtp_keys keys = { .info = dp_srtp_profile_info(profile), .profile = profile };

	*c = (struct dp_srtp_context){ .info = keys.info, .engine = engine, .profile = profile };
	if (engine->open(isa, &c->state) < 0)
		return false;
	for (uint32_t half = 0; half < SRTP_HALF_COUNT; half++) {
		for (uint8_t i = 0; i < 32; i++)
			keys.session[half].key[i] = i;
		vector_hex(RFC7714_SALT, keys.session[half].salt);
		srtp_operation_salt(c, half, keys.session[half].salt);
		if (engine->key_bytes > 0) {
			c->key[half] = aligned_alloc(64, engine->key_bytes);
			cr_assert_not_null(c->key[half]);
			memset(c->key[half], 0, engine->key_bytes);
		}
		cr_assert_eq(engine->key_create(c->state, &keys, half, &c->key[half]), 0);
	}
	return true;
}

static void context_close(struct dp_srtp_context *c)
{
	for (uint32_t half = 0; half < SRTP_HALF_COUNT; half++) {
		c->engine->key_destroy(c->key[half]);
		if (c->engine->key_bytes > 0)
			free(c->key[half]);
	}
	c->engine->close(c->state);
}

static void rtp_vector(struct dp_srtp_context *c, const char *protected_hex)
{
	uint8_t plain[128];
	uint8_t packet[128];
	uint8_t expected[128];
	uint32_t n_plain = vector_hex(RFC7714_RTP, plain);
	uint32_t n = vector_hex(protected_hex, expected);
	struct dp_srtp_protect p = {
		.context = c,
		.packet = packet,
		.payload = plain + 12,
		.index = 0xf17b,
		.room_bytes = sizeof(packet),
		.header_bytes = 12,
		.payload_bytes = (uint16_t)(n_plain - 12),
	};
	struct dp_srtp_unprotect u = {
		.context = c,
		.packet = packet,
		.plain = packet,
		.index = 0xf17b,
		.packet_bytes = (uint16_t)n,
	};

	memcpy(packet, plain, 12);
	cr_assert_eq(dp_srtp_protect_burst(&p, 1), 1);
	cr_assert_eq(p.protected_bytes, n);
	cr_assert_arr_eq(packet, expected, n);
	cr_assert_eq(dp_srtp_unprotect_burst(&u, 1), 1);
	cr_assert_eq(u.plain_bytes, n_plain);
	cr_assert_arr_eq(packet, plain, n_plain);
}

static void rtcp_vector(struct dp_srtp_context *c, const char *protected_hex, bool is_encrypted)
{
	uint8_t plain[128];
	uint8_t packet[128];
	uint8_t expected[128];
	uint32_t n_plain = vector_hex(RFC7714_RTCP, plain);
	uint32_t n = vector_hex(protected_hex, expected);
	uint32_t n_out;
	uint32_t index;
	bool has_flag;

	cr_assert_eq(dp_srtcp_protect(c, plain, n_plain, RFC7714_RTCP_INDEX, is_encrypted, packet,
				      sizeof(packet), &n_out),
		     DP_SRTP_OK);
	cr_assert_eq(n_out, n);
	cr_assert_arr_eq(packet, expected, n);
	cr_assert_eq(dp_srtcp_peek(c, packet, n, &index, &has_flag), DP_SRTP_OK);
	cr_assert_eq(index, RFC7714_RTCP_INDEX);
	cr_assert_eq(has_flag, is_encrypted);
	cr_assert_eq(dp_srtcp_unprotect(c, packet, n, packet, sizeof(packet), &n_out), DP_SRTP_OK);
	cr_assert_eq(n_out, n_plain);
	cr_assert_arr_eq(packet, plain, n_plain);
}

static uint32_t gcm_vectors(const struct srtp_engine *engine, enum dp_srtp_isa isa)
{
	struct dp_srtp_context c;

	if (!context_from_session(&c, engine, isa, DP_SRTP_AEAD_AES_128_GCM))
		return 0;
	rtp_vector(&c, RFC7714_RTP_128);
	rtcp_vector(&c, RFC7714_RTCP_128, true);
	rtcp_vector(&c, RFC7714_RTCP_128_TAGGED, false);
	context_close(&c);
	cr_assert(context_from_session(&c, engine, isa, DP_SRTP_AEAD_AES_256_GCM));
	rtp_vector(&c, RFC7714_RTP_256);
	rtcp_vector(&c, RFC7714_RTCP_256, true);
	rtcp_vector(&c, RFC7714_RTCP_256_TAGGED, false);
	context_close(&c);
	return 1;
}

Test(srtp_vectors, rfc7714_16_17_openssl)
{
	cr_assert_eq(gcm_vectors(&srtp_engine_evp, DP_SRTP_ISA_AUTO), 1);
}

// As many instruction sets as the CPU has.
Test(srtp_vectors, rfc7714_16_17_ipsec_mb)
{
	uint32_t n = 0;

	for (uint32_t isa = DP_SRTP_ISA_SSE; isa < DP_SRTP_ISA_COUNT; isa++)
		n += gcm_vectors(&srtp_engine_ipsec_mb, (enum dp_srtp_isa)isa);
	if (n == 0)
		cr_skip_test("this CPU has no AES instructions");
}
