// The delay detector and the throughput window (draft-ietf-rmcat-gcc-02 §4, §5).
#include <criterion/criterion.h>

#include "controlplane/sfu/bwe/throughput.h"
#include "controlplane/sfu/bwe/trendline.h"
#include "link.h"

// Packets every 10 ms whose delay grows by `growth_ms` each; returns after how many overuse was
// seen, 0 if never.
static uint32_t feed(struct bwe_trendline *t, int64_t *send_ns, double *delay_ms, double growth_ms,
		     uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		*send_ns += 10 * (int64_t)MS;
		*delay_ms += growth_ms;
		bwe_trendline_packet(t, *send_ns, *send_ns + (int64_t)(*delay_ms * (double)MS));
		if (t->usage == BWE_USAGE_OVER)
			return i + 1;
	}
	return 0;
}

Test(bwe_detector, gcc_5_4_a_growing_queue_is_overuse_a_draining_one_underuse)
{
	struct bwe_trendline t;
	int64_t send_ns = 1000 * (int64_t)S;
	double delay_ms = 50;
	uint32_t seen;

	bwe_trendline_init(&t);
	cr_assert_eq(feed(&t, &send_ns, &delay_ms, 0, 200), 0);
	cr_assert_eq(t.usage, BWE_USAGE_NORMAL);
	seen = feed(&t, &send_ns, &delay_ms, 2, 100);
	cr_assert(seen > 0 && seen < 40, "overuse after %u packets", seen);
	for (uint32_t i = 0; i < 30; i++)
		feed(&t, &send_ns, &delay_ms, -1, 1);
	cr_assert_eq(t.usage, BWE_USAGE_UNDER);
	for (uint32_t i = 0; i < 60; i++)
		feed(&t, &send_ns, &delay_ms, 0, 1);
	cr_assert_eq(feed(&t, &send_ns, &delay_ms, 0, 200), 0);
	cr_assert_eq(t.usage, BWE_USAGE_NORMAL);
}

Test(bwe_detector, gcc_5_4_the_threshold_follows_jitter_up_and_down)
{
	struct bwe_trendline t;
	int64_t send_ns = 1000 * (int64_t)S;
	double delay_ms = 50;

	bwe_trendline_init(&t);
	for (uint32_t i = 0; i < 3000; i++)
		feed(&t, &send_ns, &delay_ms, (i / 25) % 2 ? 2 : -2, 1);
	cr_assert_gt(t.threshold_ms, 9.0);
	for (uint32_t i = 0; i < 3000; i++)
		feed(&t, &send_ns, &delay_ms, 0, 1);
	cr_assert_float_eq(t.threshold_ms, 6.0, 0.1);
}

Test(bwe_detector, gcc_4_a_burst_within_5_ms_is_one_sample)
{
	struct bwe_trendline t;

	bwe_trendline_init(&t);
	for (int64_t frame = 0; frame < 30; frame++)
		for (int64_t i = 0; i < 8; i++) {
			int64_t send_ns = (1000 + frame * 33) * (int64_t)MS + i * 300000;

			bwe_trendline_packet(&t, send_ns, send_ns + 20 * (int64_t)MS + i * 700000);
		}
	// The last frame is still open, the first has nothing to be compared with.
	cr_assert_eq(t.n_deltas, 28);
	cr_assert_eq(t.usage, BWE_USAGE_NORMAL);
}

Test(bwe_detector, a_pause_starts_it_anew)
{
	struct bwe_trendline t;
	int64_t send_ns = 1000 * (int64_t)S;
	double delay_ms = 50;

	bwe_trendline_init(&t);
	feed(&t, &send_ns, &delay_ms, 0, 100);
	send_ns += 10 * (int64_t)S;
	delay_ms += 500; // another route
	cr_assert_eq(feed(&t, &send_ns, &delay_ms, 0, 100), 0);
	cr_assert_lt(t.n_deltas, 100);
}

Test(bwe_detector, throughput_is_of_the_last_half_second)
{
	struct bwe_throughput t = { 0 };
	int64_t at_ns = 7 * (int64_t)S;

	cr_assert_eq(bwe_throughput_bps(&t), 0);
	bwe_throughput_add(&t, at_ns, 1000);
	cr_assert_eq(bwe_throughput_bps(&t), 0);
	for (uint32_t i = 0; i < 1000; i++)
		bwe_throughput_add(&t, at_ns += (int64_t)MS, 125);
	cr_assert_geq(bwe_throughput_bps(&t), 970000);
	cr_assert_leq(bwe_throughput_bps(&t), 1030000);
	for (uint32_t i = 0; i < 500; i++)
		bwe_throughput_add(&t, at_ns += (int64_t)MS, 250);
	cr_assert_geq(bwe_throughput_bps(&t), 1940000);
	// Out of order, and too old to count.
	bwe_throughput_add(&t, at_ns - (int64_t)S, 1000000);
	cr_assert_leq(bwe_throughput_bps(&t), 2060000);
	bwe_throughput_add(&t, at_ns + 10 * (int64_t)S, 125);
	cr_assert_eq(bwe_throughput_bps(&t), 0);
}
