// Clients that reach the SFU through one of our own allocations: their packets go from the relay to the SFU and back in the same
// pass, and no packet between the two leaves the box. Upward a permitted datagram whose destination is a listener of ours becomes
// one of the SFU's; downward a frame toward a relayed address is looked up as if a peer had sent it. TURN itself is never reached
// this way: only ICE checks that name a transport, DTLS and SRTP are. Worker thread.
#include "dataplane/contract/wire/demux.h"
#include "dataplane/relay.h"
#include "dataplane/sfu/reception.h"

static bool stage_of(struct dp_packet *p, enum dp_stage *stage)
{
	const uint8_t *payload = p->frame + p->data_offset;
	struct stun_attr username;

	if (p->data_bytes == 0)
		return false;
	switch (wire_demux(payload[0])) {
	case WIRE_KIND_STUN:
		p->kind = DP_KIND_CHECK;
		*stage = DP_STAGE_ICE;
		return stun_parse(payload, p->data_bytes, &p->stun) == STUN_OK &&
		       p->stun.type == STUN_BINDING_REQUEST &&
		       stun_attr_find(&p->stun, STUN_ATTR_USERNAME, &username);
	case WIRE_KIND_DTLS:
		p->kind = DP_KIND_DTLS;
		*stage = DP_STAGE_DTLS;
		return true;
	case WIRE_KIND_RTP:
		p->kind = DP_KIND_SRTP;
		*stage = DP_STAGE_SRTP;
		return true;
	default:
		return false;
	}
}

bool dp_sfu_inside_up(struct dp_worker *w, struct dp_packet *p, uint8_t local_idx)
{
	uint8_t kind = p->kind;
	enum dp_stage stage;

	if (w->shared->sfu == NULL || !stage_of(p, &stage))
		return false;
	// What another worker passed on went through here at that one.
	if (!w->sfu_rx->is_passed) {
		dp_relay_account(w, p->flow, p);
		w->count[kind == DP_KIND_UP_CHANNEL ? DP_COUNTER_UP_CHANNEL : DP_COUNTER_UP_SEND]++;
		w->count[DP_COUNTER_SFU_FUSED]++;
	}
	p->is_inside = 1;
	p->local_idx = local_idx;
	p->view.source = p->source;
	p->view.destination = p->destination;
	p->view.is_v4 = ip_address_is_v4(&p->destination.address);
	p->view.payload_offset = p->data_offset;
	p->view.payload_bytes = p->data_bytes;
	dp_list_add(w, stage, p);
	return true;
}

void dp_sfu_inside_push(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf *m)
{
	if (w->n_inside == DP_INSIDE_MAX) {
		w->count[DP_DROP_SFU_INSIDE_FULL]++;
		rte_pktmbuf_free(m);
		return;
	}
	w->inside[w->n_inside].mbuf = m;
	w->inside[w->n_inside++].port_idx = (uint8_t)port_idx;
}

uint32_t dp_sfu_inside_poll(struct dp_worker *w)
{
	uint32_t n_moved = w->n_inside;
	uint32_t at = 0;

	// What is relayed goes to a port: nothing comes in here behind what is there.
	while (at < w->n_inside) {
		struct dp_packet *in[DP_BURST];
		uint32_t n = 0;

		for (; n < DP_BURST && at < w->n_inside; n++, at++) {
			in[n] = &w->packet[n];
			in[n]->mbuf = w->inside[at].mbuf;
			in[n]->port_idx = w->inside[at].port_idx;
			in[n]->was_fragments = 0;
			in[n]->is_inside = 1;
		}
		w->count[DP_COUNTER_SFU_FUSED] += n;
		dp_worker_stages(w, in, n);
	}
	w->n_inside = 0;
	return n_moved;
}
