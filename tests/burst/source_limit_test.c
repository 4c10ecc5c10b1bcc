// Limits per source prefix, and the latency buckets: pure parts of the dataplane.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/source_limit.h"
#include "dataplane/worker.h"

#define SECOND 1000000000ull

static struct dp_source_limit *limit_new(void)
{
	struct dp_source_limit *l = malloc(sizeof(*l));

	cr_assert_not_null(l);
	dp_source_limit_init(l, 12345);
	return l;
}

static struct ip_address address(const char *text)
{
	struct ip_address a;

	cr_assert_eq(ip_address_parse(text, &a), 0);
	return a;
}

Test(source_limit, tokens_run_out_and_come_back_at_their_rate)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address a = address("192.0.2.1");
	uint64_t now = 5 * SECOND;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 100; i++)
		n += dp_source_may_punt(dp_source_get(l, &a, now, 10, 20), 10);
	cr_assert_eq(n, 20);
	// A second in steps of 100 us: ten more, no fraction lost and none won.
	for (uint32_t i = 0; i < 10000; i++) {
		now += SECOND / 10000;
		n += dp_source_may_punt(dp_source_get(l, &a, now, 10, 20), 10);
	}
	cr_assert_eq(n, 30);
	now += 3600 * SECOND;
	for (uint32_t i = 0; i < 100; i++)
		n += dp_source_may_punt(dp_source_get(l, &a, now, 10, 20), 10);
	cr_assert_eq(n, 50);
	free(l);
}

Test(source_limit, ipv4_by_address_and_ipv6_by_64)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address v4a = address("192.0.2.1");
	struct ip_address v4b = address("192.0.2.2");
	struct ip_address v6a = address("2001:db8:1:2::1");
	struct ip_address v6b = address("2001:db8:1:2:ffff::9");
	struct ip_address v6c = address("2001:db8:1:3::1");

	cr_assert_neq(dp_source_get(l, &v4a, SECOND, 1, 1), dp_source_get(l, &v4b, SECOND, 1, 1));
	cr_assert_eq(dp_source_get(l, &v6a, SECOND, 1, 1), dp_source_get(l, &v6b, SECOND, 1, 1));
	cr_assert_neq(dp_source_get(l, &v6a, SECOND, 1, 1), dp_source_get(l, &v6c, SECOND, 1, 1));
	free(l);
}

Test(source_limit, no_rate_means_no_limit)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address a = address("192.0.2.1");

	for (uint32_t i = 0; i < 1000; i++)
		cr_assert(dp_source_may_punt(dp_source_get(l, &a, SECOND, 0, 0), 0));
	free(l);
}

Test(source_limit, a_flood_of_new_sources_recycles_the_longest_unseen)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address steady = address("192.0.2.1");
	uint64_t now = SECOND;
	uint32_t n_answers = 0;

	// The steady one has had its first answer while a million others pass by.
	for (uint32_t i = 0; i < 1000000; i++) {
		uint8_t v4[4] = { 11, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
		struct ip_address other = ip_address_from_v4(v4);

		now += 1000;
		dp_source_get(l, &other, now, 1, 1);
		if (i % 100 == 0)
			n_answers +=
				dp_source_may_answer(dp_source_get(l, &steady, now, 1, 1), 56, 104);
	}
	// 10000 requests: 56/104 of them are paid for.
	cr_assert_leq(n_answers, 10000 * 49 / 104 + DP_ANSWER_CREDIT_BYTES / 48);
	free(l);
}

// A window that begins with a prefix' first request: all that it ever gets beyond what it sent is its first
// credit, and that is soon paid back.
Test(source_limit, bytes_out_stay_below_bytes_in)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address a = address("192.0.2.1");
	uint64_t in_bytes = 0;
	uint64_t out_bytes = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		uint64_t now = SECOND + i * (i % 7) * 1000;
		struct dp_source *s = dp_source_get(l, &a, now, 1, 1);
		uint32_t request_bytes = 48 + i * 13 % 40;

		in_bytes += request_bytes;
		if (dp_source_may_answer(s, request_bytes, 104))
			out_bytes += 104;
		cr_assert(in_bytes < 9 * DP_ANSWER_CREDIT_BYTES || out_bytes <= in_bytes,
			  "request %u: %lu for %lu", i, out_bytes, in_bytes);
		cr_assert_leq(out_bytes, in_bytes + DP_ANSWER_CREDIT_BYTES);
		cr_assert(i > 0 || out_bytes == 104);
	}
	// Nor does it starve: most of what came in was paid back.
	cr_assert_geq(out_bytes, in_bytes - in_bytes / 7);
	free(l);
}

