// The watcher's side, by libsrtp2.
#include "tests/burst/sfu_tx/client.h"

#include <criterion/criterion.h>
#include <srtp2/srtp.h>

#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/contract/wire/rtp_extension.h"

#define CLIENTS_MAX 64

static srtp_t session[CLIENTS_MAX];

void client_open(uint32_t transport_idx, uint32_t generation)
{
	static bool is_started;
	srtp_policy_t policy = { .ssrc = { .type = ssrc_any_inbound }, .window_size = 1024 };
	uint8_t key[32];
	uint8_t salt[14];
	uint8_t material[46];
	uint32_t key_bytes = 16;

	if (!is_started)
		cr_assert_eq(srtp_init(), srtp_err_status_ok);
	is_started = true;
	if (session[transport_idx] != NULL)
		srtp_dealloc(session[transport_idx]);
	rig_key(transport_idx, generation, key, salt);
	switch (rig.keys[transport_idx].profile) {
	case DP_SRTP_AEAD_AES_128_GCM:
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
		break;
	case DP_SRTP_AEAD_AES_256_GCM:
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
		key_bytes = 32;
		break;
	default:
		srtp_crypto_policy_set_rtp_default(&policy.rtp);
		srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	}
	memcpy(material, key, key_bytes);
	memcpy(material + key_bytes, salt, 14);
	policy.key = material;
	cr_assert_eq(srtp_create(&session[transport_idx], &policy), srtp_err_status_ok);
}

void client_read(uint32_t i, struct client_packet *out)
{
	const struct rig_frame *f = &rig.frame[i];
	struct ip_udp_view view;
	uint32_t transport_idx;
	uint16_t checksum;
	int n;

	cr_assert_lt(i, rig.n_frames, "frame %u did not leave", i);
	cr_assert_eq(ip_udp_parse(f->bytes, f->n_bytes, &view), IP_UDP_OK);
	memcpy(&checksum, f->bytes + view.l4_offset + 6, 2);
	cr_assert_eq(checksum,
		     udp_checksum(&view.source.address, &view.destination.address,
				  f->bytes + view.l4_offset, (uint16_t)(view.payload_bytes + 8)),
		     "UDP checksum");
	transport_idx = view.destination.address.bytes[15];
	n = view.payload_bytes;
	memcpy(out->bytes, f->bytes + view.payload_offset, (size_t)n);
	cr_assert_eq(srtp_unprotect(session[transport_idx], out->bytes, &n), srtp_err_status_ok,
		     "frame %u is not authentic", i);
	out->n_bytes = (uint32_t)n;
	cr_assert_eq(rtp_parse(out->bytes, out->n_bytes, &out->rtp), 0);
}

const uint8_t *client_extension(const struct client_packet *p, uint8_t id, uint8_t *n_bytes)
{
	struct rtp_extension e;

	if (!rtp_extension_find(&p->rtp, id, &e))
		return NULL;
	*n_bytes = e.value_bytes;
	return e.value;
}
