// What was sent is remembered a line at a time: it is found whether its line was put away or not, and nothing twice.
#include <criterion/criterion.h>

#include "dataplane/contract/shm/ring.h"
#include "dataplane/contract/wire/rtcp_twcc.h"
#include "tests/burst/sfu_tx/client.h"

#define AUDIO   1
#define VIDEO   2
#define PAYLOAD 100
#define MS      1000000ull
// Surely remembered; a line more may be.
#define KEPT_PKTS 512

static struct client_packet got;
static uint16_t first; // sequence number of the first video packet at the watcher

static void start(void)
{
	rig_init(&(struct rig_options){ .n_transports = 8,
					.n_tracks = 8,
					.n_subscriptions = 8,
					.retransmit_ms = 1000,
					.media_mbufs = 4096 });
	rig_track(AUDIO, SHM_SFU_AUDIO, SHM_SFU_OPUS, 1);
	rig_track(VIDEO, SHM_SFU_VIDEO, SHM_SFU_H264, 1);
	rig_transport(2, DP_SRTP_AEAD_AES_128_GCM);
	client_open(2, 1);
	rig_subscription(1, 2, AUDIO);
	rig_subscription(2, 2, VIDEO);
	rig_list(AUDIO, (uint32_t[]){ 1 }, 1);
	rig_list(VIDEO, (uint32_t[]){ 2 }, 1);
}

TestSuite(sfu_history, .init = start, .fini = rig_fini);

static void payload_make(uint64_t sequence, uint8_t payload[PAYLOAD])
{
	memset(payload, (int)(sequence % 251), PAYLOAD);
}

static void send_one(uint32_t track_idx, uint64_t sequence, uint8_t flags)
{
	uint8_t payload[PAYLOAD];

	payload_make(sequence, payload);
	rig_forward(&(struct rig_packet){ .track_idx = track_idx,
					  .sequence = sequence,
					  .timestamp = 3000,
					  .flags = flags,
					  .payload = payload,
					  .payload_bytes = sizeof(payload) });
}

// The first one, and all up to `last` but two.
static void video_but(uint64_t last, uint64_t without, uint64_t nor)
{
	send_one(VIDEO, 1, DP_SFU_MEDIA_F_KEYFRAME | DP_SFU_MEDIA_F_FRAME_START);
	client_read(0, &got);
	first = got.rtp.sequence;
	for (uint64_t s = 2; s <= last; s++) {
		if (s != without && s != nor)
			send_one(VIDEO, s, 0);
	}
}

// Whether the watcher gets the packet again, as it was.
static bool is_repeated(uint64_t sequence)
{
	uint16_t asked = (uint16_t)(first + sequence - 1);
	uint32_t n_frames = rig.n_frames;
	uint8_t payload[PAYLOAD];

	dp_sfu_on_nack(rig.w, 2, &asked, 1);
	dp_tx_flush(rig.w);
	if (rig.n_frames == n_frames)
		return false;
	client_read(n_frames, &got);
	payload_make(sequence, payload);
	cr_assert_eq(bytes_get_be16(got.rtp.payload), asked);
	cr_assert_arr_eq(got.rtp.payload + 2, payload, PAYLOAD);
	return true;
}

// RFC 4588 §4.
Test(sfu_history, the_last_512_packets_can_be_asked_for)
{
	uint64_t last = KEPT_PKTS + 100;

	video_but(last, 300, 0);
	for (uint64_t s = last; s > last - KEPT_PKTS; s--)
		cr_assert_eq(is_repeated(s), s != 300, "packet %lu", s);
	cr_assert_not(is_repeated(1));
	cr_assert_not(is_repeated(last + 1));
	cr_assert_eq(rig.egress[2].n_nacks_missed, 3);
}

