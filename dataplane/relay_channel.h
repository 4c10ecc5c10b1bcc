// The case that nearly all traffic is, relayed with what it needs and no more: ChannelData, or what
// becomes or was ChannelData, over IPv4 on both sides, in one frame. Everything else goes through
// relay.c, and so do all the drops. Worker thread; writes the packet's buffer and the tx queue.
#ifndef TP_DP_RELAY_CHANNEL_H
#define TP_DP_RELAY_CHANNEL_H

#include "dataplane/contract/wire/turn.h"
#include "dataplane/header.h"
#include "dataplane/worker.h"

// A multiple of 0xffff, which is zero in the checksum's arithmetic, above all sums of this file: to
// subtract is to add the difference to it.
#define CHECKSUM_ZERO 0xffffffffffffull

static inline uint32_t relay_channel_sum_v4(const struct ip_endpoint *e)
{
	uint32_t v4;

	memcpy(&v4, ip_address_v4_bytes(&e->address), sizeof(v4));
	return v4;
}

// RFC 1624 eqn. 3, with the words of both sides; a length counts twice.
static inline uint16_t relay_channel_checksum(const struct dp_packet *p, uint32_t framing_in,
					      uint32_t framing_out, uint32_t udp_bytes)
{
	uint64_t received = (uint64_t)relay_channel_sum_v4(&p->view.source) +
			    relay_channel_sum_v4(&p->view.destination) + p->view.source.port_be +
			    p->view.destination.port_be + framing_in +
			    2u * __builtin_bswap16((uint16_t)(UDP_BYTES + p->view.payload_bytes));
	uint64_t sent = (uint64_t)relay_channel_sum_v4(&p->source) +
			relay_channel_sum_v4(&p->destination) + p->source.port_be +
			p->destination.port_be + framing_out +
			2u * __builtin_bswap16((uint16_t)udp_bytes);
	uint64_t sum = (uint16_t)~p->view.udp_checksum_be + sent + (CHECKSUM_ZERO - received);
	uint16_t checksum = (uint16_t)~checksum_fold(checksum_fold64(sum));

	return checksum != 0 ? checksum : 0xffff;
}

// True: it is on its way. False: not such a packet, nothing was touched.
static inline bool dp_relay_channel_v4(struct dp_worker *w, struct dp_packet *p)
{
	uint64_t next_hop = dp_next_hop(w, p->neighbour_idx);
	const struct dp_port *port = &w->shared->port[shm_neighbour_port(next_hop)];
	bool down = p->kind == DP_KIND_DOWN;
	uint32_t head_bytes = p->data_offset - p->view.payload_offset;
	uint32_t prefix_bytes = down ? TURN_CHANNEL_HEADER_BYTES : 0;
	uint32_t udp_bytes = UDP_BYTES + prefix_bytes + p->data_bytes;
	uint32_t new_bytes = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + prefix_bytes;
	struct rte_mbuf *m = p->mbuf;
	uint32_t framing_in = 0;
	uint32_t framing_out = 0;
	struct dp_header h;
	uint8_t *data;

	if (next_hop == 0 || shm_neighbour_vlan(next_hop) != 0 || !p->view.is_v4 ||
	    !ip_address_is_v4(&p->destination.address) || !ip_address_is_v4(&p->source.address) ||
	    p->view.udp_checksum_be == 0 || p->ttl <= 1)
		return false;
	if (p->kind == DP_KIND_UP_SEND || (down && p->channel_be == 0) ||
	    (head_bytes != 0 && head_bytes != TURN_CHANNEL_HEADER_BYTES) ||
	    p->view.payload_bytes != head_bytes + p->data_bytes ||
	    IPV4_BYTES + udp_bytes > port->mtu_bytes || m->data_off + p->data_offset < new_bytes)
		return false;

	data = p->frame + p->data_offset;
	if (head_bytes != 0)
		memcpy(&framing_in, data - TURN_CHANNEL_HEADER_BYTES, sizeof(framing_in));
	if (down) {
		framing_out = p->channel_be | (uint32_t)__builtin_bswap16(p->data_bytes) << 16;
		memcpy(data - TURN_CHANNEL_HEADER_BYTES, &framing_out, sizeof(framing_out));
	}
	h.source = &p->source;
	h.destination = &p->destination;
	h.l2_word = next_hop & ~0xfff0ull; // untagged, as was seen
	h.source_mac = port->mac;
	h.flow_label = 0;
	h.ip_id = w->ip_id++;
	h.udp_bytes = (uint16_t)udp_bytes;
	h.udp_checksum = relay_channel_checksum(p, framing_in, framing_out, udp_bytes);
	h.ttl = (uint8_t)(p->ttl - 1);
	h.traffic_class = p->view.traffic_class;
	h.dont_fragment = p->view.dont_fragment;
	h.is_v4 = true;
	dp_header_write(data - new_bytes, &h);
	m->data_off = (uint16_t)(m->data_off + p->data_offset - new_bytes);
	m->data_len = (uint16_t)(new_bytes + p->data_bytes);
	m->pkt_len = m->data_len;
	dp_tx_push(w, shm_neighbour_port(next_hop), m);
	return true;
}

#endif
