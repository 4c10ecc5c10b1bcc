// What publishers are told: receiver reports, requests for what is missing, requests for key frames, transport-wide feedback and
// the bandwidth that they may use. Requests for key frames of all watchers, on all workers, meet here and leave at a bounded rate.
// Worker thread; writes the ingress state of streams that it owns.
#include "dataplane/contract/wire/rtcp_feedback.h"
#include "dataplane/contract/wire/rtcp_twcc.h"
#include "dataplane/sfu/ntp.h"
#include "dataplane/sfu/reception.h"

#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)

#define REPORT_NS   NS_PER_SEC
#define KEYFRAME_NS (300 * NS_PER_MS) // of one encoding

// A gap may be nothing but disorder; then it is asked for until it is too old to be of use.
#define NACK_WAIT_NS      (4 * NS_PER_MS)
#define NACK_RETRY_NS     (100 * NS_PER_MS) // before a round trip was measured
#define NACK_RETRY_MIN_NS (20 * NS_PER_MS)
#define NACK_TRIES        10
#define NACK_AGE_NS       NS_PER_SEC
#define NACKS_MAX         128 // of one message

#define FEEDBACK_NS   (50 * NS_PER_MS)
#define FEEDBACK_PKTS 100

#define PACKET_BYTES 1200
static const char cname[] = "turnpike";

// ---- a packet has come

static void figures_roll(struct shm_sfu_ingress_state *in, struct dp_sfu_stream *s, uint64_t now_ns)
{
	uint64_t gone_ns = now_ns - s->second_at_ns;
	uint64_t sum = 0;

	if (gone_ns < NS_PER_SEC)
		return;
	in->bitrate_bps = (uint32_t)(s->second_bytes * 8 * NS_PER_SEC / gone_ns);
	for (uint32_t i = 0; i < RTE_DIM(in->temporal_bps); i++) {
		sum += s->second_temporal_bytes[i];
		in->temporal_bps[i] = (uint32_t)(sum * 8 * NS_PER_SEC / gone_ns);
	}
	if (s->second_bytes > 0) {
		in->temporal_layers = s->second_temporal + 1;
		in->spatial_layers = s->second_spatial + 1;
	}
	s->second_at_ns = now_ns;
	s->second_bytes = 0;
	s->second_temporal = 0;
	s->second_spatial = 0;
	memset(s->second_temporal_bytes, 0, sizeof(s->second_temporal_bytes));
}

static void note_figures(struct dp_worker *w, struct shm_sfu_ingress_state *in,
			 struct dp_sfu_stream *s, const struct dp_sfu_media *m)
{
	in->pkts++;
	in->bytes += m->payload_bytes;
	in->last_rx_ns = w->now_ns;
	in->n_repaired += (m->flags & DP_SFU_MEDIA_F_REPAIRED) != 0;
	in->frames += s->kind == SHM_SFU_VIDEO && (m->flags & DP_SFU_MEDIA_F_MARKER);
	in->n_keyframes += (m->flags & DP_SFU_MEDIA_F_KEYFRAME) && m->spatial == 0;
	if (s->kind == SHM_SFU_AUDIO) {
		in->audio_level = (uint8_t)((in->audio_level * 3 + m->audio_minus_dbov + 2) / 4);
		in->voice = (m->flags & DP_SFU_MEDIA_F_VOICE) != 0;
	}
	s->second_bytes += m->payload_bytes;
	s->second_temporal_bytes[RTE_MIN(m->temporal, 3)] += m->payload_bytes;
	s->second_temporal = RTE_MAX(s->second_temporal, m->temporal);
	s->second_spatial = RTE_MAX(s->second_spatial, m->spatial);
	figures_roll(in, s, w->now_ns);
}

// RFC 3550 §A.8, with 4 fractional bits.
static void note_jitter(struct dp_worker *w, struct shm_sfu_ingress_state *in,
			struct dp_sfu_stream *s, uint32_t timestamp, bool is_first)
{
	uint64_t arrived = w->now_ns / NS_PER_SEC * s->clock_hz +
			   w->now_ns % NS_PER_SEC * s->clock_hz / NS_PER_SEC;
	uint32_t transit = (uint32_t)arrived - timestamp;
	int32_t d = (int32_t)(transit - s->last_transit);

