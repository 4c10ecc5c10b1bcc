// Sharing an estimate over tracks.
#include <criterion/criterion.h>

#include "controlplane/sfu/bwe/allocator.h"
#include "link.h"

static struct bwe_allocation all;

static struct bwe_track video(enum bwe_rank rank)
{
	struct bwe_track t = { .rank = rank, .wanted_spatial = 2, .wanted_temporal = 1 };

	for (uint8_t spatial = 0; spatial < 3; spatial++)
		for (uint8_t temporal = 0; temporal < 2; temporal++)
			t.layers[t.n_layers++] = (struct bwe_layer){
				.bitrate_bps = (100000u << (2 * spatial)) * (temporal ? 2 : 1),
				.spatial = spatial,
				.temporal = temporal,
				.is_active = true,
			};
	return t;
}

static struct bwe_track audio(void)
{
	struct bwe_track t = { .is_audio = true, .n_layers = 1 };

	t.layers[0] = (struct bwe_layer){ .bitrate_bps = 40000, .is_active = true };
	return t;
}

Test(bwe_allocator, audio_is_never_paused)
{
	struct bwe_track t[3] = { video(BWE_RANK_SPEAKER), audio(), audio() };

	bwe_allocate(t, 3, 50000, S, &all);
	cr_assert_eq(t[0].layer, BWE_PAUSED);
	cr_assert_eq(t[0].share, BWE_SHARE_PAUSED_BANDWIDTH);
	cr_assert_eq(t[1].layer, 0);
	cr_assert_eq(t[2].layer, 0);
	cr_assert_eq(t[2].share, BWE_SHARE_AUDIO);
	cr_assert_eq(all.used_bps, 80000);
	t[2].is_muted = true;
	bwe_allocate(t, 3, 50000, 2 * S, &all);
	cr_assert_eq(t[2].layer, BWE_PAUSED);
	cr_assert_eq(t[2].share, BWE_SHARE_PAUSED_SILENT);
}

Test(bwe_allocator, everybody_is_seen_then_the_speaker_is_seen_well)
{
	struct bwe_track t[4] = { audio(), video(BWE_RANK_OTHER), video(BWE_RANK_OTHER),
				  video(BWE_RANK_SPEAKER) };

	bwe_allocate(t, 4, 1200000, S, &all);
	cr_assert_eq(t[1].layer, 1);
	cr_assert_eq(t[2].layer, 0);
	cr_assert_eq(t[3].layer, 3, "layer %d", t[3].layer);
	cr_assert_eq(all.n_limited, 3);
	cr_assert_leq(all.used_bps, 1200000);
	// Too little for all, but that may be a key frame.
	bwe_allocate(t, 4, 250000, 2 * S, &all);
	cr_assert_eq(t[2].layer, 0);
	cr_assert_eq(all.n_paused, 0);
	// For long: the speaker stays, the last pauses.
	bwe_allocate(t, 4, 250000, 4 * S, &all);
	cr_assert_eq(t[3].layer, 0);
	cr_assert_eq(t[1].layer, 0);
	cr_assert_eq(t[2].layer, BWE_PAUSED);
	cr_assert_eq(all.n_paused, 1);
}

// A key frame makes one second of a stream look like more than the stream is.
Test(bwe_allocator, one_second_with_a_key_frame_pauses_nothing)
{
	struct bwe_track t = { .rank = BWE_RANK_SPEAKER, .n_layers = 1 };

	for (uint64_t at_ns = S; at_ns < 30 * S; at_ns += 100 * MS) {
		t.layers[0] = (struct bwe_layer){
			.bitrate_bps = at_ns / S % 4 == 3 ? 4900000 : 2500000,
			.is_active = true,
		};
		bwe_allocate(&t, 1, 3000000, at_ns, &all);
		cr_assert_eq(t.layer, 0, "paused after %lu ms", (unsigned long)(at_ns / MS));
	}
}

Test(bwe_allocator, down_at_once_up_only_with_room_that_stays)
{
	struct bwe_track t = video(BWE_RANK_SPEAKER);

	bwe_allocate(&t, 1, 10000000, S, &all);
	cr_assert_eq(t.layer, 5);
	cr_assert_eq(t.share, BWE_SHARE_WANTED);
	bwe_allocate(&t, 1, 450000, S + 100 * MS, &all);
	cr_assert_eq(t.layer, 2);
	cr_assert_eq(t.share, BWE_SHARE_BANDWIDTH);
	// Enough, but nothing to spare.
	for (uint64_t at_ns = 2 * S; at_ns < 5 * S; at_ns += 100 * MS)
		bwe_allocate(&t, 1, 900000, at_ns, &all);
	cr_assert_eq(t.layer, 2);
	// Room for a moment only.
	bwe_allocate(&t, 1, 1000000, 6 * S, &all);
	cr_assert_eq(t.layer, 2);
	cr_assert_eq(t.share, BWE_SHARE_WAITING);
	bwe_allocate(&t, 1, 700000, 6 * S + 100 * MS, &all);
	bwe_allocate(&t, 1, 1000000, 6 * S + 2000 * MS, &all);
	cr_assert_eq(t.layer, 2);
	// And for long.
	bwe_allocate(&t, 1, 1000000, 6 * S + 3500 * MS, &all);
	cr_assert_eq(t.layer, 3);
}

