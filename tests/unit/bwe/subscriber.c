// The simulated subscriber. Test code, one thread.
#include "subscriber.h"

#include <string.h>

#define STEP_NS     (1 * MS)
#define TICK_NS     (100 * MS)
#define AUDIO_NS    (20 * MS)
#define AUDIO_BYTES 100
#define VIDEO_BYTES 1100
// What fills a probe up: packets of the stream once more, and padding where it is slow; so many at
// most, media included.
#define PAD_BYTES      255
#define REPEAT_BPS     500000
#define PROBE_PKTS_MAX 40

void subscriber_init(struct subscriber *s, uint64_t capacity_bps)
{
	static const uint32_t bps[3] = { 150000, 500000, 1700000 };

	memset(s, 0, sizeof(*s));
	link_init(&s->link, capacity_bps);
	bwe_estimator_init(&s->estimator, 0, 0, 0);
	bwe_probe_init(&s->probe);
	s->now_ns = 1000 * S;
	s->tracks[0] = (struct bwe_track){ .is_audio = true, .n_layers = 1 };
	s->tracks[0].layers[0] = (struct bwe_layer){ .bitrate_bps = 40000, .is_active = true };
	s->tracks[1] = (struct bwe_track){ .n_layers = 3, .wanted_spatial = 2 };
	for (uint8_t i = 0; i < 3; i++)
		s->tracks[1].layers[i] = (struct bwe_layer){ .bitrate_bps = bps[i],
							     .spatial = i,
							     .is_active = true };
	s->last_layer = BWE_PAUSED;
}

static void decide(struct subscriber *s)
{
	struct bwe_probe_result result;
	struct bwe_probe_cluster cluster;
	struct bwe_probe_input in;

	bwe_estimator_tick(&s->estimator, true, s->now_ns);
	bwe_allocate(s->tracks, 2, s->estimator.target_bps, s->now_ns, &s->allocation);
	if (s->tracks[1].layer != s->last_layer) {
		s->n_layer_changes++;
		s->last_layer = s->tracks[1].layer;
	}
	if (bwe_probe_result(&s->probe, s->now_ns, &result) && result.bps)
		bwe_estimator_probed(&s->estimator, result.bps, result.is_saturated, s->now_ns);
	in = (struct bwe_probe_input){
		.estimate_bps = s->estimator.target_bps,
		.wanted_bps = s->allocation.wanted_bps,
		.usage = s->estimator.usage,
		.can_probe = s->estimator.has_feedback && !s->no_probes,
	};
	if (bwe_probe_next(&s->probe, &in, s->now_ns, &cluster)) {
		s->n_probes++;
		s->padding_bps = cluster.target_bps;
		s->padding_end_ns = cluster.end_ns;
		s->padding_credit_bits = 0;
		s->n_probe = PROBE_PKTS_MAX;
	}
}

static void send(struct subscriber *s, uint16_t n_bytes)
{
	bool is_probing = s->now_ns < s->padding_end_ns && s->n_probe > 0;

	link_send(&s->link, s->now_ns, n_bytes, is_probing ? BWE_PACKET_F_PROBE : 0);
	s->n_probe -= is_probing;
	s->padding_credit_bits -= n_bytes * 8;
}

static void send_media(struct subscriber *s)
{
	uint16_t pad_bytes = s->padding_bps >= REPEAT_BPS ? VIDEO_BYTES : PAD_BYTES;
	int layer = s->tracks[1].layer;
	uint64_t bps = s->fixed_bps;

	if (s->follows)
		bps = s->estimator.target_bps;
	else if (bps == 0 && layer != BWE_PAUSED && s->tracks[1].was_allocated)
		bps = s->tracks[1].layers[layer].bitrate_bps;
	if (s->now_ns < s->padding_end_ns)
		s->padding_credit_bits += (double)s->padding_bps * STEP_NS / 1e9;
	if (s->now_ns >= s->next_audio_ns) {
		s->next_audio_ns = s->now_ns + AUDIO_NS;
		send(s, AUDIO_BYTES);
	}
	s->video_credit_bits += (double)bps * STEP_NS / 1e9;
	while (s->video_credit_bits >= VIDEO_BYTES * 8) {
		send(s, VIDEO_BYTES);
		s->video_credit_bits -= VIDEO_BYTES * 8;
	}
	while (s->now_ns < s->padding_end_ns && s->n_probe > 0 &&
	       s->padding_credit_bits >= pad_bytes * 8)
		send(s, pad_bytes);
}

static void step(struct subscriber *s)
{
	struct bwe_packet packets[2048];
	uint32_t n;

	s->now_ns += STEP_NS;
	send_media(s);
	n = link_feedback(&s->link, s->now_ns, packets, 2048);
	if (n) {
		bwe_estimator_feedback(&s->estimator, packets, n, s->now_ns);
		bwe_probe_feedback(&s->probe, packets, n);
		if (bwe_probe_cut(&s->probe, s->estimator.usage, s->now_ns))
			s->padding_end_ns = 0;
	}
	if (s->now_ns >= s->next_tick_ns) {
		s->next_tick_ns = s->now_ns + TICK_NS;
		decide(s);
	}
}

void subscriber_run(struct subscriber *s, uint64_t for_ns)
{
	uint64_t end_ns = s->now_ns + for_ns;

	while (s->now_ns < end_ns)
		step(s);
}

uint64_t subscriber_run_until(struct subscriber *s, int layer, uint64_t limit_ns)
{
	uint64_t begin_ns = s->now_ns;

	while (s->now_ns - begin_ns < limit_ns) {
		step(s);
		if (s->tracks[1].was_allocated && s->tracks[1].layer == layer)
			return s->now_ns - begin_ns;
	}
	return UINT64_MAX;
}
