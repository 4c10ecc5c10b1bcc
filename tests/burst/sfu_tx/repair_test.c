// What becomes of packets beside the straight way: paced, asked for again, reported on, probed with.
#include <criterion/criterion.h>

#include "dataplane/contract/shm/ring.h"
#include "dataplane/contract/wire/rtcp_feedback.h"
#include "dataplane/contract/wire/rtcp_twcc.h"
#include "tests/burst/sfu_tx/client.h"

#define AUDIO     1
#define VIDEO     2
#define KEY       (DP_SFU_MEDIA_F_KEYFRAME | DP_SFU_MEDIA_F_FRAME_START)
#define START     DP_SFU_MEDIA_F_FRAME_START
#define END       DP_SFU_MEDIA_F_MARKER
#define MS        1000000ull
#define PAYLOAD   1000
#define PACE_BPS  4000000
#define PACKET_NS ((PAYLOAD + 60) * 8 * 1000000000ull / PACE_BPS)

static struct client_packet got;

static void start(void)
{
	rig_init(&(struct rig_options){ .n_transports = 64,
					.n_tracks = 16,
					.n_subscriptions = 64,
					.retransmit_ms = 1000,
					.media_mbufs = 2048 });
	rig_track(AUDIO, SHM_SFU_AUDIO, SHM_SFU_OPUS, 1);
	rig_track(VIDEO, SHM_SFU_VIDEO, SHM_SFU_H264, 1);
	rig_transport(2, DP_SRTP_AEAD_AES_128_GCM);
	client_open(2, 1);
	rig_subscription(1, 2, AUDIO);
	rig_subscription(2, 2, VIDEO);
	rig_list(AUDIO, (uint32_t[]){ 1 }, 1);
	rig_list(VIDEO, (uint32_t[]){ 2 }, 1);
	rig.transport_state[2].rtt_us = 50000;
}

TestSuite(sfu_repair, .init = start, .fini = rig_fini);

static void send_as(uint32_t track_idx, uint64_t sequence, uint32_t timestamp, uint8_t flags)
{
	uint8_t payload[PAYLOAD];

	for (uint32_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i + sequence);
	rig_forward(&(struct rig_packet){ .track_idx = track_idx,
					  .sequence = sequence,
					  .timestamp = timestamp,
					  .flags = flags,
					  .payload = payload,
					  .payload_bytes = sizeof(payload) });
}

static void video(uint64_t sequence, uint32_t timestamp, uint8_t flags)
{
	send_as(VIDEO, sequence, timestamp, flags);
}

static void nack(const uint16_t *sequences, uint32_t n)
{
	dp_sfu_on_nack(rig.w, 2, sequences, n);
	dp_tx_flush(rig.w);
}

// ---- retransmission

// RFC 4588 §4.
Test(sfu_repair, nack_is_answered_by_rtx)
{
	struct client_packet original;
	uint16_t rtx;

	video(1, 3000, KEY);
	video(2, 3000, END);
	client_read(0, &got);
	client_read(1, &original);
	nack(&original.rtp.sequence, 1);
	cr_assert_eq(rig.n_frames, 3);
	client_read(2, &got);
	rtx = got.rtp.sequence;
	cr_assert_eq(got.rtp.ssrc, 0x20002);
	cr_assert_eq(got.rtp.payload_type, 101);
	cr_assert_eq(got.rtp.timestamp, 3000);
	cr_assert(got.rtp.marker);
	cr_assert_eq(bytes_get_be16(got.rtp.payload), original.rtp.sequence);
	cr_assert_eq(got.rtp.payload_bytes, PAYLOAD + 2);
	cr_assert_arr_eq(got.rtp.payload + 2, original.rtp.payload, PAYLOAD);
	// Not again while it may be on its way.
	rig_advance_ns(20 * MS);
	nack(&original.rtp.sequence, 1);
	cr_assert_eq(rig.n_frames, 3);
	rig_advance_ns(40 * MS);
	nack(&original.rtp.sequence, 1);
	cr_assert_eq(rig.n_frames, 4);
	client_read(3, &got);
	cr_assert_eq(got.rtp.sequence, (uint16_t)(rtx + 1));
	cr_assert_eq(rig.egress[2].n_rtx, 2);
	cr_assert_eq(rig.egress[2].n_nacks, 3);
	cr_assert_eq(rig.egress[2].n_nacks_missed, 0);
}

