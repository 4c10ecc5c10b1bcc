// Every engine against libsrtp: the same packets give the same bytes and the same refusals.
#include <errno.h>

#include <criterion/criterion.h>
#include <srtp2/srtp.h>

#include "dataplane/contract/wire/bytes.h"
#include "dataplane/srtp/srtp.h"

#define SIDES_MAX   5
#define BURST       70 // more than an engine takes at once
#define PACKET_ROOM 1700

struct side {
	struct dp_srtp *srtp;
	struct dp_srtp_context *context[2];
	const char *name;
};

struct sides {
	struct side side[SIDES_MAX]; // libsrtp first
	uint32_t n;
};

static void side_add(struct sides *s, enum dp_srtp_engine engine, enum dp_srtp_isa isa,
		     uint32_t profile)
{
	struct side *side = &s->side[s->n];
	uint8_t master[2][46];

	if (dp_srtp_open(engine, isa, &side->srtp) == -ENOTSUP)
		return;
	for (uint32_t i = 0; i < sizeof(master); i++)
		((uint8_t *)master)[i] = (uint8_t)(i * 37 + 11 + profile);
	for (uint32_t i = 0; i < 2; i++) {
		int ret = dp_srtp_context_create(side->srtp, profile, master[i], master[i] + 32,
						 &side->context[i]);

		if (ret == -ENOTSUP) {
			dp_srtp_close(side->srtp);
			return;
		}
		cr_assert_eq(ret, 0);
	}
	side->name = dp_srtp_context_engine(side->context[0]);
	s->n++;
}

static struct sides sides_open(uint32_t profile)
{
	struct sides s = { 0 };

	side_add(&s, DP_SRTP_ENGINE_LIBSRTP, DP_SRTP_ISA_AUTO, profile);
	side_add(&s, DP_SRTP_ENGINE_EVP, DP_SRTP_ISA_AUTO, profile);
	for (uint32_t isa = DP_SRTP_ISA_SSE; isa < DP_SRTP_ISA_COUNT; isa++)
		side_add(&s, DP_SRTP_ENGINE_IPSEC_MB, (enum dp_srtp_isa)isa, profile);
	cr_assert_geq(s.n, 2);
	return s;
}

static void sides_close(struct sides *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		dp_srtp_context_destroy(s->side[i].context[0]);
		dp_srtp_context_destroy(s->side[i].context[1]);
		dp_srtp_close(s->side[i].srtp);
	}
}

