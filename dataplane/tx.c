// The way out: frames gather per port and leave together at the burst's end. Worker thread; a queue
// that workers share is taken under its lock.
#include <rte_ethdev.h>

#include "dataplane/header.h"
#include "dataplane/worker.h"

// A datagram of 65535 bytes over the least IPv6 MTU.
#define FRAGMENTS_MAX 64
#define IPV6_MTU_MIN  1280
static_assert(FRAGMENTS_MAX <= DP_TX_PENDING, "the fragments of one datagram fit");

static uint32_t send_burst(struct dp_worker *w, struct dp_port *port, struct rte_mbuf **mbuf,
			   uint32_t n)
{
	uint16_t queue = (uint16_t)(w->worker_idx % port->n_queues);
	uint32_t n_sent;

	if (port->tx_is_shared)
		rte_spinlock_lock(&port->tx_lock[queue]);
	n_sent = rte_eth_tx_burst(port->ethdev, queue, mbuf, (uint16_t)n);
	// One more try, for drivers that free finished descriptors only when called.
	if (n_sent < n)
		n_sent += rte_eth_tx_burst(port->ethdev, queue, mbuf + n_sent,
					   (uint16_t)(n - n_sent));
	if (port->tx_is_shared)
		rte_spinlock_unlock(&port->tx_lock[queue]);
	return n_sent;
}

void dp_tx_flush_port(struct dp_worker *w, uint32_t port_idx)
{
	struct dp_tx *tx = &w->tx[port_idx];
	uint32_t bytes = tx->bytes;
	uint32_t n_sent;

	n_sent = send_burst(w, &w->shared->port[port_idx], tx->mbuf, tx->count);
	for (uint32_t i = n_sent; i < tx->count; i++)
		bytes -= tx->mbuf[i]->pkt_len;
	if (n_sent < tx->count)
		rte_pktmbuf_free_bulk(tx->mbuf + n_sent, tx->count - n_sent);
	w->count[DP_COUNTER_TX_PKTS] += n_sent;
	w->count[DP_COUNTER_TX_BYTES] += bytes;
	w->count[DP_DROP_TX_FULL] += tx->count - n_sent;
	tx->count = 0;
	tx->bytes = 0;
}

// One fragment as a frame of its own, in one piece, because not every driver sends chains.
static bool push_fragment(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf *fragment,
			  const uint8_t *l2, uint32_t l2_bytes, bool is_v4, uint32_t v6_id)
{
	struct rte_mbuf *m = rte_pktmbuf_copy(fragment, w->shared->pool, 0, UINT32_MAX);
	uint8_t *frame;

	if (m != NULL && m->nb_segs > 1) {
		rte_pktmbuf_free(m);
		m = NULL;
	}
	if (m == NULL)
		return false;
	frame = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)l2_bytes);
	if (frame == NULL) {
		rte_pktmbuf_free(m);
		return false;
	}
	memcpy(frame, l2, l2_bytes);
	if (is_v4) {
		uint8_t *ip = frame + l2_bytes;
		uint16_t checksum;

		memset(ip + 10, 0, 2);
		checksum = ipv4_header_checksum(ip, IPV4_BYTES);
		memcpy(ip + 10, &checksum, 2);
	} else {
		// The library gives all datagrams the identification 0.
		memcpy(frame + l2_bytes + IPV6_BYTES + 4, &v6_id, sizeof(v6_id));
	}
	dp_tx_push(w, port_idx, m);
	return true;
}

bool dp_tx_push_fragments(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf *m,
			  uint32_t l2_bytes, bool is_v4)
{
	struct rte_mempool *pool = w->shared->pool;
	// RFC 8656 §13.2, RFC 7915 §4: fragments over IPv6 are no larger than the least MTU.
	uint16_t mtu_bytes = is_v4 ? w->shared->port[port_idx].mtu_bytes
				   : RTE_MIN(w->shared->port[port_idx].mtu_bytes, IPV6_MTU_MIN);
	struct rte_mbuf *fragment[FRAGMENTS_MAX];
	uint8_t l2[ETHERNET_BYTES + VLAN_BYTES];
	uint32_t v6_id = (uint32_t)dp_random(w);
	bool lost = false;
	int32_t n;

	memcpy(l2, rte_pktmbuf_mtod(m, uint8_t *), l2_bytes);
	rte_pktmbuf_adj(m, (uint16_t)l2_bytes);
	// Fragments carry multiples of 8 bytes; the library wants an MTU that does.
	if (is_v4)
		n = rte_ipv4_fragment_packet(
			m, fragment, FRAGMENTS_MAX,
			(uint16_t)((mtu_bytes - IPV4_BYTES) / 8 * 8 + IPV4_BYTES), pool,
			w->indirect_pool);
	else
		n = rte_ipv6_fragment_packet(
			m, fragment, FRAGMENTS_MAX,
			(uint16_t)((mtu_bytes - IPV6_BYTES - 8) / 8 * 8 + IPV6_BYTES + 8), pool,
			w->indirect_pool);
	if (n < 0) {
		rte_pktmbuf_free(m);
		return false;
	}
	for (int32_t i = 0; i < n; i++) {
		if (!lost)
			lost = !push_fragment(w, port_idx, fragment[i], l2, l2_bytes, is_v4, v6_id);
		rte_pktmbuf_free(fragment[i]);
	}
	rte_pktmbuf_free(m);
	w->count[DP_COUNTER_FRAGMENTED] += !lost;
	return !lost;
}

void dp_tx_flush(struct dp_worker *w)
{
	for (uint32_t i = 0; i < w->shared->n_ports; i++) {
		if (w->tx[i].count > 0)
			dp_tx_flush_port(w, i);
	}
}
