// Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/rtcp_twcc.h"
#include "tests/unit/wire/guarded.h"

#define LOST RTCP_TWCC_LOST

// Chromium's bytes: one packet, 153, received 37 ms after 4057090 * 64 ms; one byte of padding.
static const uint8_t chromium[] = { 0xaf, 0xcd, 0,    5,    0xfa, 0x17, 0xfa, 0x17,
				    0x43, 0x03, 0x2f, 0xa0, 0,    0x99, 0,    0x01,
				    0x3d, 0xe8, 0x02, 0x17, 0x20, 0x01, 0x94, 0x01 };

static struct rtcp_view packet(const uint8_t *buf, size_t len_bytes)
{
	struct bytes_reader r = bytes_reader_init(buf, len_bytes);
	struct rtcp_view v;

	cr_assert_eq(rtcp_next(&r, &v), 1);
	return v;
}

Test(rtcp_twcc, chromium_example)
{
	struct rtcp_view v = packet(chromium, sizeof(chromium));
	struct rtcp_twcc_status status;
	struct rtcp_twcc_reader r;
	struct rtcp_twcc twcc;
	int64_t arrival_ticks;
	uint8_t buf[24];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));

	cr_assert_eq(rtcp_twcc_parse(&v, &twcc), 0);
	cr_assert_eq(twcc.sender_ssrc, 0xfa17fa17);
	cr_assert_eq(twcc.media_ssrc, 0x43032fa0);
	cr_assert_eq(twcc.base_sequence, 153);
	cr_assert_eq(twcc.n_statuses, 1);
	cr_assert_eq(twcc.n_received, 1);
	cr_assert_eq(twcc.reference_units, 4057090);
	cr_assert_eq(twcc.feedback_count, 23);
	r = rtcp_twcc_reader_init(&twcc);
	cr_assert(rtcp_twcc_next(&r, &status));
	cr_assert_eq(status.sequence, 153);
	cr_assert(status.received);
	cr_assert_eq(status.arrival_ticks, INT64_C(4057090) * 256 + 37000 / 250);
	cr_assert_not(rtcp_twcc_next(&r, &status));
	arrival_ticks = status.arrival_ticks;
	cr_assert_eq(rtcp_twcc_put(&w, 0xfa17fa17, 0x43032fa0, 23, 153, &arrival_ticks, 1), 1);
	cr_assert_eq(w.len_bytes, 24);
	cr_assert_eq(memcmp(buf, chromium, 24), 0);
}

// Fixed part of a message: reference time -1 (24 bits), base sequence 65534.
#define MESSAGE(words, statuses)                                                                   \
	0x8f, 205, 0, words, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0, statuses, 0xff, 0xff, 0xff, 5

