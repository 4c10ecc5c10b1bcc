// SRTP and SRTCP at the worker: what is verified, learnt, unwrapped and shared, what publishers are told, and what a restart leaves.
#include <criterion/criterion.h>

#include "dataplane/sfu/sfu.h"
#include "tests/burst/sfu_session.h"

TestSuite(sfu_srtp, .init = pipeline_sfu_init, .fini = session_fini, .timeout = 60);
TestSuite(sfu_exchange, .init = pipeline_sfu_pair_init, .fini = session_fini, .timeout = 60);

#define PUBLISHER 3
#define WATCHER   4
#define TRACK     5
#define SSRC      0x1111u
#define RTX_SSRC  0x2222u

// VP8 without extension bits, first partition, a key frame and an inter frame (RFC 7741 §4).
static const uint8_t vp8_key[] = { 0x10, 0x00, 0x00, 0x00, 0x9d, 0x01, 0x2a, 1, 2, 3 };
static const uint8_t vp8_delta[] = { 0x10, 0x01, 0x00, 0x00, 5, 6, 7, 8 };

static uint8_t plain[2048];
static bool is_rtcp;

static void publish_profile(uint32_t ssrc, uint32_t profile)
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

static void publish(uint32_t ssrc)
{
	publish_profile(ssrc, DP_SRTP_AEAD_AES_128_GCM);
}

static void watch(void)
{
	session_open(WATCHER, SHM_SFU_TRANSPORT_F_WATCHES | SHM_SFU_TRANSPORT_F_RTCP_RSIZE);
	session_subscribe(7, WATCHER, TRACK);
	session_connect(WATCHER, WATCHER_V4);
	session_keys(WATCHER, DP_SRTP_AES_CM_128_HMAC_SHA1_80, 1);
}

static struct session_packet packet(uint32_t ssrc, uint16_t sequence, bool key)
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

static void media_send(uint16_t sequence, bool key)
{
	struct session_packet p = packet(SSRC, sequence, key);

	session_send(PUBLISHER, PUBLISHER_V4, &p);
}

// The next RTCP packet of a type and count toward the publisher within so long; its view is into `plain`.
static bool expect_rtcp(uint8_t type, uint8_t count, struct rtcp_view *out, uint32_t within_ms)
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

// ---- toward the publisher

Test(sfu_srtp, rfc4585_6_2_1_gaps_are_asked_for_until_they_are_filled)
{
	struct rtcp_nack_reader r;
	struct rtcp_feedback f;
	struct rtcp_view v;
	uint16_t sequence;

	publish(SSRC);
	media_send(100, true);
	media_send(103, false);
	cr_assert(expect_rtcp(RTCP_TYPE_RTPFB, RTCP_RTPFB_NACK, &v, 200), "nobody asked");
	cr_assert_eq(rtcp_nack_parse(&v, &f, &r), 0);
	cr_assert_eq(f.media_ssrc, SSRC);
	cr_assert_eq(f.sender_ssrc, SESSION_RTCP_SSRC + PUBLISHER);
	cr_assert(rtcp_nack_next(&r, &sequence));
	cr_assert_eq(sequence, 101);
	cr_assert(rtcp_nack_next(&r, &sequence));
	cr_assert_eq(sequence, 102);
	cr_assert_not(rtcp_nack_next(&r, &sequence));
	// One came; the other is asked for again.
	media_send(101, false);
	cr_assert(expect_rtcp(RTCP_TYPE_RTPFB, RTCP_RTPFB_NACK, &v, 500), "asked only once");
	cr_assert_eq(rtcp_nack_parse(&v, &f, &r), 0);
	cr_assert(rtcp_nack_next(&r, &sequence));
	cr_assert_eq(sequence, 102);
	cr_assert_not(rtcp_nack_next(&r, &sequence));
	media_send(102, false);
	cr_assert_not(expect_rtcp(RTCP_TYPE_RTPFB, RTCP_RTPFB_NACK, &v, 150), "asked in vain");
}

Test(sfu_srtp, an_outage_is_answered_by_a_key_frame_not_by_nacks)
{
	struct rtcp_view v;

	publish(SSRC);
	media_send(100, true);
	media_send(2000, false);
	cr_assert(expect_rtcp(RTCP_TYPE_PSFB, RTCP_PSFB_PLI, &v, 500));
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_nacks, 0);
}

Test(sfu_srtp, rfc4585_6_3_1_requests_of_watchers_are_merged_and_throttled)
{
	struct bytes_writer w;
	uint8_t pli[64];
	struct rtcp_view v;
	uint32_t index = 0;

	publish(SSRC);
	watch();
	// The watcher waits for a key frame of its own accord too: all of that is one request.
	media_send(100, false);
	for (uint32_t i = 0; i < 5; i++) {
		w = bytes_writer_init(pli, sizeof(pli));
		rtcp_pli_put(&w, 1, 0x9007);
		session_send_rtcp(WATCHER, WATCHER_V4, index++, pli, (uint32_t)w.len_bytes);
	}
	cr_assert(expect_rtcp(RTCP_TYPE_PSFB, RTCP_PSFB_PLI, &v, 500));
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_plis, 1);
	cr_assert_not(expect_rtcp(RTCP_TYPE_PSFB, RTCP_PSFB_PLI, &v, 100));
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_plis, 1);
}

