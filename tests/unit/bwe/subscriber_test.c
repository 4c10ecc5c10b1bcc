// Estimator, probes and allocator together, over links that change.
#include "subscriber.h"

#include <criterion/criterion.h>

static struct subscriber s;

static void reach_the_top(uint64_t capacity_bps)
{
	uint64_t took_ns;

	subscriber_init(&s, capacity_bps);
	took_ns = subscriber_run_until(&s, 2, 10 * S);
	cr_assert_leq(took_ns, 4 * S, "top layer only after %lu ms at %lu b/s, %s", took_ns / MS,
		      s.estimator.target_bps, bwe_reason_name(s.estimator.reason));
}

Test(bwe_subscriber, starts_and_reaches_the_highest_layer_soon)
{
	reach_the_top(20000000);
	subscriber_run(&s, 30 * S);
	cr_assert_eq(s.tracks[1].layer, 2);
	cr_assert_leq(s.n_layer_changes, 3, "%u changes on an idle link", s.n_layer_changes);
}

Test(bwe_subscriber, throttled_to_400_kbps_drops_within_3_s_and_returns_within_10_s)
{
	for (uint64_t throttled_s = 5; throttled_s <= 35; throttled_s += 3) {
		uint64_t down_ns = 0;
		uint64_t up_ns;

		reach_the_top(10000000);
		subscriber_run(&s, 5 * S);
		cr_assert_eq(s.tracks[1].layer, 2);
		s.link.capacity_bps = 400000;
		down_ns = subscriber_run_until(&s, 0, 6 * S);
		cr_assert_leq(down_ns, 3 * S, "down after %lu ms, at %lu b/s", down_ns / MS,
			      s.estimator.target_bps);
		subscriber_run(&s, throttled_s * S);
		s.link.capacity_bps = 10000000;
		up_ns = subscriber_run_until(&s, 2, 15 * S);
		cr_assert_leq(up_ns, 10 * S, "up after %lu ms, at %lu b/s, throttled for %lu s",
			      up_ns / MS, s.estimator.target_bps, throttled_s);
	}
}

Test(bwe_subscriber, a_narrow_link_does_not_flap)
{
	uint32_t before;
	uint64_t lost;

	subscriber_init(&s, 400000);
	subscriber_run(&s, 10 * S);
	before = s.n_layer_changes;
	lost = s.link.n_lost;
	subscriber_run(&s, 60 * S);
	cr_assert_leq(s.n_layer_changes - before, 4, "%u changes in a minute",
		      s.n_layer_changes - before);
	cr_assert_leq(s.link.n_lost - lost, 60, "probes cost %lu packets in a minute",
		      s.link.n_lost - lost);
}

Test(bwe_subscriber, stays_on_top_with_5_percent_random_loss_and_lost_feedback)
{
	uint64_t begin_ns;
	uint64_t on_top_ns = 0;

	reach_the_top(10000000);
	s.link.loss = 0.05;
	s.link.reverse_loss = 0.05;
	begin_ns = s.now_ns;
	while (s.now_ns - begin_ns < 60 * S) {
		subscriber_run(&s, 100 * MS);
		on_top_ns += s.tracks[1].layer == 2 ? 100 * MS : 0;
	}
	cr_assert_geq(on_top_ns, 57 * S, "on top for %lu ms of a minute", on_top_ns / MS);
}

Test(bwe_subscriber, jitter_is_no_congestion)
{
	uint64_t begin_ns;
	uint64_t on_top_ns = 0;

	reach_the_top(10000000);
	s.link.jitter_ns = 15 * MS;
	begin_ns = s.now_ns;
	while (s.now_ns - begin_ns < 60 * S) {
		subscriber_run(&s, 100 * MS);
		on_top_ns += s.tracks[1].layer == 2 ? 100 * MS : 0;
	}
	cr_assert_geq(on_top_ns, 54 * S, "on top for %lu ms of a minute", on_top_ns / MS);
}

Test(bwe_subscriber, no_probes_once_all_that_is_wanted_is_sent)
{
	uint32_t before;

	reach_the_top(20000000);
	subscriber_run(&s, 5 * S);
	before = s.n_probes;
	subscriber_run(&s, 30 * S);
	cr_assert_eq(s.n_probes, before);
}
