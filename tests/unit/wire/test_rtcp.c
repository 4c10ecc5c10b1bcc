// RTCP: the walk (RFC 3550 §6.1, RFC 5506), reports, SDES, BYE, APP.
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/rtcp.h"
#include "tests/unit/wire/guarded.h"

// SR with one report block, SDES with CNAME and a rid, XR, BYE with a reason, APP with 4 bytes of padding.
static const uint8_t compound[] = {
	0x81, 200,  0,    12,   0x11, 0x11, 0x11, 0x11,                    // SR of 0x11111111
	0xe0, 0x00, 0x00, 0x01, 0x80, 0x00, 0x00, 0x00,                    // NTP
	0,    0,    0x10, 0,    0,    0,    0,    7,    0,   0,   0x10, 0, // RTP time, packets, bytes
	0x22, 0x22, 0x22, 0x22, 0x40, 0xff, 0xff, 0xfe, 0,   1,   0,    9,   // block: 1/4 lost, -2
	0,    0,    0,    5,    0,    1,    0x80, 0,    0,   0,   0x80, 0,   // jitter, LSR, DLSR
	0x82, 202,  0,    5,    0x11, 0x11, 0x11, 0x11,                      // SDES, 2 chunks
	1,    2,    'a',  'b',  12,   1,    'h',  0,                         // CNAME "ab", rid "h"
	0x22, 0x22, 0x22, 0x22, 1,    0,    0,    0,                         // CNAME ""
	0x80, 207,  0,    1,    0x11, 0x11, 0x11, 0x11,                      // XR
	0x81, 203,  0,    2,    0x11, 0x11, 0x11, 0x11, 3,   'b', 'y',  'e', // BYE
	0xa5, 204,  0,    4,    0x11, 0x11, 0x11, 0x11, 't', 'e', 's',  't', 1,
	2,    3,    4,    0,    0,    0,    4, // APP
};

// The n-th packet of a datagram.
static struct rtcp_view packet_at(const uint8_t *buf, size_t len_bytes, uint32_t n)
{
	struct bytes_reader r = bytes_reader_init(buf, len_bytes);
	struct rtcp_view v;

	do {
		cr_assert_eq(rtcp_next(&r, &v), 1);
	} while (n-- > 0);
	return v;
}

Test(rtcp, rfc3550_6_1_walk)
{
	static const uint8_t types[] = { 200, 202, 207, 203, 204 };
	struct bytes_reader r = bytes_reader_init(compound, sizeof(compound));
	struct rtcp_view v;
	uint32_t ssrc;

	for (size_t i = 0; i < sizeof(types); i++) {
		cr_assert_eq(rtcp_next(&r, &v), 1);
		cr_assert_eq(v.type, types[i]);
		cr_assert(rtcp_sender_ssrc(&v, &ssrc));
		cr_assert_eq(ssrc, 0x11111111);
	}
	cr_assert_eq(v.padding_bytes, 4);
	cr_assert_eq(v.body_bytes, 12);
	cr_assert_eq(rtcp_next(&r, &v), 0);
	cr_assert_eq(rtcp_check(compound, sizeof(compound), false), 0);
}

// Cut anywhere but between two packets, the datagram is refused.
Test(rtcp, rfc3550_6_1_truncated_at_every_length)
{
	static const size_t ends[] = { 52, 76, 84, 96, 116 };

	cr_assert_eq(sizeof(compound), 116);
	for (size_t n = 0; n <= sizeof(compound); n++) {
		const uint8_t *p = guarded_copy(compound, n);
		bool whole = false;

		for (size_t i = 0; i < 5; i++)
			whole |= n == ends[i];
		cr_assert_eq(rtcp_check(p, n, false), whole ? 0 : -EINVAL, "%zu", n);
	}
}

Test(rtcp, rfc5506_reduced_size)
{
	const uint8_t pli[] = { 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2 };

	cr_assert_eq(rtcp_check(pli, sizeof(pli), true), 0);
	cr_assert_eq(rtcp_check(pli, sizeof(pli), false), -EINVAL);
	cr_assert_eq(rtcp_check(pli, 0, true), -EINVAL);
}

