// A browser behind a firewall: it reaches the SFU through its own allocation, and that over TCP, TLS or DTLS. Everything between it
// and the SFU goes through the rings of the control plane and over no wire.
#include <criterion/criterion.h>

#include "dataplane/sfu/reception.h"
#include "tests/burst/sfu_call.h"
#include "tests/burst/streaming.h"

TestSuite(sfu_stream, .init = pipeline_sfu_init, .fini = session_fini, .timeout = 60);
TestSuite(sfu_stream_pair, .init = pipeline_sfu_pair_init, .fini = session_fini, .timeout = 60);

static const uint8_t record[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xaa };

static void open_inside(void)
{
	settings.local[LISTENER_V4].flags |= SHM_LOCAL_F_SFU;
	settings_publish();
	program_flow(STREAM, RELAYED_V4, LISTEN_V4, CHANNEL);
	poll_once();
}

static void send_inside(const void *inner, uint32_t n)
{
	uint8_t outer[1024];

	stream_send(STREAM, outer,
		    (uint16_t)channel_data(outer, CHANNEL, inner, (uint16_t)n, -n & 3));
}

// The next datagram of the SFU for the client; 0 when there is none.
static uint16_t receive_inside(uint8_t inner[2048])
{
	const struct shm_datagram *d;
	uint16_t there;
	uint16_t channel;
	uint16_t n;

	d = streamed(&there);
	if (d == NULL)
		return 0;
	cr_assert_arr_eq(d->remote_address, endpoint(STREAM).address.bytes, 16);
	cr_assert(turn_channel_data_parse(d->data, there, &channel, &n));
	cr_assert_eq(channel, CHANNEL);
	cr_assert_eq(there, 4 + ((n + 3) & ~3));
	memcpy(inner, d->data + 4, n);
	return n;
}

static void connect_inside(uint32_t idx)
{
	struct ip_endpoint relayed = endpoint(RELAYED_V4);
	struct ip_endpoint mapped;
	uint8_t inner[2048];
	struct stun_view m;
	struct stun_attr a;
	uint16_t n;

	send_inside(inner, session_check_build(idx, CHECK_USE_CANDIDATE, inner));
	cr_assert_eq(counted(DP_COUNTER_SFU_CHECK), 1);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 1);
	n = receive_inside(inner);
	cr_assert_eq(stun_parse(inner, n, &m), STUN_OK);
	cr_assert_eq(m.type, STUN_BINDING_SUCCESS);
	cr_assert(stun_attr_find(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, &a));
	cr_assert_eq(stun_xor_address_get(&m, &a, &mapped), 0);
	cr_assert(ip_endpoint_equal(&mapped, &relayed), "the SFU sees another than the relay");
	cr_assert_eq(session_event(idx), SHM_SFU_EVENT_CHECKED);
	cr_assert_eq(session_event(idx), SHM_SFU_EVENT_NOMINATED);
	cr_assert_eq(sfu_transport_state(idx)->is_fused, 1);
	forget_counted();
	expect_nothing_sent();
}

static void publish_inside(void)
{
	struct session_track t = { .idx = TRACK,
				   .transport_idx = PUBLISHER,
				   .kind = SHM_SFU_VIDEO,
				   .codec = SHM_SFU_VP8,
				   .payload_type = 96,
				   .rtx_payload_type = 97,
				   .n_layers = 1,
				   .ssrc = SSRC,
				   .rtx_ssrc = RTX_SSRC,
				   .mid = "0" };

	session_open(PUBLISHER, SHM_SFU_TRANSPORT_F_PUBLISHES | SHM_SFU_TRANSPORT_F_RTCP_RSIZE);
	session_track(&t);
	connect_inside(PUBLISHER);
	session_keys(PUBLISHER, DP_SRTP_AEAD_AES_128_GCM, 1);
}

Test(sfu_stream, rfc8656_12_5_a_publisher_over_a_stream)
{
	uint8_t rtp[2048];

	open_inside();
	publish_inside();
	watch();
	for (uint16_t i = 0; i < 20; i++) {
		struct session_packet p = packet(SSRC, 100 + i, i == 0);

		send_inside(rtp, session_protect(PUBLISHER, &p, rtp));
	}
	cr_assert_eq(counted(DP_COUNTER_SFU_RTP), 20);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 20);
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t n;

		do {
			session_wait_ms(1);
			n = session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp);
		} while (n == 0 || is_rtcp);
		cr_assert_eq(bytes_get_be32(plain + 8), 0x9000 + 7);
	}
	// Feedback to the publisher goes down the stream: SRTCP, first byte and type in the clear.
	for (uint32_t i = 0; i < 3000; i++) {
		uint16_t n = receive_inside(rtp);

		if (n > 0) {
			cr_assert(rtp_is_rtcp(rtp, n));
			return;
		}
		session_wait_ms(1);
	}
	cr_assert_fail("no feedback for the publisher");
}

