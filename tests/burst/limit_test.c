// Limits in bytes per second: exact over simulated time, sound before picture, one bucket for all workers; then through the
// pipeline, over UDP, streams and hairpins.
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/burst/streaming.h"

TestSuite(limit, .timeout = 60);
TestSuite(limit_relay, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

#define NS_PER_SEC 1000000000ull
#define N_SLOTS    16
#define EPOCH_NS   (500 * NS_PER_SEC)

static struct shm_limit limit[N_SLOTS];
static struct dp_limits limits;

static void limits_open(void)
{
	memset(limit, 0, sizeof(limit));
	cr_assert_eq(dp_limits_create(limit, N_SLOTS, &limits), 0);
}

// Bytes that pass of `per_s` datagrams per second in `seconds`.
static uint64_t offer(uint32_t slot, enum dp_limit_direction direction, uint32_t data_bytes,
		      uint32_t per_s, uint32_t seconds, bool is_urgent, uint64_t from_ns)
{
	uint64_t passed = 0;

	for (uint64_t i = 0; i < (uint64_t)per_s * seconds; i++) {
		if (dp_limit_take(&limits, slot, direction, data_bytes, is_urgent,
				  from_ns + i * NS_PER_SEC / per_s) == DP_LIMIT_PASS)
			passed += data_bytes;
	}
	return passed;
}

// ---- over simulated time

// Of twice the rate exactly the rate passes, and what the bucket held, for packets of every size.
Test(limit, is_exact_over_a_minute)
{
	static const uint32_t rates[] = { 2000, 30000, 250000, 12500000, 1250000000 };
	static const uint32_t sizes[] = { 60, 160, 1200, 8000 };

	limits_open();
	for (uint32_t i = 0; i < RTE_DIM(rates); i++) {
		for (uint32_t k = 0; k < RTE_DIM(sizes); k++) {
			uint32_t seconds = rates[i] > 10000000 ? 10 : 60;
			uint32_t per_s = 2 * rates[i] / sizes[k] + 1;
			double least;
			double most;
			double passed;

			// A debt of more than its bound is forgiven.
			if (rates[i] * 3ull < sizes[k])
				continue;
			if (per_s > 2000000)
				continue;
			memset(limits.bucket, 0, N_SLOTS * sizeof(*limits.bucket));
			limit[3].bytes_per_s = rates[i];
			passed = (double)offer(3, DP_LIMIT_UP, sizes[k], per_s, seconds, true,
					       EPOCH_NS);
			least = (double)rates[i] * seconds;
			most = (double)rates[i] * (seconds + 1) + sizes[k];
			cr_assert(passed >= 0.995 * least && passed <= 1.005 * most,
				  "%u bytes/s in packets of %u: %.0f bytes in %u s, not %.0f..%.0f",
				  rates[i], sizes[k], passed, seconds, least, most);
		}
	}
	dp_limits_destroy(&limits);
}

Test(limit, below_the_rate_nothing_is_dropped)
{
	limits_open();
	limit[3].bytes_per_s = 125000;
	cr_assert_eq(offer(3, DP_LIMIT_UP, 1000, 124, 60, false, EPOCH_NS), 124 * 60 * 1000);
	dp_limits_destroy(&limits);
}

// A key frame of three quarters of a second passes at once, and one of a second does not.
Test(limit, a_key_frame_passes_at_once)
{
	uint64_t passed = 0;

	limits_open();
	limit[3].bytes_per_s = 250000;
	for (uint32_t i = 0; i < 250; i++)
		passed += 1000 * (dp_limit_take(&limits, 3, DP_LIMIT_DOWN, 1000, false, EPOCH_NS) ==
				  DP_LIMIT_PASS);
	cr_assert(passed >= 187000 && passed <= 189000, "%lu bytes", passed);
	dp_limits_destroy(&limits);
}

Test(limit, directions_are_apart)
{
	limits_open();
	limit[3].bytes_per_s = 10000;
	offer(3, DP_LIMIT_UP, 1000, 100, 10, true, EPOCH_NS);
	cr_assert_eq(dp_limit_take(&limits, 3, DP_LIMIT_UP, 1000, true, EPOCH_NS + 10),
		     DP_LIMIT_ALLOCATION_USED_UP);
	cr_assert_eq(dp_limit_take(&limits, 3, DP_LIMIT_DOWN, 1000, true, EPOCH_NS + 10),
		     DP_LIMIT_PASS);
	cr_assert_eq(dp_limit_take(&limits, 4, DP_LIMIT_UP, 1000, true, EPOCH_NS + 10),
		     DP_LIMIT_PASS);
	dp_limits_destroy(&limits);
}

// Video of five times the rate beside a call's sound: not one packet of sound is lost, and the rate is kept.
Test(limit, video_goes_before_audio)
{
	uint64_t video = 0;
	uint32_t n_audio = 0;

	limits_open();
	limit[3].bytes_per_s = 60000;
	for (uint64_t ms = 0; ms < 60000; ms++) {
		uint64_t now_ns = EPOCH_NS + ms * 1000000;

		// 300 packets of 1000 bytes in a second; 50 of 120.
		if (ms % 10 < 3)
			video += 1000 * (dp_limit_take(&limits, 3, DP_LIMIT_UP, 1000, false,
						       now_ns) == DP_LIMIT_PASS);
		if (ms % 20 == 7)
			n_audio += dp_limit_take(&limits, 3, DP_LIMIT_UP, 120, true, now_ns) ==
				   DP_LIMIT_PASS;
	}
	cr_assert_eq(n_audio, 3000, "%u of 3000 packets of sound", n_audio);
	cr_assert(video >= 54000 * 59 && video <= 54000 * 61, "%lu bytes of video", video);
	dp_limits_destroy(&limits);
}

// All allocations of a user draw from one bucket, each within its own; what the user's refuses costs the allocation nothing.
Test(limit, a_user_over_all_allocations)
{
	uint64_t passed = 0;

	limits_open();
	for (uint32_t i = 2; i < 5; i++)
		limit[i] = (struct shm_limit){
			.bytes_per_s = 50000,
			.user_bytes_per_s = 60000,
			.user_idx = 9,
		};
	for (uint64_t ms = 0; ms < 30000; ms++) {
		for (uint32_t i = 2; i < 5; i++)
			passed += 100 * (dp_limit_take(&limits, i, DP_LIMIT_UP, 100, true,
						       EPOCH_NS + ms * 1000000) == DP_LIMIT_PASS);
	}
	cr_assert(passed >= 60000 * 30 && passed <= 60000 * 31 + 100, "%lu bytes", passed);
	// The last one in the row got next to nothing, and what the user's bucket refused was given back.
	dp_limit_take(&limits, 4, DP_LIMIT_UP, 100, true, EPOCH_NS + 29999000000);
	cr_assert_eq(dp_limit_take(&limits, 4, DP_LIMIT_UP, 100, true, EPOCH_NS + 29999000000),
		     DP_LIMIT_USER_USED_UP);
	cr_assert_lt(limits.bucket[4].allocation[DP_LIMIT_UP], EPOCH_NS + 30000000000);
	// A user is not the allocation with the same number.
	cr_assert_eq(limits.bucket[9].allocation[DP_LIMIT_UP], 0);
	dp_limits_destroy(&limits);
}

// Larger than the bucket, and the slot's next owner: both wait a bounded time.
Test(limit, a_debt_is_bounded)
{
	limits_open();
	limit[3].bytes_per_s = 1000;
	cr_assert_eq(dp_limit_take(&limits, 3, DP_LIMIT_UP, 60000, false, EPOCH_NS), DP_LIMIT_PASS);
	cr_assert_eq(dp_limit_take(&limits, 3, DP_LIMIT_UP, 1, true, EPOCH_NS + NS_PER_SEC),
		     DP_LIMIT_ALLOCATION_USED_UP);
	cr_assert_eq(dp_limit_take(&limits, 3, DP_LIMIT_UP, 1, true, EPOCH_NS + DP_LIMIT_DEBT_NS),
		     DP_LIMIT_PASS);
	dp_limits_destroy(&limits);
}

// What stands in shared memory is anything.
Test(limit, hostile_limits_reach_no_memory_but_the_buckets)
{
	limits_open();
	limit[3] = (struct shm_limit){ .user_bytes_per_s = 1, .user_idx = UINT32_MAX };
	limit[4] = (struct shm_limit){ .user_bytes_per_s = 1, .user_idx = N_SLOTS };
	limit[5] = (struct shm_limit){ .bytes_per_s = UINT32_MAX, .user_bytes_per_s = UINT32_MAX };
	for (uint32_t i = 0; i < 100; i++) {
		cr_assert_eq(dp_limit_take(&limits, 3, DP_LIMIT_UP, 65535, false, i), 0);
		cr_assert_eq(dp_limit_take(&limits, 4, DP_LIMIT_UP, 65535, false, i), 0);
		cr_assert_eq(dp_limit_take(&limits, 5, DP_LIMIT_UP, 65535, false, i), 0);
		cr_assert_eq(dp_limit_take(&limits, N_SLOTS + i, DP_LIMIT_UP, 65535, false, i), 0);
	}
	dp_limits_destroy(&limits);
}

struct pair_member {
	uint64_t passed;
	uint64_t *clock_ns;
};

// Takes as fast as it can while the other does; a third of the packets are refused by the user's bucket and given back.
static void *pair_run(void *arg)
{
	struct pair_member *m = arg;
	uint64_t now_ns;

	while ((now_ns = __atomic_fetch_add(m->clock_ns, 1000, __ATOMIC_RELAXED)) <
	       EPOCH_NS + 2 * NS_PER_SEC) {
		if (dp_limit_take(&limits, 3, DP_LIMIT_UP, 100, true, now_ns) == DP_LIMIT_PASS)
			m->passed += 100;
	}
	return NULL;
}

static uint64_t pair_passed(void)
{
	uint64_t clock_ns = EPOCH_NS;
	struct pair_member member[2] = { { .clock_ns = &clock_ns }, { .clock_ns = &clock_ns } };
	pthread_t thread[2];

	for (uint32_t i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, pair_run, &member[i]), 0);
	for (uint32_t i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return member[0].passed + member[1].passed;
}

// Two million datagrams of two workers within two seconds: together they get what one would get.
Test(limit, two_workers_share_a_bucket)
{
	uint64_t passed;

	limits_open();
	limit[3].bytes_per_s = 10000000;
	passed = pair_passed();
	cr_assert(passed >= 29900000 && passed <= 30100000, "%lu bytes of the allocation", passed);
	memset(limits.bucket, 0, N_SLOTS * sizeof(*limits.bucket));
	limit[3].bytes_per_s = 20000000;
	limit[3].user_bytes_per_s = 10000000;
	limit[3].user_idx = 3;
	passed = pair_passed();
	cr_assert(passed >= 29900000 && passed <= 30100000, "%lu bytes of the user", passed);
	dp_limits_destroy(&limits);
}

// RFC 5761 §4, RFC 3551 §6, RFC 7983 §7.
Test(limit, rfc5761_4_what_is_urgent)
{
	static const struct {
		uint8_t first;
		uint8_t second;
		uint32_t bytes;
		bool is_urgent;
	} expected[] = {
		{ 0x80, 111, 400, true }, // sound by its size
		{ 0x80, 111, 401, false },
		{ 0x90, 0x80 | 96, 1200, false },
		{ 0x80, 0, 1292, true }, // PCMU of 160 ms
		{ 0x80, 0x80 | 8, 1292, true },
		{ 0x80, 34, 1000, false }, // H.263
		{ 0x81, 200, 1200, true }, // SR
		{ 0x8f, 205, 1200, true }, // transport-wide feedback
		{ 0x81, 223, 1200, true },
		{ 0x81, 224, 1200, false },
		{ 0, 1, 600, true },       // a check of ICE
		{ 22, 0xfe, 1200, true },  // a certificate
		{ 23, 0xfe, 1200, false }, // a file over a data channel
		{ 0xc0, 0, 1200, false },
		{ 0x47, 0, 1316, false },
	};
	uint8_t bytes[2048] = { 0 };

	for (uint32_t i = 0; i < RTE_DIM(expected); i++) {
		bytes[0] = expected[i].first;
		bytes[1] = expected[i].second;
		cr_assert_eq(dp_limit_is_urgent(bytes, expected[i].bytes), expected[i].is_urgent,
			     "%02x %u, %u bytes", bytes[0], bytes[1], expected[i].bytes);
	}
	cr_assert(dp_limit_is_urgent(bytes, 0));
}

// ---- through the pipeline

// 10000 bytes per second hold 7500 of video: 15 datagrams of 500 at once. The clock goes on while they are sent: 500 bytes in 50 ms.
#define RATE  10000
#define VIDEO 0x90 // RTP, and then a dynamic payload type
#define LEAST 15
#define MOST  17

static void limit_set(uint32_t allocation_idx, uint32_t bytes_per_s, uint32_t user_bytes_per_s,
		      uint32_t user_idx)
{
	*limit_of(allocation_idx) = (struct shm_limit){
		.bytes_per_s = bytes_per_s,
		.user_bytes_per_s = user_bytes_per_s,
		.user_idx = user_idx,
	};
	flow_flags = SHM_FLOW_F_LIMITED;
	flow_allocation_idx = allocation_idx;
	data_first = VIDEO;
}

static void expect_limited(enum dp_counter passed, enum dp_counter dropped, uint32_t n)
{
	uint64_t n_passed = counted(passed);

	cr_assert(n_passed >= LEAST && n_passed <= MOST, "%lu passed", n_passed);
	cr_assert_eq(counted(dropped), n - n_passed);
	for (uint64_t i = 0; i < n_passed; i++)
		cr_assert(receive(&out));
	expect_nothing_sent();
	forget_counted();
}

Test(limit_relay, each_direction_of_an_allocation)
{
	struct shm_flow_key key = { .local_idx = LISTENER_V4,
				    .kind = SHM_FLOW_CHANNEL,
				    .channel_be = __builtin_bswap16(CHANNEL) };
	struct ip_endpoint client = endpoint(CLIENT_V4);
	uint64_t n_passed;

	limit_set(7, RATE, 0, 0);
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	flow_flags = 0;
	program_flow(OTHER_V4, RELAYED2_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < 30; i++)
		send_channel(CLIENT_V4, CHANNEL, 500);
	// What is dropped is not charged.
	n_passed = counted(DP_COUNTER_UP_CHANNEL);
	key.port_be = client.port_be;
	key.local_port_be = endpoint(LISTEN_V4).port_be;
	memcpy(key.address, client.address.bytes, 16);
	cr_assert_eq(usage_of(&key).pkts, n_passed);
	expect_limited(DP_COUNTER_UP_CHANNEL, DP_DROP_LIMIT_ALLOCATION, 30);
	for (uint32_t i = 0; i < 30; i++)
		send_from_peer(PEER_V4, RELAYED_V4, 500);
	expect_limited(DP_COUNTER_DOWN_CHANNEL, DP_DROP_LIMIT_ALLOCATION, 30);
	// What is small still passes, and others are not concerned.
	send_channel(CLIENT_V4, CHANNEL, 100);
	expect_only(DP_COUNTER_UP_CHANNEL);
	for (uint32_t i = 0; i < 30; i++)
		send_channel(OTHER_V4, CHANNEL, 500);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 30);
	cr_assert_eq(n_received(), n_outcomes());
}

