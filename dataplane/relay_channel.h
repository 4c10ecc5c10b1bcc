// The case that nearly all traffic is, relayed with what it needs and no more: ChannelData, or what
// becomes or was ChannelData, in one untagged frame. Everything else goes through relay.c, and so do
// all the drops. Worker thread; writes the packet's buffer and the tx queue.
#ifndef TP_DP_RELAY_CHANNEL_H
#define TP_DP_RELAY_CHANNEL_H

#include "dataplane/contract/wire/turn.h"
#include "dataplane/header.h"
#include "dataplane/relay.h"
#include "dataplane/worker.h"

// A multiple of 0xffff, which is zero in the checksum's arithmetic, above all sums of this file: to
// subtract is to add the difference to it.
#define CHECKSUM_ZERO 0xffffffffffffull

// A datagram with application data `data_offset` bytes into its buffer and nothing behind it: what
// of its old headers the new ones are made of, and where it goes.
struct dp_channel_datagram {
	struct rte_mbuf *mbuf;
	uint64_t received_sum; // addresses, ports, length and framing, see dp_channel_sum
	uint32_t data_offset;
	uint32_t data_bytes;
	uint32_t udp_checksum; // as it lies in memory, not 0
	uint32_t channel_be;   // to be put in front; 0: plain data to a peer
	uint32_t ttl;          // as received, above 1
	uint32_t traffic_class;
	uint32_t flow_idx; // of the table's entries
	uint32_t ports;    // after the rewrite, as the addresses
	struct dp_address source;
	struct dp_address destination; // of the same family
	bool from_v4;
	bool dont_fragment; // as received over IPv4; true from IPv6
};

static inline uint64_t dp_channel_sum_address(struct dp_address a)
{
	// The mapped prefix of IPv4 sums to 0xffff, which is zero in this arithmetic.
	return (uint32_t)a.high + (a.high >> 32) + (uint32_t)a.low + (a.low >> 32);
}

// All that changes of what a UDP checksum covers, as 32-bit words. A length counts twice: in the
// pseudo header and in the UDP header. `framing` is the ChannelData header as it lies in memory, or
// 0.
static inline uint64_t dp_channel_sum(uint64_t addresses, uint32_t ports, uint32_t udp_bytes,
				      uint32_t framing)
{
	return addresses + ports + 2 * dp_be16(udp_bytes) + framing;
}

// RFC 1624 eqn. 3.
static inline uint32_t dp_channel_checksum(uint32_t was, uint64_t received, uint64_t sent)
{
	uint64_t sum = (was ^ 0xffff) + sent + (CHECKSUM_ZERO - received);
	uint32_t checksum = checksum_fold(checksum_fold64(sum)) ^ 0xffffu;

	return checksum != 0 ? checksum : 0xffff;
}