	s->last_transit = transit;
	if (is_first)
		return;
	s->jitter_q4 += (uint32_t)abs(d) - ((s->jitter_q4 + 8) >> 4);
	in->jitter_ticks = s->jitter_q4 >> 4;
}

static void missing_remove(struct dp_sfu_stream *s, uint32_t i)
{
	s->n_missing--;
	memmove(&s->missing[i], &s->missing[i + 1], (s->n_missing - i) * sizeof(s->missing[0]));
}

// What was missing and has come tells the round trip, if it was asked for once.
static void missing_found(struct dp_worker *w, struct dp_sfu_stream *s,
			  const struct dp_sfu_media *m)
{
	const struct shm_sfu_track *t = shm_sfu_track_get(&w->shared->sfu->table, s->track_idx);

	for (uint32_t i = 0; i < s->n_missing; i++) {
		const struct dp_sfu_missing *lost = &s->missing[i];

		if (lost->index != m->sequence)
			continue;
		if (t != NULL && lost->n_asked == 1 && (m->flags & DP_SFU_MEDIA_F_REPAIRED)) {
			struct shm_sfu_transport_state *st = dp_sfu_state(w, t->transport_idx);
			uint64_t us = (w->now_ns - lost->asked_ns) / 1000;

			st->rtt_us =
				(uint32_t)(st->rtt_us == 0 ? us
							   : (st->rtt_us * UINT64_C(7) + us) / 8);
		}
		missing_remove(s, i);
		return;
	}
}

static void missing_add(struct dp_worker *w, struct dp_sfu_stream *s, uint64_t from, uint64_t to)
{
	// So much at once is no loss but an outage: a key frame is faster.
	if (to - from > DP_SFU_MISSING_MAX - s->n_missing) {
		s->n_missing = 0;
		s->keyframe_wanted |= s->kind == SHM_SFU_VIDEO;
		return;
	}
	for (uint64_t index = from; index < to; index++)
		s->missing[s->n_missing++] =
			(struct dp_sfu_missing){ .index = index, .since_ns = w->now_ns };
}

void dp_sfu_upstream_note(struct dp_worker *w, struct dp_sfu_stream *s,
			  const struct dp_sfu_media *m, const struct replay_window *window)
{
	struct shm_sfu_ingress_state *in = dp_sfu_ingress(w, s);
	bool is_first = !window->is_started;

	if (!s->is_counting) {
		s->is_counting = 1;
		s->reported_highest = is_first ? m->sequence - 1 : window->highest;
		s->reported_pkts = in->pkts - in->n_repaired;
		is_first = true;
	}
	note_figures(w, in, s, m);
	if (m->flags & DP_SFU_MEDIA_F_KEYFRAME)
		s->keyframe_wanted = 0;
	if (!(m->flags & DP_SFU_MEDIA_F_REPAIRED))
		note_jitter(w, in, s, m->timestamp, is_first);
	if (!window->is_started || !s->has_nack)
		return;
	if (m->sequence < window->highest)
		missing_found(w, s, m);
	else if (m->sequence > window->highest + 1)
		missing_add(w, s, window->highest + 1, m->sequence);
}

static int64_t *ticks_of(struct dp_sfu_arrivals *a, uint64_t sequence)
{
	return &a->ticks[sequence % DP_SFU_TWCC_WINDOW];
}

void dp_sfu_upstream_arrival(struct dp_worker *w, struct dp_sfu_client *c, uint32_t ssrc,
			     uint16_t twcc_sequence)
{
	struct dp_sfu_arrivals *a = c->arrivals;
	uint64_t sequence;

	if (a == NULL)
		return;
	if (!a->is_started) {
		a->is_started = 1;
		// Room below, for what overtook the first.
		a->highest = UINT64_C(0x10000) + twcc_sequence;
		a->base = a->highest;
		a->told_ns = w->now_ns;
		for (uint32_t i = 0; i < DP_SFU_TWCC_WINDOW; i++)
			a->ticks[i] = RTCP_TWCC_LOST;
	}
	sequence = a->highest + (uint64_t)(int64_t)(int16_t)(twcc_sequence - (uint16_t)a->highest);
	if (sequence + DP_SFU_TWCC_WINDOW <= a->highest)
		return;
	if (sequence > a->highest) {
		uint64_t from = a->highest + 1;

		if (sequence - a->highest > DP_SFU_TWCC_WINDOW)
			from = sequence - DP_SFU_TWCC_WINDOW + 1;
		for (; from < sequence; from++)
			*ticks_of(a, from) = RTCP_TWCC_LOST;
		*ticks_of(a, sequence) = RTCP_TWCC_LOST;
		a->highest = sequence;
	}
	if (a->highest - a->base >= DP_SFU_TWCC_WINDOW)
		a->base = a->highest - DP_SFU_TWCC_WINDOW + 1;
	if (*ticks_of(a, sequence) != RTCP_TWCC_LOST)
		return;
	*ticks_of(a, sequence) = (int64_t)(w->now_ns / RTCP_TWCC_TICK_NS);
	// One that was told lost came after all: told again from there on.
	if (sequence < a->base)
		a->base = sequence;
	a->media_ssrc = ssrc;
	a->n_new++;
}