Test(sfu_repair, nack_of_what_is_not_there)
{
	uint16_t old;

	video(1, 3000, KEY | END);
	client_read(0, &got);
	old = got.rtp.sequence;
	nack((uint16_t[]){ (uint16_t)(old + 1), (uint16_t)(old - 1), (uint16_t)(old + 512) }, 3);
	cr_assert_eq(rig.n_frames, 1);
	cr_assert_eq(rig.egress[2].n_nacks_missed, 3);
	// Kept for retransmit_ms.
	rig_advance_ns(900 * MS);
	nack(&old, 1);
	cr_assert_eq(rig.n_frames, 2);
	rig_advance_ns(200 * MS);
	rig_advance_ns(20 * MS);
	nack(&old, 1);
	cr_assert_eq(rig.n_frames, 2);
	cr_assert_eq(rig.egress[2].n_nacks_missed, 4);
}

// The same SRTP packet a second time would have to be the same to the bit.
Test(sfu_repair, without_rtx_nothing_is_sent_again)
{
	rig.subscription[2].rtx_ssrc = 0;
	video(1, 3000, KEY | END);
	client_read(0, &got);
	nack(&got.rtp.sequence, 1);
	cr_assert_eq(rig.n_frames, 1);
	cr_assert_eq(rig.egress[2].n_nacks_missed, 1);
}

Test(sfu_repair, rtx_goes_on_over_a_restart)
{
	video(1, 3000, KEY | END);
	client_read(0, &got);
	nack(&got.rtp.sequence, 1);
	client_read(1, &got);
	uint16_t rtx = got.rtp.sequence;

	rig_restart();
	video(9, 30000, KEY | END);
	client_read(2, &got);
	nack(&got.rtp.sequence, 1);
	client_read(3, &got);
	cr_assert_eq(got.rtp.sequence, (uint16_t)(rtx + 1));
}

Test(sfu_repair, buffers_come_back)
{
	uint32_t before = rte_mempool_in_use_count(rig.media_pool);
	uint32_t held;

	for (uint32_t i = 0; i < 3000; i++) {
		video(i, i * 3000, i == 0 ? KEY | END : START | END);
		rig.w->now_ns += MS / 10;
		rig.n_frames = 0;
	}
	cr_assert_leq(rte_mempool_in_use_count(rig.media_pool) - before, 1024, "the budget");
	cr_assert_geq(rte_mempool_in_use_count(rig.media_pool) - before, 1000);
	held = rte_mempool_in_use_count(rig.media_pool);
	// What waits for no NACK any more does not hold up all at once what is on its way.
	rig_advance_ns(1100 * MS);
	cr_assert_eq(rte_mempool_in_use_count(rig.media_pool), held - DP_BURST);
	for (uint32_t i = 0; i < 1024 / DP_BURST; i++)
		rig_advance_ns(MS / 10);
	cr_assert_eq(rte_mempool_in_use_count(rig.media_pool), before);
}

// ---- pacing

Test(sfu_repair, a_frame_is_spread_over_time)
{
	uint64_t from_ns = rig.w->now_ns;

	rig.transport[2].pace_bps = PACE_BPS;
	for (uint32_t i = 0; i < 10; i++)
		video(1 + i, 3000, i == 0 ? KEY : i == 9 ? END : 0);
	cr_assert_eq(rig.n_frames, 1, "the first goes at once");
	for (uint32_t n = 1; n < 10;) {
		uint32_t before = rig.n_frames;

		rig_advance_ns(MS / 4);
		cr_assert_leq(rig.n_frames - before, 1);
		n = rig.n_frames;
		cr_assert_leq(n, 2 + (rig.w->now_ns - from_ns) / PACKET_NS);
		cr_assert_lt(rig.w->now_ns - from_ns, 10 * PACKET_NS + 5 * MS);
		if (n < 10) {
			cr_assert_leq(rig.w->wake_by_ns, rig.w->now_ns + PACKET_NS + MS);
			cr_assert_gt(rig.w->wake_by_ns, rig.w->now_ns);
		}
	}
	cr_assert_eq(rig.transport_state[2].pacer_bytes, 0);
	uint16_t first = 0;
	for (uint32_t i = 0; i < 10; i++) {
		client_read(i, &got);
		if (i == 0)
			first = got.rtp.sequence;
		cr_assert_eq((uint16_t)(got.rtp.sequence - first), i);
	}
}

