// From plaintext packets to what watchers open with libsrtp2: fan-out, selection, continuous numbers, keys and restarts.
#include <criterion/criterion.h>
#include <signal.h>

#include "dataplane/contract/wire/vp8_descriptor.h"
#include "dataplane/sfu/index_check.h"
#include "tests/burst/sfu_tx/client.h"

#define AUDIO 1
#define VIDEO 2
#define KEY   (DP_SFU_MEDIA_F_KEYFRAME | DP_SFU_MEDIA_F_FRAME_START)
#define START DP_SFU_MEDIA_F_FRAME_START
#define END   DP_SFU_MEDIA_F_MARKER
#define UP    DP_SFU_MEDIA_F_SWITCH_UP

static struct client_packet got;

static void start(void)
{
	rig_init(&(struct rig_options){ .n_transports = 64,
					.n_tracks = 16,
					.n_subscriptions = 256,
					.retransmit_ms = 1000,
					.media_mbufs = 2048 });
	rig_track(AUDIO, SHM_SFU_AUDIO, SHM_SFU_OPUS, 1);
	rig_track(VIDEO, SHM_SFU_VIDEO, SHM_SFU_VP8, 1);
	rig_transport(2, DP_SRTP_AEAD_AES_128_GCM);
	client_open(2, 1);
	rig_subscription(1, 2, AUDIO);
	rig_subscription(2, 2, VIDEO);
	rig_list(AUDIO, (uint32_t[]){ 1 }, 1);
	rig_list(VIDEO, (uint32_t[]){ 2 }, 1);
}

TestSuite(sfu_forward, .init = start, .fini = rig_fini);

static void audio(uint64_t sequence, uint32_t timestamp)
{
	rig_forward(&(struct rig_packet){ .track_idx = AUDIO,
					  .sequence = sequence,
					  .timestamp = timestamp,
					  .payload = (const uint8_t *)"sound",
					  .payload_bytes = 5 });
}

