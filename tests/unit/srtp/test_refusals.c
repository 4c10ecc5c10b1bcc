// What the packet formats refuse, and what is left of a refused packet.
#include <errno.h>

#include <criterion/criterion.h>

#include "dataplane/contract/wire/bytes.h"
#include "dataplane/srtp/srtp.h"

static struct dp_srtp *srtp;
static struct dp_srtp_context *gcm;
static struct dp_srtp_context *cm;

static void set_up(void)
{
	static const uint8_t master[46] = { 1, 2, 3 };

	cr_assert_eq(dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &srtp), 0);
	cr_assert_eq(dp_srtp_context_create(srtp, DP_SRTP_AEAD_AES_128_GCM, master, master, &gcm),
		     0);
	cr_assert_eq(
		dp_srtp_context_create(srtp, DP_SRTP_AES_CM_128_HMAC_SHA1_80, master, master, &cm),
		0);
}

static void tear_down(void)
{
	dp_srtp_context_destroy(gcm);
	dp_srtp_context_destroy(cm);
	dp_srtp_close(srtp);
}

TestSuite(srtp_refusals, .init = set_up, .fini = tear_down);

struct
try {
	uint8_t packet[256];
	struct dp_srtp_protect p;
};

static struct try *try_new(struct dp_srtp_context *context)
{
	static const uint8_t payload[100] = "shared plaintext";
	static struct try t;

	memset(&t, 0, sizeof(t));
	t.packet[0] = 0x80;
	bytes_put_be16(t.packet + 2, 0x1234);
	t.p = (struct dp_srtp_protect){
		.context = context,
		.packet = t.packet,
		.payload = payload,
		.index = 0x51234,
		.room_bytes = sizeof(t.packet),
		.header_bytes = 12,
		.payload_bytes = sizeof(payload),
	};
	return &t;
}

static uint8_t protect(struct try *t)
{
	dp_srtp_protect_burst(&t->p, 1);
	cr_assert_eq(t->p.protected_bytes == 0, t->p.status != DP_SRTP_OK);
	return t->p.status;
}

static uint8_t unprotect(struct try *t, uint64_t index, uint32_t n)
{
	struct dp_srtp_unprotect u = {
		.context = t->p.context,
		.packet = t->packet,
		.plain = t->packet,
		.index = index,
		.packet_bytes = (uint16_t)n,
	};

	cr_assert_eq(dp_srtp_unprotect_burst(&u, 1), u.status == DP_SRTP_OK);
	return u.status;
}

Test(srtp_refusals, an_index_that_is_not_the_sequence_number)
{
	struct try *t = try_new(gcm);

	t->p.index = 0x51235;
	cr_assert_eq(protect(t), DP_SRTP_MALFORMED);
	t->p.index = UINT64_C(1) << 48 | 0x1234;
	cr_assert_eq(protect(t), DP_SRTP_MALFORMED);
}

Test(srtp_refusals, a_header_that_is_not_as_long_as_said)
{
	struct try *t = try_new(gcm);

	t->p.header_bytes = 16;
	cr_assert_eq(protect(t), DP_SRTP_MALFORMED);
	t->p.header_bytes = 0;
	cr_assert_eq(protect(t), DP_SRTP_MALFORMED);
	t->p.header_bytes = 12;
	t->packet[0] = 0x81; // a CSRC that is not there
	cr_assert_eq(protect(t), DP_SRTP_MALFORMED);
	t->packet[0] = 0x90;
	cr_assert_eq(protect(t), DP_SRTP_MALFORMED);
	t->packet[0] = 0x40;
	cr_assert_eq(protect(t), DP_SRTP_MALFORMED);
}

Test(srtp_refusals, room_that_the_tag_does_not_fit)
{
	struct try *t = try_new(gcm);

	t->p.room_bytes = 12 + 100 + 15;
	cr_assert_eq(protect(t), DP_SRTP_NO_ROOM);
	t->p.room_bytes++;
	cr_assert_eq(protect(t), DP_SRTP_OK);
	t = try_new(cm);
	t->p.room_bytes = 12 + 100 + 9;
	cr_assert_eq(protect(t), DP_SRTP_NO_ROOM);
	t->p.room_bytes++;
	cr_assert_eq(protect(t), DP_SRTP_OK);
}