Test(sfu_stream, rfc8656_12_6_a_watcher_over_a_stream)
{
	struct ip_endpoint listener = endpoint(LISTEN_V4);
	uint8_t inner[2048];
	uint32_t n_rtp = 0;

	open_inside();
	publish(SSRC);
	session_open(WATCHER, SHM_SFU_TRANSPORT_F_WATCHES | SHM_SFU_TRANSPORT_F_RTCP_RSIZE);
	session_subscribe(7, WATCHER, TRACK);
	connect_inside(WATCHER);
	session_keys(WATCHER, DP_SRTP_AES_CM_128_HMAC_SHA1_80, 1);
	for (uint16_t i = 0; i < 20; i++)
		media_send(100 + i, i == 0);
	for (uint32_t i = 0; i < 2000 && n_rtp < 20; i++) {
		uint16_t n;

		while ((n = receive_inside(inner)) > 0) {
			if (rtp_is_rtcp(inner, n))
				continue;
			cr_assert_eq(bytes_get_be32(inner + 8), 0x9000 + 7);
			n_rtp++;
		}
		session_wait_ms(1);
	}
	cr_assert_eq(n_rtp, 20, "%u packets of 20", n_rtp);
	while (receive(&out))
		cr_assert(ip_endpoint_equal(&out.view.source, &listener) &&
				  out.view.destination.port_be == endpoint(PUBLISHER_V4).port_be,
			  "something for the watcher left over a wire");
}

Test(sfu_stream, rfc5764_dtls_both_ways_over_a_stream)
{
	const struct shm_datagram *punt;
	uint8_t inner[2048];
	struct shm_datagram *d;
	uint16_t n;

	open_inside();
	session_open(PUBLISHER, SHM_SFU_TRANSPORT_F_PUBLISHES);
	connect_inside(PUBLISHER);
	send_inside(record, sizeof(record));
	cr_assert_eq(counted(DP_COUNTER_SFU_DTLS), 1);
	punt = punted(0, &n);
	cr_assert_not_null(punt);
	cr_assert_eq(punt->kind, SHM_DATAGRAM_DTLS);
	cr_assert_eq(punt->transport_idx, PUBLISHER);
	cr_assert_eq(n, sizeof(record));
	cr_assert_arr_eq(punt->data, record, n);

	d = shm_ring_reserve(worker->inject);
	*d = (struct shm_datagram){
		.kind = SHM_DATAGRAM_DTLS,
		.transport_idx = PUBLISHER,
		.length_bytes = sizeof(record),
	};
	memcpy(d->data, record, sizeof(record));
	shm_ring_commit(worker->inject);
	poll_once();
	n = receive_inside(inner);
	cr_assert_eq(n, sizeof(record));
	cr_assert_arr_eq(inner, record, n);
	expect_nothing_sent();
}

// RFC 8656 §21: only what is the SFU's, as over UDP.
Test(sfu_stream, rfc8656_21_turn_is_not_reached_through_a_stream)
{
	uint8_t inner[64];
	struct stun_builder b;

	open_inside();
	stun_build_begin(&b, inner, sizeof(inner), TURN_ALLOCATE_REQUEST,
			 (const uint8_t *)"relayed-stun");
	send_inside(inner, (uint32_t)stun_build_end(&b));
	expect_only(DP_DROP_NO_RELAY);
	expect_nothing_streamed();
	expect_nothing_sent();
}

Test(sfu_stream_pair, what_another_worker_owns_reaches_it_and_is_charged_once)
{
	struct shm_flow_key key = {
		.local_idx = SHM_LOCAL_STREAM,
		.kind = SHM_FLOW_CHANNEL,
		.channel_be = __builtin_bswap16(CHANNEL),
	};
	static const uint8_t rtp[24] = { 0x80, 96 };
	struct ip_endpoint relayed = endpoint(RELAYED_V4);
	struct dp_sfu_remote_key remote;
	struct dp_sfu_client *c;
	const struct shm_flow *f;
	uint32_t at;

	open_inside();
	session_open(PUBLISHER, SHM_SFU_TRANSPORT_F_PUBLISHES);
	c = dp_sfu_client_claim(worker2, PUBLISHER);
	cr_assert_not_null(c);
	remote = dp_sfu_remote_key(&relayed, LISTENER_V4, endpoint(LISTEN_V4).port_be);
	dp_sfu_remote_prove(worker2, c, &remote);
	send_inside(rtp, sizeof(rtp));
	poll_once();
	cr_assert_eq(counted(DP_COUNTER_SFU_PASSED), 1);
	cr_assert_eq(worker2->state->counter[DP_DROP_SFU_NO_KEYS], 1);
	memcpy(key.address, endpoint(STREAM).address.bytes, 16);
	f = shm_flow_lookup(&worker->shared->flows, &key);
	cr_assert_not_null(f);
	at = dp_flow_idx(worker, f);
	cr_assert_eq(worker->usage[at].pkts, 1);
	cr_assert_eq(worker2->usage[at].pkts, 0);
	cr_assert_eq(worker2->state->counter[DP_COUNTER_UP_CHANNEL], 0);
}
