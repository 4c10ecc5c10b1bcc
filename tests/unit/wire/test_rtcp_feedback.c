// RTCP feedback: generic NACK, PLI (RFC 4585 §6), FIR (RFC 5104 §4.3.1), REMB (draft-alvestrand-rmcat-remb-03 §2.2).
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/rtcp_feedback.h"
#include "tests/unit/wire/guarded.h"

static struct rtcp_view packet(const uint8_t *buf, size_t len_bytes)
{
	struct bytes_reader r = bytes_reader_init(buf, len_bytes);
	struct rtcp_view v;

	cr_assert_eq(rtcp_next(&r, &v), 1);
	cr_assert_eq(bytes_left(&r), 0);
	return v;
}

Test(rtcp_feedback, rfc4585_6_2_1_nack)
{
	// 0xfffe with the 1st, 3rd and 16th behind it, and 0x0100 alone: the first wraps.
	static const uint8_t nack[] = { 0x81, 205, 0,    4,    0,    0,    0, 1, 0, 0,
					0,    2,   0xff, 0xfe, 0x80, 0x05, 1, 0, 0, 0 };
	static const uint16_t lost[] = { 0xfffe, 0xffff, 0x0001, 0x000e, 0x0100 };
	struct rtcp_view v = packet(nack, sizeof(nack));
	struct rtcp_feedback feedback;
	struct rtcp_nack_reader r;
	struct bytes_writer w;
	uint8_t buf[sizeof(nack)];
	uint16_t sequence;

	cr_assert_eq(rtcp_nack_parse(&v, &feedback, &r), 0);
	cr_assert_eq(feedback.sender_ssrc, 1);
	cr_assert_eq(feedback.media_ssrc, 2);
	for (size_t i = 0; i < 5; i++) {
		cr_assert(rtcp_nack_next(&r, &sequence));
		cr_assert_eq(sequence, lost[i], "%zu: %x", i, sequence);
	}
	cr_assert_not(rtcp_nack_next(&r, &sequence));
	w = bytes_writer_init(buf, sizeof(buf));
	rtcp_nack_put(&w, 1, 2, lost, 5);
	cr_assert_eq(w.len_bytes, sizeof(nack));
	cr_assert_eq(memcmp(buf, nack, sizeof(nack)), 0);
	w = bytes_writer_init(buf, sizeof(buf) - 1);
	rtcp_nack_put(&w, 1, 2, lost, 5);
	cr_assert(w.overflow);
	w = bytes_writer_init(buf, sizeof(buf));
	rtcp_nack_put(&w, 1, 2, lost, 0);
	cr_assert(w.len_bytes == 0 && !w.overflow);
	v.body_bytes = 8;
	cr_assert_eq(rtcp_nack_parse(&v, &feedback, &r), -EINVAL, "no entry");
	v.body_bytes = 14;
	cr_assert_eq(rtcp_nack_parse(&v, &feedback, &r), -EINVAL, "half an entry");
	v.body_bytes = 16;
	v.count = RTCP_RTPFB_TWCC;
	cr_assert_eq(rtcp_nack_parse(&v, &feedback, &r), -EINVAL);
}

// The 17th behind a packet id needs an entry of its own; disorder and repeats lose nothing.
Test(rtcp_feedback, rfc4585_6_2_1_nack_entries)
{
	static const struct {
		uint16_t lost[4];
		uint32_t n, entries;
	} cases[] = {
		{ { 10, 26 }, 2, 1 }, { { 10, 27 }, 2, 2 },        { { 10, 10, 11 }, 3, 1 },
		{ { 11, 10 }, 2, 2 }, { { 65535, 15, 16 }, 3, 2 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t buf[64];
		struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));
		struct rtcp_feedback feedback;
		struct rtcp_nack_reader r;
		struct rtcp_view v;
		uint16_t sequence, before = (uint16_t)(cases[i].lost[0] - 1);
		uint32_t at = 0;

		rtcp_nack_put(&w, 1, 2, cases[i].lost, cases[i].n);
		v = packet(buf, w.len_bytes);
		cr_assert_eq(rtcp_nack_parse(&v, &feedback, &r), 0);
		cr_assert_eq(feedback.fci_bytes, 4 * cases[i].entries, "%zu", i);
		while (rtcp_nack_next(&r, &sequence)) {
			while (at > 0 && at < cases[i].n && cases[i].lost[at] == before)
				at++;
			cr_assert_eq(sequence, cases[i].lost[at], "%zu", i);
			before = sequence;
			at++;
		}
		cr_assert_eq(at, cases[i].n, "%zu", i);
	}
}

