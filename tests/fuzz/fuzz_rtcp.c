// RTCP: packets lie behind each other and fill the datagram; what is read of NACK, FIR, REMB, transport-wide feedback and reports
// is read again from what the writers make of it.
#include "dataplane/contract/wire/rtcp_twcc.h"
#include "tests/fuzz/fuzz.h"

#define LOST_MAX 4096

static uint8_t scratch[65536];

// The one packet that a writer made.
static struct rtcp_view rebuilt(const struct bytes_writer *w)
{
	struct bytes_reader r = bytes_reader_init(w->base, w->len_bytes);
	struct rtcp_view v;

	FUZZ_ASSERT(!w->overflow && rtcp_next(&r, &v) == 1 && bytes_left(&r) == 0);
	return v;
}

static void nack(const struct rtcp_view *v)
{
	static uint16_t lost[LOST_MAX];
	struct bytes_writer w = bytes_writer_init(scratch, sizeof(scratch));
	struct rtcp_feedback feedback;
	struct rtcp_nack_reader r;
	struct rtcp_view again;
	uint32_t n = 0, at = 0;
	uint16_t sequence;

	if (rtcp_nack_parse(v, &feedback, &r) != 0)
		return;
	while (n < LOST_MAX && rtcp_nack_next(&r, &sequence))
		// Repeats, which only a hostile message has, would be told once.
		if (n == 0 || (uint16_t)(sequence - lost[n - 1] - 1) < 0x7fff)
			lost[n++] = sequence;
	rtcp_nack_put(&w, feedback.sender_ssrc, feedback.media_ssrc, lost, n);
	again = rebuilt(&w);
	FUZZ_ASSERT(rtcp_nack_parse(&again, &feedback, &r) == 0);
	while (rtcp_nack_next(&r, &sequence)) {
		FUZZ_ASSERT(at < n && sequence == lost[at]);
		at++;
	}
	FUZZ_ASSERT(at == n);
}

static void transport_wide(const struct rtcp_view *v)
{
	static int64_t ticks[UINT16_MAX];
	struct rtcp_twcc twcc;
	struct rtcp_twcc_reader r;
	struct rtcp_twcc_status status;
	uint32_t n = 0, n_received = 0, told = 0;

	if (rtcp_twcc_parse(v, &twcc) != 0)
		return;
	r = rtcp_twcc_reader_init(&twcc);
	while (rtcp_twcc_next(&r, &status)) {
		FUZZ_ASSERT(status.sequence == (uint16_t)(twcc.base_sequence + n));
		ticks[n++] = status.received ? status.arrival_ticks : RTCP_TWCC_LOST;
		n_received += status.received;
	}
	FUZZ_ASSERT(n == twcc.n_statuses && n_received == twcc.n_received);
	FUZZ_ASSERT(r.delta <= v->body + v->body_bytes);
	while (told < n) {
		struct bytes_writer w = bytes_writer_init(scratch, 1200);
		struct rtcp_view again;
		uint32_t taken;

		// A message begins with a packet that arrived.
		if (ticks[told] == RTCP_TWCC_LOST) {
			told++;
			continue;
		}
		taken = rtcp_twcc_put(&w, 1, 2, 3, (uint16_t)told, ticks + told, n - told);
		FUZZ_ASSERT(taken > 0);
		again = rebuilt(&w);
		FUZZ_ASSERT(rtcp_twcc_parse(&again, &twcc) == 0 && twcc.n_statuses == taken);
		r = rtcp_twcc_reader_init(&twcc);
		for (uint32_t i = told; i < told + taken; i++) {
			FUZZ_ASSERT(rtcp_twcc_next(&r, &status));
			FUZZ_ASSERT(status.received == (ticks[i] != RTCP_TWCC_LOST));
			FUZZ_ASSERT(!status.received ||
				    (uint32_t)status.arrival_ticks == (uint32_t)ticks[i]);
		}
		told += taken;
	}
}

static void remb_and_fir(const struct rtcp_view *v)
{
	struct bytes_writer w = bytes_writer_init(scratch, sizeof(scratch));
	struct rtcp_feedback feedback;
	struct rtcp_remb remb, again;
	int n_fir = rtcp_fir_parse(v, &feedback);

	for (int i = 0; i < n_fir; i++)
		rtcp_fir_entry_read(&feedback, (uint32_t)i);
	if (rtcp_remb_parse(v, &remb) != 0)
		return;
	FUZZ_ASSERT(remb.ssrcs + 4 * remb.n_ssrcs == v->body + v->body_bytes);
	rtcp_remb_put(&w, remb.sender_ssrc, remb.bits_per_sec, NULL, 0);
	{
		struct rtcp_view packet = rebuilt(&w);

		FUZZ_ASSERT(rtcp_remb_parse(&packet, &again) == 0);
		FUZZ_ASSERT(again.bits_per_sec == remb.bits_per_sec);
	}
}

static void reports(const struct rtcp_view *v)
{
	struct rtcp_report_block blocks[RTCP_COUNT_MAX];
	struct bytes_writer w = bytes_writer_init(scratch, sizeof(scratch));
	struct rtcp_sr sr;
	struct rtcp_rr rr;

	if (rtcp_sr_parse(v, &sr) == 0) {
		for (uint32_t i = 0; i < sr.n_blocks; i++)
			blocks[i] = rtcp_report_block_read(sr.blocks + 24 * i);
		rtcp_sr_put(&w, &sr, blocks, sr.n_blocks);
	} else if (rtcp_rr_parse(v, &rr) == 0) {
		for (uint32_t i = 0; i < rr.n_blocks; i++)
			blocks[i] = rtcp_report_block_read(rr.blocks + 24 * i);
		rtcp_rr_put(&w, rr.ssrc, blocks, rr.n_blocks);
	} else {
		return;
	}
	// Every bit of a report has a meaning, so the bytes come back.
	FUZZ_ASSERT(w.len_bytes - 4 <= v->body_bytes);
	FUZZ_ASSERT(memcmp(scratch + 4, v->body, w.len_bytes - 4) == 0);
}

static void others(const struct rtcp_view *v)
{
	struct rtcp_sdes_reader r = rtcp_sdes_reader_init(v);
	struct rtcp_sdes_item item;
	struct rtcp_bye bye;
	struct rtcp_app app;

	while (rtcp_sdes_next(&r, &item) == 1)
		FUZZ_ASSERT(item.text + item.text_bytes <= v->body + v->body_bytes);
	if (rtcp_bye_parse(v, &bye) == 0 && bye.reason != NULL)
		FUZZ_ASSERT(bye.reason + bye.reason_bytes <= v->body + v->body_bytes);
	if (rtcp_app_parse(v, &app) == 0)
		FUZZ_ASSERT(app.data + app.data_bytes == v->body + v->body_bytes);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct bytes_reader r = bytes_reader_init(data, n);
	const uint8_t *at = data;
	struct rtcp_view v;
	int ret;

	while ((ret = rtcp_next(&r, &v)) == 1) {
		FUZZ_ASSERT(v.body == at + 4);
		at = v.body + v.body_bytes + v.padding_bytes;
		FUZZ_ASSERT(at == r.at);
		nack(&v);
		transport_wide(&v);
		remb_and_fir(&v);
		reports(&v);
		others(&v);
	}
	FUZZ_ASSERT((ret == 0 && n > 0) == (rtcp_check(data, n, true) == 0));
	if (rtcp_check(data, n, false) == 0)
		FUZZ_ASSERT(ret == 0);
}