// A VP8 packet with picture id, TL0PICIDX, TID and KEYIDX.
static void vp8(uint8_t layer, uint64_t sequence, uint32_t timestamp, uint8_t flags,
		uint16_t picture_id, uint8_t temporal)
{
	uint8_t payload[100] = { (uint8_t)(0x80 | (flags & START ? 0x10 : 0)),
				 0xf0,
				 (uint8_t)(0x80 | picture_id >> 8),
				 (uint8_t)picture_id,
				 (uint8_t)(picture_id / 4),
				 (uint8_t)(temporal << 6 | (flags & UP ? 0x20 : 0) | 7),
				 flags & DP_SFU_MEDIA_F_KEYFRAME ? 0 : 1 };

	for (uint32_t i = 7; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(sequence * 31 + i);
	rig_forward(&(struct rig_packet){ .track_idx = VIDEO,
					  .sequence = sequence,
					  .timestamp = timestamp,
					  .layer = layer,
					  .temporal = temporal,
					  .flags = flags,
					  .payload = payload,
					  .payload_bytes = sizeof(payload) });
}

static struct vp8_descriptor descriptor(void)
{
	struct vp8_descriptor d;

	cr_assert_eq(vp8_descriptor_parse(got.rtp.payload, got.rtp.payload_bytes, &d), 0);
	return d;
}

Test(sfu_forward, sound_flows_at_once)
{
	uint16_t sequence;

	audio(70000, 960);
	audio(70001, 1920);
	cr_assert_eq(rig.n_frames, 2);
	client_read(0, &got);
	sequence = got.rtp.sequence;
	cr_assert_eq(got.rtp.ssrc, 0x10001);
	cr_assert_eq(got.rtp.payload_type, 100);
	cr_assert_eq(got.rtp.timestamp, 960);
	cr_assert_eq(got.rtp.payload_bytes, 5);
	cr_assert_arr_eq(got.rtp.payload, "sound", 5);
	client_read(1, &got);
	cr_assert_eq(got.rtp.sequence, (uint16_t)(sequence + 1));
	cr_assert_eq(got.rtp.timestamp, 1920);
	cr_assert_eq(rig.egress[1].pkts, 2);
	cr_assert_eq(rig.egress[1].bytes, 10);
	cr_assert_eq(rig.egress[1].reason, SHM_SFU_EGRESS_FORWARDS);
}

// RFC 9143 §15: until the receiver has shown that it knows the SSRC.
Test(sfu_forward, mid_until_acknowledged)
{
	uint8_t n;

	audio(1, 0);
	client_read(0, &got);
	cr_assert_not_null(client_extension(&got, 4, &n));
	cr_assert_eq(n, 1);
	cr_assert_eq(*client_extension(&got, 4, &n), '1');
	rig.egress[1].is_acknowledged = 1;
	audio(2, 960);
	client_read(1, &got);
	cr_assert_null(client_extension(&got, 4, &n));
	cr_assert_not_null(client_extension(&got, 2, &n));
}

Test(sfu_forward, transport_wide_numbers_are_of_the_transport)
{
	uint8_t n;

	audio(1, 0);
	vp8(0, 1, 0, KEY | END, 0, 0);
	audio(2, 960);
	for (uint32_t i = 0; i < 3; i++) {
		client_read(i, &got);
		cr_assert_eq(bytes_get_be16(client_extension(&got, 3, &n)), i);
		cr_assert_eq(n, 2);
	}
}

Test(sfu_forward, video_begins_with_a_key_frame)
{
	vp8(0, 10, 3000, START | END, 5, 0);
	cr_assert_eq(rig.n_frames, 0);
	cr_assert_eq(rig.n_keyframes_asked, 1, "at once");
	cr_assert_eq(rig.asked_track, VIDEO);
	cr_assert_eq(rig.egress[2].reason, SHM_SFU_EGRESS_WAITS_KEY);
	vp8(0, 11, 6000, START | END, 6, 0);
	cr_assert_eq(rig.n_keyframes_asked, 1, "not with every packet");
	vp8(0, 12, 9000, KEY, 7, 0);
	vp8(0, 13, 9000, END, 7, 0);
	cr_assert_eq(rig.n_frames, 2);
	client_read(0, &got);
	cr_assert_eq(descriptor().picture_id, 7);
	cr_assert_not(got.rtp.marker);
	client_read(1, &got);
	cr_assert(got.rtp.marker);
}

Test(sfu_forward, gaps_of_loss_stay_and_repair_fills_them)
{
	uint16_t first;

	vp8(0, 10, 3000, KEY, 1, 0);
	vp8(0, 12, 3000, END, 1, 0);
	vp8(0, 11, 3000, DP_SFU_MEDIA_F_REPAIRED, 1, 0);
	vp8(0, 11, 3000, DP_SFU_MEDIA_F_REPAIRED, 1, 0);
	cr_assert_eq(rig.n_frames, 3, "the repeated one has no number");
	client_read(0, &got);
	first = got.rtp.sequence;
	client_read(1, &got);
	cr_assert_eq((uint16_t)(got.rtp.sequence - first), 2);
	client_read(2, &got);
	cr_assert_eq((uint16_t)(got.rtp.sequence - first), 1);
}

Test(sfu_forward, temporal_layers_close_up)
{
	uint16_t first;

	rig.subscription[2].target = 0x0000; // spatial 0, temporal 0
	vp8(0, 1, 0, KEY | END, 40, 0);
	vp8(0, 2, 3000, START | END, 41, 1);
	vp8(0, 3, 6000, START | END, 42, 0);
	vp8(0, 4, 9000, START, 43, 1);
	vp8(0, 5, 9000, END, 43, 1);
	vp8(0, 6, 12000, START | END, 44, 0);
	cr_assert_eq(rig.n_frames, 3);
	client_read(0, &got);
	first = got.rtp.sequence;
	for (uint32_t i = 0; i < 3; i++) {
		if (i > 0)
			client_read(i, &got);
		cr_assert_eq((uint16_t)(got.rtp.sequence - first), i);
		cr_assert_eq(descriptor().picture_id, 40 + i);
		cr_assert_eq(got.rtp.timestamp, i * 6000);
	}
	// Back: not before a frame that depends on the base layer alone.
	rig.subscription[2].target = 0x0100;
	vp8(0, 7, 15000, START | END, 45, 1);
	cr_assert_eq(rig.n_frames, 3);
	vp8(0, 8, 18000, START | END, 46, 0);
	vp8(0, 9, 21000, START | END | UP, 47, 1);
	cr_assert_eq(rig.n_frames, 5);
	client_read(3, &got);
	client_read(4, &got);
	cr_assert_eq((uint16_t)(got.rtp.sequence - first), 4);
	cr_assert_eq(descriptor().picture_id, 44);
	cr_assert_eq(descriptor().temporal_id, 1);
}

// A repaired packet of before a cut stands where it belongs.
Test(sfu_forward, repair_finds_its_place_behind_cuts)
{
	uint16_t first;

	rig.subscription[2].target = 0x0000;
	vp8(0, 1, 0, KEY, 40, 0);
	vp8(0, 3, 0, END, 40, 0);
	vp8(0, 4, 3000, START | END, 41, 1);
	vp8(0, 5, 6000, START | END, 42, 0);
	vp8(0, 2, 0, DP_SFU_MEDIA_F_REPAIRED, 40, 0);
	cr_assert_eq(rig.n_frames, 4);
	client_read(0, &got);
	first = got.rtp.sequence;
	client_read(1, &got);
	client_read(2, &got);
	cr_assert_eq((uint16_t)(got.rtp.sequence - first), 3);
	client_read(3, &got);
	cr_assert_eq((uint16_t)(got.rtp.sequence - first), 1);
	cr_assert_eq(descriptor().picture_id, 40);
}

static void simulcast(void)
{
	rig_track(VIDEO, SHM_SFU_VIDEO, SHM_SFU_VP8, 3);
	rig_list(VIDEO, (uint32_t[]){ 2 }, 1);
	rig.subscription[2].target = 0xff00;
}

Test(sfu_forward, simulcast_switches_at_a_key_frame_only)
{
	struct client_packet old;

	simulcast();
	vp8(0, 100, 3000, KEY | END, 50, 0);
	vp8(2, 9000, 500000, KEY | END, 900, 0);
	cr_assert_eq(rig.n_frames, 1);
	rig.subscription[2].target = 0xff02;
	rig.w->now_ns += 33000000;
	vp8(0, 101, 6000, START | END, 51, 0);
	cr_assert_eq(rig.asked_layer, 2);
	vp8(2, 9001, 503000, START | END, 901, 0);
	cr_assert_eq(rig.n_frames, 2, "the old one until the key frame comes");
	rig.w->now_ns += 33000000;
	vp8(2, 9002, 506000, KEY | END, 902, 0);
	vp8(0, 102, 9000, START | END, 52, 0);
	rig.w->now_ns += 33000000;
	vp8(2, 9003, 509000, START | END, 903, 0);
	cr_assert_eq(rig.n_frames, 4);
	client_read(0, &old);
	client_read(1, &old);
	client_read(2, &got);
	cr_assert_eq(got.rtp.sequence, (uint16_t)(old.rtp.sequence + 1));
	cr_assert_eq(got.rtp.timestamp, old.rtp.timestamp + 2970, "33 ms");
	cr_assert_eq(descriptor().picture_id, 52);
	cr_assert_eq(descriptor().tl0_picture_idx, 51 / 4 + 1);
	cr_assert_eq(got.rtp.ssrc, 0x10002);
	old = got;
	client_read(3, &got);
	cr_assert_eq(got.rtp.timestamp, old.rtp.timestamp + 3000);
	cr_assert_eq(descriptor().picture_id, 53);
	cr_assert_eq(rig.egress[2].n_switches, 1);
	cr_assert_eq(rig.egress[2].spatial, 2);
}

// Both encodings' sender reports say where the new one lies.
Test(sfu_forward, simulcast_switch_follows_sender_reports)
{
	struct shm_sfu_ingress_state *in = &rig.ingress[shm_sfu_ingress_idx(VIDEO, 0)];

	simulcast();
	in[0].sr_ntp = (UINT64_C(1000) << 32);
	in[0].sr_rtp = 1000000;
	in[1].sr_ntp = (UINT64_C(1001) << 32); // a second later
	in[1].sr_rtp = 5000000;
	vp8(0, 100, 1000000 + 180000, KEY | END, 50, 0);
	rig.subscription[2].target = 0xff01;
	rig.w->now_ns += 50000000;
	vp8(1, 700, 5000000 + 90000 + 3000, KEY | END, 80, 0);
	client_read(0, &got);
	client_read(1, &got);
	cr_assert_eq(got.rtp.timestamp, 1000000 + 180000 + 3000);
}

Test(sfu_forward, pause_needs_a_key_frame_afterwards)
{
	vp8(0, 1, 0, KEY | END, 1, 0);
	rig.subscription[2].target |= SHM_SFU_TARGET_F_PAUSED;
	vp8(0, 2, 3000, START | END, 2, 0);
	cr_assert_eq(rig.n_frames, 1);
	cr_assert_eq(rig.egress[2].reason, SHM_SFU_EGRESS_PAUSED);
	rig.subscription[2].target &= ~SHM_SFU_TARGET_F_PAUSED;
	rig.w->now_ns += 1000000000;
	vp8(0, 32, 93000, START | END, 32, 0);
	cr_assert_eq(rig.n_frames, 1);
	cr_assert_eq(rig.n_keyframes_asked, 1);
	vp8(0, 33, 96000, KEY | END, 33, 0);
	cr_assert_eq(rig.n_frames, 2);
	client_read(0, &got);
	client_read(1, &got);
	cr_assert_eq(got.rtp.timestamp, 96000, "the same stream keeps its time");
	rig.subscription[1].target |= SHM_SFU_TARGET_F_PAUSED;
	audio(1, 0);
	cr_assert_eq(rig.n_frames, 3, "sound is never paused");
}

Test(sfu_forward, muted_track_costs_nothing)
{
	rig.track[AUDIO].is_muted = 1;
	audio(1, 0);
	cr_assert_eq(rig.n_frames, 0);
	rig.track[AUDIO].is_muted = 0;
	audio(2, 960);
	cr_assert_eq(rig.n_frames, 1);
}

Test(sfu_forward, codec_that_is_not_taken)
{
	rig.subscription[2].payload_type[SHM_SFU_VP8] = 0xff;
	vp8(0, 1, 0, KEY | END, 1, 0);
	cr_assert_eq(rig.n_frames, 0);
	cr_assert_eq(rig.egress[2].reason, SHM_SFU_EGRESS_NO_CODEC);
}

Test(sfu_forward, profiles_mix_in_a_burst)
{
	uint32_t list[40];

	for (uint32_t i = 0; i < 40; i++) {
		static const uint32_t profile[] = { DP_SRTP_AEAD_AES_128_GCM,
						    DP_SRTP_AES_CM_128_HMAC_SHA1_80,
						    DP_SRTP_AEAD_AES_256_GCM };

		rig_transport(10 + i, profile[i % 3]);
		client_open(10 + i, 1);
		rig_subscription(50 + i, 10 + i, AUDIO);
		list[i] = 50 + i;
	}
	rig_list(AUDIO, list, 40);
	for (uint32_t k = 0; k < 3; k++)
		audio(k, k * 960);
	cr_assert_eq(rig.n_frames, 120);
	for (uint32_t i = 0; i < 120; i++) {
		client_read(i, &got);
		cr_assert_arr_eq(got.rtp.payload, "sound", 5);
	}
}

// RFC 3711 §3.3.1.
Test(sfu_forward, rollover)
{
	audio(0, 0);
	for (uint32_t i = 1; i < 70000; i++) {
		if (rig.n_frames > 4000) {
			for (uint32_t k = 0; k < rig.n_frames; k++)
				client_read(k, &got);
			rig.n_frames = 0;
		}
		audio(i, i * 960);
	}
	for (uint32_t k = 0; k < rig.n_frames; k++)
		client_read(k, &got);
	cr_assert_eq(rig.egress[1].pkts, 70000);
	cr_assert_gt(rig.egress[1].next_index, 0xffff);
}

Test(sfu_forward, new_keys_begin_with_rollover_0)
{
	rig.egress[1].serial = rig.subscription[1].serial;
	rig.egress[1].srtp_generation = 1;
	rig.egress[1].next_index = 0x10005;
	audio(1, 0);
	cr_assert_eq(rig.egress[1].next_index, 0x10006);
	rig_rekey(2);
	client_open(2, 2);
	rig.n_frames = 0;
	audio(2, 960);
	client_read(0, &got);
	cr_assert_eq(got.rtp.sequence, 6);
	cr_assert_eq(rig.egress[1].next_index, 7);
	cr_assert_eq(rig.egress[1].srtp_generation, 2);
}

Test(sfu_forward, restart_goes_on_behind_every_index)
{
	uint64_t next;

	vp8(0, 1, 3000, KEY | END, 1, 0);
	vp8(0, 2, 6000, START | END, 2, 0);
	audio(1, 960);
	next = rig.egress[2].next_index;
	rig_restart();
	rig.n_frames = 0;
	audio(5, 4800);
	cr_assert_eq(rig.n_frames, 1);
	vp8(0, 9, 27000, START | END, 9, 0);
	cr_assert_eq(rig.n_frames, 1, "what was missed is not referred to");
	vp8(0, 10, 30000, KEY | END, 10, 0);
	cr_assert_eq(rig.n_frames, 2);
	client_read(0, &got);
	client_read(1, &got);
	cr_assert_eq(got.rtp.sequence, (uint16_t)next);
	cr_assert_eq(got.rtp.timestamp, 30000);
	cr_assert_eq(rig.egress[2].next_index, next + 1);
	// What comes late of before has no number any more.
	vp8(0, 2, 6000, DP_SFU_MEDIA_F_REPAIRED, 2, 0);
	cr_assert_eq(rig.n_frames, 2);
}

Test(sfu_forward, the_witness_finds_a_reused_index, .signal = SIGABRT)
{
	struct dp_sfu_index_check *c = dp_sfu_index_check_create(8);
	uint8_t packet[20] = { 0x80 };

	dp_sfu_index_check(c, c, packet, sizeof(packet), 7);
	dp_sfu_index_check(c, c, packet, sizeof(packet), 7); // the same bytes are no harm
	packet[19] = 1;
	dp_sfu_index_check(c, c, packet, sizeof(packet), 7);
}

Test(sfu_forward, entry_that_is_filled_anew_begins_anew)
{
	uint64_t next;

	audio(1, 0);
	next = rig.egress[1].next_index;
	rig.subscription[1].serial = 0;
	audio(2, 960);
	cr_assert_eq(rig.n_frames, 1);
	rig_subscription(1, 2, AUDIO);
	rig.egress[1].is_acknowledged = 1;
	audio(3, 1920);
	cr_assert_eq(rig.n_frames, 2);
	cr_assert_eq(rig.egress[1].pkts, 1);
	cr_assert_eq(rig.egress[1].is_acknowledged, 0);
	cr_assert_neq(rig.egress[1].next_index, next + 1);
}

Test(sfu_forward, hostile_tables)
{
	rig_list(AUDIO, (uint32_t[]){ 0, 255, 256, UINT32_MAX, 1 }, 5);
	audio(1, 0);
	cr_assert_eq(rig.n_frames, 1);
	rig.track[AUDIO].list[0] = shm_sfu_list_word(UINT32_MAX, UINT32_MAX);
	audio(2, 0);
	rig_list(AUDIO, (uint32_t[]){ 3 }, 1);
	rig_subscription(3, 2, AUDIO);
	rig.subscription[3].transport_idx = 64;
	rig.subscription[3].mid_bytes = 255;
	audio(3, 0);
	cr_assert_eq(rig.n_frames, 1);
	rig.subscription[3].transport_idx = 2;
	audio(4, 0);
	cr_assert_eq(rig.n_frames, 2);
}

// RFC 4588 §4: what is sent again is what was sent, in the terms of then.
Test(sfu_forward, repair_repeats_the_rewritten_descriptor)
{
	struct client_packet first, second;

	rig.subscription[2].target = 0x0000;
	vp8(0, 1, 0, KEY | END, 40, 0);
	vp8(0, 2, 3000, START | END, 41, 1);
	vp8(0, 3, 6000, START | END, 42, 0);
	vp8(0, 4, 9000, START | END, 43, 1);
	vp8(0, 5, 12000, START | END, 44, 0);
	cr_assert_eq(rig.n_frames, 3);
	client_read(0, &got);
	client_read(1, &first);
	client_read(2, &second);
	dp_sfu_on_nack(rig.w, 2, (uint16_t[]){ second.rtp.sequence, first.rtp.sequence }, 2);
	dp_tx_flush(rig.w);
	client_read(3, &got);
	cr_assert_eq(bytes_get_be16(got.rtp.payload), second.rtp.sequence);
	cr_assert_eq(got.rtp.timestamp, second.rtp.timestamp);
	cr_assert_arr_eq(got.rtp.payload + 2, second.rtp.payload, second.rtp.payload_bytes);
	client_read(4, &got);
	cr_assert_eq(bytes_get_be16(got.rtp.payload), first.rtp.sequence);
	cr_assert_arr_eq(got.rtp.payload + 2, first.rtp.payload, first.rtp.payload_bytes);
	cr_assert_eq(rig.egress[2].n_nacks_missed, 0);
}

Test(sfu_forward, repair_of_what_was_repaired)
{
	struct client_packet late;

	rig.subscription[2].target = 0x0000;
	vp8(0, 1, 0, KEY, 40, 0);
	vp8(0, 3, 0, END, 40, 0);
	vp8(0, 4, 3000, START | END, 41, 1);
	vp8(0, 5, 6000, START | END, 42, 0);
	vp8(0, 2, 0, DP_SFU_MEDIA_F_REPAIRED, 40, 0);
	for (uint32_t i = 0; i < 4; i++)
		client_read(i, &late);
	dp_sfu_on_nack(rig.w, 2, &late.rtp.sequence, 1);
	dp_tx_flush(rig.w);
	client_read(4, &got);
	cr_assert_eq(bytes_get_be16(got.rtp.payload), late.rtp.sequence);
	cr_assert_arr_eq(got.rtp.payload + 2, late.rtp.payload, late.rtp.payload_bytes);
}