// Nor can requests that are cheap to answer be saved up for a burst of others.
Test(source_limit, little_is_saved_for_later)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address a = address("192.0.2.1");
	uint32_t n = 0;

	for (uint32_t i = 0; i < 10000; i++)
		cr_assert(dp_source_may_answer(dp_source_get(l, &a, SECOND, 1, 1), 500, 64));
	for (uint32_t i = 0; i < 100; i++)
		n += dp_source_may_answer(dp_source_get(l, &a, SECOND, 1, 1), 0, 104);
	cr_assert_leq(n, DP_ANSWER_CREDIT_BYTES / 104);
	free(l);
}

Test(source_limit, a_client_that_sends_again_is_answered_amid_a_flood)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address a = address("192.0.2.1");
	uint32_t n_failed = 0;

	// Of 1000 clients behind the flooded prefix, each of which tries seven times.
	for (uint32_t client = 0; client < 1000; client++) {
		bool answered = false;

		for (uint32_t k = 0; k < 7 && !answered; k++) {
			for (uint32_t i = 0; i < 50 + (client * 31 + k * 17) % 23; i++)
				dp_source_may_answer(dp_source_get(l, &a, SECOND, 1, 1), 56, 104);
			answered =
				dp_source_may_answer(dp_source_get(l, &a, SECOND, 1, 1), 56, 104);
		}
		n_failed += !answered;
	}
	cr_assert_leq(n_failed, 20);
	free(l);
}

static uint32_t n_answers(struct dp_source_limit *l, const struct ip_address *a, uint64_t now,
			  uint32_t n_requests)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_requests; i++)
		n += dp_source_may_answer(dp_source_get(l, a, now, 1, 1), 56, 104);
	return n;
}

Test(source_limit, a_prefix_that_was_silent_begins_anew)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address a = address("192.0.2.1");

	cr_assert_eq(n_answers(l, &a, SECOND, 9), 9);
	n_answers(l, &a, SECOND, 1000);
	// Nine seconds do not count as silence, however often.
	for (uint64_t now = 10 * SECOND; now < 1000 * SECOND; now += 9 * SECOND)
		cr_assert_leq(n_answers(l, &a, now, 10), 6);
	cr_assert_eq(n_answers(l, &a, 1100 * SECOND, 9), 9);
	free(l);
}

Test(source_limit, a_proven_client_pays_for_newcomers_beside_it)
{
	struct dp_source_limit *l = limit_new();
	struct ip_address a = address("192.0.2.1");

	n_answers(l, &a, SECOND, 1001);
	for (uint32_t i = 0; i < 3; i++)
		dp_source_prove(dp_source_get(l, &a, SECOND, 1, 1), 160);
	cr_assert_eq(n_answers(l, &a, SECOND, 2), 2);
	free(l);
}

Test(stats, latency_buckets_grow_by_quarters_of_a_power_of_two)
{
	cr_assert_eq(dp_stats_latency_bucket(0), 0);
	cr_assert_eq(dp_stats_latency_bucket(1), 0);
	for (uint32_t i = 8; i < SHM_LATENCY_BUCKETS - 1; i++) {
		uint64_t low = (4 + i % 4) * (1ull << (i / 4)) / 4;
		uint64_t next = (4 + (i + 1) % 4) * (1ull << ((i + 1) / 4)) / 4;

		cr_assert_eq(dp_stats_latency_bucket(low), i);
		cr_assert_eq(dp_stats_latency_bucket(next - 1), i);
	}
	// A hiccup of the kernel is told from a worse one.
	cr_assert_eq(dp_stats_latency_bucket(14 * 1000 * 1000), SHM_LATENCY_BUCKETS - 2);
	cr_assert_eq(dp_stats_latency_bucket(UINT64_MAX), SHM_LATENCY_BUCKETS - 1);
}