Test(rtcp, rfc3550_6_refuses_version_and_padding)
{
	uint8_t rr[8 + 4] = { 0x80, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0 };
	uint32_t ssrc;

	for (uint32_t version = 0; version < 4; version++) {
		rr[0] = (uint8_t)(version << 6);
		cr_assert_eq(rtcp_check(rr, sizeof(rr), false), version == 2 ? 0 : -EINVAL);
	}
	rr[0] = 0xa0;
	for (uint32_t padding = 0; padding < 256; padding++) {
		rr[11] = (uint8_t)padding;
		cr_assert_eq(rtcp_check(rr, sizeof(rr), false),
			     padding >= 1 && padding <= 8 ? 0 : -EINVAL, "%u", padding);
	}
	{
		struct rtcp_view v = { .body = rr, .body_bytes = 3 };

		cr_assert_not(rtcp_sender_ssrc(&v, &ssrc));
	}
}

Test(rtcp, rfc3550_6_4_reports)
{
	struct rtcp_view v = packet_at(compound, sizeof(compound), 0);
	struct rtcp_report_block block;
	struct rtcp_sr sr;
	struct rtcp_rr rr;

	cr_assert_eq(rtcp_sr_parse(&v, &sr), 0);
	cr_assert_eq(sr.ssrc, 0x11111111);
	cr_assert_eq(sr.ntp, UINT64_C(0xe000000180000000));
	cr_assert_eq(sr.rtp_timestamp, 0x1000);
	cr_assert_eq(sr.sent_pkts, 7);
	cr_assert_eq(sr.sent_bytes, 0x1000);
	cr_assert_eq(sr.n_blocks, 1);
	block = rtcp_report_block_read(sr.blocks);
	cr_assert_eq(block.ssrc, 0x22222222);
	cr_assert_eq(block.fraction_lost, 0x40);
	cr_assert_eq(block.lost_pkts, -2);
	cr_assert_eq(block.highest_sequence, 0x10009);
	cr_assert_eq(block.jitter, 5);
	cr_assert_eq(block.last_sr, 0x18000);
	cr_assert_eq(block.delay_last_sr, 0x8000);
	cr_assert_eq(rtcp_rr_parse(&v, &rr), -EINVAL);
	v.count = 2;
	cr_assert_eq(rtcp_sr_parse(&v, &sr), -EINVAL, "the count promises two blocks");
	v.count = 0;
	cr_assert_eq(rtcp_sr_parse(&v, &sr), 0, "profile-specific bytes");
	for (v.count = 1, v.body_bytes = 0; v.body_bytes < 48; v.body_bytes++)
		cr_assert_eq(rtcp_sr_parse(&v, &sr), -EINVAL, "%u", v.body_bytes);
	v.type = RTCP_TYPE_RR;
	for (v.body_bytes = 0; v.body_bytes < 28; v.body_bytes++)
		cr_assert_eq(rtcp_rr_parse(&v, &rr), -EINVAL, "%u", v.body_bytes);
	cr_assert_eq(rtcp_rr_parse(&v, &rr), 0);
}

Test(rtcp, rfc3550_6_5_sdes)
{
	static const struct {
		uint32_t ssrc;
		uint8_t type;
		const char *text;
	} want[] = {
		{ 0x11111111, RTCP_SDES_CNAME, "ab" },
		{ 0x11111111, RTCP_SDES_RTP_STREAM_ID, "h" },
		{ 0x22222222, RTCP_SDES_CNAME, "" },
	};
	struct rtcp_view v = packet_at(compound, sizeof(compound), 1);
	struct rtcp_sdes_reader r = rtcp_sdes_reader_init(&v);
	struct rtcp_sdes_item item;

	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(rtcp_sdes_next(&r, &item), 1);
		cr_assert_eq(item.ssrc, want[i].ssrc);
		cr_assert_eq(item.type, want[i].type);
		cr_assert_eq(item.text_bytes, strlen(want[i].text));
		cr_assert_eq(memcmp(item.text, want[i].text, item.text_bytes), 0);
	}
	cr_assert_eq(rtcp_sdes_next(&r, &item), 0);
}