// ---- what goes back

struct message {
	struct bytes_writer w;
	uint8_t bytes[PACKET_BYTES];
	uint32_t front_bytes; // an empty report that a compound begins with
	uint32_t sender_ssrc;
};

// Without reduced size (RFC 5506) a compound begins with a report.
static void begin(struct message *m, const struct shm_sfu_transport *e)
{
	m->w = bytes_writer_init(m->bytes, sizeof(m->bytes));
	m->sender_ssrc = e->rtcp_ssrc;
	if (!(e->flags & SHM_SFU_TRANSPORT_F_RTCP_RSIZE))
		rtcp_rr_put(&m->w, m->sender_ssrc, NULL, 0);
	m->front_bytes = (uint32_t)m->w.len_bytes;
}

static bool feedback_send(struct dp_worker *w, uint32_t transport_idx, const struct message *m)
{
	return m->w.len_bytes > m->front_bytes && !m->w.overflow &&
	       dp_sfu_send_rtcp(w, transport_idx, m->bytes, (uint32_t)m->w.len_bytes);
}

static struct rtcp_report_block report_block(struct dp_worker *w, struct dp_sfu_stream *s,
					     struct shm_sfu_ingress_state *in)
{
	uint64_t highest = in->window.highest;
	uint64_t expected = highest - s->reported_highest;
	uint64_t received = in->pkts - in->n_repaired - s->reported_pkts;
	int64_t lost = (int64_t)(expected - received);
	struct rtcp_report_block b = {
		.ssrc = in->ssrc,
		.highest_sequence = (uint32_t)highest,
		.jitter = in->jitter_ticks,
	};

	s->reported_highest = highest;
	s->reported_pkts += received;
	if (lost > 0) {
		b.fraction_lost = (uint8_t)RTE_MIN((uint64_t)lost * 256 / expected, UINT64_C(255));
		in->n_lost += (uint64_t)lost;
	} else {
		in->n_lost -= RTE_MIN(in->n_lost, (uint64_t)-lost);
	}
	b.lost_pkts = (int32_t)RTE_MIN(in->n_lost, UINT64_C(0x7fffff));
	if (in->sr_at_ns != 0) {
		b.last_sr = (uint32_t)(in->sr_ntp >> 16);
		b.delay_last_sr = (uint32_t)(((w->now_ns - in->sr_at_ns) << 16) / NS_PER_SEC);
	}
	return b;
}

static void put_remb(struct dp_sfu_client *c, const struct shm_sfu_transport *e, struct message *m)
{
	uint64_t target_bps = __atomic_load_n(&e->target_bps, __ATOMIC_RELAXED);
	uint32_t ssrc[DP_SFU_STREAMS_MAX];
	uint32_t n = 0;

	if (!(e->flags & SHM_SFU_TRANSPORT_F_REMB) || target_bps == 0)
		return;
	for (uint32_t i = 0; i < c->n_streams; i++) {
		if (c->ssrc[i] != 0)
			ssrc[n++] = c->ssrc[i];
	}
	rtcp_remb_put(&m->w, m->sender_ssrc, target_bps, ssrc, n);
	c->remb_sent_bps = target_bps;
}

