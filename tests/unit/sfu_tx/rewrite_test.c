// Continuous numbers for a watcher, whatever the publisher's do.
#include <criterion/criterion.h>

#include "dataplane/sfu/rewrite.h"

static struct dp_sfu_rewrite r;
static struct dp_sfu_rewritten out;

static const struct dp_sfu_numbers none = { .picture_id = DP_SFU_PICTURE_NONE };

static struct dp_sfu_numbers vp8(uint16_t picture_id)
{
	return (struct dp_sfu_numbers){ .picture_id = picture_id,
					.picture_id_mask = 0x7fff,
					.has_tl0 = 1,
					.tl0 = (uint8_t)(picture_id / 2),
					.key_idx = 3,
					.closes_up = 1 };
}

static uint64_t map(uint64_t sequence)
{
	return dp_sfu_rewrite_map(&r, sequence, (uint32_t)sequence * 10, &none, &out) ? out.index
										      : 0;
}

static void begin(uint64_t sequence)
{
	dp_sfu_rewrite_init(&r, 1000);
	dp_sfu_rewrite_switch(&r, sequence, (uint32_t)sequence * 10, (uint32_t)sequence * 10, &none,
			      true);
}

Test(sfu_rewrite, begins_with_the_first_index)
{
	begin(65535);
	cr_assert_eq(map(65535), 1000);
	cr_assert_eq(map(65536), 1001, "the publisher's sequence wraps, the index goes on");
	cr_assert_eq(out.timestamp, 655360);
}

Test(sfu_rewrite, losses_stay_gaps)
{
	begin(1);
	cr_assert_eq(map(1), 1000);
	cr_assert_eq(map(4), 1003);
	cr_assert_eq(map(3), 1002);
	cr_assert_eq(map(2), 1001);
	cr_assert_eq(map(5), 1004);
	cr_assert_eq(map(0), 0, "before the stream began");
}

Test(sfu_rewrite, skipped_packets_close_up)
{
	begin(1);
	map(1);
	for (uint64_t s = 2; s < 5; s++)
		dp_sfu_rewrite_skip(&r, s, &none);
	cr_assert_eq(map(5), 1001);
	cr_assert_eq(r.n_steps, 2, "one run, one step");
	// A loss and a cut behind it: the hole is the loss's.
	dp_sfu_rewrite_skip(&r, 7, &none);
	cr_assert_eq(map(8), 1003);
	cr_assert_eq(map(6), 1002);
}

Test(sfu_rewrite, late_packets_of_before_many_cuts_are_refused)
{
	begin(1);
	map(1);
	for (uint64_t s = 3; s < 3 + 4 * DP_SFU_REWRITE_STEPS; s += 2) {
		dp_sfu_rewrite_skip(&r, s, &none);
		map(s + 1);
	}
	cr_assert_eq(map(2), 0);
	cr_assert_neq(map(3 + 4 * DP_SFU_REWRITE_STEPS), 0);
}

// RFC 7741 §4.2: picture ids without a hole, modulo 2^15.
Test(sfu_rewrite, picture_ids_close_up_per_frame)
{
	struct dp_sfu_numbers n = vp8(0x7ffe);

	dp_sfu_rewrite_init(&r, 1);
	dp_sfu_rewrite_switch(&r, 1, 0, 0, &n, true);
	dp_sfu_rewrite_map(&r, 1, 0, &n, &out);
	cr_assert_eq(out.small.picture_id, 0x7ffe);
	cr_assert_eq(out.small.is_descriptor_changed, 0);
	n = vp8(0x7fff);
	dp_sfu_rewrite_skip(&r, 2, &n);
	dp_sfu_rewrite_skip(&r, 3, &n);
	n = vp8(0);
	dp_sfu_rewrite_map(&r, 4, 0, &n, &out);
	cr_assert_eq(out.small.picture_id, 0x7fff);
	cr_assert_eq(out.index, 2);
	cr_assert_eq(out.small.is_descriptor_changed, 1);
	n = vp8(1);
	dp_sfu_rewrite_map(&r, 5, 0, &n, &out);
	cr_assert_eq(out.small.picture_id, 0);
}

// Where frames refer by distance, distances are kept.
Test(sfu_rewrite, vp9_picture_ids_keep_their_distance)
{
	struct dp_sfu_numbers n = vp8(10);

	n.closes_up = 0;
	dp_sfu_rewrite_init(&r, 1);
	dp_sfu_rewrite_switch(&r, 1, 0, 0, &n, true);
	dp_sfu_rewrite_map(&r, 1, 0, &n, &out);
	n.picture_id = 11;
	dp_sfu_rewrite_skip(&r, 2, &n);
	n.picture_id = 12;
	dp_sfu_rewrite_map(&r, 3, 0, &n, &out);
	cr_assert_eq(out.small.picture_id, 12);
	cr_assert_eq(out.index, 2);
}

Test(sfu_rewrite, a_switch_goes_on_with_every_number)
{
	struct dp_sfu_numbers n = vp8(100);
	uint64_t index;

	n.has_frame_number = 1;
	n.frame_number = 65535;
	dp_sfu_rewrite_init(&r, 1);
	dp_sfu_rewrite_switch(&r, 1, 5000, 5000, &n, true);
	dp_sfu_rewrite_map(&r, 1, 5000, &n, &out);
	index = out.index;
	n = vp8(7000);
	n.has_frame_number = 1;
	n.frame_number = 3;
	n.key_idx = 31;
	dp_sfu_rewrite_switch(&r, 90000, 77, 8000, &n, false);
	dp_sfu_rewrite_map(&r, 90000, 77, &n, &out);
	cr_assert_eq(out.index, index + 1);
	cr_assert_eq(out.timestamp, 8000);
	cr_assert_eq(out.small.picture_id, 101);
	cr_assert_eq(out.small.tl0, 51);
	cr_assert_eq(out.small.key_idx, 4);
	cr_assert_eq(out.small.frame_number, 0);
	cr_assert_eq(map(2), 0, "of the stream before");
}

Test(sfu_rewrite, joined_timestamps_are_behind_the_last_and_not_far)
{
	begin(1);
	map(1); // timestamp 10
	cr_assert_eq(dp_sfu_rewrite_join_timestamp(&r, true, 3010, 33000000, 90000), 3010);
	cr_assert_eq(dp_sfu_rewrite_join_timestamp(&r, true, 5, 33000000, 90000), 10 + 2970,
		     "reports that lead backwards are not believed");
	cr_assert_eq(dp_sfu_rewrite_join_timestamp(&r, true, 10 + 90000, 33000000, 90000),
		     10 + 2970, "nor far ahead");
	cr_assert_eq(dp_sfu_rewrite_join_timestamp(&r, false, 0, 0, 90000), 11);
	r.last_timestamp = UINT32_MAX;
	cr_assert_eq(dp_sfu_rewrite_join_timestamp(&r, false, 0, 1000000000, 90000), 89999);
}
