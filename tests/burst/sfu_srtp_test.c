// SRTP at the worker: what is verified, learnt, unwrapped and shared, and what a restart leaves.
#include <criterion/criterion.h>

#include "dataplane/sfu/sfu.h"
#include "tests/burst/sfu_call.h"

TestSuite(sfu_srtp, .init = pipeline_sfu_init, .fini = session_fini, .timeout = 60);
TestSuite(sfu_exchange, .init = pipeline_sfu_pair_init, .fini = session_fini, .timeout = 60);

// ---- what is taken and what is not

Test(sfu_srtp, media_reaches_the_watcher_decrypted_and_encrypted_anew)
{
	static const uint32_t profile[] = { DP_SRTP_AEAD_AES_128_GCM, DP_SRTP_AEAD_AES_256_GCM,
					    DP_SRTP_AES_CM_128_HMAC_SHA1_80 };

	for (uint32_t i = 0; i < RTE_DIM(profile); i++) {
		struct rtp_view v;
		uint32_t n;

		session_withdraw(PUBLISHER);
		session_withdraw(WATCHER);
		session_wait_ms(25);
		publish_profile(SSRC, profile[i]);
		watch();
		forget_counted();
		media_send(100, true);
		expect_only(DP_COUNTER_SFU_RTP);
		n = session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp);
		cr_assert_gt(n, 0, "nothing reached the watcher");
		cr_assert_not(is_rtcp);
		cr_assert_eq(rtp_parse(plain, n, &v), 0);
		cr_assert_eq(v.ssrc, 0x9007);
		cr_assert_eq(v.payload_type, 120);
		cr_assert_eq(v.payload_bytes, sizeof(vp8_key));
		cr_assert_arr_eq(v.payload, vp8_key, sizeof(vp8_key));
		cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_keyframes, 1);
		cr_assert_eq(sfu_ingress_state(TRACK, 0)->pkts, 1);
	}
}

Test(sfu_srtp, rfc3711_3_3_what_is_refused_changes_nothing)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };
	struct session_packet p = packet(SSRC, 100, true);
	struct shm_sfu_ingress_state *in = sfu_ingress_state(TRACK, 0);
	uint8_t protected[2048];
	uint32_t n;

	session_open(PUBLISHER, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_keys(PUBLISHER, DP_SRTP_AEAD_AES_128_GCM, 1);
	n = session_protect(PUBLISHER, &p, protected);
	send_datagram(&d, protected, n);
	expect_only(DP_DROP_SFU_NO_CLIENT);
	sfu_keys(PUBLISHER)->srtp_serial = 0;
	session_connect(PUBLISHER, PUBLISHER_V4);
	send_datagram(&d, protected, n);
	expect_only(DP_DROP_SFU_NO_KEYS);

	session_withdraw(PUBLISHER);
	session_wait_ms(25);
	publish(SSRC);
	protected[n - 1] ^= 1;
	send_datagram(&d, protected, n);
	expect_only(DP_DROP_SFU_FORGED);
	cr_assert_eq(in->window.is_started, 0, "a forged packet was recorded");
	protected[n - 1] ^= 1;
	send_datagram(&d, protected, n);
	expect_only(DP_COUNTER_SFU_RTP);
	cr_assert_eq(in->window.highest, 100);
	send_datagram(&d, protected, n);
	expect_only(DP_DROP_SFU_REPLAYED);
	send_datagram(&d, protected, 11);
	expect_only(DP_DROP_SFU_MALFORMED);
	cr_assert_eq(sfu_transport_state(PUBLISHER)->n_refused, 3);
	cr_assert_eq(in->pkts, 1);
}