Test(sfu_repair, sound_passes_and_repair_goes_first)
{
	uint16_t first;

	rig.transport[2].pace_bps = PACE_BPS;
	video(1, 3000, KEY | END);
	client_read(0, &got);
	first = got.rtp.sequence;
	rig_advance_ns(100 * MS);
	for (uint32_t i = 0; i < 5; i++)
		video(2 + i, 6000, i == 0 ? START : 0);
	cr_assert_eq(rig.n_frames, 2);
	nack(&first, 1);
	cr_assert_eq(rig.n_frames, 2);
	send_as(AUDIO, 1, 0, 0);
	cr_assert_eq(rig.n_frames, 3);
	client_read(1, &got);
	client_read(2, &got);
	cr_assert_eq(got.rtp.ssrc, 0x10001);
	while (rig.n_frames < 5)
		rig_advance_ns(MS / 4);
	client_read(3, &got);
	cr_assert_eq(got.rtp.ssrc, 0x20002, "before the new video");
	client_read(4, &got);
	cr_assert_eq(got.rtp.ssrc, 0x10002);
}

Test(sfu_repair, what_waits_too_long_is_given_up_to_the_next_key_frame)
{
	uint32_t n_left;

	rig.transport[2].pace_bps = 100000;
	video(1, 3000, KEY | END);
	for (uint32_t i = 2; i < 200; i++)
		video(i, i * 3000, START | END);
	cr_assert_eq(rig.egress[2].n_dropped, 0);
	for (uint32_t i = 0; i < 12; i++)
		rig_advance_ns(100 * MS);
	n_left = rig.n_frames;
	cr_assert_lt(n_left, 40);
	video(400, 400 * 3000, START | END);
	cr_assert_gt(rig.egress[2].n_dropped, 150);
	cr_assert_gt(rig.n_keyframes_asked, 0);
	rig.transport[2].pace_bps = 0;
	rig_advance_ns(100 * MS);
	rig_advance_ns(100 * MS);
	n_left = rig.n_frames;
	video(401, 401 * 3000, START | END);
	cr_assert_eq(rig.n_frames, n_left, "nothing to be decoded without what was dropped");
	video(402, 402 * 3000, KEY | END);
	cr_assert_eq(rig.n_frames, n_left + 1);
	for (uint32_t i = 0; i < rig.n_frames; i++)
		client_read(i, &got);
	cr_assert_eq(got.rtp.timestamp, 402 * 3000);
}

Test(sfu_repair, the_subscription_ends_while_packets_wait)
{
	rig.transport[2].pace_bps = PACE_BPS;
	for (uint32_t i = 0; i < 20; i++)
		video(1 + i, 3000, i == 0 ? KEY : 0);
	rig.subscription[2].serial = 0;
	rig.transport[2].serial = 0;
	for (uint32_t i = 0; i < 30; i++)
		rig_advance_ns(100 * MS);
	cr_assert_eq(rig.w->sfu_tx->n_active, 0);
	cr_assert_eq(rte_mempool_in_use_count(rig.media_pool), 0);
}

// ---- reports