// An item that ends at a word is followed by a whole word of zeros before the next chunk.
Test(rtcp, rfc3550_6_5_sdes_item_that_fills_its_word)
{
	static const uint8_t body[] = { 0, 0, 0, 1, 1, 2, 'a', 'b', 0, 0, 0, 0,
					0, 0, 0, 2, 1, 2, 'c', 'd', 0, 0, 0, 0 };
	struct rtcp_view v = { .body = guarded_copy(body, sizeof(body)),
			       .body_bytes = sizeof(body),
			       .type = RTCP_TYPE_SDES,
			       .count = 2 };
	struct rtcp_sdes_reader r = rtcp_sdes_reader_init(&v);
	struct rtcp_sdes_item item;

	cr_assert_eq(rtcp_sdes_next(&r, &item), 1);
	cr_assert(item.ssrc == 1 && item.text[1] == 'b');
	cr_assert_eq(rtcp_sdes_next(&r, &item), 1);
	cr_assert(item.ssrc == 2 && item.text[1] == 'd');
	cr_assert_eq(rtcp_sdes_next(&r, &item), 0);
}

// Cut anywhere, the walk over the items ends with a fault and never leaves the body.
Test(rtcp, rfc3550_6_5_sdes_truncated_at_every_length)
{
	for (uint32_t n = 0; n < 20; n++) {
		struct rtcp_view v = { .body = guarded_copy(compound + 56, n),
				       .body_bytes = n,
				       .type = RTCP_TYPE_SDES,
				       .count = 2 };
		struct rtcp_sdes_reader r = rtcp_sdes_reader_init(&v);
		struct rtcp_sdes_item item;
		int ret;

		do {
			ret = rtcp_sdes_next(&r, &item);
		} while (ret == 1);
		cr_assert_eq(ret, -EINVAL, "%u", n);
		v.type = RTCP_TYPE_BYE;
		r = rtcp_sdes_reader_init(&v);
		cr_assert_eq(rtcp_sdes_next(&r, &item), 0, "another type has no items");
	}
}

Test(rtcp, rfc3550_6_6_bye)
{
	struct rtcp_view v = packet_at(compound, sizeof(compound), 3);
	struct rtcp_bye bye;

	cr_assert_eq(rtcp_bye_parse(&v, &bye), 0);
	cr_assert_eq(bye.n_ssrcs, 1);
	cr_assert_eq(bytes_get_be32(bye.ssrcs), 0x11111111);
	cr_assert_eq(bye.reason_bytes, 3);
	cr_assert_eq(memcmp(bye.reason, "bye", 3), 0);
	for (v.body_bytes = 0; v.body_bytes < 8; v.body_bytes++)
		cr_assert_eq(rtcp_bye_parse(&v, &bye), v.body_bytes == 4 ? 0 : -EINVAL);
	v.body_bytes = 4;
	cr_assert_eq(rtcp_bye_parse(&v, &bye), 0);
	cr_assert_null(bye.reason);
	v.body_bytes = 0;
	v.count = 0;
	cr_assert_eq(rtcp_bye_parse(&v, &bye), 0, "none leaves: legal, means nothing");
	v.type = RTCP_TYPE_APP;
	cr_assert_eq(rtcp_bye_parse(&v, &bye), -EINVAL);
}

Test(rtcp, rfc3550_6_7_app)
{
	struct rtcp_view v = packet_at(compound, sizeof(compound), 4);
	struct rtcp_app app;

	cr_assert_eq(rtcp_app_parse(&v, &app), 0);
	cr_assert_eq(app.subtype, 5);
	cr_assert_eq(memcmp(app.name, "test", 4), 0);
	cr_assert_eq(app.data_bytes, 4);
	cr_assert_eq(memcmp(app.data, "\1\2\3\4", 4), 0);
	v.body_bytes = 7;
	cr_assert_eq(rtcp_app_parse(&v, &app), -EINVAL);
}