static void send_report(struct dp_worker *w, struct dp_sfu_client *c,
			const struct shm_sfu_transport *e)
{
	struct rtcp_report_block block[DP_SFU_STREAMS_MAX];
	struct message m = { .front_bytes = 0, .sender_ssrc = e->rtcp_ssrc };
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_streams; i++) {
		struct shm_sfu_ingress_state *in = dp_sfu_ingress(w, c->stream[i]);

		figures_roll(in, c->stream[i], w->now_ns);
		if (c->stream[i]->is_counting && in->window.is_started)
			block[n++] = report_block(w, c->stream[i], in);
	}
	if (n == 0)
		return;
	m.w = bytes_writer_init(m.bytes, sizeof(m.bytes));
	rtcp_rr_put(&m.w, m.sender_ssrc, block, n);
	rtcp_sdes_cname_put(&m.w, m.sender_ssrc, cname, sizeof(cname) - 1);
	put_remb(c, e, &m);
	feedback_send(w, c->transport_idx, &m);
}

static void send_remb(struct dp_worker *w, struct dp_sfu_client *c,
		      const struct shm_sfu_transport *e)
{
	uint64_t target_bps = __atomic_load_n(&e->target_bps, __ATOMIC_RELAXED);
	struct message m;

	// Less is urgent; more comes with the next report.
	if (target_bps == 0 || target_bps >= c->remb_sent_bps / 100 * 97)
		return;
	begin(&m, e);
	put_remb(c, e, &m);
	feedback_send(w, c->transport_idx, &m);
}

static bool keyframe_due(const struct dp_worker *w, const struct dp_sfu_stream *s)
{
	return s->keyframe_wanted && w->now_ns - s->keyframe_asked_ns >= KEYFRAME_NS;
}

static void send_keyframe_request(struct dp_worker *w, struct dp_sfu_client *c,
				  const struct shm_sfu_transport *e, struct dp_sfu_stream *s)
{
	struct shm_sfu_ingress_state *in = dp_sfu_ingress(w, s);
	struct message m;

	if (in->ssrc == 0 || s->has_pli == 0)
		return;
	begin(&m, e);
	if (s->has_pli == 1) {
		rtcp_pli_put(&m.w, m.sender_ssrc, in->ssrc);
	} else {
		// RFC 5104 §4.3.1.2: a new number for each new request.
		struct rtcp_fir_entry fir = { .ssrc = in->ssrc,
					      .sequence_number = ++s->fir_sequence };

		rtcp_fir_put(&m.w, m.sender_ssrc, &fir);
	}
	if (!feedback_send(w, c->transport_idx, &m))
		return;
	s->keyframe_wanted = 0;
	s->keyframe_asked_ns = w->now_ns;
	in->n_plis++;
}

static bool nack_due(const struct dp_worker *w, const struct dp_sfu_missing *lost,
		     uint64_t retry_ns)
{
	if (lost->n_asked == 0)
		return w->now_ns - lost->since_ns >= NACK_WAIT_NS;
	return w->now_ns - lost->asked_ns >= retry_ns;
}

static bool is_given_up(const struct dp_worker *w, const struct dp_sfu_missing *lost,
			uint64_t highest)
{
	return w->now_ns - lost->since_ns > NACK_AGE_NS || lost->n_asked >= NACK_TRIES ||
	       highest - lost->index >= REPLAY_WINDOW_PKTS; // it would be refused
}

static void send_nacks(struct dp_worker *w, struct dp_sfu_client *c,
		       const struct shm_sfu_transport *e, struct dp_sfu_stream *s)
{
	uint64_t rtt_ns = dp_sfu_state(w, c->transport_idx)->rtt_us * UINT64_C(1000);
	uint64_t retry_ns = rtt_ns == 0 ? NACK_RETRY_NS : rtt_ns + rtt_ns / 2;
	struct shm_sfu_ingress_state *in = dp_sfu_ingress(w, s);
	uint16_t sequence[NACKS_MAX];
	struct message m;
	uint32_t n = 0;

	retry_ns = RTE_MAX(retry_ns, NACK_RETRY_MIN_NS);
	for (uint32_t i = 0; i < s->n_missing && n < NACKS_MAX;) {
		struct dp_sfu_missing *lost = &s->missing[i];

		if (is_given_up(w, lost, in->window.highest)) {
			missing_remove(s, i);
			s->keyframe_wanted |= s->kind == SHM_SFU_VIDEO;
			continue;
		}
		if (nack_due(w, lost, retry_ns)) {
			lost->asked_ns = w->now_ns;
			lost->n_asked++;
			sequence[n++] = (uint16_t)lost->index;
		}
		i++;
	}
	if (n == 0)
		return;
	begin(&m, e);
	rtcp_nack_put(&m.w, m.sender_ssrc, in->ssrc, sequence, n);
	if (feedback_send(w, c->transport_idx, &m))
		in->n_nacks += n;
}