// RFC 3711 §4.2: the ROC is authenticated though it is not sent.
Test(srtp_refusals, rfc3711_4_2_another_roc)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct try *t = try_new(i == 0 ? gcm : cm);

		cr_assert_eq(protect(t), DP_SRTP_OK);
		cr_assert_eq(unprotect(t, 0x61234, t->p.protected_bytes), DP_SRTP_FORGED);
	}
}

Test(srtp_refusals, nothing_readable_is_left_of_a_forged_packet)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct try *t = try_new(i == 0 ? gcm : cm);

		cr_assert_eq(protect(t), DP_SRTP_OK);
		t->packet[t->p.protected_bytes - 1] ^= 1;
		cr_assert_eq(unprotect(t, 0x51234, t->p.protected_bytes), DP_SRTP_FORGED);
		for (uint32_t k = 0; k < 112; k++)
			cr_assert_eq(t->packet[k], 0);
	}
}

Test(srtp_refusals, every_shorter_packet)
{
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t n = 0; n < 112; n++) {
			struct try *t = try_new(i == 0 ? gcm : cm);

			cr_assert_eq(protect(t), DP_SRTP_OK);
			cr_assert_neq(unprotect(t, 0x51234, n), DP_SRTP_OK);
		}
	}
}

Test(srtp_refusals, a_good_packet_beside_bad_ones)
{
	struct dp_srtp_protect p[3];
	uint8_t packet[3][256];

	for (uint32_t i = 0; i < 3; i++) {
		struct try *t = try_new(i == 1 ? cm : gcm);

		p[i] = t->p;
		memcpy(packet[i], t->packet, sizeof(packet[i]));
		p[i].packet = packet[i];
	}
	p[0].index++;
	p[2].room_bytes = 0;
	cr_assert_eq(dp_srtp_protect_burst(p, 3), 1);
	cr_assert_eq(p[0].status, DP_SRTP_MALFORMED);
	cr_assert_eq(p[1].status, DP_SRTP_OK);
	cr_assert_eq(p[2].status, DP_SRTP_NO_ROOM);
}

Test(srtp_refusals, srtcp)
{
	uint8_t packet[64] = { 0x80, 200 };
	uint32_t index;
	uint32_t n;
	bool has_flag;

	cr_assert_eq(dp_srtcp_protect(gcm, packet, 7, 1, true, packet, 64, &n), DP_SRTP_MALFORMED);
	cr_assert_eq(dp_srtcp_protect(gcm, packet, 28, 0x80000000, true, packet, 64, &n),
		     DP_SRTP_MALFORMED);
	cr_assert_eq(dp_srtcp_protect(gcm, packet, 28, 1, true, packet, 28 + 19, &n),
		     DP_SRTP_NO_ROOM);
	cr_assert_eq(dp_srtcp_protect(gcm, packet, 28, 1, true, packet, 28 + 20, &n), DP_SRTP_OK);
	cr_assert_eq(dp_srtcp_peek(gcm, packet, 27, &index, &has_flag), DP_SRTP_MALFORMED);
	cr_assert_eq(dp_srtcp_unprotect(gcm, packet, 27, packet, 64, &n), DP_SRTP_MALFORMED);
	cr_assert_eq(dp_srtcp_unprotect(gcm, packet, 48, packet, 47, &n), DP_SRTP_NO_ROOM);
	cr_assert_eq(dp_srtcp_unprotect(gcm, packet, 48, packet, 64, &n), DP_SRTP_OK);
}

Test(srtp_refusals, contexts_and_engines)
{
	static const uint8_t master[46];
	struct dp_srtp_context *context;
	struct dp_srtp *other;

	cr_assert_eq(dp_srtp_context_create(srtp, DP_SRTP_PROFILE_NONE, master, master, &context),
		     -EINVAL);
	cr_assert_eq(dp_srtp_context_create(srtp, 99, master, master, &context), -EINVAL);
	cr_assert_eq(dp_srtp_open(DP_SRTP_ENGINE_COUNT, DP_SRTP_ISA_AUTO, &other), -EINVAL);
	if (dp_srtp_open(DP_SRTP_ENGINE_IPSEC_MB, DP_SRTP_ISA_AUTO, &other) == 0) {
		cr_assert_eq(dp_srtp_context_create(other, DP_SRTP_NULL_HMAC_SHA1_80, master,
						    master, &context),
			     -ENOTSUP);
		dp_srtp_close(other);
	}
}