static uint32_t pick(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void bytes_random(uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = (uint8_t)random();
}

// A header with CSRCs and an extension at random; returns its size.
static uint16_t header_random(uint8_t *p, uint64_t index)
{
	uint32_t n_csrc = pick(3) == 0 ? pick(16) : 0;
	uint32_t n_words = pick(5);
	bool has_extension = pick(2);
	uint32_t n = 12 + 4 * n_csrc;

	bytes_random(p, 12 + 4 * 15 + 4 + 4 * 5);
	p[0] = (uint8_t)(0x80 | has_extension << 4 | n_csrc);
	bytes_put_be16(p + 2, (uint16_t)index);
	bytes_put_be32(p + 8, 0x1000 + pick(20)); // more SSRCs than libsrtp's side remembers
	if (has_extension) {
		bytes_put_be16(p + n, 0xbede);
		bytes_put_be16(p + n + 2, (uint16_t)n_words);
		n += 4 + 4 * n_words;
	}
	return (uint16_t)n;
}

static uint64_t index_random(uint32_t i)
{
	switch (pick(4)) {
	case 0:
		return 0xfff0 + i; // over the first wrap
	case 1:
		return pick(0x10000);
	case 2:
		return ((uint64_t)random() << 20 ^ (uint64_t)random()) & ((UINT64_C(1) << 48) - 1);
	default:
		return UINT64_C(0xffffffff0000) + pick(0x10000);
	}
}

struct traffic {
	uint8_t header[BURST][160];
	uint8_t payload[BURST][1500];
	uint16_t header_bytes[BURST];
	uint16_t payload_bytes[BURST];
	uint64_t index[BURST];
	uint8_t context[BURST];
};

static void traffic_make(struct traffic *t, uint32_t round)
{
	for (uint32_t i = 0; i < BURST; i++) {
		t->index[i] = index_random(i);
		t->header_bytes[i] = header_random(t->header[i], t->index[i]);
		t->payload_bytes[i] = (uint16_t)(round == 0 ? i : pick(1501));
		t->context[i] = (uint8_t)pick(2);
		bytes_random(t->payload[i], t->payload_bytes[i]);
	}
}

static uint8_t protected_at[SIDES_MAX][BURST][PACKET_ROOM];
static uint8_t plain_at[SIDES_MAX][BURST][PACKET_ROOM];

static void protect_all(const struct sides *s, const struct traffic *t, uint16_t *sizes)
{
	for (uint32_t k = 0; k < s->n; k++) {
		struct dp_srtp_protect p[BURST];

		for (uint32_t i = 0; i < BURST; i++) {
			bool is_in_place = i % 3 == 0;

			memset(protected_at[k][i], 0xcc, PACKET_ROOM);
			memcpy(protected_at[k][i], t->header[i], t->header_bytes[i]);
			if (is_in_place)
				memcpy(protected_at[k][i] + t->header_bytes[i], t->payload[i],
				       t->payload_bytes[i]);
			p[i] = (struct dp_srtp_protect){
				.context = s->side[k].context[t->context[i]],
				.packet = protected_at[k][i],
				.payload = is_in_place ? protected_at[k][i] + t->header_bytes[i]
						       : t->payload[i],
				.index = t->index[i],
				.room_bytes = PACKET_ROOM,
				.header_bytes = t->header_bytes[i],
				.payload_bytes = t->payload_bytes[i],
			};
		}
		cr_assert_eq(dp_srtp_protect_burst(p, BURST), BURST, "%s", s->side[k].name);
		for (uint32_t i = 0; i < BURST; i++) {
			if (k == 0)
				sizes[i] = p[i].protected_bytes;
			cr_assert_eq(p[i].protected_bytes, sizes[i]);
			// All of the room, so that nothing was written behind the tag either.
			cr_assert_arr_eq(protected_at[k][i], protected_at[0][i], PACKET_ROOM,
					 "%s, packet %u of %u bytes", s->side[k].name, i, sizes[i]);
		}
	}
}

// Changes some of side 0's packets and takes them over to all sides.
static void tamper(const struct sides *s, const struct traffic *t, uint16_t *sizes, bool *is_bad)
{
	for (uint32_t i = 0; i < BURST; i++) {
		is_bad[i] = pick(3) == 0;
		if (is_bad[i]) {
			uint32_t at = pick(sizes[i]);

			// Neither version nor sequence: those are refused before any key is used.
			if (at < 4)
				at = 4;
			protected_at[0][i][at] ^= (uint8_t)(1u << pick(8));
		}
		for (uint32_t k = 1; k < s->n; k++)
			memcpy(protected_at[k][i], protected_at[0][i], PACKET_ROOM);
	}
}

static void unprotect_all(const struct sides *s, const struct traffic *t, const uint16_t *sizes,
			  const bool *is_bad, bool is_in_place)
{
	uint8_t status[BURST];

	for (uint32_t k = 0; k < s->n; k++) {
		struct dp_srtp_unprotect p[BURST];

		for (uint32_t i = 0; i < BURST; i++)
			p[i] = (struct dp_srtp_unprotect){
				.context = s->side[k].context[t->context[i]],
				.packet = protected_at[k][i],
				.plain = is_in_place ? protected_at[k][i] : plain_at[k][i],
				.index = t->index[i],
				.packet_bytes = sizes[i],
			};
		dp_srtp_unprotect_burst(p, BURST);
		for (uint32_t i = 0; i < BURST; i++) {
			const char *name = s->side[k].name;

			if (k == 0)
				status[i] = p[i].status;
			cr_assert_eq(p[i].status, status[i], "%s, packet %u: %u", name, i,
				     p[i].status);
			cr_assert_eq(p[i].status == DP_SRTP_OK, !is_bad[i], "%s, packet %u: %u",
				     name, i, p[i].status);
			if (is_bad[i]) {
				cr_assert_eq(p[i].plain_bytes, 0);
				continue;
			}
			cr_assert_eq(p[i].header_bytes, t->header_bytes[i]);
			cr_assert_eq(p[i].plain_bytes, t->header_bytes[i] + t->payload_bytes[i]);
			cr_assert_arr_eq(p[i].plain, t->header[i], t->header_bytes[i]);
			cr_assert_arr_eq(p[i].plain + t->header_bytes[i], t->payload[i],
					 t->payload_bytes[i], "%s, packet %u", name, i);
			// What came is left as it was.
			if (!is_in_place)
				cr_assert_arr_eq(protected_at[k][i], protected_at[0][i], sizes[i]);
		}
	}
}

static void rtp_compare(uint32_t profile)
{
	static struct traffic t;
	struct sides s = sides_open(profile);
	uint16_t sizes[BURST];
	bool is_bad[BURST];

	srandom(profile);
	for (uint32_t round = 0; round < 12; round++) {
		traffic_make(&t, round);
		protect_all(&s, &t, sizes);
		tamper(&s, &t, sizes, is_bad);
		unprotect_all(&s, &t, sizes, is_bad, round % 2);
	}
	sides_close(&s);
}

static void rtcp_compare(uint32_t profile)
{
	static const uint32_t indices[] = { 0, 1, 2, 77, 500, 0x12345678, 0x7fffffff };
	struct sides s = sides_open(profile);
	uint8_t plain[1500];
	uint8_t packet[SIDES_MAX][1600];
	uint8_t back[1600];
	uint32_t n_out[SIDES_MAX];

	srandom(profile);
	for (uint32_t round = 0; round < 280; round++) {
		uint32_t index = indices[round % 7];
		bool is_encrypted = round / 7 % 2;
		uint32_t n = round < 28 ? 8 : 8 + pick(1400);
		uint32_t n_back;

		bytes_random(plain, n);
		plain[0] = 0x80;
		plain[1] = 200;
		for (uint32_t k = 0; k < s.n; k++) {
			memset(packet[k], 0xcc, sizeof(packet[k]));
			cr_assert_eq(dp_srtcp_protect(s.side[k].context[0], plain, n, index,
						      is_encrypted, packet[k], sizeof(packet[k]),
						      &n_out[k]),
				     DP_SRTP_OK);
			cr_assert_eq(n_out[k], n_out[0]);
			cr_assert_arr_eq(packet[k], packet[0], sizeof(packet[k]), "%s",
					 s.side[k].name);
		}
		if (round % 3 == 0)
			packet[0][4 + pick(n_out[0] - 4)] ^= 0x10;
		for (uint32_t k = 0; k < s.n; k++) {
			enum dp_srtp_status status =
				dp_srtcp_unprotect(s.side[k].context[0], packet[0], n_out[0], back,
						   sizeof(back), &n_back);

			cr_assert_eq(status, round % 3 == 0 ? DP_SRTP_FORGED : DP_SRTP_OK, "%s: %d",
				     s.side[k].name, status);
			cr_assert_eq(n_back, round % 3 == 0 ? 0 : n);
			if (round % 3 != 0)
				cr_assert_arr_eq(back, plain, n);
		}
	}
	sides_close(&s);
}

#define COMPARE(profile)                                                                           \
	Test(srtp_engines, profile##_rtp)                                                          \
	{                                                                                          \
		rtp_compare(DP_SRTP_##profile);                                                    \
	}                                                                                          \
	Test(srtp_engines, profile##_rtcp)                                                         \
	{                                                                                          \
		rtcp_compare(DP_SRTP_##profile);                                                   \
	}

COMPARE(AEAD_AES_128_GCM)
COMPARE(AEAD_AES_256_GCM)
COMPARE(AES_CM_128_HMAC_SHA1_80)
COMPARE(AES_CM_128_HMAC_SHA1_32)
COMPARE(AES_CM_256_HMAC_SHA1_80)
COMPARE(AES_CM_256_HMAC_SHA1_32)
COMPARE(NULL_HMAC_SHA1_80)
COMPARE(NULL_HMAC_SHA1_32)

// The engines' SRTCP against libsrtp's own sender, whose indices begin with 1 and cannot be set.
static void rtcp_sender_compare(uint32_t profile, void (*policy_fn)(srtp_crypto_policy_t *))
{
	struct sides s = sides_open(profile);
	uint32_t key_bytes = dp_srtp_profile_info(profile)->key_bytes;
	uint8_t master[46];
	srtp_policy_t policy = { .ssrc = { .type = ssrc_any_outbound }, .key = master };
	uint8_t plain[100] = { 0x80, 201, 0, 24, 1, 2, 3, 4, 5 };
	uint8_t expected[300];
	uint8_t packet[300];
	srtp_t session;

	for (uint32_t i = 0; i < 32; i++)
		master[i] = (uint8_t)(i * 37 + 11 + profile);
	for (uint32_t i = 0; i < 14; i++)
		master[key_bytes + i] = (uint8_t)((32 + i) * 37 + 11 + profile);
	policy_fn(&policy.rtp);
	policy_fn(&policy.rtcp);
	cr_assert_eq(srtp_create(&session, &policy), srtp_err_status_ok);
	for (uint32_t index = 1; index <= 300; index++) {
		int n = sizeof(plain);

		memcpy(expected, plain, sizeof(plain));
		cr_assert_eq(srtp_protect_rtcp(session, expected, &n), srtp_err_status_ok);
		for (uint32_t k = 0; k < s.n; k++) {
			uint32_t n_out;

			cr_assert_eq(dp_srtcp_protect(s.side[k].context[0], plain, sizeof(plain),
						      index, true, packet, sizeof(packet), &n_out),
				     DP_SRTP_OK);
			cr_assert_eq(n_out, n);
			cr_assert_arr_eq(packet, expected, n_out, "%s", s.side[k].name);
		}
	}
	srtp_dealloc(session);
	sides_close(&s);
}

Test(srtp_engines, rfc3711_3_4_srtcp_as_libsrtp_sends_it)
{
	rtcp_sender_compare(DP_SRTP_AES_CM_128_HMAC_SHA1_80, srtp_crypto_policy_set_rtp_default);
}

Test(srtp_engines, rfc7714_9_srtcp_as_libsrtp_sends_it)
{
	rtcp_sender_compare(DP_SRTP_AEAD_AES_128_GCM, srtp_crypto_policy_set_aes_gcm_128_16_auth);
	rtcp_sender_compare(DP_SRTP_AEAD_AES_256_GCM, srtp_crypto_policy_set_aes_gcm_256_16_auth);
}

Test(srtp_engines, the_fastest_is_chosen_and_every_profile_served)
{
	struct dp_srtp *srtp;

	cr_assert_eq(dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &srtp), 0);
	for (uint32_t i = DP_SRTP_PROFILE_NONE + 1; i < DP_SRTP_PROFILE_COUNT; i++)
		cr_assert_str_neq(dp_srtp_engine_for(srtp, i), "none");
	cr_assert_str_eq(dp_srtp_engine_for(srtp, DP_SRTP_PROFILE_COUNT), "none");
	cr_assert_str_eq(dp_srtp_engine_for(srtp, DP_SRTP_AES_CM_256_HMAC_SHA1_80), "openssl-evp");
	if (__builtin_cpu_supports("avx512bw"))
		cr_assert_str_eq(dp_srtp_engine_for(srtp, DP_SRTP_AEAD_AES_128_GCM),
				 "ipsec-mb/avx512");
	dp_srtp_close(srtp);
}