// Every kind of chunk (§3.1.3, §3.1.4); 'x' lost, otherwise the ticks behind the one before.
Test(rtcp_twcc, chunks)
{
	static const struct {
		const char *name;
		uint8_t bytes[40];
		size_t len_bytes;
		int statuses[16]; // ticks behind the last arrival, INT_MAX: lost
		uint32_t n;
		int ret;
	} cases[] = {
#define X INT32_MAX
		{ "run of lost", { MESSAGE(5, 3), 0x00, 0x03, 0, 0 }, 24, { X, X, X }, 3, 0 },
		{ "run of small",
		  { MESSAGE(6, 3), 0x20, 0x03, 1, 255, 0, 0, 0, 0 },
		  28,
		  { 1, 255, 0 },
		  3,
		  0 },
		{ "run of large",
		  { MESSAGE(6, 2), 0x40, 0x02, 0xff, 0xff, 0x7f, 0xff, 0, 0 },
		  28,
		  { -1, 32767 },
		  2,
		  0 },
		{ "run longer than the count",
		  { MESSAGE(5, 1), 0x3f, 0xff, 9, 0 },
		  24,
		  { 9 },
		  1,
		  0 },
		{ "one-bit vector, 10…01 of 14",
		  { MESSAGE(5, 14), 0xa0, 0x01, 4, 5 },
		  24,
		  { 4, X, X, X, X, X, X, X, X, X, X, X, X, 5 },
		  14,
		  0 },
		{ "two-bit vector, 1 0 2 0 0 0 1 of 7",
		  { MESSAGE(6, 7), 0xd2, 0x01, 1, 0x01, 0x00, 2, 0, 0 },
		  28,
		  { 1, X, 256, X, X, X, 2 },
		  7,
		  0 },
		{ "vector cut by the count",
		  { MESSAGE(5, 2), 0xbf, 0xff, 1, 2 },
		  24,
		  { 1, 2 },
		  2,
		  0 },
		{ "two chunks",
		  { MESSAGE(6, 9), 0xd2, 0x01, 0x20, 0x02, 1, 1, 0, 2, 3, 4, 0, 0 },
		  28,
		  { 1, X, 256, X, X, X, 2, 3 },
		  0,
		  -EINVAL },
		{ "no status", { MESSAGE(5, 0), 0x20, 0x01, 1, 0 }, 24, { 0 }, 0, -EINVAL },
		{ "run of none", { MESSAGE(5, 1), 0x20, 0x00, 0x20, 0x01 }, 24, { 0 }, 0, -EINVAL },
		{ "reserved symbol in a run",
		  { MESSAGE(5, 1), 0x60, 0x01, 1, 1 },
		  24,
		  { 0 },
		  0,
		  -EINVAL },
		{ "reserved symbol in a vector",
		  { MESSAGE(5, 1), 0xf0, 0x00, 1, 1 },
		  24,
		  { 0 },
		  0,
		  -EINVAL },
		{ "chunks missing", { MESSAGE(5, 15), 0x80, 0, 0x80 }, 22, { 0 }, 0, -EINVAL },
		{ "deltas missing", { MESSAGE(5, 3), 0x20, 3, 1, 2 }, 24, { 0 }, 0, -EINVAL },
		{ "half a large delta", { MESSAGE(5, 2), 0xd8, 0, 1, 2 }, 24, { 0 }, 0, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *p = guarded_copy(cases[i].bytes, cases[i].len_bytes);
		struct rtcp_view v = { .body = p + 4,
				       .body_bytes = (uint32_t)cases[i].len_bytes - 4,
				       .type = RTCP_TYPE_RTPFB,
				       .count = RTCP_RTPFB_TWCC };
		struct rtcp_twcc_status status;
		struct rtcp_twcc_reader r;
		struct rtcp_twcc twcc;
		int64_t ticks = -256;
		int ret = rtcp_twcc_parse(&v, &twcc);

		cr_assert_eq(ret, cases[i].ret, "%s: %d", cases[i].name, ret);
		if (ret != 0)
			continue;
		cr_assert_eq(twcc.reference_units, -1);
		cr_assert_eq(twcc.n_statuses, cases[i].n);
		r = rtcp_twcc_reader_init(&twcc);
		for (uint32_t s = 0; s < cases[i].n; s++) {
			cr_assert(rtcp_twcc_next(&r, &status));
			cr_assert_eq(status.sequence, (uint16_t)(65534 + s));
			cr_assert_eq(status.received, cases[i].statuses[s] != X, "%s %u",
				     cases[i].name, s);
			if (status.received)
				ticks += cases[i].statuses[s];
			cr_assert_eq(status.arrival_ticks, ticks, "%s %u", cases[i].name, s);
		}
		cr_assert_not(rtcp_twcc_next(&r, &status));
	}
#undef X
}

Test(rtcp_twcc, truncated_at_every_length)
{
	for (uint32_t n = 0; n < 19; n++) {
		struct rtcp_view v = { .body = guarded_copy(chromium + 4, n),
				       .body_bytes = n,
				       .type = RTCP_TYPE_RTPFB,
				       .count = RTCP_RTPFB_TWCC };
		struct rtcp_twcc twcc;

		cr_assert_eq(rtcp_twcc_parse(&v, &twcc), -EINVAL, "%u", n);
	}
}

// Sends the arrivals through as many messages as it takes, each of at most `room_bytes`; returns their number.
static uint32_t round_trip(const int64_t *arrival_ticks, uint32_t n, size_t room_bytes)
{
	uint32_t told = 0, n_messages = 0;

	while (told < n) {
		uint8_t buf[1500];
		struct bytes_writer w = bytes_writer_init(buf, room_bytes);
		struct rtcp_twcc_status status;
		struct rtcp_twcc_reader r;
		struct rtcp_twcc twcc;
		struct rtcp_view v;
		uint32_t taken =
			rtcp_twcc_put(&w, 1, 2, (uint8_t)n_messages, (uint16_t)(65000 + told),
				      arrival_ticks + told, n - told);

		cr_assert_neq(taken, 0);
		cr_assert_not(w.overflow);
		cr_assert_eq(rtcp_check(buf, w.len_bytes, true), 0);
		v = packet(buf, w.len_bytes);
		cr_assert_eq(rtcp_twcc_parse(&v, &twcc), 0);
		cr_assert_eq(twcc.n_statuses, taken);
		r = rtcp_twcc_reader_init(&twcc);
		for (uint32_t i = 0; i < taken; i++) {
			cr_assert(rtcp_twcc_next(&r, &status));
			cr_assert_eq(status.sequence, (uint16_t)(65000 + told + i));
			cr_assert_eq(status.received, arrival_ticks[told + i] != LOST);
			if (status.received)
				cr_assert_eq((uint32_t)status.arrival_ticks,
					     (uint32_t)arrival_ticks[told + i]);
		}
		told += taken;
		n_messages++;
	}
	return n_messages;
}

Test(rtcp_twcc, built_from_arrivals)
{
	static int64_t ticks[3000];
	uint32_t n = sizeof(ticks) / sizeof(ticks[0]);
	uint64_t random = 1;

	// Steady: runs of small deltas, 1024 to a message.
	for (uint32_t i = 0; i < n; i++)
		ticks[i] = (INT64_C(1) << 40) + 4 * i;
	cr_assert_eq(round_trip(ticks, n, 1500), 3);
	// Anything: losses, disorder, small and large, before and after 0.
	for (uint32_t i = 0; i < n; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		ticks[i] = -5000 + 10 * (int64_t)i + (int64_t)(random >> 55);
		if (i > 0 && (random >> 40 & 7) < (i / 100) % 4)
			ticks[i] = LOST;
	}
	for (size_t room_bytes = 64; room_bytes <= 1500; room_bytes += 359)
		cr_assert_gt(round_trip(ticks, 97, room_bytes), 0);
}

Test(rtcp_twcc, built_up_to_a_gap_and_to_the_room)
{
	const int64_t gap[] = { 0, 32767, 65535, 0, LOST };
	const int64_t lost[] = { LOST, LOST };
	uint8_t buf[64];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));

	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, 1, gap, 5), 2, "32768 ticks do not fit");
	w = bytes_writer_init(buf, sizeof(buf));
	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, 1, gap + 3, 2), 2);
	w = bytes_writer_init(buf, sizeof(buf));
	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, 1, lost, 2), 0);
	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, 1, gap, 0), 0);
	cr_assert_eq(w.len_bytes, 0);
	w = bytes_writer_init(buf, 23);
	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, 1, gap, 1), 0);
	w = bytes_writer_init(buf, 24);
	cr_assert_eq(rtcp_twcc_put(&w, 1, 2, 0, 1, gap, 1), 1);
	cr_assert_eq(w.len_bytes, 24);
}