static void send_feedback(struct dp_worker *w, struct dp_sfu_client *c,
			  const struct shm_sfu_transport *e)
{
	struct dp_sfu_arrivals *a = c->arrivals;
	int64_t ticks[DP_SFU_TWCC_WINDOW];

	a->told_ns = w->now_ns;
	a->n_new = 0;
	while (a->base <= a->highest) {
		uint32_t n = (uint32_t)(a->highest - a->base + 1);
		struct message m;
		uint32_t n_told;

		for (uint32_t i = 0; i < n; i++)
			ticks[i] = *ticks_of(a, a->base + i);
		begin(&m, e);
		n_told = rtcp_twcc_put(&m.w, m.sender_ssrc, a->media_ssrc, a->feedback_count,
				       (uint16_t)a->base, ticks, n);
		if (n_told == 0 || !feedback_send(w, c->transport_idx, &m)) {
			a->base = a->highest + 1;
			return;
		}
		a->feedback_count++;
		a->base += n_told;
	}
}

static void client_poll(struct dp_worker *w, struct dp_sfu_client *c)
{
	const struct shm_sfu_transport *e =
		shm_sfu_transport_get(&w->shared->sfu->table, c->transport_idx);

	if (e == NULL || w->sfu_rx->transport[c->transport_idx].tx == NULL)
		return;
	for (uint32_t i = 0; i < c->n_streams; i++) {
		struct dp_sfu_stream *s = c->stream[i];

		if (s->n_missing > 0)
			send_nacks(w, c, e, s);
		if (keyframe_due(w, s))
			send_keyframe_request(w, c, e, s);
	}
	if (c->arrivals != NULL && c->arrivals->n_new > 0 &&
	    (w->now_ns - c->arrivals->told_ns >= FEEDBACK_NS ||
	     c->arrivals->n_new >= FEEDBACK_PKTS))
		send_feedback(w, c, e);
	if (w->now_ns - c->reported_ns >= REPORT_NS) {
		c->reported_ns = w->now_ns;
		send_report(w, c, e);
	} else if (e->flags & SHM_SFU_TRANSPORT_F_REMB) {
		send_remb(w, c, e);
	}
}

void dp_sfu_upstream_poll(struct dp_worker *w, uint32_t n)
{
	struct dp_sfu_reception *rx = w->sfu_rx;

	for (; n > 0 && rx->n_publishing > 0; n--) {
		if (rx->upstream_at >= rx->n_publishing)
			rx->upstream_at = 0;
		client_poll(w, rx->client[rx->publishing[rx->upstream_at++]]);
	}
}

void dp_sfu_request_keyframe(struct dp_worker *w, uint32_t track_idx, uint32_t layer)
{
	const struct shm_sfu_track *t = shm_sfu_track_get(&w->shared->sfu->table, track_idx);
	const struct shm_sfu_transport *e;
	struct dp_sfu_client *c;
	int owner;

	if (t == NULL || t->kind != SHM_SFU_VIDEO)
		return;
	owner = dp_sfu_owner(w, t->transport_idx);
	if (owner < 0)
		return;
	if ((uint32_t)owner != w->worker_idx) {
		dp_sfu_exchange_keyframe(w, (uint32_t)owner, track_idx, layer);
		return;
	}
	c = dp_sfu_client_get(w, t->transport_idx);
	e = shm_sfu_transport_get(&w->shared->sfu->table, t->transport_idx);
	for (uint32_t i = 0; c != NULL && e != NULL && i < c->n_streams; i++) {
		struct dp_sfu_stream *s = c->stream[i];

		if (s->track_idx != track_idx || s->layer != layer)
			continue;
		s->keyframe_wanted = 1;
		if (keyframe_due(w, s))
			send_keyframe_request(w, c, e, s);
		return;
	}
}
