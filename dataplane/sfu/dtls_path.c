// DTLS between clients and the control plane: records of a proved address go up the punt ring, and what comes back goes where the
// client is now. Each transport has a rate of its own, because what it sends over the association (data channels too) is its
// own doing. Worker thread; writes its punt ring.
#include "dataplane/sfu/reception.h"

#define DTLS_PER_SEC   2000
#define DTLS_BURST     400
#define NS_PER_SEC     UINT64_C(1000000000)
#define RESERVED_SLOTS (SHM_RING_SLOTS / 4) // for requests of TURN clients

static bool may_punt(struct dp_worker *w, uint32_t transport_idx)
{
	uint64_t gone_ns = w->now_ns - w->sfu_rx->dtls[transport_idx].at_ns;
	uint64_t n = w->sfu_rx->dtls[transport_idx].n;

	// Since the last one, so that a burst can be had again after a pause.
	if (gone_ns > NS_PER_SEC)
		n = DTLS_BURST;
	else
		n += gone_ns * DTLS_PER_SEC / NS_PER_SEC;
	n = RTE_MIN(n, (uint64_t)DTLS_BURST);
	if (n == 0)
		return false;
	w->sfu_rx->dtls[transport_idx].at_ns = w->now_ns;
	w->sfu_rx->dtls[transport_idx].n = (uint32_t)n - 1;
	return true;
}

static void dtls_one(struct dp_worker *w, struct dp_packet *p)
{
	struct dp_sfu_remote_key key =
		dp_sfu_remote_key(&p->view.source, p->local_idx, p->view.destination.port_be);
	struct shm_datagram *d = NULL;
	uint32_t transport_idx;
	uint32_t owner;

	transport_idx = dp_sfu_remote_lookup(w, &key, &owner);
	// RFC 7350: of a stranger to the SFU it is TURN's, which nobody reaches through the relay.
	if (transport_idx == 0 && w->settings.has_dtls && !p->is_inside) {
		dp_list_add(w, DP_STAGE_PUNT, p);
		return;
	}
	// Nor what a client says whose index has been given to another: it would end that one's handshake.
	if (transport_idx == 0 || dp_sfu_owner(w, transport_idx) != (int)owner) {
		dp_drop(w, p, DP_DROP_SFU_NO_CLIENT);
		return;
	}
	if (p->view.payload_bytes > SHM_DATAGRAM_BYTES_MAX) {
		dp_drop(w, p, DP_DROP_PUNT_TOO_BIG);
		return;
	}
	if (!may_punt(w, transport_idx)) {
		dp_drop(w, p, DP_DROP_PUNT_RATE);
		return;
	}
	if (shm_ring_room(w->punt) > RESERVED_SLOTS)
		d = shm_ring_reserve(w->punt);
	if (d == NULL) {
		dp_drop(w, p, DP_DROP_PUNT_FULL);
		return;
	}
	*d = (struct shm_datagram){
		.remote_port_be = p->view.source.port_be,
		.local_port_be = p->view.destination.port_be,
		.local_idx = p->local_idx,
		.kind = SHM_DATAGRAM_DTLS,
		.l2_word = dp_answer_l2_word(p),
		.at_ns = w->now_ns,
		.length_bytes = p->view.payload_bytes,
		.transport_idx = transport_idx,
	};
	memcpy(d->remote_address, p->view.source.address.bytes, sizeof(d->remote_address));
	memcpy(d->data, p->frame + p->view.payload_offset, p->view.payload_bytes);
	shm_ring_commit(w->punt);
	w->count[DP_COUNTER_SFU_DTLS]++;
	dp_done(w, p);
}

void dp_sfu_dtls_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		dtls_one(w, in[i]);
	dp_punt_wake(w);
}

void dp_sfu_dtls_inject(struct dp_worker *w, uint32_t transport_idx, const uint8_t *data,
			uint16_t length_bytes)
{
	struct rte_mbuf *m;
	char *to;

	m = rte_pktmbuf_alloc(w->shared->pool);
	if (m == NULL) {
		w->count[DP_DROP_INJECT_LOST]++;
		return;
	}
	to = rte_pktmbuf_append(m, length_bytes);
	if (to == NULL) {
		w->count[DP_DROP_BAD_INJECT]++;
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(to, data, length_bytes);
	w->count[DP_COUNTER_INJECT]++;
	dp_sfu_send(w, transport_idx, m);
}