Test(sfu_srtp, two_of_one_index_in_a_burst_are_one)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };
	struct session_packet p = packet(SSRC, 100, true);
	uint8_t frame[FRAME_BYTES_MAX];
	uint8_t protected[2048];
	uint32_t n;

	publish(SSRC);
	n = session_protect(PUBLISHER, &p, protected);
	n = frame_build(frame, &d, protected, n);
	put_bytes(0, frame, n);
	put_bytes(0, frame, n);
	poll_once();
	cr_assert_eq(counted(DP_COUNTER_SFU_RTP), 1);
	cr_assert_eq(counted(DP_DROP_SFU_REPLAYED), 1);
}

Test(sfu_srtp, rfc3711_3_3_1_the_roc_counts_when_the_sequence_wraps)
{
	struct session_packet p = packet(SSRC, 65534, true);

	publish(SSRC);
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	p.sequence = 65535;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	p.sequence = 1;
	p.roc = 1;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	// Late, of before the wrap.
	p.sequence = 65533;
	p.roc = 0;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	p.sequence = 0;
	p.roc = 1;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	cr_assert_eq(counted(DP_COUNTER_SFU_RTP), 5);
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->window.highest, 0x10001);
}

// ---- streams

Test(sfu_srtp, rfc8852_ssrcs_are_learnt_by_mid_and_rid)
{
	static const char *const rid[] = { "q", "h", "f" };
	struct session_track t = { .idx = TRACK,
				   .transport_idx = PUBLISHER,
				   .kind = SHM_SFU_VIDEO,
				   .codec = SHM_SFU_VP8,
				   .payload_type = 96,
				   .rtx_payload_type = 97,
				   .n_layers = 3,
				   .mid = "0",
				   .rid = { "q", "h", "f" } };
	struct session_packet p = packet(0, 10, true);

	session_open(PUBLISHER, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_track(&t);
	session_connect(PUBLISHER, PUBLISHER_V4);
	session_keys(PUBLISHER, DP_SRTP_AEAD_AES_128_GCM, 1);
	p.ssrc = 0x500;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	expect_only(DP_DROP_SFU_NO_STREAM);
	for (uint32_t i = 0; i < 3; i++) {
		p.ssrc = 0x600 + i;
		p.n_extensions = 2;
		p.extension[0] = (struct session_extension){ SHM_SFU_EXT_MID, 1, "0" };
		p.extension[1] = (struct session_extension){ SHM_SFU_EXT_RID, 1, rid[i] };
		session_send(PUBLISHER, PUBLISHER_V4, &p);
		expect_only(DP_COUNTER_SFU_RTP);
		cr_assert_eq(sfu_ingress_state(TRACK, i)->ssrc, 0x600 + i);
	}
	// Once reported, senders leave the labels out.
	p.n_extensions = 0;
	p.sequence++;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	expect_only(DP_COUNTER_SFU_RTP);
	cr_assert_eq(sfu_ingress_state(TRACK, 2)->pkts, 2);
	// Another section's label.
	p.ssrc = 0x700;
	p.n_extensions = 2;
	p.extension[0].value = "9";
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	expect_only(DP_DROP_SFU_NO_STREAM);
	// The retransmissions of the middle layer.
	p.ssrc = 0x701;
	p.payload_type = 97;
	p.extension[0].value = "0";
	p.extension[1] = (struct session_extension){ SHM_SFU_EXT_REPAIRED_RID, 1, "h" };
	p.payload = "\x00\x09"
		    "abcdefgh";
	p.payload_bytes = 10;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	expect_only(DP_COUNTER_SFU_RTP);
	cr_assert_eq(sfu_ingress_state(TRACK, 1)->rtx_ssrc, 0x701);
	cr_assert_eq(sfu_ingress_state(TRACK, 1)->n_repaired, 1);
}

Test(sfu_srtp, a_stream_that_changes_its_ssrc_does_not_come_back_by_replay)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };
	struct session_packet p = packet(0x600, 10, true);
	uint8_t first[2048];
	uint32_t n;

	publish(0);
	p.n_extensions = 1;
	p.extension[0] = (struct session_extension){ SHM_SFU_EXT_MID, 1, "0" };
	n = session_protect(PUBLISHER, &p, first);
	send_datagram(&d, first, n);
	expect_only(DP_COUNTER_SFU_RTP);
	p.ssrc = 0x601;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	expect_only(DP_COUNTER_SFU_RTP);
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->ssrc, 0x601);
	send_datagram(&d, first, n);
	expect_only(DP_DROP_SFU_NO_STREAM);
}

