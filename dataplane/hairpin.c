// Between two allocations of our own: what one sends to the relayed address of the other never
// reaches a wire; it is looked up again as if it had come from there. Worker thread; writes the
// packets and the lists.
#include "dataplane/relay.h"
#include "dataplane/sfu/sfu.h"
#include "dataplane/worker.h"

// Turns a datagram that goes up into the same one coming down.
static bool turn_around(struct dp_worker *w, struct dp_packet *p)
{
	uint8_t local_idx = dp_local_find(&w->settings, &p->destination.address);

	if (ip_endpoint_equal(&p->source, &p->destination)) {
		dp_drop(w, p, DP_DROP_HAIRPIN_LOOP);
		return false;
	}
	if (local_idx != DP_LOCAL_NONE &&
	    dp_local_listens(&w->settings.local[local_idx], p->destination.port_be) &&
	    dp_sfu_inside_up(w, p, local_idx))
		return false;
	// Only relayed ports: a listener is never a peer, but of the SFU's clients.
	if (local_idx == DP_LOCAL_NONE ||
	    !dp_local_relays(&w->settings.local[local_idx], p->destination.port_be) ||
	    dp_local_listens(&w->settings.local[local_idx], p->destination.port_be)) {
		dp_drop(w, p, DP_DROP_NO_RELAY);
		return false;
	}
	if (p->ttl <= 1) {
		dp_drop(w, p, DP_DROP_TTL_EXPIRED);
		return false;
	}
	p->ttl--;
	p->up_flow = p->flow;
	p->is_hairpin = 1;
	p->kind = DP_KIND_DOWN;
	p->peer = p->source;
	p->local_idx = local_idx;
	memcpy(p->key.address, p->source.address.bytes, 16);
	p->key.port_be = p->source.port_be;
	p->key.local_port_be = p->destination.port_be;
	p->key.local_idx = local_idx;
	p->key.kind = SHM_FLOW_PEER;
	p->key.channel_be = 0;
	return true;
}

void dp_hairpin_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	struct dp_packet *down[DP_BURST];
	uint32_t n_down = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (turn_around(w, in[i]))
			down[n_down++] = in[i];
	}
	if (n_down > 0)
		dp_lookup_burst(w, down, n_down);
}
