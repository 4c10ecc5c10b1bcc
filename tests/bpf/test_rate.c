// The rate limit per source prefix: what it counts, what it never touches, and that it refills.
#include <time.h>

#include "dataplane/contract/wire/stun.h"
#include "tests/bpf/harness.h"

TestSuite(rate, .init = harness_open, .fini = harness_close);

static void limit(uint64_t per_sec, uint64_t burst, uint8_t prefix_v4, uint8_t prefix_v6)
{
	struct xdp_filter_config config = harness_config();

	config.rate_per_sec = per_sec;
	config.rate_burst = burst;
	config.rate_prefix_v4 = prefix_v4;
	config.rate_prefix_v6 = prefix_v6;
	harness_configure(&config);
}

static struct frame frame_of(const char *source, const char *destination, uint16_t type)
{
	struct message m;
	struct frame f;

	message_begin(&m, type);
	frame_build(&f, &(struct frame_spec){ .source = source,
					      .destination = destination,
					      .payload = m.bytes,
					      .payload_bytes = m.n_bytes });
	return f;
}

// How many of n requests pass.
static uint32_t passed(const char *source, const char *destination, uint16_t type, uint32_t n)
{
	struct frame f = frame_of(source, destination, type);
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		count += harness_run(&f, NULL) != XDP_DROP;
	return count;
}

Test(rate, burst_passes_and_the_rest_is_dropped_and_counted)
{
	uint64_t now[XDP_COUNTER_COUNT];

	limit(1, 10, 32, 64);
	cr_assert_eq(passed(CLIENT_V4, RELAY_V4, STUN_BINDING_REQUEST, 50), 10);
	cr_assert_eq(passed(CLIENT_V6, RELAY_V6, TURN_ALLOCATE_REQUEST, 50), 10);
	cr_assert_eq(xdp_filter_counters_read(harness.filter, now), 0);
	cr_assert_eq(now[XDP_COUNTER_DROPPED_OVER_RATE], 80);
	cr_assert_eq(now[XDP_COUNTER_ANSWERED_BINDING], 10);
	cr_assert_eq(now[XDP_COUNTER_STEERED_LISTENER], 10);
}

Test(rate, one_source_does_not_starve_another)
{
	limit(1, 5, 32, 64);
	cr_assert_eq(passed("198.18.0.10:1000", RELAY_V4, STUN_BINDING_REQUEST, 20), 5);
	cr_assert_eq(passed("198.18.0.10:2000", RELAY_V4, STUN_BINDING_REQUEST, 20), 0);
	cr_assert_eq(passed("198.18.0.11:1000", RELAY_V4, STUN_BINDING_REQUEST, 20), 5);
}

Test(rate, prefixes_share_a_bucket)
{
	limit(1, 5, 24, 56);
	cr_assert_eq(passed("203.0.113.1:1000", RELAY_V4, STUN_BINDING_REQUEST, 5), 5);
	cr_assert_eq(passed("203.0.113.255:1000", RELAY_V4, STUN_BINDING_REQUEST, 5), 0);
	cr_assert_eq(passed("203.0.112.255:1000", RELAY_V4, STUN_BINDING_REQUEST, 5), 5);
	cr_assert_eq(passed("[2001:db8:0:100::1]:9", RELAY_V6, STUN_BINDING_REQUEST, 5), 5);
	cr_assert_eq(passed("[2001:db8:0:1ff::1]:9", RELAY_V6, STUN_BINDING_REQUEST, 5), 0);
	cr_assert_eq(passed("[2001:db8:0:200::1]:9", RELAY_V6, STUN_BINDING_REQUEST, 5), 5);
}

Test(rate, zero_means_no_limit)
{
	limit(0, 0, 0, 0);
	cr_assert_eq(passed(CLIENT_V4, RELAY_V4, STUN_BINDING_REQUEST, 5000), 5000);
}

Test(rate, media_and_indications_are_never_limited)
{
	static const uint8_t channel_data[] = { 0x40, 0, 0, 4, 'd', 'a', 't', 'a' };
	struct frame channel, relayed;

	limit(1, 1, 32, 64);
	cr_assert_eq(passed(CLIENT_V4, RELAY_V4, STUN_BINDING_REQUEST, 5), 1);
	cr_assert_eq(passed(CLIENT_V4, RELAY_V4, TURN_SEND_INDICATION, 200), 200);
	frame_build(&channel, &(struct frame_spec){ .payload = channel_data, .payload_bytes = 8 });
	frame_build(&relayed, &(struct frame_spec){ .destination = RELAYED_V4,
						    .payload = channel_data,
						    .payload_bytes = 8 });
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(harness_run(&channel, NULL), XDP_REDIRECT);
		cr_assert_eq(harness_run(&relayed, NULL), XDP_REDIRECT);
	}
}