Test(sfu_srtp, rfc4588_4_retransmissions_are_unwrapped_once)
{
	struct session_packet rtx = packet(RTX_SSRC, 900, false);
	uint8_t payload[2 + sizeof(vp8_delta)] = { 0, 101 };
	struct rtp_view v;
	uint32_t n;

	publish(SSRC);
	watch();
	media_send(100, true);
	media_send(102, false);
	while (session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp) > 0)
		;
	forget_counted();
	memcpy(payload + 2, vp8_delta, sizeof(vp8_delta));
	rtx.payload_type = 97;
	rtx.payload = payload;
	rtx.payload_bytes = sizeof(payload);
	rtx.timestamp = 3000 * 101;
	session_send(PUBLISHER, PUBLISHER_V4, &rtx);
	expect_only(DP_COUNTER_SFU_RTP);
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_repaired, 1);
	n = session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp);
	cr_assert_gt(n, 0);
	cr_assert_eq(rtp_parse(plain, n, &v), 0);
	cr_assert_eq(v.ssrc, 0x9007);
	cr_assert_arr_eq(v.payload, vp8_delta, sizeof(vp8_delta));
	// Sent twice, and then the original after all.
	rtx.sequence = 901;
	session_send(PUBLISHER, PUBLISHER_V4, &rtx);
	expect_only(DP_DROP_SFU_REPAIRED_TWICE);
	media_send(101, false);
	expect_only(DP_DROP_SFU_REPLAYED);
	// A probe of padding has no original.
	rtx.sequence = 902;
	rtx.payload_bytes = 0;
	rtx.padding = 200;
	session_send(PUBLISHER, PUBLISHER_V4, &rtx);
	expect_only(DP_COUNTER_SFU_PROBE);
}

Test(sfu_srtp, probes_of_ssrc_0_are_no_fault)
{
	struct session_packet p = packet(0, 1, false);

	publish(SSRC);
	p.payload_bytes = 0;
	p.padding = 100;
	session_send(PUBLISHER, PUBLISHER_V4, &p);
	expect_only(DP_COUNTER_SFU_PROBE);
	cr_assert_eq(sfu_transport_state(PUBLISHER)->n_refused, 0);
}

// ---- restart

Test(sfu_srtp, a_restart_goes_on_without_a_word_from_the_client)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };
	struct session_packet p = packet(SSRC, 100, true);
	uint32_t last_srtcp_index;
	uint64_t last_index;
	uint8_t seen[2048];
	struct rtcp_view v;
	uint32_t n;

	publish(SSRC);
	watch();
	n = session_protect(PUBLISHER, &p, seen);
	send_datagram(&d, seen, n);
	cr_assert_gt(session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp), 0);
	media_send(103, false);
	cr_assert_gt(session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp), 0);
	last_index = bytes_get_be16(plain + 2);
	media_send(106, true);
	while (receive(&(struct frame){ 0 }))
		;
	media_send(108, true);
	cr_assert_gt(sfu_egress_state(7)->next_index, last_index);
	while (receive(&(struct frame){ 0 }))
		;
	last_srtcp_index = sfu_transport_state(PUBLISHER)->srtcp_tx_index;
	last_index = sfu_egress_state(7)->next_index;

	pipeline_restart(1);
	forget_counted();
	// Replay is refused as before, and what is new goes on.
	send_datagram(&d, seen, n);
	expect_only(DP_DROP_SFU_REPLAYED);
	media_send(110, true);
	expect_only(DP_COUNTER_SFU_RTP);
	do {
		n = session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp);
	} while (n > 0 && is_rtcp);
	cr_assert_gt(n, 0, "the watcher gets nothing after the restart");
	cr_assert_geq(bytes_get_be16(plain + 2), (uint16_t)last_index,
		      "an SRTP index was used twice");
	media_send(115, true);
	cr_assert(receive(&(struct frame){ 0 }));
	// Any RTCP to the publisher carries an index that none had before.
	sfu_ingress_state(TRACK, 0)->n_plis = 0;
	cr_assert(expect_rtcp(RTCP_TYPE_RR, 1, &v, 1500) ||
		  expect_rtcp(RTCP_TYPE_RTPFB, RTCP_RTPFB_NACK, &v, 500));
	cr_assert_geq(session_srtcp_index, last_srtcp_index, "an SRTCP index was used twice");
}

