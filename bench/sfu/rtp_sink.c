// Verification of what a subscriber receives. One thread.
#include "bench/sfu/rtp_sink.h"

#include <stdlib.h>
#include <string.h>

#include "bench/sfu/payload.h"
#include "dataplane/contract/wire/rtp_rtx.h"
#include "dataplane/contract/wire/vp8_descriptor.h"

#define NACK_FIRST_NS 10000000ULL // reordering is not loss
#define NACK_AGAIN_NS 100000000ULL
#define NACKS_MAX     10

void rtp_sink_init(struct rtp_sink *s, struct rtp_sink_totals *totals)
{
	memset(s, 0, sizeof(*s));
	s->totals = totals;
}

void rtp_sink_end(struct rtp_sink *s)
{
	for (uint32_t i = 0; i < s->n_streams; i++)
		free(s->streams[i]);
	s->n_streams = 0;
}

static struct rtp_sink_stream *find(const struct rtp_sink *s, uint32_t ssrc)
{
	for (uint32_t i = 0; i < s->n_streams; i++)
		if (s->streams[i]->ssrc == ssrc)
			return s->streams[i];
	return NULL;
}

static enum rtp_sink_kind kind_of(uint8_t payload_type)
{
	switch (payload_type) {
	case LOAD_PT_OPUS:
		return RTP_SINK_AUDIO;
	case LOAD_PT_VP8:
		return RTP_SINK_VIDEO;
	case LOAD_PT_RTX:
		return RTP_SINK_RTX;
	default:
		return RTP_SINK_UNKNOWN;
	}
}

static struct rtp_sink_stream *find_or_add(struct rtp_sink *s, const struct rtp_view *rtp,
					   uint64_t index)
{
	struct rtp_sink_stream *st = find(s, rtp->ssrc);

	if (st || s->n_streams == RTP_SINK_STREAMS_MAX)
		return st;
	st = calloc(1, sizeof(*st));
	if (!st)
		return NULL;
	st->ssrc = rtp->ssrc;
	st->kind = kind_of(rtp->payload_type);
	st->first = index;
	st->highest = index;
	st->layer = 0xff;
	s->streams[s->n_streams++] = st;
	return st;
}

// RFC 3711 §3.3.1 through the estimate of the receiver's side.
uint64_t rtp_sink_index(const struct rtp_sink *s, uint32_t ssrc, uint16_t sequence)
{
	const struct rtp_sink_stream *st = find(s, ssrc);
	struct replay_window w = { .highest = st ? st->highest : 0, .is_started = st != NULL };

	return replay_rtp_index(&w, sequence);
}

static bool window_has(const struct rtp_sink_stream *st, uint64_t index)
{
	return st->window[index % RTP_SINK_WINDOW_PKTS].index == index + 1;
}

// Whether this index is new; a repetition is judged.
static bool take_index(struct rtp_sink *s, struct rtp_sink_stream *st, uint64_t index, uint64_t tag)
{
	uint64_t seen_tag = st->window[index % RTP_SINK_WINDOW_PKTS].tag;

	if (window_has(st, index) && seen_tag != 0) {
		if (seen_tag == tag)
			s->totals->n_duplicates++;
		else
			s->totals->n_reused++;
		return false;
	}
	if (st->highest >= RTP_SINK_WINDOW_PKTS && index <= st->highest - RTP_SINK_WINDOW_PKTS) {
		s->totals->n_behind++;
		return false;
	}
	return true;
}

static void note_missing(struct rtp_sink_stream *st, uint64_t index, uint64_t now_ns)
{
	for (uint64_t i = st->highest + 1; i < index && st->n_missing < RTP_SINK_MISSING_MAX; i++)
		st->missing[st->n_missing++] =
			(struct rtp_sink_missing){ .index = i, .next_ns = now_ns + NACK_FIRST_NS };
}

static void forget_missing(struct rtp_sink_stream *st, uint64_t index)
{
	for (uint32_t i = 0; i < st->n_missing; i++)
		if (st->missing[i].index == index) {
			st->missing[i] = st->missing[--st->n_missing];
			return;
		}
}

