// RTCP of publishers and watchers. One thread.
#include "bench/sfu/session_rtcp.h"

#include "dataplane/contract/wire/rtcp_feedback.h"
#include "dataplane/contract/wire/rtcp_twcc.h"

#define REPORT_NS   1000000000ULL
#define FEEDBACK_NS 50000000ULL
#define NACK_NS     10000000ULL
#define PLI_NS      500000000ULL
#define NTP_EPOCH_S 2208988800ULL
#define NACKS_MAX   64

static void repeat(struct load_session *s, const struct rtcp_view *v)
{
	struct rtcp_feedback feedback;
	struct rtcp_nack_reader nacks;
	uint16_t sequence;

	if (rtcp_nack_parse(v, &feedback, &nacks) < 0) {
		s->counters->n_bad_rtcp++;
		return;
	}
	while (rtcp_nack_next(&nacks, &sequence)) {
		s->counters->n_nacks_received++;
		for (uint32_t i = 0; i < s->n_sources; i++) {
			uint8_t *room = load_transport_room(&s->transport);
			uint16_t header_bytes;
			uint64_t index;
			uint32_t n;

			if (s->sources[i].config.ssrc != feedback.media_ssrc)
				continue;
			n = rtp_source_repeat(&s->sources[i], sequence, s->twcc_sequence, room,
					      &header_bytes, &index);
			if (n == 0)
				continue;
			s->twcc_sequence += s->sources[i].config.has_twcc;
			s->counters->n_repeated++;
			load_transport_queue(&s->transport, n, header_bytes, index);
		}
	}
}

static void want_key(struct load_session *s, uint32_t media_ssrc)
{
	s->counters->n_plis_received++;
	for (uint32_t i = 0; i < s->n_sources; i++)
		if (s->sources[i].config.ssrc == media_ssrc)
			rtp_source_key(&s->sources[i]);
}

static void take_feedback(struct load_session *s, const struct rtcp_view *v)
{
	struct rtcp_feedback feedback;
	struct rtcp_twcc twcc;
	struct rtcp_remb remb;

	if (v->type == RTCP_TYPE_RTPFB && v->count == RTCP_RTPFB_NACK) {
		repeat(s, v);
	} else if (v->type == RTCP_TYPE_RTPFB && v->count == RTCP_RTPFB_TWCC) {
		if (rtcp_twcc_parse(v, &twcc) < 0)
			s->counters->n_bad_rtcp++;
		else
			s->counters->n_twcc_received++;
	} else if (rtcp_is_pli(v)) {
		if (rtcp_feedback_parse(v, &feedback) == 0)
			want_key(s, feedback.media_ssrc);
	} else if (v->type == RTCP_TYPE_PSFB && v->count == RTCP_PSFB_FIR) {
		int n = rtcp_fir_parse(v, &feedback);

		for (int i = 0; i < n; i++)
			want_key(s, rtcp_fir_entry_read(&feedback, (uint32_t)i).ssrc);
	} else if (rtcp_remb_parse(v, &remb) == 0) {
		s->counters->n_remb_received++;
	}
}

void load_session_rtcp(void *context, const uint8_t *packet, size_t n_bytes, uint64_t now_ns)
{
	struct load_session *s = context;
	struct bytes_reader r = bytes_reader_init(packet, n_bytes);
	struct rtcp_view v;
	struct rtcp_sr sr;
	int ret;

	while ((ret = rtcp_next(&r, &v)) == 1) {
		if (v.type == RTCP_TYPE_SR && rtcp_sr_parse(&v, &sr) == 0) {
			s->counters->n_sender_reports++;
			rtp_sink_sender_report(&s->sink, &sr, now_ns);
		} else if (v.type == RTCP_TYPE_RR) {
			s->counters->n_reports_received++;
		} else if (v.type == RTCP_TYPE_RTPFB || v.type == RTCP_TYPE_PSFB) {
			take_feedback(s, &v);
		}
	}
	if (ret < 0)
		s->counters->n_bad_rtcp++;
}

// A compound starts with a report unless reduced size was agreed on (RFC 5506).
static struct bytes_writer begin(struct load_session *s, uint8_t *buf, size_t room)
{
	struct bytes_writer w = bytes_writer_init(buf, room);

	if (!s->transport.answer.has_rtcp_rsize)
		rtcp_rr_put(&w, s->own_ssrc, NULL, 0);
	return w;
}

