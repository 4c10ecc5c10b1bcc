// The layer gate of a subscription.
#include <criterion/criterion.h>

#include "dataplane/contract/shm/sfu_state.h"
#include "dataplane/sfu/select.h"

#define KEY   (DP_SFU_MEDIA_F_KEYFRAME | DP_SFU_MEDIA_F_FRAME_START)
#define START DP_SFU_MEDIA_F_FRAME_START
#define UP    DP_SFU_MEDIA_F_SWITCH_UP
#define MS    1000000ull

static struct dp_sfu_gate g;
static struct dp_sfu_wish wish;
static uint64_t now_ns;

static void init(void)
{
	dp_sfu_gate_init(&g);
	wish = (struct dp_sfu_wish){ .target = SHM_SFU_TARGET_ALL, .n_layers = 1 };
	now_ns = 1000000 * MS;
}

TestSuite(sfu_select, .init = init);

static enum dp_sfu_choice choose(uint8_t layer, uint8_t spatial, uint8_t temporal, uint8_t flags)
{
	struct dp_sfu_media m = { .track_serial = 5,
				  .layer = layer,
				  .spatial = spatial,
				  .temporal = temporal,
				  .flags = flags,
				  .codec = SHM_SFU_VP9,
				  .kind = SHM_SFU_VIDEO };

	now_ns += 5 * MS;
	return dp_sfu_select(&g, &m, &wish, now_ns);
}

Test(sfu_select, waits_for_a_key_frame_and_asks_with_patience)
{
	uint32_t n_asked = 0;

	for (uint32_t i = 0; i < 200; i++) {
		cr_assert_eq(choose(0, 0, 0, START), DP_SFU_IGNORE);
		n_asked += wish.ask_layer != DP_SFU_LAYER_NONE;
		if (i == 0)
			cr_assert_eq(n_asked, 1, "at once");
	}
	cr_assert(n_asked >= 3 && n_asked <= 4, "a second: %u", n_asked);
	cr_assert_eq(g.reason, SHM_SFU_EGRESS_WAITS_KEY);
	cr_assert_eq(choose(0, 0, 0, KEY), DP_SFU_SWITCH);
	cr_assert_eq(choose(0, 0, 0, 0), DP_SFU_FORWARD);
	cr_assert_eq(g.reason, SHM_SFU_EGRESS_FORWARDS);
}

Test(sfu_select, lower_encoding_is_better_than_none)
{
	wish = (struct dp_sfu_wish){ .target = 0xff02, .n_layers = 3 };
	choose(0, 0, 0, START);
	cr_assert_eq(wish.ask_layer, 2);
	cr_assert_eq(choose(0, 0, 0, KEY), DP_SFU_SWITCH);
	cr_assert_eq(choose(1, 0, 0, START), DP_SFU_IGNORE);
	cr_assert_eq(choose(0, 0, 0, START), DP_SFU_FORWARD);
	cr_assert_eq(wish.ask_layer, DP_SFU_LAYER_NONE, "asked just now");
	now_ns += 400 * MS;
	choose(0, 0, 0, START);
	cr_assert_eq(wish.ask_layer, 2);
	cr_assert_eq(choose(2, 0, 0, KEY), DP_SFU_SWITCH);
	cr_assert_eq(choose(1, 0, 0, KEY), DP_SFU_IGNORE);
	cr_assert_eq(choose(0, 0, 0, KEY), DP_SFU_IGNORE);
}

Test(sfu_select, encoding_that_its_publisher_gave_up)
{
	wish = (struct dp_sfu_wish){ .target = 0xff02, .n_layers = 3 };
	choose(2, 0, 0, KEY);
	choose(0, 0, 0, START);
	cr_assert_eq(wish.ask_layer, DP_SFU_LAYER_NONE);
	now_ns += 1500 * MS;
	cr_assert_eq(choose(0, 0, 0, START), DP_SFU_IGNORE);
	cr_assert_eq(wish.ask_layer, 0);
	cr_assert_eq(choose(0, 0, 0, KEY), DP_SFU_SWITCH);
}

