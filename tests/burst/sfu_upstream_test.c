// RTCP at the worker: what publishers are told, and what clients may say.
#include <criterion/criterion.h>

#include "dataplane/sfu/sfu.h"
#include "tests/burst/sfu_call.h"

TestSuite(sfu_upstream, .init = pipeline_sfu_init, .fini = session_fini, .timeout = 60);

// ---- toward the publisher

Test(sfu_upstream, rfc4585_6_2_1_gaps_are_asked_for_until_they_are_filled)
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

Test(sfu_upstream, an_outage_is_answered_by_a_key_frame_not_by_nacks)
{
	struct rtcp_view v;

	publish(SSRC);
	media_send(100, true);
	media_send(2000, false);
	cr_assert(expect_rtcp(RTCP_TYPE_PSFB, RTCP_PSFB_PLI, &v, 500));
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_nacks, 0);
}

Test(sfu_upstream, rfc3550_6_6_nothing_is_asked_for_after_a_bye)
{
	static const uint32_t other = 0x99, leaving = SSRC;
	struct bytes_writer w;
	struct rtcp_view v;
	uint8_t bye[64];

	publish(SSRC);
	media_send(100, true);
	media_send(103, false);
	sfu_ingress_state(TRACK, 0)->bitrate_bps = 1000000;
	w = bytes_writer_init(bye, sizeof(bye));
	rtcp_bye_put(&w, &other, 1);
	session_send_rtcp(PUBLISHER, PUBLISHER_V4, 1, bye, (uint32_t)w.len_bytes);
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->bitrate_bps, 1000000, "somebody else's");
	w = bytes_writer_init(bye, sizeof(bye));
	rtcp_bye_put(&w, &leaving, 1);
	session_send_rtcp(PUBLISHER, PUBLISHER_V4, 2, bye, (uint32_t)w.len_bytes);
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->bitrate_bps, 0);
	cr_assert_not(expect_rtcp(RTCP_TYPE_RTPFB, RTCP_RTPFB_NACK, &v, 300));
}

Test(sfu_upstream, rfc4585_6_3_1_requests_of_watchers_are_merged_and_throttled)
{
	const struct rtcp_fir_entry fir = { .ssrc = 0x9007, .sequence_number = 1 };
	struct bytes_writer w;
	uint8_t request[64];
	struct rtcp_view v;
	uint32_t index = 0;

	publish(SSRC);
	watch();
	// The watcher waits for a key frame of its own accord too: all of that is one request.
	media_send(100, false);
	for (uint32_t i = 0; i < 5; i++) {
		w = bytes_writer_init(request, sizeof(request));
		if (i % 2 == 0)
			rtcp_pli_put(&w, 1, fir.ssrc);
		else
			rtcp_fir_put(&w, 1, &fir);
		session_send_rtcp(WATCHER, WATCHER_V4, index++, request, (uint32_t)w.len_bytes);
	}
	cr_assert(expect_rtcp(RTCP_TYPE_PSFB, RTCP_PSFB_PLI, &v, 500));
	cr_assert_eq(sfu_egress_state(7)->n_plis, 5, "each was heard");
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_plis, 1);
	cr_assert_not(expect_rtcp(RTCP_TYPE_PSFB, RTCP_PSFB_PLI, &v, 100));
	cr_assert_eq(sfu_ingress_state(TRACK, 0)->n_plis, 1);
}

Test(sfu_upstream, rfc3550_6_4_2_reports_tell_loss_and_the_last_sender_report)
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

Test(sfu_upstream, transport_wide_feedback_tells_what_came_and_what_did_not)
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

Test(sfu_upstream, rfc3711_3_4_srtcp_is_verified_and_not_replayed)
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

// A browser sends under one SSRC per section, and libsrtp counts for each.
Test(sfu_upstream, rfc3711_3_2_3_each_rtcp_sender_has_its_own_index)
{
	struct bytes_writer w;
	uint8_t remb[64];

	publish(SSRC);
	for (uint32_t ssrc = 1; ssrc <= 2; ssrc++) {
		w = bytes_writer_init(remb, sizeof(remb));
		rtcp_remb_put(&w, ssrc, 1000000, NULL, 0);
		session_send_rtcp(PUBLISHER, PUBLISHER_V4, 5, remb, (uint32_t)w.len_bytes);
	}
	cr_assert_eq(counted(DP_COUNTER_SFU_RTCP), 2);
	session_send_rtcp(PUBLISHER, PUBLISHER_V4, 5, remb, (uint32_t)w.len_bytes);
	cr_assert_eq(counted(DP_DROP_SFU_REPLAYED), 1);
}