static void send_sender_reports(struct load_session *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n_sources; i++) {
		const struct rtp_source *src = &s->sources[i];
		uint8_t buf[256];
		struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));
		struct rtcp_sr sr = {
			.ssrc = src->config.ssrc,
			.ntp = (now_ns / 1000000000ULL + NTP_EPOCH_S) << 32 |
			       (now_ns % 1000000000ULL << 32) / 1000000000ULL,
			.rtp_timestamp = src->timestamp,
			.sent_pkts = (uint32_t)src->n_pkts,
			.sent_bytes = (uint32_t)src->n_bytes,
		};

		rtcp_sr_put(&w, &sr, NULL, 0);
		rtcp_sdes_cname_put(&w, sr.ssrc, "load", 4);
		if (!w.overflow)
			load_transport_send_rtcp(&s->transport, buf, w.len_bytes);
	}
}

static void send_receiver_report(struct load_session *s, uint64_t now_ns)
{
	struct rtcp_report_block blocks[RTP_SINK_STREAMS_MAX];
	uint8_t buf[512];
	struct bytes_writer w = bytes_writer_init(buf, sizeof(buf));
	uint32_t n = rtp_sink_reports(&s->sink, blocks, RTP_SINK_STREAMS_MAX, now_ns);

	rtcp_rr_put(&w, s->own_ssrc, blocks, n);
	rtcp_sdes_cname_put(&w, s->own_ssrc, "load", 4);
	if (!w.overflow)
		load_transport_send_rtcp(&s->transport, buf, w.len_bytes);
}

static void send_twcc(struct load_session *s)
{
	uint32_t media_ssrc = s->sink.n_streams ? s->sink.streams[0]->ssrc : 0;
	uint8_t buf[1200];

	for (;;) {
		struct bytes_writer w = begin(s, buf, sizeof(buf));

		if (!twcc_recorder_put(&s->twcc, s->own_ssrc, media_ssrc, &w) || w.overflow)
			return;
		s->counters->n_twcc_sent++;
		load_transport_send_rtcp(&s->transport, buf, w.len_bytes);
	}
}

static void send_nacks(struct load_session *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->sink.n_streams; i++) {
		struct rtp_sink_stream *st = s->sink.streams[i];
		uint16_t sequences[NACKS_MAX];
		uint8_t buf[600];
		struct bytes_writer w = begin(s, buf, sizeof(buf));
		uint32_t n;

		if (st->kind != RTP_SINK_VIDEO || !s->transport.answer.has_rtx)
			continue;
		n = rtp_sink_nacks(st, sequences, NACKS_MAX, now_ns);
		if (n == 0)
			continue;
		rtcp_nack_put(&w, s->own_ssrc, st->ssrc, sequences, n);
		s->counters->n_nacks_sent += n;
		if (!w.overflow)
			load_transport_send_rtcp(&s->transport, buf, w.len_bytes);
	}
}

// Until a key frame came.
static void send_plis(struct load_session *s)
{
	for (uint32_t i = 0; i < s->sink.n_streams; i++) {
		const struct rtp_sink_stream *st = s->sink.streams[i];
		uint8_t buf[128];
		struct bytes_writer w = begin(s, buf, sizeof(buf));

		if (st->kind != RTP_SINK_VIDEO || st->has_key)
			continue;
		rtcp_pli_put(&w, s->own_ssrc, st->ssrc);
		s->counters->n_plis_sent++;
		load_transport_send_rtcp(&s->transport, buf, w.len_bytes);
	}
}

void load_session_timer(struct load_session *s, uint64_t now_ns)
{
	load_transport_timer(&s->transport, now_ns);
	if (s->transport.stage != LOAD_STAGE_CONNECTED)
		return;
	if (now_ns >= s->report_ns) {
		s->report_ns = now_ns + REPORT_NS;
		if (s->is_publisher)
			send_sender_reports(s, now_ns);
		else
			send_receiver_report(s, now_ns);
	}
	if (s->is_publisher)
		return;
	if (s->media->sends_twcc && now_ns >= s->feedback_ns) {
		s->feedback_ns = now_ns + FEEDBACK_NS;
		send_twcc(s);
	}
	if (s->media->sends_nack && now_ns >= s->nack_ns) {
		s->nack_ns = now_ns + NACK_NS;
		send_nacks(s, now_ns);
	}
	if (now_ns >= s->pli_ns) {
		s->pli_ns = now_ns + PLI_NS;
		send_plis(s);
	}
}