Test(rate, bucket_refills_at_its_rate_and_never_above_its_burst)
{
	struct timespec wait = { .tv_nsec = 200000000 };
	uint32_t n;

	limit(100, 30, 32, 64);
	cr_assert_eq(passed(CLIENT_V4, RELAY_V4, STUN_BINDING_REQUEST, 1000) >= 30, true);
	nanosleep(&wait, NULL);
	n = passed(CLIENT_V4, RELAY_V4, STUN_BINDING_REQUEST, 1000);
	cr_assert(n >= 18 && n <= 60, "%u passed after 200 ms at 100/s", n);
	wait.tv_sec = 1;
	nanosleep(&wait, NULL);
	n = passed(CLIENT_V4, RELAY_V4, STUN_BINDING_REQUEST, 31);
	cr_assert(n >= 30, "%u passed after a rest", n);
}

Test(rate, sources_beyond_the_table_do_not_stop_it)
{
	limit(1, 1, 32, 64);
	for (uint32_t i = 0; i < 2 * XDP_FILTER_SOURCES_MAX; i++) {
		static struct frame f;

		if (i == 0)
			f = frame_of(CLIENT_V4, RELAY_V4, TURN_ALLOCATE_REQUEST);
		bytes_put_be32(f.bytes + 26, 0x01000000 + i);
		cr_assert_eq(harness_run(&f, NULL), XDP_REDIRECT, "source %u", i);
	}
	cr_assert_eq(passed(CLIENT_V4, RELAY_V4, STUN_BINDING_REQUEST, 5), 1);
}

// ---- bytes out against bytes in

static void credit(uint32_t bytes)
{
	struct xdp_filter_config config = harness_config();

	config.answer_credit_bytes = bytes;
	harness_configure(&config);
}

// Sends n plain Binding requests; returns how many were answered and adds up bytes of IP packets.
static uint32_t answered(const char *source, const char *destination, uint32_t n,
			 uint64_t *in_bytes, uint64_t *out_bytes)
{
	struct frame f = frame_of(source, destination, STUN_BINDING_REQUEST), out;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		*in_bytes += f.n_bytes - 14;
		if (harness_run(&f, &out) != XDP_TX)
			continue;
		*out_bytes += out.n_bytes - 14;
		count++;
	}
	return count;
}

Test(rate, a_prefix_gets_no_more_bytes_than_it_sent)
{
	static const char *const from[] = { CLIENT_V4, CLIENT_V6 };
	static const char *const to[] = { RELAY_V4, RELAY_V6 };
	uint64_t now[XDP_COUNTER_COUNT];

	credit(512);
	for (int i = 0; i < 2; i++) {
		uint64_t in_bytes = 0, out_bytes = 0;
		uint32_t n;

		// The credit is for the first requests of those behind one address …
		n = answered(from[i], to[i], 15, &in_bytes, &out_bytes);
		cr_assert_eq(n, 15, "%u of 15", n);
		answered(from[i], to[i], 2000, &in_bytes, &out_bytes);
		cr_assert_leq(out_bytes, in_bytes, "with the credit counted in");
		// … and once it is used up, requests pay for their answers, and most are answered still.
		in_bytes = out_bytes = 0;
		n = answered(from[i], to[i], 5000, &in_bytes, &out_bytes);
		cr_assert_leq(out_bytes, in_bytes);
		cr_assert_geq(n, 3000, "%u of 5000", n);
	}
	cr_assert_eq(xdp_filter_counters_read(harness.filter, now), 0);
	cr_assert_gt(now[XDP_COUNTER_DROPPED_UNPAID], 1000);
	cr_assert_eq(now[XDP_COUNTER_DROPPED_OVER_RATE], 0);
}

Test(rate, credit_of_one_prefix_is_not_anothers)
{
	uint64_t in_bytes = 0, out_bytes = 0;

	credit(512);
	answered("198.18.0.10:1000", RELAY_V4, 5000, &in_bytes, &out_bytes);
	cr_assert_eq(answered("198.18.0.11:1000", RELAY_V4, 20, &in_bytes, &out_bytes), 20);
}

Test(rate, credit_comes_back_to_a_prefix_that_was_silent)
{
	struct timespec wait = { .tv_sec = 1 };
	uint64_t in_bytes = 0, out_bytes = 0;
	uint32_t n;

	credit(512);
	answered(CLIENT_V4, RELAY_V4, 2000, &in_bytes, &out_bytes);
	nanosleep(&wait, NULL);
	n = answered(CLIENT_V4, RELAY_V4, 20, &in_bytes, &out_bytes);
	cr_assert_lt(n, 20, "a second is no silence");
	wait.tv_sec = 11;
	nanosleep(&wait, NULL);
	n = answered(CLIENT_V4, RELAY_V4, 20, &in_bytes, &out_bytes);
	cr_assert_eq(n, 20);
}

Test(rate, other_requests_cost_no_credit)
{
	uint64_t in_bytes = 0, out_bytes = 0;

	credit(100);
	answered(CLIENT_V4, RELAY_V4, 2000, &in_bytes, &out_bytes);
	cr_assert_eq(passed(CLIENT_V4, RELAY_V4, TURN_ALLOCATE_REQUEST, 500), 500);
}
