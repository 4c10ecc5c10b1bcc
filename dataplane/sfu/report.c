// RTCP with watchers: their reports and wishes taken in, sender reports made for them (RFC 3550 §6.4.1). A report carries our clock, and
// the publisher's RTP time at that instant by the publisher's own reports, so that sound and picture of one publisher stay
// together. Worker thread; writes the subscription's state.
#include "dataplane/contract/wire/rtcp.h"
#include "dataplane/sfu/ntp.h"
#include "dataplane/sfu/transmission.h"

#define NS_PER_SEC     1000000000ll
#define REPORT_BYTES   128
#define REPORT_MS      900               // few subscriptions have their turn more often
#define REPORT_AGE_MAX (30 * NS_PER_SEC) // of the publisher's last one

static int64_t ntp_to_ns(uint64_t ntp)
{
	return (int64_t)(ntp >> 32) * NS_PER_SEC +
	       (int64_t)(((ntp & 0xffffffff) * NS_PER_SEC) >> 32);
}

// How far our clock is ahead of the publisher's, with the shortest way that a report of it had. One value for all its tracks.
static int64_t clock_ahead_ns(struct dp_sfu_transmission *x, uint32_t transport_idx,
			      uint64_t sr_ntp, uint64_t sr_at_ns)
{
	struct dp_worker *w = x->worker;
	struct dp_sfu_clock *c = &x->clock[transport_idx];
	uint32_t serial = x->table->transport[transport_idx].serial;
	int64_t arrived_ns =
		(int64_t)(sr_at_ns + w->wall_off_ns) + (int64_t)DP_SFU_NTP_UNIX_SEC * NS_PER_SEC;
	int64_t ahead_ns = arrived_ns - ntp_to_ns(sr_ntp);
	int64_t off_ns = ahead_ns - c->ahead_ns;

	if (c->serial != serial || off_ns < 0 || off_ns > NS_PER_SEC) {
		c->serial = serial;
		c->ahead_ns = ahead_ns;
	} else if (sr_at_ns > c->sr_at_ns) {
		c->ahead_ns += off_ns / 64; // clocks drift
	}
	c->sr_at_ns = RTE_MAX(c->sr_at_ns, sr_at_ns);
	return c->ahead_ns;
}

// The RTP time of what is sent to the watcher, now; false when the publisher did not report yet.
static bool rtp_now(struct dp_sfu_transmission *x, const struct dp_sfu_egress *e, uint32_t *out)
{
	const struct shm_sfu_track *t = shm_sfu_track_get(x->table, e->track_idx);
	const struct shm_sfu_ingress_state *in;
	struct dp_worker *w = x->worker;
	uint64_t sr_at_ns;
	uint64_t sr_ntp;
	uint32_t sr_rtp;
	int64_t now_ns;
	int64_t elapsed_ns;

	if (t == NULL || t->serial != e->gate.track_serial || t->transport_idx == 0 ||
	    t->transport_idx >= x->table->n_transports || e->gate.layer >= SHM_SFU_LAYERS_MAX)
		return false;
	in = &x->state->ingress[shm_sfu_ingress_idx(e->track_idx, e->gate.layer)];
	// Another worker may be writing it: read between two looks at the time.
	sr_at_ns = __atomic_load_n(&in->sr_at_ns, __ATOMIC_ACQUIRE);
	sr_ntp = in->sr_ntp;
	sr_rtp = in->sr_rtp;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (sr_ntp == 0 || in->serial != e->gate.track_serial ||
	    __atomic_load_n(&in->sr_at_ns, __ATOMIC_RELAXED) != sr_at_ns)
		return false;
	now_ns = (int64_t)(w->now_ns + w->wall_off_ns) + (int64_t)DP_SFU_NTP_UNIX_SEC * NS_PER_SEC;
	elapsed_ns =
		now_ns - clock_ahead_ns(x, t->transport_idx, sr_ntp, sr_at_ns) - ntp_to_ns(sr_ntp);
	if (elapsed_ns < -REPORT_AGE_MAX || elapsed_ns > REPORT_AGE_MAX)
		return false;
	*out = sr_rtp + (uint32_t)(elapsed_ns / 1000 * (int64_t)e->clock_hz / 1000000) +
	       e->rewrite.timestamp_offset;
	return true;
}

