// From stream clients: what the control plane read from a socket becomes a packet of the client's, as if it had come over UDP from
// the stream's pseudo address. The headers are written in full, so that the buffer says everything about itself, at another worker
// too. Worker thread; writes its packets.
#include "dataplane/contract/wire/turn.h"
#include "dataplane/header.h"
#include "dataplane/stream.h"

#define ECN_MASK 0x03

// Of no host: where the SFU notes its client's next hop there must be one, though no frame ever goes there.
static const uint8_t no_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

bool dp_stream_take(struct dp_worker *w, const struct shm_datagram *untrusted,
		    uint16_t length_bytes, struct dp_packet *p)
{
	// Checked and used from a copy, because the other side could still write.
	struct shm_datagram d = *untrusted;
	struct dp_header h;
	struct rte_mbuf *m;
	uint32_t serial;
	uint32_t idx;
	uint8_t *frame;

	if (!shm_stream_address_get(d.remote_address, &idx, &serial) || d.remote_port_be != 0 ||
	    length_bytes < TURN_CHANNEL_HEADER_BYTES) {
		w->count[DP_DROP_BAD_INJECT]++;
		return false;
	}
	m = rte_pktmbuf_alloc(w->shared->pool);
	if (m == NULL) {
		w->count[DP_DROP_INJECT_LOST]++;
		return false;
	}
	h = (struct dp_header){
		.source = dp_address_of(d.remote_address),
		.l2_word = shm_neighbour_word(no_mac, 0, 0),
		.source_mac = no_mac,
		.udp_bytes = UDP_BYTES + length_bytes,
		// RFC 8656 §15: the default for what leaves, where one is taken off; Not-ECT.
		.ttl = ANSWER_TTL + 1,
		.traffic_class = d.traffic_class & (uint8_t)~ECN_MASK,
	};
	frame = (uint8_t *)rte_pktmbuf_append(
		m, (uint16_t)(dp_header_bytes(h.l2_word, false) + length_bytes));
	if (frame == NULL) {
		w->count[DP_DROP_INJECT_LOST]++;
		rte_pktmbuf_free(m);
		return false;
	}
	dp_header_write(frame, &h);
	memcpy(frame + dp_header_bytes(h.l2_word, false), untrusted->data, length_bytes);
	p->mbuf = m;
	p->port_idx = 0;
	p->was_fragments = 0;
	p->is_inside = 0;
	w->count[DP_COUNTER_STREAM_IN]++;
	return true;
}
