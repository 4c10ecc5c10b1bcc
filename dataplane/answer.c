// Answers of the worker's own to STUN requests: the packet goes back the way it came, its buffer
// reused. Worker thread.
#include "dataplane/header.h"
#include "dataplane/sfu/sfu.h"
#include "dataplane/worker.h"

// The MAC that sent the frame and its VLAN, as a next hop.
uint64_t dp_answer_l2_word(const struct dp_packet *p)
{
	uint16_t vlan_id = p->view.vlan_tci != 0xffff ? p->view.vlan_tci & 0xfff : 0;

	return shm_neighbour_word(p->frame + 6, vlan_id, p->port_idx);
}

void dp_answer_between(struct dp_worker *w, struct dp_packet *p, const struct ip_endpoint *from,
		       const struct ip_endpoint *to, const void *message, uint32_t message_bytes)
{
	uint64_t l2_word = dp_answer_l2_word(p);
	uint32_t header_bytes = dp_header_bytes(l2_word, p->view.is_v4);
	struct ip_endpoint source = *from;
	struct ip_endpoint destination = *to;
	struct dp_header h = {
		.source = dp_address_of(&source.address),
		.destination = dp_address_of(&destination.address),
		.ports = dp_ports(source.port_be, destination.port_be),
		.l2_word = l2_word,
		.source_mac = w->shared->port[p->port_idx].mac,
		.ip_id = w->ip_id++,
		.udp_bytes = UDP_BYTES + message_bytes,
		.ttl = ANSWER_TTL,
		.is_v4 = p->view.is_v4,
	};
	struct rte_mbuf *m = p->mbuf;
	uint16_t checksum;
	uint8_t *udp;

	rte_pktmbuf_reset_headroom(m);
	if (header_bytes + message_bytes > (uint32_t)(m->buf_len - m->data_off)) {
		dp_drop(w, p, DP_DROP_NO_MBUF);
		return;
	}
	m->data_len = (uint16_t)(header_bytes + message_bytes);
	m->pkt_len = m->data_len;
	p->frame = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(p->frame + header_bytes, message, message_bytes);
	dp_header_write(p->frame, &h);
	udp = p->frame + header_bytes - UDP_BYTES;
	checksum = udp_checksum(&source.address, &destination.address, udp, (uint16_t)h.udp_bytes);
	memcpy(udp + 6, &checksum, sizeof(checksum));
	if (p->is_inside)
		dp_sfu_inside_push(w, p->port_idx, m);
	else if (header_bytes - dp_header_l2_bytes(l2_word) + message_bytes >
		 w->shared->port[p->port_idx].mtu_bytes)
		(void)dp_tx_push_fragments(w, p->port_idx, m, dp_header_l2_bytes(l2_word), h.is_v4);
	else
		dp_tx_push(w, p->port_idx, m);
}

void dp_answer(struct dp_worker *w, struct dp_packet *p, const void *message,
	       uint32_t message_bytes)
{
	dp_answer_between(w, p, &p->view.destination, &p->view.source, message, message_bytes);
}