void dp_sfu_report_visit(struct dp_sfu_transmission *x, struct dp_sfu_egress *e)
{
	struct dp_worker *w = x->worker;
	struct shm_sfu_egress_state *s = e->state;
	struct rtcp_sr sr = {
		.ssrc = e->ssrc,
		.ntp = dp_sfu_ntp(w),
		.sent_pkts = (uint32_t)s->pkts,
		.sent_bytes = (uint32_t)s->bytes,
	};
	uint8_t packet[REPORT_BYTES];
	struct bytes_writer out = bytes_writer_init(packet, sizeof(packet));
	char cname[16];
	int cname_bytes;

	if ((uint32_t)(w->now_ns / 1000000) - s->sr_sent_at_ms < REPORT_MS)
		return;
	if (s->pkts == e->reported_pkts || e->gate.is_waiting || !rtp_now(x, e, &sr.rtp_timestamp))
		return;
	// All that one watcher gets is one source of clocks to it (RFC 3550 §6.5.1).
	cname_bytes = snprintf(cname, sizeof(cname), "tp-%08x",
			       x->table->transport[e->watcher->transport_idx].rtcp_ssrc);
	rtcp_sr_put(&out, &sr, NULL, 0);
	rtcp_sdes_cname_put(&out, e->ssrc, cname, (size_t)cname_bytes);
	if (!dp_sfu_send_rtcp(w, e->watcher->transport_idx, packet, (uint32_t)out.len_bytes))
		return;
	e->reported_pkts = s->pkts;
	s->sr_sent_at_ms = (uint32_t)(w->now_ns / 1000000);
}

void dp_sfu_on_report_block(struct dp_worker *w, uint32_t subscription_idx,
			    const struct rtcp_report_block *block)
{
	struct dp_sfu_egress *e = dp_sfu_egress_get(w->sfu_tx, subscription_idx);

	if (e == NULL)
		return;
	e->state->loss_q8 = block->fraction_lost;
	e->state->jitter_ticks = block->jitter;
	// RFC 9143 §15: the MID has done its work once the receiver shows that it knows the SSRC.
	if (block->ssrc == e->ssrc && e->state->pkts > 0)
		e->state->is_acknowledged = 1;
}

void dp_sfu_on_keyframe_request(struct dp_worker *w, uint32_t subscription_idx)
{
	struct dp_sfu_transmission *x = w->sfu_tx;
	struct dp_sfu_egress *e = dp_sfu_egress_get(x, subscription_idx);
	const struct shm_sfu_track *t;
	uint32_t layer;

	if (e == NULL || e->kind != SHM_SFU_VIDEO)
		return;
	e->state->n_plis++;
	t = shm_sfu_track_get(x->table, e->track_idx);
	if (t == NULL)
		return;
	layer = e->gate.layer;
	if (layer >= t->n_layers)
		layer = t->n_layers > 1 ? RTE_MIN(x->table->subscription[e->idx].target & 0xff,
						  t->n_layers - 1u)
					: 0;
	dp_sfu_request_keyframe(w, e->track_idx, layer);
}

void dp_sfu_on_sender_report(struct dp_worker *w, uint32_t track_idx, uint32_t layer)
{
	const struct shm_sfu_track *t = shm_sfu_track_get(w->sfu_tx->table, track_idx);
	const struct shm_sfu_ingress_state *in;

	if (t == NULL || layer >= SHM_SFU_LAYERS_MAX || t->transport_idx == 0 ||
	    t->transport_idx >= w->sfu_tx->table->n_transports)
		return;
	in = &w->sfu_tx->state->ingress[shm_sfu_ingress_idx(track_idx, layer)];
	if (in->sr_ntp != 0)
		clock_ahead_ns(w->sfu_tx, t->transport_idx, in->sr_ntp, in->sr_at_ns);
}
