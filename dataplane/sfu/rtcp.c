// RTCP of clients, both of publishers and of watchers: verified, taken apart, and given to who acts on it. SDES and APP say nothing
// that is needed here; XR is left aside. Worker thread; writes the state of transports that it owns.
#include "dataplane/contract/wire/rtcp_feedback.h"
#include "dataplane/contract/wire/rtcp_twcc.h"
#include "dataplane/sfu/ntp.h"
#include "dataplane/sfu/reception.h"

#define RTCP_BYTES_MAX 2048
#define NACKS_MAX      256 // of one message
#define RTT_MAX_US     10000000
#define NS_PER_SEC     1000000000ull

// The watcher's subscription of an SSRC that we send under, media or RTX; 0: of none.
static uint32_t subscription_of(struct dp_worker *w, struct dp_sfu_client *c, uint32_t ssrc)
{
	const struct shm_sfu_view *v = &w->shared->sfu->table;
	const struct shm_sfu_transport *e = shm_sfu_transport_get(v, c->transport_idx);
	const struct shm_sfu_subscription *s;
	uint32_t slot = ssrc % RTE_DIM(c->watched);
	uint32_t idx;

	if (e == NULL || ssrc == 0)
		return 0;
	if (c->watched[slot].ssrc == ssrc) {
		s = shm_sfu_subscription_get(v, c->watched[slot].subscription_idx);
		if (s != NULL && s->ssrc == ssrc && s->transport_idx == c->transport_idx)
			return c->watched[slot].subscription_idx;
	}
	idx = __atomic_load_n(&e->first_subscription, __ATOMIC_ACQUIRE);
	for (uint32_t n = 0; idx != 0 && n < DP_SFU_CHAIN_MAX; n++) {
		s = shm_sfu_subscription_get(v, idx);
		if (s == NULL || s->transport_idx != c->transport_idx)
			return 0;
		if (s->ssrc == ssrc) {
			c->watched[slot].ssrc = ssrc;
			c->watched[slot].subscription_idx = idx;
			return idx;
		}
		idx = __atomic_load_n(&s->next_subscription, __ATOMIC_ACQUIRE);
	}
	return 0;
}

// RFC 3550 §6.4.1: now - LSR - DLSR, in 1/65536 s.
static void take_rtt(struct dp_worker *w, struct dp_sfu_client *c,
		     const struct rtcp_report_block *b)
{
	struct shm_sfu_transport_state *st = dp_sfu_state(w, c->transport_idx);
	uint32_t now = (uint32_t)(dp_sfu_ntp(w) >> 16);
	uint32_t rtt = now - b->last_sr - b->delay_last_sr;
	uint64_t rtt_us = (uint64_t)rtt * 1000000 >> 16;

	// A report that quotes a clock that is not ours, or a delay longer than the time.
	if (b->last_sr == 0 || (int32_t)rtt < 0 || rtt_us > RTT_MAX_US)
		return;
	st->rtt_us = (uint32_t)(st->rtt_us == 0 ? rtt_us : (st->rtt_us * UINT64_C(7) + rtt_us) / 8);
}

static void take_blocks(struct dp_worker *w, struct dp_sfu_client *c, const uint8_t *blocks,
			uint32_t n_blocks)
{
	struct shm_sfu_transport_state *st = dp_sfu_state(w, c->transport_idx);
	uint32_t loss_q8 = 0;
	bool any = false;

	for (uint32_t i = 0; i < n_blocks; i++) {
		struct rtcp_report_block b =
			rtcp_report_block_read(blocks + (size_t)i * RTCP_REPORT_BLOCK_BYTES);
		uint32_t idx = subscription_of(w, c, b.ssrc);

		if (idx == 0)
			continue;
		any = true;
		loss_q8 = RTE_MAX(loss_q8, (uint32_t)b.fraction_lost);
		take_rtt(w, c, &b);
		dp_sfu_on_report_block(w, idx, &b);
	}
	if (any) {
		st->loss_q8 = loss_q8;
		st->report_at_ns = w->now_ns;
	}
}

