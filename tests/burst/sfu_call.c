// One publisher of a VP8 track and one watcher.
#include "tests/burst/sfu_call.h"

#include <criterion/criterion.h>

// VP8 without extension bits, first partition, a key frame and an inter frame (RFC 7741 §4).
const uint8_t vp8_key[VP8_KEY_BYTES] = { 0x10, 0x00, 0x00, 0x00, 0x9d, 0x01, 0x2a, 1, 2, 3 };
const uint8_t vp8_delta[VP8_DELTA_BYTES] = { 0x10, 0x01, 0x00, 0x00, 5, 6, 7, 8 };

uint8_t plain[2048];
bool is_rtcp;

void publish_profile(uint32_t ssrc, uint32_t profile)
{
	struct session_track t = { .idx = TRACK,
				   .transport_idx = PUBLISHER,
				   .kind = SHM_SFU_VIDEO,
				   .codec = SHM_SFU_VP8,
				   .payload_type = 96,
				   .rtx_payload_type = 97,
				   .n_layers = 1,
				   .ssrc = ssrc,
				   .rtx_ssrc = ssrc != 0 ? RTX_SSRC : 0,
				   .mid = "0" };

	session_open(PUBLISHER, SHM_SFU_TRANSPORT_F_PUBLISHES | SHM_SFU_TRANSPORT_F_TWCC |
					SHM_SFU_TRANSPORT_F_RTCP_RSIZE);
	session_track(&t);
	session_connect(PUBLISHER, PUBLISHER_V4);
	session_keys(PUBLISHER, profile, 1);
}

void publish(uint32_t ssrc)
{
	publish_profile(ssrc, DP_SRTP_AEAD_AES_128_GCM);
}

void watch(void)
{
	session_open(WATCHER, SHM_SFU_TRANSPORT_F_WATCHES | SHM_SFU_TRANSPORT_F_RTCP_RSIZE);
	session_subscribe(7, WATCHER, TRACK);
	session_connect(WATCHER, WATCHER_V4);
	session_keys(WATCHER, DP_SRTP_AES_CM_128_HMAC_SHA1_80, 1);
}

struct session_packet packet(uint32_t ssrc, uint16_t sequence, bool key)
{
	return (struct session_packet){
		.ssrc = ssrc,
		.sequence = sequence,
		.timestamp = 3000u * sequence,
		.payload_type = 96,
		.marker = 1,
		.payload = key ? vp8_key : vp8_delta,
		.payload_bytes = key ? sizeof(vp8_key) : sizeof(vp8_delta),
	};
}

void media_send(uint16_t sequence, bool key)
{
	struct session_packet p = packet(SSRC, sequence, key);

	session_send(PUBLISHER, PUBLISHER_V4, &p);
}

// The next RTCP packet of a type and count toward the publisher within so long; its view is into `plain`.
bool expect_rtcp(uint8_t type, uint8_t count, struct rtcp_view *out, uint32_t within_ms)
{
	for (uint32_t ms = 0; ms <= within_ms; ms++) {
		uint32_t n;

		while ((n = session_receive(PUBLISHER, PUBLISHER_V4, plain, &is_rtcp)) > 0) {
			struct bytes_reader r = bytes_reader_init(plain, n);

			cr_assert(is_rtcp);
			while (rtcp_next(&r, out) > 0) {
				if (out->type == type && out->count == count)
					return true;
			}
		}
		session_wait_ms(1);
	}
	return false;
}