// A payload behind RTP, or behind the OSN of a retransmission.
static void check_payload(struct rtp_sink *s, struct rtp_sink_stream *st, const uint8_t *bytes,
			  uint32_t n_bytes, bool is_in_order, uint64_t now_ns)
{
	struct vp8_descriptor vp8;
	struct payload p;
	uint32_t at = 1;

	if (st->kind == RTP_SINK_VIDEO) {
		if (vp8_descriptor_parse(bytes, n_bytes, &vp8) < 0) {
			s->totals->n_corrupt++;
			return;
		}
		at = vp8.descriptor_bytes;
		if (vp8.frame_start)
			at += vp8.key_frame ? 10 : 3;
		st->has_key |= vp8.key_frame;
	}
	if (n_bytes < at || !payload_read(bytes + at, n_bytes - at, &p) ||
	    p.layer >= LOAD_LAYERS_MAX || (p.kind == 1) != (st->kind == RTP_SINK_VIDEO)) {
		s->totals->n_corrupt++;
		return;
	}
	if (!is_in_order)
		return;
	// Layers that the SFU leaves out make gaps here, but never a step back.
	if (p.counter + 1 <= st->last_counter[p.layer])
		s->totals->n_misordered++;
	st->last_counter[p.layer] = p.counter + 1;
	if (st->layer != p.layer && st->layer != 0xff)
		s->totals->n_layer_changes++;
	st->layer = p.layer;
	if (now_ns > p.send_ns && s->is_counting)
		histogram_add(&s->totals->latency_ns, now_ns - p.send_ns);
}

static void take_retransmission(struct rtp_sink *s, const struct rtp_view *rtp, uint64_t now_ns)
{
	struct rtx_view rtx;

	if (rtx_parse(rtp, &rtx) < 0) {
		s->totals->n_padding++;
		return;
	}
	// The stream it repairs: the video that misses that number.
	for (uint32_t i = 0; i < s->n_streams; i++) {
		struct rtp_sink_stream *st = s->streams[i];
		uint64_t index;

		if (st->kind != RTP_SINK_VIDEO)
			continue;
		index = rtp_sink_index(s, st->ssrc, rtx.original_sequence);
		if (index > st->highest || index < st->first)
			continue;
		check_payload(s, st, rtx.payload, rtx.payload_bytes, false, now_ns);
		if (window_has(st, index))
			return;
		st->window[index % RTP_SINK_WINDOW_PKTS].index = index + 1;
		st->window[index % RTP_SINK_WINDOW_PKTS].tag = 0;
		st->n_repaired++;
		s->totals->n_repaired++;
		forget_missing(st, index);
		return;
	}
}

// RFC 3550 §6.4.1 and appendix A.8.
static void take_jitter(struct rtp_sink_stream *st, const struct rtp_view *rtp, uint64_t now_ns)
{
	uint64_t clock = st->kind == RTP_SINK_AUDIO ? 48000 : 90000;
	int64_t arrival = (int64_t)(now_ns / 1000 * clock / 1000000);
	int64_t transit = (int32_t)((uint32_t)arrival - rtp->timestamp);
	int64_t d = transit - st->transit;

	if (st->has_transit)
		st->jitter += ((double)(d < 0 ? -d : d) - st->jitter) / 16;
	st->transit = transit;
	st->has_transit = true;
}

void rtp_sink_take(struct rtp_sink *s, const struct rtp_view *rtp, uint64_t index, uint64_t tag,
		   uint64_t now_ns)
{
	struct rtp_sink_stream *st = find_or_add(s, rtp, index);
	bool is_in_order;
	bool was_repaired;

	s->longest_gap_ns = rtp_sink_longest_gap_ns(s, now_ns);
	s->last_ns = now_ns;
	s->totals->n_pkts++;
	s->totals->n_bytes += (uint64_t)rtp->header_bytes + rtp->payload_bytes + rtp->padding_bytes;
	if (!st || st->kind == RTP_SINK_UNKNOWN || kind_of(rtp->payload_type) != st->kind) {
		s->totals->n_unknown++;
		return;
	}
	tag |= 1; // 0 says "by retransmission"
	was_repaired = window_has(st, index);
	if (!take_index(s, st, index, tag))
		return;
	if (index > st->highest + RTP_SINK_JUMP_PKTS) {
		st->n_expected_before += st->highest + 1 - st->first;
		st->first = index;
		st->highest = index;
		st->n_missing = 0;
		s->totals->n_jumps++;
	}
	is_in_order = index >= st->highest;
	if (is_in_order)
		note_missing(st, index, now_ns);
	else if (index < st->first)
		st->first = index;
	if (!is_in_order) {
		s->totals->n_reordered++;
		forget_missing(st, index);
	}
	st->highest = index > st->highest ? index : st->highest;
	st->window[index % RTP_SINK_WINDOW_PKTS].index = index + 1;
	st->window[index % RTP_SINK_WINDOW_PKTS].tag = tag;
	if (was_repaired && st->n_repaired)
		st->n_repaired--;
	st->n_direct++;
	take_jitter(st, rtp, now_ns);
	if (st->kind == RTP_SINK_RTX)
		take_retransmission(s, rtp, now_ns);
	else if (rtp->payload_bytes == 0)
		s->totals->n_padding++;
	else
		check_payload(s, st, rtp->payload, rtp->payload_bytes, is_in_order, now_ns);
}