static void take_sender_report(struct dp_worker *w, struct dp_sfu_client *c,
			       const struct rtcp_sr *sr)
{
	bool is_rtx;
	int i = dp_sfu_stream_find(c, sr->ssrc, &is_rtx);
	struct shm_sfu_ingress_state *in;

	if (i < 0 || is_rtx)
		return;
	in = dp_sfu_ingress(w, c->stream[i]);
	in->sr_ntp = sr->ntp;
	in->sr_rtp = sr->rtp_timestamp;
	in->sr_pkts = sr->sent_pkts;
	in->sr_at_ns = w->now_ns;
	dp_sfu_on_sender_report(w, c->stream[i]->track_idx, c->stream[i]->layer);
}

static void take_nack(struct dp_worker *w, struct dp_sfu_client *c, const struct rtcp_view *v)
{
	uint16_t sequence[NACKS_MAX];
	struct rtcp_nack_reader r;
	struct rtcp_feedback f;
	uint32_t n = 0;
	uint32_t idx;

	if (rtcp_nack_parse(v, &f, &r) < 0)
		return;
	idx = subscription_of(w, c, f.media_ssrc);
	if (idx == 0)
		return;
	while (n < NACKS_MAX && rtcp_nack_next(&r, &sequence[n]))
		n++;
	dp_sfu_on_nack(w, idx, sequence, n);
}

static void take_keyframe_request(struct dp_worker *w, struct dp_sfu_client *c, uint32_t ssrc)
{
	uint32_t idx = subscription_of(w, c, ssrc);

	if (idx != 0)
		dp_sfu_on_keyframe_request(w, idx);
}

static void take_fir(struct dp_worker *w, struct dp_sfu_client *c, const struct rtcp_view *v)
{
	struct rtcp_feedback f;
	int n = rtcp_fir_parse(v, &f);

	for (int i = 0; i < n && i < RTCP_COUNT_MAX; i++)
		take_keyframe_request(w, c, rtcp_fir_entry_read(&f, (uint32_t)i).ssrc);
}

static void take_payload_feedback(struct dp_worker *w, struct dp_sfu_client *c,
				  const struct rtcp_view *v)
{
	struct shm_sfu_transport_state *st = dp_sfu_state(w, c->transport_idx);
	struct rtcp_feedback f;
	struct rtcp_remb remb;

	if (rtcp_is_pli(v)) {
		if (rtcp_feedback_parse(v, &f) == 0)
			take_keyframe_request(w, c, f.media_ssrc);
	} else if (v->count == RTCP_PSFB_FIR) {
		take_fir(w, c, v);
	} else if (v->count == RTCP_PSFB_ALFB && rtcp_remb_parse(v, &remb) == 0) {
		st->remb_bps = remb.bits_per_sec;
		st->remb_at_ns = w->now_ns;
	}
}

static void take_transport_feedback(struct dp_worker *w, struct dp_sfu_client *c,
				    const struct rtcp_view *v)
{
	struct rtcp_twcc twcc;

	if (v->count == RTCP_RTPFB_NACK)
		take_nack(w, c, v);
	else if (v->count == RTCP_RTPFB_TWCC && rtcp_twcc_parse(v, &twcc) == 0)
		dp_sfu_on_twcc(w, c->transport_idx, &twcc);
}

// The stream is over; another packet of it begins it anew.
static void take_bye(struct dp_worker *w, struct dp_sfu_client *c, const struct rtcp_view *v)
{
	struct rtcp_bye bye;

	if (rtcp_bye_parse(v, &bye) < 0)
		return;
	for (uint32_t i = 0; i < bye.n_ssrcs; i++) {
		bool is_rtx;
		int at = dp_sfu_stream_find(c, bytes_get_be32(bye.ssrcs + 4 * i), &is_rtx);

		if (at < 0 || is_rtx)
			continue;
		c->stream[at]->n_missing = 0;
		dp_sfu_ingress(w, c->stream[at])->bitrate_bps = 0;
	}
}

static void take_packet(struct dp_worker *w, struct dp_sfu_client *c, const struct rtcp_view *v)
{
	struct rtcp_sr sr;
	struct rtcp_rr rr;

	switch (v->type) {
	case RTCP_TYPE_SR:
		if (rtcp_sr_parse(v, &sr) == 0) {
			take_sender_report(w, c, &sr);
			take_blocks(w, c, sr.blocks, sr.n_blocks);
		}
		return;
	case RTCP_TYPE_RR:
		if (rtcp_rr_parse(v, &rr) == 0)
			take_blocks(w, c, rr.blocks, rr.n_blocks);
		return;
	case RTCP_TYPE_RTPFB:
		take_transport_feedback(w, c, v);
		return;
	case RTCP_TYPE_PSFB:
		take_payload_feedback(w, c, v);
		return;
	case RTCP_TYPE_BYE:
		take_bye(w, c, v);
		return;
	default:
		return;
	}
}

