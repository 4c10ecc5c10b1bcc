// The SFU load generator's media: what it sends is what a browser could send, and nothing that goes
// wrong with it is missed.
#include <criterion/criterion.h>
#include <string.h>

#include "bench/sfu/payload.h"
#include "bench/sfu/twcc_recorder.h"
#include "dataplane/contract/wire/rtp_extension_values.h"
#include "dataplane/contract/wire/vp8_descriptor.h"
#include "sfu_rig.h"

static struct sfu_rig rig;
static struct sfu_rig_packet packets[64];

Test(bench_sfu, a_payload_of_which_any_bit_changed_is_refused)
{
	struct payload p = { .counter = 5, .send_ns = 9, .source = 3, .frame = 2, .kind = 1 };
	struct payload out;
	uint8_t bytes[101];

	payload_write(&p, bytes, sizeof(bytes));
	cr_assert(payload_read(bytes, sizeof(bytes), &out));
	cr_assert_eq(out.counter, 5);
	cr_assert_eq(out.send_ns, 9);
	cr_assert_eq(out.source, 3);
	cr_assert_not(payload_read(bytes, sizeof(bytes) - 1, &out));
	for (uint32_t i = 0; i < sizeof(bytes) * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		cr_assert_not(payload_read(bytes, sizeof(bytes), &out), "bit %u", i);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

Test(bench_sfu, rfc7741_descriptors_key_frames_and_extensions_are_true)
{
	uint8_t tids[4] = { 0 };

	cr_assert_eq(rtp_source_init(&rig.source, &sfu_rig_video, 1000), 0);
	for (uint32_t i = 0; i < 400; i++) {
		uint8_t bytes[RTP_SOURCE_PACKET_BYTES_MAX];
		struct vp8_descriptor vp8;
		struct rtp_extension e;
		struct rtp_view rtp;
		uint16_t header_bytes;
		uint64_t index;
		uint32_t n = rtp_source_write(&rig.source, 1000, (uint16_t)i, bytes, &header_bytes,
					      &index);

		cr_assert_eq(n, 1200);
		cr_assert_eq(rtp_parse(bytes, n, &rtp), 0);
		cr_assert_eq(rtp.header_bytes, header_bytes);
		cr_assert_eq(rtp.sequence, (uint16_t)index);
		cr_assert_eq(rtp.marker, i % 4 == 3);
		cr_assert_eq(vp8_descriptor_parse(rtp.payload, rtp.payload_bytes, &vp8), 0);
		cr_assert_eq(vp8.frame_start, i % 4 == 0);
		cr_assert_eq(vp8.key_frame, i == 0 || i == 192);
		cr_assert_eq(vp8.picture_id, i / 4);
		cr_assert(vp8.has_temporal_id && vp8.has_key_idx && vp8.picture_id_is_long);
		tids[vp8.temporal_id]++;
		cr_assert(rtp_extension_find(&rtp, LOAD_EXT_TWCC, &e));
		cr_assert_eq(bytes_get_be16(e.value), i);
		cr_assert(rtp_extension_find(&rtp, LOAD_EXT_MID, &e));
		cr_assert_eq(memcmp(e.value, LOAD_MID_VIDEO, e.value_bytes), 0);
		cr_assert(rtp_extension_find(&rtp, LOAD_EXT_RID, &e));
		if (i == 190)
			rtp_source_key(&rig.source);
	}
	cr_assert_geq(tids[0], 100);
	cr_assert_geq(tids[1], 96);
	cr_assert_geq(tids[2], 190);
	rtp_source_end(&rig.source);
}

// As an encoder sends: each frame within 30 ms from its time on, every third one a key frame of ten packets.
Test(bench_sfu, frames_go_in_bursts_and_key_frames_are_longer)
{
	struct rtp_source_config c = sfu_rig_video;
	uint64_t begin_ns = 1000000;

	c.burst_us = 30000;
	c.key_pkts = 10;
	c.key_every_frames = 3;
	cr_assert_eq(rtp_source_init(&rig.source, &c, begin_ns), 0);
	for (uint32_t frame = 0; frame < 9; frame++) {
		uint32_t n_pkts = frame % 3 == 0 ? 10 : 4;

		for (uint32_t i = 0; i < n_pkts; i++) {
			uint8_t bytes[RTP_SOURCE_PACKET_BYTES_MAX];
			struct rtp_view rtp;
			uint16_t header_bytes;
			uint64_t index;
			uint64_t due_ns =
				begin_ns + frame * 1000000000ULL / 30 + i * 30000000ULL / n_pkts;
			uint32_t n;

			cr_assert_eq(rtp_source_next_ns(&rig.source), due_ns, "frame %u packet %u",
				     frame, i);
			n = rtp_source_write(&rig.source, due_ns, 1, bytes, &header_bytes, &index);
			cr_assert_eq(rtp_parse(bytes, n, &rtp), 0);
			cr_assert_eq(rtp.marker, i + 1 == n_pkts);
		}
	}
	cr_assert_eq(rig.source.n_key_frames, 3);
	rtp_source_end(&rig.source);
}

static void carry(uint32_t profile)
{
	uint64_t expected;
	uint64_t direct;
	uint64_t repaired;

	sfu_rig_start(&rig, profile, &sfu_rig_video);
	for (uint32_t i = 0; i < 1000; i++) {
		sfu_rig_next(&rig, &packets[0]);
		cr_assert(sfu_rig_deliver(&rig, &packets[0]));
	}
	rtp_sink_loss(&rig.sink, &expected, &direct, &repaired);
	cr_assert_eq(expected, 1000);
	cr_assert_eq(direct, 1000);
	cr_assert_eq(repaired, 0);
	cr_assert_eq(rig.totals.n_corrupt + rig.totals.n_duplicates + rig.totals.n_reused +
			     rig.totals.n_misordered + rig.totals.n_unknown,
		     0);
	cr_assert_eq(rig.totals.latency_ns.n, 1000);
	cr_assert_eq(rig.totals.latency_ns.max, 100000);
	packets[0].bytes[500] ^= 1;
	cr_assert_not(sfu_rig_deliver(&rig, &packets[0]));
	sfu_rig_end(&rig);
}

Test(bench_sfu, rfc7714_srtp_round_trip_aead_aes_128_gcm)
{
	carry(DP_SRTP_AEAD_AES_128_GCM);
}

Test(bench_sfu, rfc3711_srtp_round_trip_aes_cm_128_hmac_sha1_80)
{
	carry(DP_SRTP_AES_CM_128_HMAC_SHA1_80);
}

Test(bench_sfu, rfc3711_9_1_an_index_with_other_bytes_is_seen_a_mere_copy_is_not_one)
{
	sfu_rig_start(&rig, DP_SRTP_AEAD_AES_128_GCM, &sfu_rig_video);
	for (uint32_t i = 0; i < 64; i++) {
		sfu_rig_next(&rig, &packets[i]);
		sfu_rig_deliver(&rig, &packets[i]);
	}
	sfu_rig_deliver(&rig, &packets[10]);
	cr_assert_eq(rig.totals.n_duplicates, 1);
	cr_assert_eq(rig.totals.n_reused, 0);
	// A sender that forgot where it was.
	rig.source.index -= 20;
	sfu_rig_next(&rig, &packets[0]);
	sfu_rig_deliver(&rig, &packets[0]);
	cr_assert_eq(rig.totals.n_reused, 1);
	sfu_rig_end(&rig);
}

Test(bench_sfu, rfc4588_loss_is_counted_and_retransmission_repairs_it)
{
	uint64_t expected;
	uint64_t direct;
	uint64_t repaired;
	uint16_t nacks[64];

	sfu_rig_start(&rig, DP_SRTP_AES_CM_128_HMAC_SHA1_80, &sfu_rig_video);
	for (uint32_t i = 0; i < 60; i++) {
		sfu_rig_next(&rig, &packets[i]);
		if (i % 10 != 5)
			sfu_rig_deliver(&rig, &packets[i]);
	}
	rtp_sink_loss(&rig.sink, &expected, &direct, &repaired);
	cr_assert_eq(expected, 60);
	cr_assert_eq(direct, 54);
	cr_assert_eq(rtp_sink_nacks(rig.sink.streams[0], nacks, 64, rig.now_ns + 1000000000), 6);
	cr_assert_eq(nacks[0], (uint16_t)packets[5].index);
	cr_assert_eq(rtp_sink_nacks(rig.sink.streams[0], nacks + 6, 58, rig.now_ns + 1000000000), 0,
		     "not twice at once");
	for (uint32_t i = 0; i < 5; i++) {
		cr_assert(sfu_rig_repeat(&rig, nacks[i], &packets[62]));
		cr_assert(sfu_rig_deliver(&rig, &packets[62]));
	}
	rtp_sink_loss(&rig.sink, &expected, &direct, &repaired);
	cr_assert_eq(expected, 60);
	cr_assert_eq(direct, 54);
	cr_assert_eq(repaired, 5);
	// The sixth was late only.
	cr_assert(sfu_rig_deliver(&rig, &packets[55]));
	rtp_sink_loss(&rig.sink, &expected, &direct, &repaired);
	cr_assert_eq(direct + repaired, 60);
	cr_assert_eq(rig.totals.n_reordered, 1);
	cr_assert_eq(rig.totals.n_corrupt, 0);
	cr_assert_eq(rtp_sink_nacks(rig.sink.streams[0], nacks, 64, rig.now_ns + 2000000000), 0);
	cr_assert_not(sfu_rig_repeat(&rig, (uint16_t)(nacks[0] - 3000), &packets[62]));
	sfu_rig_end(&rig);
}

Test(bench_sfu, packets_renumbered_in_the_wrong_order_are_seen)
{
	sfu_rig_start(&rig, DP_SRTP_AEAD_AES_128_GCM, &sfu_rig_video);
	for (uint32_t i = 0; i < 3; i++) {
		rig.now_ns = rtp_source_next_ns(&rig.source);
		packets[i].n_bytes =
			(uint16_t)rtp_source_write(&rig.source, rig.now_ns, 1, packets[i].bytes,
						   &packets[i].header_bytes, &packets[i].index);
	}
	// A forwarder that swaps two packets and numbers them as they leave.
	packets[1].index++;
	packets[2].index--;
	bytes_put_be16(packets[1].bytes + 2, (uint16_t)packets[1].index);
	bytes_put_be16(packets[2].bytes + 2, (uint16_t)packets[2].index);
	for (uint32_t i = 0; i < 3; i++)
		sfu_rig_protect(&rig, &packets[i]);
	sfu_rig_deliver(&rig, &packets[0]);
	sfu_rig_deliver(&rig, &packets[2]);
	sfu_rig_deliver(&rig, &packets[1]);
	cr_assert_eq(rig.totals.n_misordered, 1);
	sfu_rig_end(&rig);
}

Test(bench_sfu, rfc3550_6_4_reports_tell_loss_and_highest_sequence)
{
	struct rtcp_report_block block;

	sfu_rig_start(&rig, DP_SRTP_AEAD_AES_128_GCM, &sfu_rig_video);
	for (uint32_t i = 0; i < 40; i++) {
		sfu_rig_next(&rig, &packets[i]);
		if (i % 4 != 1)
			sfu_rig_deliver(&rig, &packets[i]);
	}
	cr_assert_eq(rtp_sink_reports(&rig.sink, &block, 1, rig.now_ns), 1);
	cr_assert_eq(block.ssrc, sfu_rig_video.ssrc);
	cr_assert_eq(block.lost_pkts, 10);
	cr_assert_eq(block.fraction_lost, 255 / 4);
	cr_assert_eq(block.highest_sequence, (uint32_t)packets[39].index);
	cr_assert_eq(rtp_sink_reports(&rig.sink, &block, 1, rig.now_ns), 1);
	cr_assert_eq(block.fraction_lost, 0);
	sfu_rig_end(&rig);
}

Test(bench_sfu, twcc_feedback_tells_what_arrived_across_the_wrap)
{
	static struct twcc_recorder r;
	uint8_t buf[1200];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));
	struct rtcp_twcc_status status;
	struct rtcp_twcc_reader statuses;
	struct bytes_reader bytes;
	struct rtcp_twcc twcc;
	struct rtcp_view v;
	uint16_t expected = 65530;

	twcc_recorder_init(&r);
	cr_assert_not(twcc_recorder_put(&r, 1, 2, &w));
	for (uint32_t i = 0; i < 20; i++)
		if (i != 7)
			twcc_recorder_take(&r, (uint16_t)(65530 + i), 1000000000ULL + i * 1000000);
	cr_assert(twcc_recorder_put(&r, 1, 2, &w));
	cr_assert_not(twcc_recorder_put(&r, 1, 2, &w), "all was told");
	bytes = bytes_reader_init(buf, w.len_bytes);
	cr_assert_eq(rtcp_next(&bytes, &v), 1);
	cr_assert_eq(rtcp_twcc_parse(&v, &twcc), 0);
	cr_assert_eq(twcc.n_statuses, 20);
	cr_assert_eq(twcc.n_received, 19);
	statuses = rtcp_twcc_reader_init(&twcc);
	while (rtcp_twcc_next(&statuses, &status)) {
		cr_assert_eq(status.sequence, expected);
		cr_assert_eq(status.received, expected != 1);
		if (status.received)
			cr_assert_eq(status.arrival_ticks, 4000 + (uint16_t)(expected - 65530) * 4);
		expected++;
	}
	cr_assert_eq(expected, 14);
}

Test(bench_sfu, pauses_are_measured_to_the_end)
{
	sfu_rig_start(&rig, DP_SRTP_AEAD_AES_128_GCM, &sfu_rig_video);
	sfu_rig_next(&rig, &packets[0]);
	rtp_sink_begin_counting(&rig.sink, rig.now_ns);
	sfu_rig_deliver(&rig, &packets[0]);
	rig.source.begin_ns += 700000000;
	sfu_rig_next(&rig, &packets[1]);
	sfu_rig_deliver(&rig, &packets[1]);
	cr_assert_geq(rtp_sink_longest_gap_ns(&rig.sink, rig.now_ns), 700000000);
	cr_assert_lt(rtp_sink_longest_gap_ns(&rig.sink, rig.now_ns), 800000000);
	cr_assert_geq(rtp_sink_longest_gap_ns(&rig.sink, rig.now_ns + 2000000000), 1900000000);
	sfu_rig_end(&rig);
}
