// When probes are sent and how their results are read.
#include <criterion/criterion.h>

#include "controlplane/sfu/bwe/probe.h"
#include "link.h"

static struct bwe_probe p;
static struct bwe_probe_cluster cluster;

static struct bwe_probe_input input(uint64_t estimate_bps, uint64_t wanted_bps)
{
	return (struct bwe_probe_input){ estimate_bps, wanted_bps, BWE_USAGE_NORMAL, true };
}

// Sends a cluster over a link and brings back the records; true with a result.
static bool carry(uint64_t capacity_bps, double loss, struct bwe_probe_result *result)
{
	static struct link link;
	static struct bwe_packet packets[LINK_KEPT_PKTS];
	double credit_bits = 0;

	link_init(&link, capacity_bps);
	link.loss = loss;
	for (uint64_t at_ns = cluster.begin_ns; at_ns < cluster.end_ns + 100 * MS; at_ns += MS) {
		bool is_probe = at_ns < cluster.end_ns;

		credit_bits += (is_probe ? (double)cluster.target_bps : 100000) / 1000;
		for (; credit_bits > 8000; credit_bits -= 8000)
			link_send(&link, at_ns, 1000, is_probe ? BWE_PACKET_F_PROBE : 0);
	}
	bwe_probe_feedback(&p, packets,
			   link_feedback(&link, cluster.end_ns + 10 * S, packets, LINK_KEPT_PKTS));
	return bwe_probe_result(&p, cluster.end_ns + 500 * MS, result);
}

static void start(struct bwe_probe_input *in, uint64_t now_ns)
{
	bwe_probe_init(&p);
	for (uint32_t i = 0; i < 2; i++) {
		struct bwe_probe_result result;

		cr_assert(bwe_probe_next(&p, in, now_ns, &cluster));
		cr_assert_eq(cluster.cause, BWE_PROBE_START);
		cr_assert_eq(cluster.target_bps, in->estimate_bps * (i ? 6 : 3));
		cr_assert(carry(50000, 0, &result));
	}
}

Test(bwe_probe, two_clusters_at_the_start_three_and_six_times)
{
	struct bwe_probe_input in = input(500000, 0);

	start(&in, 100 * S);
	cr_assert_not(bwe_probe_next(&p, &in, 101 * S, &cluster));
	cr_assert_not(bwe_probe_next(&p, &in, 200 * S, &cluster), "nothing more is wanted");
}

Test(bwe_probe, one_at_a_time_and_none_without_feedback)
{
	struct bwe_probe_input in = input(500000, 5000000);

	in.can_probe = false;
	bwe_probe_init(&p);
	cr_assert_not(bwe_probe_next(&p, &in, 100 * S, &cluster));
	in.can_probe = true;
	cr_assert(bwe_probe_next(&p, &in, 100 * S, &cluster));
	cr_assert(bwe_probe_is_running(&p));
	cr_assert_not(bwe_probe_next(&p, &in, 100 * S + MS, &cluster));
}

Test(bwe_probe, measures_what_the_path_carries)
{
	struct bwe_probe_input in = input(1000000, 10000000);
	struct bwe_probe_result result;

	start(&in, 100 * S);
	cr_assert(bwe_probe_next(&p, &in, 110 * S, &cluster));
	cr_assert_eq(cluster.cause, BWE_PROBE_PERIODIC);
	cr_assert_eq(cluster.target_bps, 2000000);
	cr_assert(carry(50000000, 0, &result));
	cr_assert_geq(result.bps, 1900000);
	cr_assert_leq(result.bps, 2100000);
	cr_assert_not(result.is_saturated);
	// Success: the next step at once.
	in.estimate_bps = 2000000;
	cr_assert(bwe_probe_next(&p, &in, 110 * S + 600 * MS, &cluster));
	cr_assert_eq(cluster.cause, BWE_PROBE_FURTHER);
	cr_assert_eq(cluster.target_bps, 4000000);
	cr_assert(carry(3000000, 0, &result));
	cr_assert(result.is_saturated);
	cr_assert_geq(result.bps, 2700000, "%lu b/s", result.bps);
	cr_assert_leq(result.bps, 3000000, "%lu b/s", result.bps);
	// Failure: not at once, but within the longest pause.
	in.estimate_bps = result.bps;
	cr_assert_not(bwe_probe_next(&p, &in, 113 * S, &cluster));
	cr_assert(bwe_probe_next(&p, &in, 116 * S, &cluster));
}