static void refuse(struct dp_worker *w, struct shm_sfu_transport_state *st, enum dp_counter reason)
{
	w->count[reason]++;
	st->n_refused++;
}

void dp_sfu_rtcp_take(struct dp_worker *w, struct dp_sfu_client *c, const uint8_t *plain,
		      uint32_t plain_bytes)
{
	struct bytes_reader r = bytes_reader_init(plain, plain_bytes);
	struct rtcp_view v;

	while (rtcp_next(&r, &v) > 0)
		take_packet(w, c, &v);
}

static struct shm_srtcp_sender *sender_find(struct shm_sfu_transport_state *st, uint32_t ssrc)
{
	for (uint32_t i = 0; i < SHM_SRTCP_SENDERS_MAX; i++) {
		if (st->srtcp_rx[i].window.is_started && st->srtcp_rx[i].ssrc == ssrc)
			return &st->srtcp_rx[i];
	}
	return NULL;
}

// A free place, else that of the sender that was silent the longest.
static struct shm_srtcp_sender *sender_begin(struct shm_sfu_transport_state *st, uint32_t ssrc)
{
	struct shm_srtcp_sender *at = &st->srtcp_rx[0];

	for (uint32_t i = 0; i < SHM_SRTCP_SENDERS_MAX && at->window.is_started; i++) {
		if (!st->srtcp_rx[i].window.is_started || st->srtcp_rx[i].used_at_s < at->used_at_s)
			at = &st->srtcp_rx[i];
	}
	*at = (struct shm_srtcp_sender){ .ssrc = ssrc };
	return at;
}

void dp_sfu_rtcp_receive(struct dp_worker *w, struct dp_sfu_client *c, const uint8_t *packet,
			 uint32_t packet_bytes)
{
	struct shm_sfu_transport_state *st = dp_sfu_state(w, c->transport_idx);
	struct dp_sfu_transport *t = &w->sfu_rx->transport[c->transport_idx];
	struct shm_srtcp_sender *sender;
	uint8_t plain[RTCP_BYTES_MAX];
	uint32_t plain_bytes;
	bool is_encrypted;
	uint32_t index;
	uint32_t ssrc;

	// RFC 3711 §3.4: who agreed on encryption takes nothing without it.
	if (dp_srtcp_peek(t->rx, packet, packet_bytes, &index, &is_encrypted) != DP_SRTP_OK ||
	    !is_encrypted || packet_bytes > sizeof(plain)) {
		refuse(w, st, DP_DROP_SFU_MALFORMED);
		return;
	}
	ssrc = bytes_get_be32(packet + 4);
	sender = sender_find(st, ssrc);
	if (sender != NULL && replay_check(dp_sfu_window(&sender->window), index) != REPLAY_FRESH) {
		refuse(w, st, DP_DROP_SFU_REPLAYED);
		return;
	}
	if (dp_srtcp_unprotect(t->rx, packet, packet_bytes, plain, sizeof(plain), &plain_bytes) !=
	    DP_SRTP_OK) {
		refuse(w, st, DP_DROP_SFU_FORGED);
		dp_sfu_keys_suspect(w, c->transport_idx);
		return;
	}
	// Only what is authentic may take a place.
	if (sender == NULL)
		sender = sender_begin(st, ssrc);
	replay_record(dp_sfu_window(&sender->window), index);
	sender->used_at_s = (uint32_t)(w->now_ns / NS_PER_SEC);
	st->rx_pkts++;
	st->rx_bytes += packet_bytes;
	st->last_rx_ns = w->now_ns;
	// Reduced size (RFC 5506) is taken from everyone: what is said is what counts.
	if (rtcp_check(plain, plain_bytes, true) < 0) {
		refuse(w, st, DP_DROP_SFU_MALFORMED);
		return;
	}
	w->count[DP_COUNTER_SFU_RTCP]++;
	dp_sfu_rtcp_take(w, c, plain, plain_bytes);
}