Test(sfu_history, what_came_late_can_be_asked_for)
{
	// One of a line that was put away, one of the newest.
	video_but(30, 9, 30);
	send_one(VIDEO, 31, 0);
	send_one(VIDEO, 30, DP_SFU_MEDIA_F_REPAIRED);
	send_one(VIDEO, 9, DP_SFU_MEDIA_F_REPAIRED);
	cr_assert_eq(rig.n_frames, 31);
	for (uint64_t s = 1; s <= 31; s++)
		cr_assert(is_repeated(s), "packet %lu", s);
}

// RFC 3711 §9.1: no index twice under one key.
Test(sfu_history, no_index_is_given_out_twice)
{
	video_but(400, 100, 250);
	cr_assert_eq(rig.n_frames, 398);
	// Too old to tell: more than four words of 64 ago.
	send_one(VIDEO, 100, DP_SFU_MEDIA_F_REPAIRED);
	cr_assert_eq(rig.n_frames, 398);
	send_one(VIDEO, 250, DP_SFU_MEDIA_F_REPAIRED);
	cr_assert_eq(rig.n_frames, 399);
	for (uint64_t s = 1; s <= 400; s++)
		send_one(VIDEO, s, DP_SFU_MEDIA_F_REPAIRED);
	cr_assert_eq(rig.n_frames, 399);
	// Nor behind a jump over all that is remembered, and over a word or two.
	send_one(VIDEO, 1000, 0);
	send_one(VIDEO, 999, DP_SFU_MEDIA_F_REPAIRED);
	send_one(VIDEO, 900, DP_SFU_MEDIA_F_REPAIRED);
	send_one(VIDEO, 1100, 0);
	send_one(VIDEO, 1000, DP_SFU_MEDIA_F_REPAIRED);
	send_one(VIDEO, 999, DP_SFU_MEDIA_F_REPAIRED);
	send_one(VIDEO, 900, DP_SFU_MEDIA_F_REPAIRED);
	send_one(VIDEO, 1001, DP_SFU_MEDIA_F_REPAIRED);
	cr_assert_eq(rig.n_frames, 404);
}

static uint32_t feedback(uint16_t base, uint32_t n, struct shm_sfu_feedback *out)
{
	const struct shm_datagram *d;
	uint8_t packet[256];
	struct bytes_writer w = bytes_writer_init(packet, sizeof(packet));
	struct rtcp_twcc twcc;
	struct bytes_reader r;
	struct rtcp_view v;
	int64_t ticks[32];
	uint16_t n_bytes;

	for (uint32_t i = 0; i < n; i++)
		ticks[i] = 1000 + i;
	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, base, ticks, n), n);
	r = bytes_reader_init(packet, w.len_bytes);
	cr_assert_eq(rtcp_next(&r, &v), 1);
	cr_assert_eq(rtcp_twcc_parse(&v, &twcc), 0);
	dp_sfu_on_twcc(rig.w, 2, &twcc);
	d = shm_ring_peek(rig.w->punt, &n_bytes);
	if (d == NULL)
		return 0;
	memcpy(out, d->data, n_bytes);
	shm_ring_release(rig.w->punt);
	return n_bytes / sizeof(*out);
}

Test(sfu_history, feedback_within_a_line_tells_of_each_packet_once)
{
	uint64_t sent_ns = rig.w->now_ns;
	struct shm_sfu_feedback told[32];

	for (uint32_t i = 0; i < 31; i++) {
		send_one(AUDIO, 1 + i, 0);
		rig.w->now_ns += 20 * MS;
		if (i == 10)
			cr_assert_eq(feedback(0, 11, told), 11);
	}
	for (uint32_t i = 0; i < 11; i++)
		cr_assert_eq(told[i].sent_at_ns, sent_ns + i * 20 * MS);
	cr_assert_eq(feedback(0, 11, told), 0);
	cr_assert_eq(feedback(11, 20, told), 20);
	for (uint32_t i = 0; i < 20; i++)
		cr_assert_eq(told[i].sent_at_ns, sent_ns + (11 + i) * 20 * MS);
	cr_assert_eq(feedback(11, 20, told), 0);
}