Test(rtcp_feedback, rfc4585_6_3_1_pli)
{
	static const uint8_t pli[] = { 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2 };
	struct rtcp_view v = packet(pli, sizeof(pli));
	struct rtcp_feedback feedback;
	uint8_t buf[12];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));

	cr_assert(rtcp_is_pli(&v));
	cr_assert_eq(rtcp_feedback_parse(&v, &feedback), 0);
	cr_assert(feedback.sender_ssrc == 1 && feedback.media_ssrc == 2 && feedback.fci_bytes == 0);
	rtcp_pli_put(&w, 1, 2);
	cr_assert_eq(w.len_bytes, 12);
	cr_assert_eq(memcmp(buf, pli, 12), 0);
	for (v.body_bytes = 0; v.body_bytes < 8; v.body_bytes++)
		cr_assert_eq(rtcp_feedback_parse(&v, &feedback), -EINVAL);
	v.type = RTCP_TYPE_APP;
	cr_assert_eq(rtcp_feedback_parse(&v, &feedback), -EINVAL);
	cr_assert_not(rtcp_is_pli(&v));
}

Test(rtcp_feedback, rfc5104_4_3_1_fir)
{
	static const uint8_t fir[] = { 0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
				       0,    2,   9, 0, 0, 0, 0, 0, 0, 3, 8, 0, 0, 0 };
	struct rtcp_view v = packet(fir, sizeof(fir));
	const struct rtcp_fir_entry entry = { .ssrc = 2, .sequence_number = 9 };
	struct rtcp_feedback feedback;
	uint8_t buf[20];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));

	cr_assert_eq(rtcp_fir_parse(&v, &feedback), 2);
	cr_assert_eq(rtcp_fir_entry_read(&feedback, 0).ssrc, 2);
	cr_assert_eq(rtcp_fir_entry_read(&feedback, 0).sequence_number, 9);
	cr_assert_eq(rtcp_fir_entry_read(&feedback, 1).ssrc, 3);
	cr_assert_eq(rtcp_fir_entry_read(&feedback, 1).sequence_number, 8);
	for (v.body_bytes = 0; v.body_bytes < 24; v.body_bytes++)
		cr_assert_eq(rtcp_fir_parse(&v, &feedback), v.body_bytes == 16 ? 1 : -EINVAL);
	rtcp_fir_put(&w, 1, &entry);
	cr_assert_eq(w.len_bytes, 20);
	cr_assert_eq(buf[3], 4);
	cr_assert_eq(memcmp(buf + 4, fir + 4, 16), 0);
}

// The example bytes that libwebrtc and others test with: 8927168 bit/s = 139487 * 2^6.
Test(rtcp_feedback, remb)
{
	static const uint8_t remb[] = { 0x8f, 206,  0,    0x5,  0,    0,    0,    1,
					0,    0,    0,    0,    'R',  'E',  'M',  'B',
					1,    0x1a, 0x20, 0xdf, 0x48, 0x74, 0x23, 0xa1 };
	const uint32_t ssrc = 0x487423a1;
	struct rtcp_view v = packet(remb, sizeof(remb));
	struct rtcp_remb parsed;
	uint8_t buf[24], bad[24];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));

	cr_assert_eq(rtcp_remb_parse(&v, &parsed), 0);
	cr_assert_eq(parsed.bits_per_sec, 8927168);
	cr_assert_eq(parsed.n_ssrcs, 1);
	cr_assert_eq(bytes_get_be32(parsed.ssrcs), ssrc);
	rtcp_remb_put(&w, 1, 8927168 + 63, &ssrc, 1);
	cr_assert_eq(w.len_bytes, sizeof(remb));
	cr_assert_eq(memcmp(buf, remb, sizeof(remb)), 0, "rounded down");
	for (v.body_bytes = 0; v.body_bytes < 20; v.body_bytes++)
		cr_assert_eq(rtcp_remb_parse(&v, &parsed), -EINVAL);
	memcpy(bad, remb, sizeof(bad));
	v = packet(bad, sizeof(bad));
	bad[16] = 2;
	cr_assert_eq(rtcp_remb_parse(&v, &parsed), -EINVAL, "the count is not the length's");
	bad[16] = 1;
	bad[15] = 'X';
	cr_assert_eq(rtcp_remb_parse(&v, &parsed), -EINVAL, "another application's");
	bad[15] = 'B';
	bad[17] = 63 << 2 | 1;
	cr_assert_eq(rtcp_remb_parse(&v, &parsed), -EINVAL, "over 64 bits");
}

Test(rtcp_feedback, remb_every_magnitude)
{
	for (uint32_t shift = 0; shift < 64; shift++) {
		uint64_t rate = UINT64_MAX >> shift;
		uint8_t buf[64];
		struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));
		struct rtcp_remb parsed;
		struct rtcp_view v;

		rtcp_remb_put(&w, 1, rate, NULL, 0);
		v = packet(buf, w.len_bytes);
		cr_assert_eq(rtcp_remb_parse(&v, &parsed), 0);
		cr_assert_leq(parsed.bits_per_sec, rate);
		cr_assert_leq(rate - parsed.bits_per_sec, rate >> 17);
	}
}
