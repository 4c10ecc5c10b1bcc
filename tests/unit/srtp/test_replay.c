// Replay window and index estimation, against a plain list of what was recorded.
#include <criterion/criterion.h>

#include "dataplane/srtp/replay.h"

Test(srtp_replay, rfc3711_3_3_2_refuses_what_was_seen)
{
	struct replay_window w = { 0 };

	cr_assert_eq(replay_check(&w, 100), REPLAY_FRESH);
	replay_record(&w, 100);
	cr_assert_eq(replay_check(&w, 100), REPLAY_SEEN);
	cr_assert_eq(replay_check(&w, 99), REPLAY_FRESH);
	cr_assert_eq(replay_check(&w, 101), REPLAY_FRESH);
}

Test(srtp_replay, rfc3711_3_3_2_window_is_at_least_64)
{
	struct replay_window w = { 0 };

	replay_record(&w, 1000);
	cr_assert_eq(replay_check(&w, 1000 - 63), REPLAY_FRESH);
	cr_assert_eq(replay_check(&w, 1000 - REPLAY_WINDOW_PKTS + 1), REPLAY_FRESH);
	cr_assert_eq(replay_check(&w, 1000 - REPLAY_WINDOW_PKTS), REPLAY_TOO_OLD);
	cr_assert_eq(replay_check(&w, 0), REPLAY_TOO_OLD);
}

Test(srtp_replay, check_changes_nothing)
{
	struct replay_window w = { 0 };
	struct replay_window before;

	replay_record(&w, 1000);
	before = w;
	replay_check(&w, UINT64_C(1) << 47);
	replay_check(&w, 990);
	cr_assert_eq(memcmp(&w, &before, sizeof(w)), 0);
}

Test(srtp_replay, record_ignores_what_check_refuses)
{
	struct replay_window w = { 0 };
	struct replay_window before;

	replay_record(&w, 1000);
	before = w;
	replay_record(&w, 1000);
	replay_record(&w, 1000 - REPLAY_WINDOW_PKTS);
	cr_assert_eq(memcmp(&w, &before, sizeof(w)), 0);
}

// Index 0 may be the first packet, and is not to be taken twice.
Test(srtp_replay, index_0_is_an_index)
{
	struct replay_window w = { 0 };

	cr_assert_eq(replay_check(&w, 0), REPLAY_FRESH);
	replay_record(&w, 0);
	cr_assert_eq(replay_check(&w, 0), REPLAY_SEEN);
}

#define MODEL_INDICES 4096

Test(srtp_replay, agrees_with_a_list)
{
	for (uint32_t seed = 1; seed <= 50; seed++) {
		static uint8_t seen[MODEL_INDICES];
		struct replay_window w = { 0 };
		uint64_t highest = 0;
		bool is_started = false;

		memset(seen, 0, sizeof(seen));
		srandom(seed);
		for (uint32_t i = 0; i < 4000; i++) {
			uint64_t step = (uint64_t)random() % (i % 97 == 0 ? 300 : 140);
			uint64_t index = highest + 10 > step ? highest + 10 - step : 0;
			enum replay_verdict expected = REPLAY_FRESH;

			if (i % 97 == 0)
				index = highest + step; // a leap
			if (index >= MODEL_INDICES)
				break;
			if (is_started && index + REPLAY_WINDOW_PKTS <= highest)
				expected = REPLAY_TOO_OLD;
			else if (seen[index])
				expected = REPLAY_SEEN;
			cr_assert_eq(replay_check(&w, index), expected, "index %lu highest %lu",
				     index, highest);
			if (expected != REPLAY_FRESH)
				continue;
			replay_record(&w, index);
			seen[index] = 1;
			is_started = true;
			highest = index > highest ? index : highest;
		}
	}
}

static uint64_t estimate(uint64_t highest, uint16_t sequence)
{
	struct replay_window w = { .highest = highest, .is_started = 1 };

	return replay_rtp_index(&w, sequence);
}

Test(srtp_replay, rfc3711_3_3_1_index_follows_the_nearest_roc)
{
	struct replay_window fresh = { 0 };

	cr_assert_eq(replay_rtp_index(&fresh, 65000), 65000);
	cr_assert_eq(estimate(0x0ffff, 0), 0x10000);
	cr_assert_eq(estimate(0x10000, 0xffff), 0x0ffff);
	cr_assert_eq(estimate(0x1fff0, 0x0010), 0x20010);
	cr_assert_eq(estimate(0x20010, 0xfff0), 0x1fff0);
	cr_assert_eq(estimate(0x21234, 0x1235), 0x21235);
	cr_assert_eq(estimate(0x28000, 0x0001), 0x20001);
	cr_assert_eq(estimate(0x27fff, 0xffff), 0x2ffff);
}

// Nothing lies below ROC 0, and above the last ROC only a new key (RFC 3711 §9.2).
Test(srtp_replay, index_stays_in_48_bits)
{
	cr_assert_eq(estimate(0x00010, 0xfff0), 0x0fff0);
	cr_assert_eq(estimate(REPLAY_RTP_INDEX_MAX, 5), REPLAY_RTP_INDEX_MAX - 0xffff + 5);
}