// RFC 3550 §6.4.1: both times of the report are of one instant, on the watcher's line of time.
Test(sfu_repair, sender_report_in_the_watchers_terms)
{
	struct shm_sfu_ingress_state *in = &rig.ingress[shm_sfu_ingress_idx(VIDEO, 0)];
	struct bytes_reader r;
	struct rtcp_view v;
	struct rtcp_sr sr;

	rig.w->wall_off_ns = UINT64_C(1700000000000000000);
	in->sr_ntp = UINT64_C(5000) << 32; // the publisher's clock stands elsewhere
	in->sr_rtp = 1000;
	in->sr_at_ns = rig.w->now_ns;
	video(1, 3000, KEY | END);
	rig_advance_ns(500 * MS);
	rig_advance_ns(500 * MS);
	cr_assert_eq(rig.n_rtcp, 1);
	cr_assert_eq(rtcp_check(rig.rtcp[0], rig.rtcp_bytes[0], false), 0);
	r = bytes_reader_init(rig.rtcp[0], rig.rtcp_bytes[0]);
	cr_assert_eq(rtcp_next(&r, &v), 1);
	cr_assert_eq(rtcp_sr_parse(&v, &sr), 0);
	cr_assert_eq(sr.ssrc, 0x10002);
	cr_assert_eq(sr.sent_pkts, 1);
	cr_assert_eq(sr.sent_bytes, PAYLOAD);
	cr_assert(sr.rtp_timestamp == 1000 + 45000 || sr.rtp_timestamp == 1000 + 90000,
		  "half a second or one behind it: %u", sr.rtp_timestamp);
	cr_assert_eq(rtcp_next(&r, &v), 1);
	cr_assert_eq(v.type, RTCP_TYPE_SDES);
	// Nothing was sent since: no report.
	for (uint32_t i = 0; i < 5; i++)
		rig_advance_ns(500 * MS);
	cr_assert_eq(rig.n_rtcp, 1);
}

Test(sfu_repair, report_blocks_and_wishes_of_the_watcher)
{
	struct rtcp_report_block b = { .ssrc = 0x10002, .fraction_lost = 25, .jitter = 77 };

	video(1, 3000, KEY | END);
	dp_sfu_on_report_block(rig.w, 2, &b);
	cr_assert_eq(rig.egress[2].loss_q8, 25);
	cr_assert_eq(rig.egress[2].jitter_ticks, 77);
	cr_assert_eq(rig.egress[2].is_acknowledged, 1);
	dp_sfu_on_keyframe_request(rig.w, 2);
	cr_assert_eq(rig.n_keyframes_asked, 1);
	cr_assert_eq(rig.asked_track, VIDEO);
	cr_assert_eq(rig.egress[2].n_plis, 1);
	dp_sfu_on_keyframe_request(rig.w, 63);
	dp_sfu_on_keyframe_request(rig.w, UINT32_MAX);
	dp_sfu_on_report_block(rig.w, UINT32_MAX, &b);
	dp_sfu_on_nack(rig.w, UINT32_MAX, (uint16_t[]){ 1 }, 1);
	cr_assert_eq(rig.n_keyframes_asked, 1);
}

// ---- transport-wide feedback

static void feedback(uint16_t base, const int64_t *ticks, uint32_t n)
{
	uint8_t packet[256];
	struct bytes_writer w = bytes_writer_init(packet, sizeof(packet));
	struct bytes_reader r;
	struct rtcp_view v;
	struct rtcp_twcc twcc;

	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, base, ticks, n), n);
	r = bytes_reader_init(packet, w.len_bytes);
	cr_assert_eq(rtcp_next(&r, &v), 1);
	cr_assert_eq(rtcp_twcc_parse(&v, &twcc), 0);
	dp_sfu_on_twcc(rig.w, 2, &twcc);
}