void rtp_sink_sender_report(struct rtp_sink *s, const struct rtcp_sr *sr, uint64_t now_ns)
{
	struct rtp_sink_stream *st = find(s, sr->ssrc);

	if (!st)
		return;
	st->last_sr = (uint32_t)(sr->ntp >> 16);
	st->last_sr_ns = now_ns;
}

uint64_t rtp_sink_longest_gap_ns(const struct rtp_sink *s, uint64_t now_ns)
{
	uint64_t open_ns = now_ns > s->last_ns ? now_ns - s->last_ns : 0;

	return open_ns > s->longest_gap_ns ? open_ns : s->longest_gap_ns;
}

void rtp_sink_begin_counting(struct rtp_sink *s, uint64_t now_ns)
{
	s->is_counting = true;
	s->last_ns = now_ns;
	s->longest_gap_ns = 0;
	for (uint32_t i = 0; i < s->n_streams; i++) {
		struct rtp_sink_stream *st = s->streams[i];

		st->first = st->highest + 1;
		st->n_expected_before = 0;
		st->n_direct = 0;
		st->n_repaired = 0;
		st->n_missing = 0;
	}
}

static uint64_t expected_of(const struct rtp_sink_stream *st)
{
	return st->n_expected_before + st->highest + 1 - st->first;
}

void rtp_sink_loss(const struct rtp_sink *s, uint64_t *expected, uint64_t *direct,
		   uint64_t *repaired)
{
	*expected = *direct = *repaired = 0;
	for (uint32_t i = 0; i < s->n_streams; i++) {
		const struct rtp_sink_stream *st = s->streams[i];

		if (st->kind != RTP_SINK_AUDIO && st->kind != RTP_SINK_VIDEO)
			continue;
		*expected += expected_of(st);
		*direct += st->n_direct;
		*repaired += st->n_repaired;
	}
}

uint32_t rtp_sink_reports(struct rtp_sink *s, struct rtcp_report_block *out, uint32_t max,
			  uint64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_streams && n < max; i++) {
		struct rtp_sink_stream *st = s->streams[i];
		uint64_t expected = expected_of(st);
		uint64_t received = st->n_direct;
		uint64_t new_expected = expected - st->reported_expected;
		uint64_t new_received = received - st->reported_received;
		int64_t lost = (int64_t)(expected - received);

		if (st->kind == RTP_SINK_UNKNOWN)
			continue;
		// Counting began anew in between.
		if (expected < st->reported_expected || received < st->reported_received)
			new_expected = new_received = 0;
		out[n++] = (struct rtcp_report_block){
			.ssrc = st->ssrc,
			.fraction_lost = new_expected > new_received
						 ? (uint8_t)((new_expected - new_received) * 255 /
							     new_expected)
						 : 0,
			.lost_pkts = (int32_t)(lost > 0x7fffff ? 0x7fffff : lost),
			.highest_sequence = (uint32_t)st->highest,
			.jitter = (uint32_t)st->jitter,
			.last_sr = st->last_sr,
			.delay_last_sr = st->last_sr ? (uint32_t)((now_ns - st->last_sr_ns) / 1000 *
								  65536 / 1000000)
						     : 0,
		};
		st->reported_expected = expected;
		st->reported_received = received;
	}
	return n;
}

uint32_t rtp_sink_nacks(struct rtp_sink_stream *st, uint16_t *out, uint32_t max, uint64_t now_ns)
{
	uint32_t n = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < st->n_missing; i++) {
		struct rtp_sink_missing *m = &st->missing[i];

		if (m->next_ns <= now_ns && n < max) {
			if (m->n_asked++ == NACKS_MAX)
				continue;
			m->next_ns = now_ns + NACK_AGAIN_NS;
			out[n++] = (uint16_t)m->index;
		}
		st->missing[kept++] = *m;
	}
	st->n_missing = kept;
	return n;
}