Test(sfu_srtp, rfc3550_6_4_2_reports_tell_loss_and_the_last_sender_report)
{
	struct rtcp_sr sr = { .ssrc = SSRC, .ntp = 0x1122334455667788, .rtp_timestamp = 9 };
	struct rtcp_report_block b;
	struct bytes_writer w;
	struct rtcp_view v;
	struct rtcp_rr rr;
	uint8_t packet_bytes[64];

	publish(SSRC);
	session_wait_ms(5);
	media_send(100, true);
	while (session_receive(PUBLISHER, PUBLISHER_V4, plain, &is_rtcp) > 0)
		;
	w = bytes_writer_init(packet_bytes, sizeof(packet_bytes));
	rtcp_sr_put(&w, &sr, NULL, 0);
	session_send_rtcp(PUBLISHER, PUBLISHER_V4, 0, packet_bytes, (uint32_t)w.len_bytes);
	cr_assert_eq(counted(DP_COUNTER_SFU_RTCP), 1);
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->sr_ntp, sr.ntp);
	media_send(101, false);
	media_send(103, false);
	cr_assert(expect_rtcp(RTCP_TYPE_RR, 1, &v, 1500));
	cr_assert_eq(rtcp_rr_parse(&v, &rr), 0);
	b = rtcp_report_block_read(rr.blocks);
	if (b.highest_sequence != 103) {
		// The first one left right behind the first packet.
		cr_assert(expect_rtcp(RTCP_TYPE_RR, 1, &v, 1500));
		cr_assert_eq(rtcp_rr_parse(&v, &rr), 0);
		b = rtcp_report_block_read(rr.blocks);
	}
	cr_assert_eq(b.ssrc, SSRC);
	cr_assert_eq(b.highest_sequence, 103);
	cr_assert_eq(b.lost_pkts, 1);
	cr_assert_gt(b.fraction_lost, 0);
	cr_assert_eq(b.last_sr, 0x33445566);
	cr_assert_gt(b.delay_last_sr, 0);
}

Test(sfu_srtp, transport_wide_feedback_tells_what_came_and_what_did_not)
{
	static const char *const sequence[] = { "\x00\x05", "\x00\x06", "\x00\x08" };
	struct session_packet p = packet(SSRC, 100, true);
	struct rtcp_twcc_status status;
	struct rtcp_twcc_reader r;
	struct rtcp_twcc twcc;
	struct rtcp_view v;

	publish(SSRC);
	p.n_extensions = 1;
	for (uint32_t i = 0; i < 3; i++) {
		p.extension[0] = (struct session_extension){ SHM_SFU_EXT_TWCC, 2, sequence[i] };
		p.sequence++;
		session_send(PUBLISHER, PUBLISHER_V4, &p);
	}
	cr_assert(expect_rtcp(RTCP_TYPE_RTPFB, RTCP_RTPFB_TWCC, &v, 500));
	cr_assert_eq(rtcp_twcc_parse(&v, &twcc), 0);
	cr_assert_eq(twcc.base_sequence, 5);
	cr_assert_eq(twcc.n_statuses, 4);
	cr_assert_eq(twcc.n_received, 3);
	r = rtcp_twcc_reader_init(&twcc);
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert(rtcp_twcc_next(&r, &status));
		cr_assert_eq(status.received, i != 2);
	}
}

// ---- RTCP of clients

Test(sfu_srtp, rfc3711_3_4_srtcp_is_verified_and_not_replayed)
{
	struct dress d = { .from = WATCHER_V4, .to = LISTEN_V4 };
	struct bytes_writer w;
	uint8_t remb[64];
	struct frame f;

	publish(SSRC);
	watch();
	w = bytes_writer_init(remb, sizeof(remb));
	rtcp_remb_put(&w, 1, 1000000, NULL, 0);
	session_send_rtcp(WATCHER, WATCHER_V4, 5, remb, (uint32_t)w.len_bytes);
	cr_assert_eq(counted(DP_COUNTER_SFU_RTCP), 1);
	cr_assert_leq(sfu_transport_state(WATCHER)->remb_bps, 1000000);
	cr_assert_gt(sfu_transport_state(WATCHER)->remb_bps, 990000);
	session_send_rtcp(WATCHER, WATCHER_V4, 5, remb, (uint32_t)w.len_bytes);
	cr_assert_eq(counted(DP_DROP_SFU_REPLAYED), 1);
	// Plaintext under the same header is no SRTCP.
	send_datagram(&d, remb, (uint32_t)w.len_bytes);
	cr_assert_eq(counted(DP_DROP_SFU_MALFORMED) + counted(DP_DROP_SFU_FORGED), 1);
	while (receive(&f))
		;
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