Test(sfu_repair, feedback_is_joined_with_sending_times)
{
	uint64_t sent_ns = rig.w->now_ns;
	const struct shm_datagram *d;
	struct shm_sfu_feedback f[3];
	uint16_t n;

	for (uint32_t i = 0; i < 3; i++) {
		send_as(AUDIO, 1 + i, i * 960, 0);
		rig.w->now_ns += 20 * MS;
	}
	feedback(0, (int64_t[]){ 1000, RTCP_TWCC_LOST, 1160 }, 3);
	d = shm_ring_peek(rig.w->punt, &n);
	cr_assert_not_null(d);
	cr_assert_eq(d->kind, SHM_DATAGRAM_SFU_FEEDBACK);
	cr_assert_eq(d->transport_idx, 2);
	cr_assert_eq(n, sizeof(f));
	memcpy(f, d->data, sizeof(f));
	shm_ring_release(rig.w->punt);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(f[i].sent_at_ns, sent_ns + i * 20 * MS);
	cr_assert_eq(f[0].is_lost, 0);
	cr_assert_eq(f[1].is_lost, 1);
	cr_assert_eq(f[2].arrived_ticks - f[0].arrived_ticks, 160);
	cr_assert_eq(f[0].probe_id, 0);
	cr_assert_eq(f[0].size_bytes, rig.frame[0].n_bytes - 42);
	// A repeated message says nothing of what arrived before; the lost one may come late.
	feedback(0, (int64_t[]){ 1000, 1200, 1160 }, 3);
	d = shm_ring_peek(rig.w->punt, &n);
	cr_assert_eq(n, sizeof(f[0]));
	memcpy(f, d->data, sizeof(f[0]));
	cr_assert_eq(f[0].is_lost, 0);
	shm_ring_release(rig.w->punt);
	// Of packets that were never sent.
	feedback(3, (int64_t[]){ 1, 2, 3 }, 3);
	cr_assert_null(shm_ring_peek(rig.w->punt, &n));
}

static void order_probe(uint32_t id, uint32_t n_pkts, uint32_t kbps)
{
	rig.transport[2].probe = (uint64_t)id << 48 | (uint64_t)n_pkts << 32 | kbps;
}

// Noticed with the next packet of a stream, once the last look at the table is so long ago; that one is the first of it.
static void probe(uint32_t id, uint32_t n_pkts, uint32_t kbps, uint64_t sequence)
{
	order_probe(id, n_pkts, kbps);
	rig_advance_ns(5 * MS);
	video(sequence, (uint32_t)sequence * 3000, START | END);
}

static void wait_ms(uint32_t n_ms)
{
	for (uint32_t i = 0; i < 4 * n_ms; i++)
		rig_advance_ns(MS / 4);
}

// Too slow for large packets.
Test(sfu_repair, probe_of_padding)
{
	struct shm_sfu_feedback f;
	const struct shm_datagram *d;
	uint32_t n_probe = 0;
	uint16_t n;

	video(1, 3000, KEY | END);
	probe(7, 11, 400, 2);
	wait_ms(80);
	cr_assert_eq(rig.n_frames, 12);
	for (uint32_t i = 0; i < rig.n_frames; i++) {
		client_read(i, &got);
		if (got.rtp.ssrc != 0x20002)
			continue;
		n_probe++;
		cr_assert_eq(got.rtp.payload_type, 101);
		cr_assert_eq(got.rtp.payload_bytes, 0);
		cr_assert_eq(got.rtp.padding_bytes, 255);
	}
	cr_assert_eq(n_probe, 10);
	cr_assert_eq(rig.transport_state[2].n_probe_pkts, 10);
	cr_assert_eq(rig.transport_state[2].probe_id, 7);
	feedback(5, (int64_t[]){ 100 }, 1);
	d = shm_ring_peek(rig.w->punt, &n);
	cr_assert_not_null(d);
	memcpy(&f, d->data, sizeof(f));
	cr_assert_eq(f.probe_id, 7);
	// The same word does not start it again.
	wait_ms(60);
	cr_assert_eq(rig.n_frames, 12);
}

