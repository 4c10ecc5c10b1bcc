// The estimator alone: what it says of links that are full, empty, lossy or silent
// (draft-ietf-rmcat-gcc-02).
#include "subscriber.h"

#include <criterion/criterion.h>

static struct subscriber s;

static void fill(uint64_t capacity_bps)
{
	subscriber_init(&s, capacity_bps);
	s.follows = true;
	s.no_probes = true;
}

Test(bwe_estimator, fills_a_link_without_building_a_queue)
{
	uint64_t sum_bps = 0;
	uint64_t worst_ns = 0;

	fill(2000000);
	subscriber_run(&s, 40 * S);
	for (uint32_t i = 0; i < 600; i++) {
		uint64_t queue_ns;

		subscriber_run(&s, 50 * MS);
		sum_bps += s.estimator.target_bps;
		queue_ns = s.link.idle_ns > s.now_ns ? s.link.idle_ns - s.now_ns : 0;
		worst_ns = queue_ns > worst_ns ? queue_ns : worst_ns;
	}
	cr_assert_geq(sum_bps / 600, 1500000);
	cr_assert_leq(sum_bps / 600, 2050000);
	cr_assert_leq(worst_ns, 200 * MS, "a queue of %lu ms", worst_ns / MS);
	cr_assert_eq(s.estimator.acked_bps / 1000000, 1);
}

Test(bwe_estimator, follows_a_drop_within_a_second_and_says_delay)
{
	fill(3000000);
	subscriber_run(&s, 60 * S);
	cr_assert_geq(s.estimator.target_bps, 2000000);
	s.link.capacity_bps = 400000;
	s.link.queue_ns_max = 5 * S; // nothing is lost: delay alone tells
	subscriber_run(&s, 1500 * MS);
	cr_assert_leq(s.estimator.target_bps, 420000, "%lu b/s", s.estimator.target_bps);
	cr_assert_eq(s.estimator.reason, BWE_REASON_DELAY, "%s",
		     bwe_reason_name(s.estimator.reason));
	cr_assert_geq(s.estimator.target_bps, 150000, "%lu b/s", s.estimator.target_bps);
}

Test(bwe_estimator, gcc_6_loss_above_10_percent_bounds_and_5_percent_does_not)
{
	fill(5000000);
	subscriber_run(&s, 40 * S);
	s.link.loss = 0.05;
	subscriber_run(&s, 20 * S);
	cr_assert_geq(s.estimator.target_bps, 2500000, "%lu b/s", s.estimator.target_bps);
	cr_assert_neq(s.estimator.reason, BWE_REASON_LOSS);
	s.link.loss = 0.25;
	subscriber_run(&s, 15 * S);
	cr_assert_leq(s.estimator.target_bps, 1500000, "%lu b/s", s.estimator.target_bps);
	cr_assert_eq(s.estimator.reason, BWE_REASON_LOSS, "%s",
		     bwe_reason_name(s.estimator.reason));
	s.link.loss = 0;
	subscriber_run(&s, 30 * S);
	cr_assert_geq(s.estimator.target_bps, 2500000, "%lu b/s after the loss ended",
		      s.estimator.target_bps);
}

Test(bwe_estimator, a_source_that_sends_little_does_not_prove_much)
{
	subscriber_init(&s, 50000000);
	s.no_probes = true;
	s.fixed_bps = 300000;
	subscriber_run(&s, 60 * S);
	cr_assert_leq(s.estimator.target_bps, 700000, "%lu b/s", s.estimator.target_bps);
	cr_assert_eq(s.estimator.reason, BWE_REASON_APPLICATION, "%s",
		     bwe_reason_name(s.estimator.reason));
	cr_assert(s.estimator.is_application_limited);
}

Test(bwe_estimator, without_feedback_it_holds_then_decays_and_then_goes_on)
{
	uint64_t before_bps;

	fill(2000000);
	subscriber_run(&s, 30 * S);
	before_bps = s.estimator.target_bps;
	s.link.is_mute = true;
	subscriber_run(&s, 1800 * MS);
	cr_assert_geq(s.estimator.target_bps, before_bps * 9 / 10);
	subscriber_run(&s, 6 * S);
	cr_assert_leq(s.estimator.target_bps, before_bps / 2);
	cr_assert_eq(s.estimator.reason, BWE_REASON_STALE_FEEDBACK);
	subscriber_run(&s, 60 * S);
	cr_assert_eq(s.estimator.target_bps, BWE_MIN_BPS);
	s.link.is_mute = false;
	subscriber_run(&s, 200 * MS);
	cr_assert_neq(s.estimator.reason, BWE_REASON_STALE_FEEDBACK);
	subscriber_run(&s, 40 * S);
	cr_assert_geq(s.estimator.target_bps, 500000, "%lu b/s", s.estimator.target_bps);
}