Test(limit_relay, send_and_data_indications)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	limit_set(7, RATE, 0, 0);
	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	data_fill(500);
	for (uint32_t i = 0; i < 30; i++)
		send_datagram(&d, message, send_indication(message, PEER_V4, data, 500));
	expect_limited(DP_COUNTER_UP_SEND, DP_DROP_LIMIT_ALLOCATION, 30);
	for (uint32_t i = 0; i < 30; i++)
		send_from_peer(PEER_V4, RELAYED_V4, 500);
	expect_limited(DP_COUNTER_DOWN_DATA, DP_DROP_LIMIT_ALLOCATION, 30);
}

Test(limit_relay, a_user_with_two_allocations)
{
	limit_set(7, 0, RATE, 3);
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	limit_set(8, 0, RATE, 3);
	program_flow(OTHER_V4, RELAYED2_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < 30; i++)
		send_channel(i % 2 ? CLIENT_V4 : OTHER_V4, CHANNEL, 500);
	expect_limited(DP_COUNTER_UP_CHANNEL, DP_DROP_LIMIT_USER, 30);
}

Test(limit_relay, clients_on_streams)
{
	uint64_t n_passed;

	limit_set(7, RATE, 0, 0);
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < 30; i++)
		stream_send_channel(STREAM, CHANNEL, 500);
	expect_limited(DP_COUNTER_UP_CHANNEL, DP_DROP_LIMIT_ALLOCATION, 30);
	for (uint32_t i = 0; i < 30; i++)
		send_from_peer(PEER_V4, RELAYED_V4, 500);
	n_passed = counted(DP_COUNTER_DOWN_CHANNEL);
	cr_assert(n_passed >= LEAST && n_passed <= MOST);
	cr_assert_eq(counted(DP_DROP_LIMIT_ALLOCATION), 30 - n_passed);
}

