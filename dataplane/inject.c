// From the control plane: its answers, given headers and sent, and data of stream clients, which goes
// through the stages. Worker thread; the consuming end of its inject ring. What stands there is
// untrusted input: an answer may only leave from a listener of ours, over a path that exists.
#include "dataplane/contract/shm/ring.h"
#include "dataplane/header.h"
#include "dataplane/sfu/reception.h"
#include "dataplane/stream.h"

// True: may be sent as it says.
static bool datagram_check(const struct dp_worker *w, const struct shm_datagram *d)
{
	uint64_t mac = d->l2_word >> 16;
	struct ip_address remote;

	memcpy(remote.bytes, d->remote_address, sizeof(remote.bytes));
	return (d->kind == SHM_DATAGRAM_STUN ||
		(d->kind == SHM_DATAGRAM_DTLS && d->transport_idx == 0)) &&
	       d->local_idx < w->settings.n_locals &&
	       dp_local_listens(&w->settings.local[d->local_idx], d->local_port_be) && mac != 0 &&
	       shm_neighbour_port(d->l2_word) < w->shared->n_ports && d->remote_port_be != 0 &&
	       ip_address_is_v4(&remote) == (w->settings.local[d->local_idx].is_v4 != 0);
}

static void inject_one(struct dp_worker *w, const struct shm_datagram *shared_datagram,
		       uint16_t length_bytes)
{
	// Checked and used from a copy, because the other side could still write.
	struct shm_datagram d = *shared_datagram;
	struct ip_endpoint source;
	struct ip_endpoint destination;
	struct dp_header h;
	uint32_t header_bytes;
	struct rte_mbuf *m;
	bool sent = true;
	uint8_t *frame;
	uint16_t checksum;
	uint8_t *udp;

	// Where its client is, the worker knows best.
	if (d.kind == SHM_DATAGRAM_DTLS && d.transport_idx != 0 && w->shared->sfu != NULL) {
		dp_sfu_dtls_inject(w, d.transport_idx, shared_datagram->data, length_bytes);
		return;
	}
	if (!datagram_check(w, &d)) {
		w->count[DP_DROP_BAD_INJECT]++;
		return;
	}
	m = rte_pktmbuf_alloc(w->shared->pool);
	if (m == NULL) {
		w->count[DP_DROP_INJECT_LOST]++;
		return;
	}
	source.address = w->settings.local[d.local_idx].address;
	source.port_be = d.local_port_be;
	memcpy(destination.address.bytes, d.remote_address, sizeof(destination.address.bytes));
	destination.port_be = d.remote_port_be;
	h = (struct dp_header){
		.source = dp_address_of(&source.address),
		.destination = dp_address_of(&destination.address),
		.ports = dp_ports(source.port_be, destination.port_be),
		.l2_word = d.l2_word,
		.source_mac = w->shared->port[shm_neighbour_port(d.l2_word)].mac,
		.ip_id = w->ip_id++,
		.udp_bytes = UDP_BYTES + length_bytes,
		.ttl = ANSWER_TTL,
		.is_v4 = w->settings.local[d.local_idx].is_v4,
	};
	header_bytes = dp_header_bytes(d.l2_word, h.is_v4);
	// The largest answer needs some of the headroom, which nobody else will.
	if (header_bytes + length_bytes > rte_pktmbuf_tailroom(m))
		m->data_off = 0;
	frame = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(header_bytes + length_bytes));
	if (frame == NULL) {
		w->count[DP_DROP_BAD_INJECT]++;
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(frame + header_bytes, shared_datagram->data, length_bytes);
	dp_header_write(frame, &h);
	udp = frame + header_bytes - UDP_BYTES;
	checksum = udp_checksum(&source.address, &destination.address, udp, (uint16_t)h.udp_bytes);
	memcpy(udp + 6, &checksum, sizeof(checksum));
	if (header_bytes - dp_header_l2_bytes(d.l2_word) + length_bytes >
	    w->shared->port[shm_neighbour_port(d.l2_word)].mtu_bytes)
		sent = dp_tx_push_fragments(w, shm_neighbour_port(d.l2_word), m,
					    dp_header_l2_bytes(d.l2_word), h.is_v4);
	else
		dp_tx_push(w, shm_neighbour_port(d.l2_word), m);
	w->count[sent ? DP_COUNTER_INJECT : DP_DROP_INJECT_LOST]++;
}

uint32_t dp_inject_poll(struct dp_worker *w)
{
	struct dp_packet *stream[DP_BURST];
	uint32_t n_stream = 0;
	uint32_t n = 0;

	while (n < DP_BURST) {
		uint16_t length_bytes;
		const struct shm_datagram *d = shm_ring_peek(w->inject, &length_bytes);

		if (d == NULL)
			break;
		if (__atomic_load_n(&d->kind, __ATOMIC_RELAXED) == SHM_DATAGRAM_STREAM) {
			stream[n_stream] = &w->packet[n_stream];
			n_stream += dp_stream_take(w, d, length_bytes, stream[n_stream]);
		} else {
			inject_one(w, d, length_bytes);
		}
		shm_ring_release(w->inject);
		n++;
	}
	if (n_stream > 0)
		dp_worker_stream_stages(w, stream, n_stream);
	return n;
}