Test(bwe_estimator, an_idle_subscriber_does_not_decay)
{
	struct bwe_estimator e;

	bwe_estimator_init(&e, 0, 0, 0);
	for (uint64_t t = 1; t < 600; t++)
		bwe_estimator_tick(&e, false, t * 100 * MS);
	cr_assert_eq(e.target_bps, BWE_START_BPS);
	cr_assert_eq(e.reason, BWE_REASON_STARTUP);
}

Test(bwe_estimator, remb_rules_where_there_is_no_transport_wide_feedback)
{
	struct bwe_estimator e;
	uint64_t now_ns = 100 * S;

	bwe_estimator_init(&e, 0, 0, 0);
	bwe_estimator_remb(&e, 1234000, now_ns);
	cr_assert_eq(e.target_bps, 1234000);
	cr_assert_eq(e.reason, BWE_REASON_REMB);
	bwe_estimator_receiver_report(&e, 0, 30 * MS, now_ns);
	cr_assert_eq(e.target_bps, 1234000);
	cr_assert_eq(e.rtt_ns, 30 * MS);
	// A quarter lost bounds it below what the subscriber says.
	bwe_estimator_receiver_report(&e, 64, 30 * MS, now_ns + 500 * MS);
	cr_assert_lt(e.target_bps, 1234000);
	cr_assert_eq(e.reason, BWE_REASON_LOSS);
}

Test(bwe_estimator, transport_wide_feedback_outranks_remb)
{
	fill(2000000);
	subscriber_run(&s, 20 * S);
	bwe_estimator_remb(&s.estimator, 60000, s.now_ns);
	cr_assert_geq(s.estimator.target_bps, 500000);
}

Test(bwe_estimator, reports_alone_let_it_grow)
{
	struct bwe_estimator e;
	uint64_t now_ns = 100 * S;

	bwe_estimator_init(&e, 0, 0, 0);
	for (uint32_t i = 0; i < 20; i++) {
		now_ns += S;
		bwe_estimator_receiver_report(&e, 0, 50 * MS, now_ns);
		bwe_estimator_tick(&e, true, now_ns);
	}
	cr_assert_geq(e.target_bps, 1500000, "%lu b/s", e.target_bps);
	cr_assert_leq(e.target_bps, 3000000, "%lu b/s", e.target_bps);
}

Test(bwe_estimator, a_probe_lifts_it_and_a_saturated_one_lowers_it)
{
	struct bwe_estimator e;
	struct bwe_packet p = { .send_ns = 99 * S, .size_bytes = 1000 };

	bwe_estimator_init(&e, 0, 0, 0);
	bwe_estimator_feedback(&e, &p, 1, 100 * S);
	bwe_estimator_probed(&e, 3000000, false, 100 * S);
	cr_assert_eq(e.target_bps, 3000000);
	bwe_estimator_probed(&e, 1000000, false, 101 * S);
	cr_assert_eq(e.target_bps, 3000000);
	bwe_estimator_probed(&e, 800000, true, 101 * S);
	cr_assert_eq(e.target_bps, 800000);
}

// What a hostile subscriber reports must not take the estimate out of its bounds, nor trip a
// sanitizer.
Test(bwe_estimator, nonsense_stays_within_the_bounds)
{
	struct bwe_estimator e;
	struct link random;
	struct bwe_packet packets[64];
	uint64_t now_ns = 100 * S;

	link_init(&random, 1);
	bwe_estimator_init(&e, 300000, 100000, 5000000);
	for (uint32_t round = 0; round < 20000; round++) {
		for (uint32_t i = 0; i < 64; i++)
			packets[i] = (struct bwe_packet){
				.send_ns = now_ns - (uint64_t)(link_random(&random) * 1e9),
				.arrival_ticks = (uint32_t)(link_random(&random) * 4294967295.0),
				.size_bytes = (uint16_t)(link_random(&random) * 65535),
				.flags = (uint8_t)(link_random(&random) * 4),
			};
		now_ns += (uint64_t)(link_random(&random) * 1e8);
		bwe_estimator_feedback(&e, packets, 64, now_ns);
		bwe_estimator_remb(&e, (uint64_t)(link_random(&random) * 1.8e19), now_ns);
		bwe_estimator_receiver_report(&e, (uint8_t)(link_random(&random) * 255),
					      (uint64_t)(link_random(&random) * 1e10), now_ns);
		bwe_estimator_tick(&e, round % 3 == 0, now_ns);
		cr_assert_geq(e.target_bps, 100000);
		cr_assert_leq(e.target_bps, 5000000);
		cr_assert_lt((int)e.reason, (int)BWE_REASON_COUNT);
	}
}