// Each of the two allocations of a hairpin has its own limit.
Test(limit_relay, hairpins_at_both_ends)
{
	program_flow(CLIENT_V4, RELAYED_V4, RELAYED2_V4, CHANNEL);
	limit_set(8, RATE, 0, 0);
	program_flow(OTHER_V4, RELAYED2_V4, RELAYED_V4, CHANNEL + 5);
	for (uint32_t i = 0; i < 30; i++)
		send_channel(CLIENT_V4, CHANNEL, 500);
	expect_limited(DP_COUNTER_DOWN_CHANNEL, DP_DROP_LIMIT_ALLOCATION, 30);
	for (uint32_t i = 0; i < 30; i++)
		send_channel(OTHER_V4, CHANNEL + 5, 500);
	expect_limited(DP_COUNTER_DOWN_CHANNEL, DP_DROP_LIMIT_ALLOCATION, 30);
}

// A changed limit holds from the next packet on; a slot that is none has none.
Test(limit_relay, a_limit_that_changes)
{
	limit_set(7, 1, 0, 0);
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_channel(CLIENT_V4, CHANNEL, 500);
	expect_only(DP_COUNTER_UP_CHANNEL);
	send_channel(CLIENT_V4, CHANNEL, 500);
	expect_only(DP_DROP_LIMIT_ALLOCATION);
	limit_of(7)->bytes_per_s = 0;
	send_channel(CLIENT_V4, CHANNEL, 500);
	expect_only(DP_COUNTER_UP_CHANNEL);
	flow_allocation_idx = UINT32_MAX;
	program_flow(OTHER_V4, RELAYED2_V4, PEER_V4, CHANNEL);
	send_channel(OTHER_V4, CHANNEL, 500);
	expect_only(DP_COUNTER_UP_CHANNEL);
}