// RFC 4588 §4: what a probe is filled with is what the watcher has, once more.
Test(sfu_repair, rfc4588_4_a_probe_repeats_large_packets)
{
	struct client_packet original[3];
	uint64_t from_ns;
	bool is_seen[3] = { false };

	video(1, 3000, KEY | END);
	video(2, 6000, START | END);
	from_ns = rig.w->now_ns + 5 * MS;
	probe(7, 11, 2000, 3);
	for (uint32_t i = 0; i < 3; i++)
		client_read(i, &original[i]);
	while (rig.n_frames < 13 && rig.w->now_ns - from_ns < 100 * MS)
		rig_advance_ns(MS / 4);
	// Eleven packets of 1060 bytes at 2 Mb/s; the first at once.
	cr_assert_geq(rig.w->now_ns - from_ns, 35 * MS);
	cr_assert_leq(rig.w->now_ns - from_ns, 45 * MS);
	for (uint32_t i = 3; i < rig.n_frames; i++) {
		uint32_t k;

		client_read(i, &got);
		cr_assert_eq(got.rtp.ssrc, 0x20002);
		cr_assert_eq(got.rtp.payload_type, 101);
		cr_assert_eq(got.rtp.payload_bytes, PAYLOAD + 2);
		for (k = 0; k < 3; k++)
			if (original[k].rtp.sequence == bytes_get_be16(got.rtp.payload))
				break;
		cr_assert_lt(k, 3, "of a packet that was sent");
		is_seen[k] = true;
		cr_assert_eq(got.rtp.timestamp, original[k].rtp.timestamp);
		cr_assert_arr_eq(got.rtp.payload + 2, original[k].rtp.payload, PAYLOAD);
	}
	cr_assert(is_seen[0] && is_seen[1] && is_seen[2], "in turn");
	cr_assert_eq(rig.transport_state[2].n_probe_pkts, 10);
	cr_assert_eq(rig.egress[2].n_rtx, 0, "nobody asked for them");
	wait_ms(100);
	cr_assert_eq(rig.n_frames, 13);
}

Test(sfu_repair, a_probe_without_packets_in_the_cache_is_of_padding)
{
	video(1, 3000, KEY | END);
	wait_ms(1300);
	order_probe(7, 5, 2000);
	rig_advance_ns(5 * MS);
	send_as(AUDIO, 1, 0, 0);
	wait_ms(20);
	cr_assert_eq(rig.transport_state[2].n_probe_pkts, 5);
	for (uint32_t i = 2; i < rig.n_frames; i++) {
		client_read(i, &got);
		if (got.rtp.ssrc == 0x20002)
			cr_assert_eq(got.rtp.padding_bytes, 255);
	}
}

// A queue of 64 packets holds it, however slow the path is.
Test(sfu_repair, a_probe_is_of_40_packets_at_most)
{
	video(1, 3000, KEY | END);
	probe(7, 400, 20000, 2);
	wait_ms(300);
	cr_assert_eq(rig.n_frames, 1 + 40);
}

Test(sfu_repair, what_waits_goes_with_the_probe_and_counts_as_its)
{
	uint32_t n_before;
	uint32_t n_media = 0;

	rig.transport[2].pace_bps = PACE_BPS / 4;
	video(1, 3000, KEY | END);
	wait_ms(20);
	for (uint32_t i = 0; i < 20; i++)
		video(2 + i, 6000, i == 0 ? START : 0);
	n_before = rig.n_frames;
	order_probe(7, 30, PACE_BPS / 1000);
	// The media alone would take 170 ms. It goes first, and the rest is filled up: 30 packets in 64 ms.
	wait_ms(75);
	cr_assert_geq(rig.n_frames - n_before, 29);
	cr_assert_leq(rig.n_frames - n_before, 31);
	for (uint32_t i = n_before; i < rig.n_frames; i++) {
		client_read(i, &got);
		n_media += got.rtp.ssrc == 0x10002;
	}
	cr_assert_geq(n_media, 18);
	cr_assert_leq(rig.transport_state[2].n_probe_pkts, 12);
	cr_assert_eq(rig.egress[2].n_dropped, 0);
}

Test(sfu_repair, a_probe_of_no_packets_ends_the_one_under_way)
{
	uint32_t n_sent;

	video(1, 3000, KEY | END);
	probe(7, 40, 1000, 2);
	wait_ms(40);
	order_probe(8, 0, 0);
	wait_ms(10);
	n_sent = rig.n_frames;
	cr_assert_leq(n_sent, 2 + 8, "%u", n_sent);
	wait_ms(100);
	cr_assert_eq(rig.n_frames, n_sent);
	cr_assert_eq(rig.transport_state[2].probe_id, 8);
}