Test(sfu_select, spatial_layers_join_at_key_frames_and_leave_at_pictures)
{
	wish.target = 0xff01;
	cr_assert_eq(choose(0, 0, 0, KEY), DP_SFU_SWITCH);
	cr_assert_eq(choose(0, 1, 0, KEY), DP_SFU_FORWARD);
	cr_assert_eq(choose(0, 2, 0, KEY), DP_SFU_SKIP);
	cr_assert_eq(choose(0, 0, 0, START), DP_SFU_FORWARD);
	cr_assert_eq(choose(0, 1, 0, START), DP_SFU_FORWARD);
	cr_assert_eq(choose(0, 2, 0, START), DP_SFU_SKIP);
	wish.target = 0xff00;
	cr_assert_eq(choose(0, 1, 0, 0), DP_SFU_FORWARD, "the picture is sent to its end");
	cr_assert_eq(choose(0, 0, 0, START), DP_SFU_FORWARD);
	cr_assert_eq(choose(0, 1, 0, START), DP_SFU_SKIP);
	wish.target = 0xff02;
	choose(0, 0, 0, START);
	cr_assert_eq(choose(0, 1, 0, START), DP_SFU_SKIP);
	cr_assert_eq(wish.ask_layer, 0, "only a key frame brings it back");
	choose(0, 0, 0, KEY);
	cr_assert_eq(choose(0, 1, 0, KEY), DP_SFU_FORWARD);
	cr_assert_eq(choose(0, 2, 0, KEY), DP_SFU_FORWARD);
}

// RFC 7741 §4.2 (Y), RFC 9628 §4.2 (U).
Test(sfu_select, temporal_layers_join_at_switching_points)
{
	wish.target = 0x0000;
	choose(0, 0, 0, KEY);
	cr_assert_eq(choose(0, 0, 1, START), DP_SFU_SKIP);
	wish.target = 0x0200;
	cr_assert_eq(choose(0, 0, 1, START), DP_SFU_SKIP);
	cr_assert_eq(choose(0, 0, 1, UP), DP_SFU_SKIP, "in the middle of a frame");
	cr_assert_eq(choose(0, 0, 1, START | UP), DP_SFU_FORWARD);
	cr_assert_eq(choose(0, 0, 2, START), DP_SFU_SKIP);
	cr_assert_eq(choose(0, 0, 1, START), DP_SFU_FORWARD);
	wish.target = 0x0000;
	cr_assert_eq(choose(0, 0, 1, 0), DP_SFU_FORWARD, "the frame is sent to its end");
	cr_assert_eq(choose(0, 0, 0, START), DP_SFU_FORWARD);
	cr_assert_eq(choose(0, 0, 1, START), DP_SFU_SKIP);
	wish.target = 0x0200;
	choose(0, 0, 0, KEY);
	cr_assert_eq(choose(0, 0, 2, START), DP_SFU_FORWARD, "a key frame allows all");
}

Test(sfu_select, paused_video_and_sound)
{
	struct dp_sfu_media sound = { .track_serial = 6, .kind = SHM_SFU_AUDIO };

	choose(0, 0, 0, KEY);
	wish.target |= SHM_SFU_TARGET_F_PAUSED;
	cr_assert_eq(choose(0, 0, 0, START), DP_SFU_IGNORE);
	cr_assert_eq(choose(0, 0, 0, KEY), DP_SFU_IGNORE);
	cr_assert_eq(g.reason, SHM_SFU_EGRESS_PAUSED);
	dp_sfu_gate_init(&g);
	cr_assert_eq(dp_sfu_select(&g, &sound, &wish, now_ns), DP_SFU_SWITCH);
	cr_assert_eq(dp_sfu_select(&g, &sound, &wish, now_ns), DP_SFU_FORWARD);
	sound.track_serial = 7;
	cr_assert_eq(dp_sfu_select(&g, &sound, &wish, now_ns), DP_SFU_SWITCH);
}

Test(sfu_select, another_track_begins_with_its_own_key_frame)
{
	struct dp_sfu_media other = {
		.track_serial = 9, .flags = START, .codec = SHM_SFU_H264, .kind = SHM_SFU_VIDEO
	};

	choose(0, 0, 0, KEY);
	cr_assert_eq(dp_sfu_select(&g, &other, &wish, now_ns), DP_SFU_IGNORE);
	cr_assert_eq(wish.ask_layer, 0);
	other.flags = KEY;
	cr_assert_eq(dp_sfu_select(&g, &other, &wish, now_ns), DP_SFU_SWITCH);
	other.codec = SHM_SFU_CODEC_OTHER;
	other.flags = 0;
	other.track_serial = 10;
	cr_assert_eq(dp_sfu_select(&g, &other, &wish, now_ns), DP_SFU_SWITCH,
		     "nothing is known of its frames");
	cr_assert_eq(dp_sfu_select(&g, &other, &wish, now_ns), DP_SFU_FORWARD);
}