Test(bwe_allocator, a_raise_that_fails_makes_the_next_wait_longer_up_to_3_s)
{
	struct bwe_track t = video(BWE_RANK_SPEAKER);
	uint64_t now_ns = S;
	uint64_t waits_ms[6];

	bwe_allocate(&t, 1, 450000, now_ns, &all);
	for (uint32_t round = 0; round < 6; round++) {
		uint64_t begin_ns = now_ns;

		while (t.layer < 3) {
			now_ns += 100 * MS;
			bwe_allocate(&t, 1, 1000000, now_ns, &all);
			cr_assert_lt(now_ns - begin_ns, 10 * S);
		}
		waits_ms[round] = (now_ns - begin_ns) / MS;
		now_ns += S;
		bwe_allocate(&t, 1, 450000, now_ns, &all);
		cr_assert_lt(t.layer, 3);
	}
	cr_assert_geq(waits_ms[2], 2 * waits_ms[0] - 200);
	cr_assert_leq(waits_ms[5], 3200, "%lu ms", waits_ms[5]);
	cr_assert_geq(waits_ms[5], 2500, "%lu ms", waits_ms[5]);
}

Test(bwe_allocator, an_estimate_that_wavers_does_not_flap)
{
	struct bwe_track t = video(BWE_RANK_SPEAKER);
	uint32_t n_changes = 0;
	int last;

	bwe_allocate(&t, 1, 900000, S, &all);
	last = t.layer;
	for (uint64_t i = 0; i < 600; i++) {
		bwe_allocate(&t, 1, i % 2 ? 770000 : 930000, S + i * 100 * MS, &all);
		n_changes += t.layer != last;
		last = t.layer;
	}
	cr_assert_leq(n_changes, 1);
}

Test(bwe_allocator, layers_that_are_not_sent_or_not_wanted_are_not_given)
{
	struct bwe_track t = video(BWE_RANK_SPEAKER);

	t.layers[4].is_active = t.layers[5].is_active = false;
	bwe_allocate(&t, 1, 90000000, S, &all);
	cr_assert_eq(t.layer, 3);
	cr_assert_eq(t.share, BWE_SHARE_NOT_SENT);
	t.wanted_temporal = 0;
	bwe_allocate(&t, 1, 90000000, 2 * S, &all);
	cr_assert_eq(t.layer, 2);
	t.wanted_spatial = 0;
	bwe_allocate(&t, 1, 90000000, 3 * S, &all);
	cr_assert_eq(t.layer, 0);
	cr_assert_eq(t.share, BWE_SHARE_WANTED);
	for (uint32_t i = 0; i < t.n_layers; i++)
		t.layers[i].is_active = false;
	bwe_allocate(&t, 1, 90000000, 4 * S, &all);
	cr_assert_eq(t.layer, BWE_PAUSED);
	cr_assert_eq(t.share, BWE_SHARE_PAUSED_SILENT);
}

// The publisher itself stops its top layers when its own uplink is short; the watcher must not fall
// dark.
Test(bwe_allocator, follows_the_publisher_down_without_a_pause)
{
	struct bwe_track t = video(BWE_RANK_SPEAKER);

	bwe_allocate(&t, 1, 90000000, S, &all);
	cr_assert_eq(t.layer, 5);
	for (uint32_t i = 2; i < 6; i++)
		t.layers[i].is_active = false;
	bwe_allocate(&t, 1, 90000000, 2 * S, &all);
	cr_assert_eq(t.layer, 1);
	for (uint32_t i = 0; i < 6; i++)
		t.layers[i].is_active = i >= 4;
	bwe_allocate(&t, 1, 90000000, 3 * S, &all);
	cr_assert_geq(t.layer, 4);
}

Test(bwe_allocator, hidden_tracks_cost_nothing_and_come_back_at_once)
{
	struct bwe_track t[2] = { video(BWE_RANK_SPEAKER), video(BWE_RANK_OTHER) };

	t[1].is_hidden = true;
	bwe_allocate(t, 2, 4000000, S, &all);
	cr_assert_eq(t[1].layer, BWE_PAUSED);
	cr_assert_eq(t[1].share, BWE_SHARE_PAUSED_HIDDEN);
	cr_assert_eq(all.wanted_bps, 3840000);
	t[1].is_hidden = false;
	bwe_allocate(t, 2, 4000000, 2 * S, &all);
	cr_assert_geq(t[1].layer, 0);
}

Test(bwe_allocator, more_tracks_than_it_can_handle_are_paused)
{
	static struct bwe_track t[BWE_TRACKS_MAX + 5];

	for (uint32_t i = 0; i < BWE_TRACKS_MAX + 5; i++)
		t[i] = video(BWE_RANK_OTHER);
	bwe_allocate(t, BWE_TRACKS_MAX + 5, 10000000000ULL, S, &all);
	cr_assert_eq(t[BWE_TRACKS_MAX - 1].layer, 5);
	cr_assert_eq(t[BWE_TRACKS_MAX + 4].layer, BWE_PAUSED);
	cr_assert_eq(all.n_paused, 5);
}