Test(bwe_probe, no_further_than_what_is_wanted)
{
	struct bwe_probe_input in = input(1000000, 1200000);

	start(&in, 100 * S);
	cr_assert(bwe_probe_next(&p, &in, 110 * S, &cluster));
	cr_assert_leq(cluster.target_bps, 1320000);
	cr_assert_geq(cluster.target_bps, 1200000);
}

Test(bwe_probe, a_lost_cluster_says_nothing)
{
	struct bwe_probe_input in = input(1000000, 10000000);
	struct bwe_probe_result result;

	start(&in, 100 * S);
	cr_assert(bwe_probe_next(&p, &in, 110 * S, &cluster));
	cr_assert(carry(50000000, 0.4, &result));
	cr_assert_eq(result.bps, 0);
	// Not a single record: over after a second.
	cr_assert(bwe_probe_next(&p, &in, 120 * S, &cluster));
	cr_assert_not(bwe_probe_result(&p, 120 * S + 500 * MS, &result));
	cr_assert(bwe_probe_result(&p, 122 * S, &result));
	cr_assert_eq(result.bps, 0);
}

Test(bwe_probe, soon_after_bandwidth_was_taken_away)
{
	struct bwe_probe_result result;
	struct bwe_probe_input in = input(2000000, 10000000);

	start(&in, 100 * S);
	cr_assert_not(bwe_probe_next(&p, &in, 101 * S, &cluster));
	in.estimate_bps = 300000;
	cr_assert_not(bwe_probe_next(&p, &in, 101 * S + 100 * MS, &cluster));
	cr_assert(bwe_probe_next(&p, &in, 102 * S + 700 * MS, &cluster));
	cr_assert_eq(cluster.cause, BWE_PROBE_RECOVER);
	cr_assert_eq(cluster.target_bps, 600000);
	cr_assert(bwe_probe_result(&p, 104 * S, &result), "not a single record");
	cr_assert_not(bwe_probe_is_running(&p));
	in.usage = BWE_USAGE_OVER;
	cr_assert_not(bwe_probe_next(&p, &in, 130 * S, &cluster), "not into a queue that grows");
}

// Sends the first 50 of a cluster's 200 ms, of which the path carries a part.
static void carry_the_beginning(double loss, uint64_t now_ns)
{
	static struct link link;
	static struct bwe_packet packets[LINK_KEPT_PKTS];

	link_init(&link, 50000000);
	link.loss = loss;
	for (uint64_t i = 0; i < 20; i++)
		link_send(&link, now_ns + i * 5 * MS / 2, 1200, BWE_PACKET_F_PROBE);
	bwe_probe_feedback(&p, packets,
			   link_feedback(&link, now_ns + 10 * S, packets, LINK_KEPT_PKTS));
}

Test(bwe_probe, ends_when_the_first_feedback_tells_of_a_queue_or_of_loss)
{
	struct bwe_probe_input in = input(2000000, 10000000);
	struct bwe_probe_result result;

	start(&in, 100 * S);
	cr_assert(bwe_probe_next(&p, &in, 110 * S, &cluster));
	cr_assert_not(bwe_probe_cut(&p, BWE_USAGE_OVER, 110 * S + 80 * MS), "of something else");
	carry_the_beginning(0, 110 * S);
	cr_assert_not(bwe_probe_cut(&p, BWE_USAGE_NORMAL, 110 * S + 80 * MS), "all is well");
	cr_assert_not(bwe_probe_result(&p, 110 * S + 80 * MS, &result));
	cr_assert(bwe_probe_cut(&p, BWE_USAGE_OVER, 110 * S + 80 * MS));
	cr_assert_not(bwe_probe_cut(&p, BWE_USAGE_OVER, 110 * S + 90 * MS), "told once");
	// What came back until then counts.
	cr_assert(bwe_probe_result(&p, 111 * S + 100 * MS, &result));
	cr_assert_geq(result.bps, 3600000, "%lu b/s", result.bps);
	cr_assert_leq(result.bps, 4000000, "%lu b/s", result.bps);

	cr_assert(bwe_probe_next(&p, &in, 120 * S, &cluster));
	carry_the_beginning(0.5, 120 * S);
	cr_assert(bwe_probe_cut(&p, BWE_USAGE_NORMAL, 120 * S + 80 * MS));
	cr_assert(bwe_probe_result(&p, 121 * S + 100 * MS, &result));
	cr_assert_eq(result.bps, 0);
}