Test(rtcp, built_compound_is_the_bytes_of_the_rfc)
{
	const struct rtcp_sr sr = { .ssrc = 0x11111111,
				    .ntp = UINT64_C(0xe000000180000000),
				    .rtp_timestamp = 0x1000,
				    .sent_pkts = 7,
				    .sent_bytes = 0x1000 };
	const struct rtcp_report_block block = { .ssrc = 0x22222222,
						 .fraction_lost = 0x40,
						 .lost_pkts = -2,
						 .highest_sequence = 0x10009,
						 .jitter = 5,
						 .last_sr = 0x18000,
						 .delay_last_sr = 0x8000 };
	static const uint8_t tail[] = {
		0x81, 201, 0, 7, 0, 0, 0, 1, // RR, then the block of the SR
	};
	static const uint8_t sdes[] = { 0x81, 202, 0, 3, 0, 0, 0, 1, 1, 2, 'a', 'b', 0, 0, 0, 0 };
	static const uint8_t bye[] = { 0x82, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2 };
	const uint32_t ssrcs[] = { 1, 2 };
	uint8_t buf[52 + 32 + 16 + 12];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));

	rtcp_sr_put(&w, &sr, &block, 1);
	rtcp_rr_put(&w, 1, &block, 1);
	rtcp_sdes_cname_put(&w, 1, "ab", 2);
	rtcp_bye_put(&w, ssrcs, 2);
	cr_assert_not(w.overflow);
	cr_assert_eq(w.len_bytes, sizeof(buf));
	cr_assert_eq(memcmp(buf, compound, 52), 0);
	cr_assert_eq(memcmp(buf + 52, tail, 8), 0);
	cr_assert_eq(memcmp(buf + 60, compound + 28, 24), 0);
	cr_assert_eq(memcmp(buf + 84, sdes, 16), 0);
	cr_assert_eq(memcmp(buf + 100, bye, 12), 0);
	cr_assert_eq(rtcp_check(buf, w.len_bytes, false), 0);
	rtcp_rr_put(&w, 1, NULL, 0);
	cr_assert(w.overflow);
	cr_assert_eq(w.len_bytes, sizeof(buf), "left out as a whole");
}

Test(rtcp, built_within_limits)
{
	struct rtcp_report_block blocks[32] = { { .lost_pkts = INT32_MAX },
						{ .lost_pkts = INT32_MIN } };
	static const char text[256];
	uint8_t buf[1024];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));
	struct rtcp_rr rr;
	struct rtcp_view v;

	rtcp_rr_put(&w, 1, blocks, 31);
	cr_assert_not(w.overflow);
	v = packet_at(buf, w.len_bytes, 0);
	cr_assert_eq(rtcp_rr_parse(&v, &rr), 0);
	cr_assert_eq(rr.n_blocks, 31);
	cr_assert_eq(rtcp_report_block_read(rr.blocks).lost_pkts, 0x7fffff);
	cr_assert_eq(rtcp_report_block_read(rr.blocks + 24).lost_pkts, -0x800000);
	rtcp_rr_put(&w, 1, blocks, 32);
	cr_assert(w.overflow);
	for (size_t n = 0; n <= 256; n++) {
		w = bytes_writer_init(buf, sizeof(buf));
		rtcp_sdes_cname_put(&w, 1, text, n);
		cr_assert_eq(w.overflow, n > 255);
		if (n > 255)
			continue;
		cr_assert_eq(rtcp_check(buf, w.len_bytes, true), 0);
		cr_assert_eq(buf[w.len_bytes - 1], 0, "a chunk ends with a zero");
	}
	w = bytes_writer_init(buf, sizeof(buf));
	rtcp_bye_put(&w, NULL, 32);
	cr_assert(w.overflow);
}
