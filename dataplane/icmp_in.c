// ICMP errors about what relayed ports sent, turned into Data indications to their clients (RFC 8656 §11.5). Worker thread; writes
// the packets' buffers, the tx queue and the stream ring.
#include "dataplane/contract/wire/turn.h"
#include "dataplane/header.h"
#include "dataplane/icmp.h"
#include "dataplane/stream.h"

bool dp_icmp_is_relayed(const struct dp_worker *w, const struct dp_packet *p)
{
	const struct dp_local *l = &w->settings.local[p->local_idx];
	struct icmp_error e;
	enum icmp_verdict verdict = icmp_error_parse(p->frame, &p->view, &e);

	// With a wrong checksum too: what the filter keeps from the kernel is dropped here.
	return (verdict == ICMP_OK || verdict == ICMP_BAD_CHECKSUM) &&
	       ip_address_equal(&e.source.address, &p->view.destination.address) &&
	       dp_local_relays(l, e.source.port_be) && !dp_local_listens(l, e.source.port_be);
}

uint32_t dp_icmp_indication(struct dp_worker *w, uint8_t *out, const struct ip_endpoint *peer,
			    uint8_t type, uint8_t code, uint32_t error_data)
{
	const uint64_t random[2] = { dp_random(w), dp_random(w) };
	uint8_t value[8] = { 0 };
	struct stun_builder b;

	// RFC 8656 §18.13: 16 bits reserved, 7 of type, 9 of code, 32 of error data.
	bytes_put_be16(value + 2, (uint16_t)((type & 0x7f) << 9 | code));
	bytes_put_be32(value + 4, error_data);
	stun_build_begin(&b, out, DP_ICMP_INDICATION_BYTES_MAX, TURN_DATA_INDICATION,
			 (const uint8_t *)random);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, peer);
	stun_build_attr(&b, TURN_ATTR_ICMP, value, sizeof(value));
	return (uint32_t)stun_build_end(&b);
}

// In the packet's own buffer, from the listener to the client that the permission names.
static void send_to_client(struct dp_worker *w, struct dp_packet *p, const struct shm_flow *f,
			   const void *message, uint32_t message_bytes)
{
	uint64_t next_hop = dp_next_hop(w, f->neighbour_idx);
	// Once: what was checked is what is used.
	uint8_t local_idx = __atomic_load_n(&f->from_local_idx, __ATOMIC_RELAXED);
	struct rte_mbuf *m = p->mbuf;
	struct ip_address source;
	struct ip_address destination;
	uint32_t header_bytes;
	struct dp_header h;
	uint16_t checksum;
	uint8_t *frame;
	uint8_t *udp;

	memcpy(destination.bytes, f->to_address, sizeof(destination.bytes));
	if (next_hop == 0) {
		dp_drop(w, p, DP_DROP_NO_NEXT_HOP);
		return;
	}
	if (local_idx >= w->settings.n_locals ||
	    ip_address_is_v4(&destination) != (w->settings.local[local_idx].is_v4 != 0)) {
		dp_drop(w, p, DP_DROP_NO_ALLOCATION);
		return;
	}
	source = w->settings.local[local_idx].address;
	h = (struct dp_header){
		.source = dp_address_of(&source),
		.destination = dp_address_of(&destination),
		.ports = dp_ports(f->from_port_be, f->to_port_be),
		.l2_word = next_hop,
		.source_mac = w->shared->port[shm_neighbour_port(next_hop)].mac,
		.ip_id = w->ip_id++,
		.udp_bytes = UDP_BYTES + message_bytes,
		.ttl = ANSWER_TTL,
		.is_v4 = w->settings.local[local_idx].is_v4,
	};
	header_bytes = dp_header_bytes(next_hop, h.is_v4);
	rte_pktmbuf_reset_headroom(m);
	if (header_bytes + message_bytes > (uint32_t)(m->buf_len - m->data_off)) {
		dp_drop(w, p, DP_DROP_NO_MBUF);
		return;
	}
	m->data_len = (uint16_t)(header_bytes + message_bytes);
	m->pkt_len = m->data_len;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(frame + header_bytes, message, message_bytes);
	dp_header_write(frame, &h);
	udp = frame + header_bytes - UDP_BYTES;
	checksum = udp_checksum(&source, &destination, udp, (uint16_t)h.udp_bytes);
	memcpy(udp + 6, &checksum, sizeof(checksum));
	dp_tx_push(w, shm_neighbour_port(next_hop), m);
	w->count[DP_COUNTER_ICMP_RELAYED]++;
}

static void relay_error(struct dp_worker *w, struct dp_packet *p)
{
	uint8_t message[DP_ICMP_INDICATION_BYTES_MAX];
	struct ip_endpoint client;
	const struct shm_flow *f;
	uint32_t message_bytes;
	struct icmp_error e;

	if (icmp_error_parse(p->frame, &p->view, &e) != ICMP_OK) {
		dp_drop(w, p, DP_DROP_ICMP_MALFORMED);
		return;
	}
	// The permission is that of whom the datagram was sent to; any router may tell.
	p->key = (struct shm_flow_key){
		.local_port_be = e.source.port_be,
		.local_idx = p->local_idx,
		.kind = SHM_FLOW_PERMISSION,
	};
	memcpy(p->key.address, e.destination.address.bytes, sizeof(p->key.address));
	f = shm_flow_lookup(&w->shared->flows, &p->key);
	if (f == NULL || !dp_flow_is_live(w, f)) {
		dp_drop(w, p, f == NULL ? DP_DROP_NO_PERMISSION : DP_DROP_PERMISSION_EXPIRED);
		return;
	}
	memcpy(client.address.bytes, f->to_address, sizeof(client.address.bytes));
	client.port_be = f->to_port_be;
	if (!dp_icmp_limit_take(&w->icmp_in, &client, w->now_ns)) {
		dp_drop(w, p, DP_DROP_ICMP_RATE);
		return;
	}
	message_bytes = dp_icmp_indication(w, message, &e.destination, e.type, e.code, e.mtu_bytes);
	if (!(f->flags & SHM_FLOW_F_STREAM)) {
		send_to_client(w, p, f, message, message_bytes);
		return;
	}
	if (!dp_stream_put(w, &client.address, message, message_bytes)) {
		dp_drop(w, p, DP_DROP_STREAM_FULL);
		return;
	}
	w->count[DP_COUNTER_ICMP_RELAYED]++;
	dp_done(w, p);
}

void dp_icmp_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		relay_error(w, in[i]);
}