Test(sfu_srtp, fewer_workers_after_a_restart_take_over_what_is_left)
{
	publish(SSRC);
	// As if worker 6 of a predecessor had owned it.
	sfu_transport_state(PUBLISHER)->owner = 7;
	pipeline_restart(1);
	forget_counted();
	cr_assert_eq(sfu_transport_state(PUBLISHER)->owner, 1);
	cr_assert_eq(session_event(PUBLISHER), SHM_SFU_EVENT_NEW_OWNER);
	media_send(100, true);
	expect_only(DP_COUNTER_SFU_RTP);
}

Test(sfu_srtp, new_keys_start_new_windows)
{
	publish(SSRC);
	media_send(100, true);
	expect_only(DP_COUNTER_SFU_RTP);
	session_keys(PUBLISHER, DP_SRTP_AES_CM_128_HMAC_SHA1_80, 2);
	// The first packet shows that the keys are others.
	media_send(100, true);
	cr_assert_eq(counted(DP_COUNTER_SFU_RTP), 0);
	session_wait_ms(25);
	forget_counted();
	media_send(100, true);
	expect_only(DP_COUNTER_SFU_RTP);
}

// ---- several workers

Test(sfu_exchange, clients_of_another_worker_are_passed_to_it)
{
	uint32_t serial = session_open(PUBLISHER, SHM_SFU_TRANSPORT_F_PUBLISHES |
							  SHM_SFU_TRANSPORT_F_RTCP_RSIZE);
	struct session_track t = { .idx = TRACK,
				   .transport_idx = PUBLISHER,
				   .kind = SHM_SFU_VIDEO,
				   .codec = SHM_SFU_VP8,
				   .payload_type = 96,
				   .n_layers = 1,
				   .ssrc = SSRC };
	struct rtcp_view v;
	uint32_t n;

	session_track(&t);
	// The second worker has it; packets come in at the first.
	sfu_transport_state(PUBLISHER)->serial = serial;
	sfu_transport_state(PUBLISHER)->owner = 2;
	session_connect(PUBLISHER, PUBLISHER_V4);
	cr_assert_eq(worker2->state->counter[DP_COUNTER_SFU_CHECK], 1);
	session_keys(PUBLISHER, DP_SRTP_AEAD_AES_128_GCM, 1);
	watch();
	cr_assert_eq(sfu_transport_state(WATCHER)->owner, 1);
	media_send(100, true);
	cr_assert_eq(worker2->state->counter[DP_COUNTER_SFU_RTP], 1);
	cr_assert_eq(worker2->state->counter[DP_COUNTER_SFU_SHARED], 1);
	n = session_receive(WATCHER, WATCHER_V4, plain, &is_rtcp);
	cr_assert_gt(n, 0, "plaintext did not reach the watcher's worker");
	cr_assert_arr_eq(plain + n - sizeof(vp8_key), vp8_key, sizeof(vp8_key));
	// Its request goes the other way.
	dp_sfu_request_keyframe(worker, TRACK, 0);
	cr_assert(expect_rtcp(RTCP_TYPE_PSFB, RTCP_PSFB_PLI, &v, 500));
}