// Gives the datagram its new headers and queues it. False: no such frame can carry it as it is, and
// nothing was touched. `has_channel` and `to_v4` are constants of the caller's.
static inline __attribute__((always_inline)) bool
dp_channel_send(struct dp_worker *w, const struct dp_channel_datagram *d, uint64_t next_hop,
		bool has_channel, bool to_v4)
{
	const struct dp_port *port = &w->shared->port[shm_neighbour_port(next_hop)];
	uint32_t prefix_bytes = has_channel ? TURN_CHANNEL_HEADER_BYTES : 0;
	uint32_t udp_bytes = UDP_BYTES + prefix_bytes + d->data_bytes;
	uint32_t ip_bytes = (to_v4 ? IPV4_BYTES : IPV6_BYTES) + udp_bytes;
	uint32_t header_bytes = ETHERNET_BYTES + (to_v4 ? IPV4_BYTES : IPV6_BYTES) + UDP_BYTES;
	uint32_t frame_offset = d->data_offset - header_bytes - prefix_bytes;
	struct rte_mbuf *m = d->mbuf;
	uint32_t framing = 0;
	struct dp_header h;
	uint64_t addresses;
	uint8_t *frame;

	if (next_hop == 0 || shm_neighbour_vlan(next_hop) != 0 || ip_bytes > port->mtu_bytes ||
	    (!to_v4 && !d->dont_fragment && ip_bytes > DP_RELAY_V6_FROM_V4_BYTES) ||
	    d->data_offset < header_bytes + prefix_bytes)
		return false;
	frame = (uint8_t *)m->buf_addr + frame_offset;
	if (has_channel) {
		framing = d->channel_be | dp_be16(d->data_bytes) << 16;
		memcpy(frame + header_bytes, &framing, sizeof(framing));
	}
	if (to_v4)
		addresses = (uint64_t)dp_address_v4(d->source) + dp_address_v4(d->destination);
	else
		addresses =
			dp_channel_sum_address(d->source) + dp_channel_sum_address(d->destination);
	h.source = d->source;
	h.destination = d->destination;
	h.ports = d->ports;
	h.l2_word = next_hop & ~0xfff0ull; // untagged, as was seen
	h.source_mac = port->mac;
	h.flow_label = dp_relay_flow_label(d->flow_idx);
	h.ip_id = w->ip_id++;
	h.udp_bytes = udp_bytes;
	h.udp_checksum =
		dp_channel_checksum(d->udp_checksum, d->received_sum,
				    dp_channel_sum(addresses, d->ports, udp_bytes, framing));
	h.ttl = d->ttl - 1;
	h.traffic_class = d->traffic_class;
	h.dont_fragment = d->from_v4 ? d->dont_fragment : ip_bytes > DP_RELAY_V4_FROM_V6_DF_BYTES;
	h.is_v4 = to_v4;
	dp_header_write(frame, &h);
	m->data_off = (uint16_t)frame_offset;
	m->data_len = (uint16_t)(header_bytes + prefix_bytes + d->data_bytes);
	m->pkt_len = m->data_len;
	dp_tx_push(w, shm_neighbour_port(next_hop), m);
	return true;
}

// The same for what is constant nowhere.
static inline bool dp_channel_send_any(struct dp_worker *w, const struct dp_channel_datagram *d,
				       uint64_t next_hop)
{
	bool to_v4 = dp_address_is_v4(d->destination);

	if (d->channel_be != 0)
		return to_v4 ? dp_channel_send(w, d, next_hop, true, true)
			     : dp_channel_send(w, d, next_hop, true, false);
	return to_v4 ? dp_channel_send(w, d, next_hop, false, true)
		     : dp_channel_send(w, d, next_hop, false, false);
}

// True: it is on its way. False: not such a packet, nothing was touched.
static inline bool dp_relay_channel(struct dp_worker *w, struct dp_packet *p)
{
	bool down = p->kind == DP_KIND_DOWN;
	uint32_t head_bytes = p->data_offset - p->view.payload_offset;
	uint32_t framing = 0;
	struct dp_channel_datagram d;

	if (p->kind == DP_KIND_UP_SEND || (down && p->channel_be == 0) ||
	    (head_bytes != 0 && head_bytes != TURN_CHANNEL_HEADER_BYTES) ||
	    p->view.payload_bytes != head_bytes + p->data_bytes || p->view.udp_checksum_be == 0 ||
	    p->ttl <= 1 || p->was_fragments ||
	    ip_address_is_v4(&p->source.address) != ip_address_is_v4(&p->destination.address))
		return false;

	if (head_bytes != 0)
		memcpy(&framing, p->frame + p->view.payload_offset, sizeof(framing));
	d.mbuf = p->mbuf;
	d.data_offset = p->mbuf->data_off + p->data_offset;
	d.data_bytes = p->data_bytes;
	d.received_sum = dp_channel_sum(
		dp_channel_sum_address(dp_address_of(&p->view.source.address)) +
			dp_channel_sum_address(dp_address_of(&p->view.destination.address)),
		dp_ports(p->view.source.port_be, p->view.destination.port_be),
		UDP_BYTES + p->view.payload_bytes, framing);
	d.udp_checksum = p->view.udp_checksum_be;
	d.channel_be = down ? p->channel_be : 0;
	d.ttl = p->ttl;
	d.traffic_class = p->view.traffic_class;
	d.dont_fragment = p->view.dont_fragment;
	d.from_v4 = p->view.is_v4;
	d.flow_idx = dp_flow_idx(w, p->flow);
	d.source = dp_address_of(&p->source.address);
	d.destination = dp_address_of(&p->destination.address);
	d.ports = dp_ports(p->source.port_be, p->destination.port_be);
	return dp_channel_send_any(w, &d, dp_next_hop(w, p->neighbour_idx));
}

#endif
