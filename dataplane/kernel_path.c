// The TAP twin of a port without a kernel driver: what is not ours goes to the kernel, and what the
// kernel sends leaves through the port (ARP, ND, ICMP, BGP, ssh). Worker thread; the twin's one
// queue is taken under its lock.
#include <rte_ethdev.h>

#include "dataplane/worker.h"

void dp_kernel_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct dp_port *port = &w->shared->port[in[i]->port_idx];
		uint16_t n_sent;

		rte_spinlock_lock(&port->tap_lock);
		n_sent = rte_eth_tx_burst(port->tap_ethdev, 0, &in[i]->mbuf, 1);
		rte_spinlock_unlock(&port->tap_lock);
		if (n_sent == 1)
			w->count[DP_COUNTER_KERNEL]++;
		else
			dp_drop(w, in[i], DP_DROP_KERNEL_FULL);
	}
}

uint32_t dp_kernel_poll(struct dp_worker *w)
{
	struct rte_mbuf *mbuf[DP_BURST];
	uint32_t n_moved = 0;

	for (uint32_t i = 0; i < w->shared->n_ports; i++) {
		struct dp_port *port = &w->shared->port[i];
		uint16_t n;

		if (port->tap_ethdev == DP_ETHDEV_NONE)
			continue;
		n = rte_eth_rx_burst(port->tap_ethdev, 0, mbuf, DP_BURST);
		for (uint16_t k = 0; k < n; k++)
			dp_tx_push(w, i, mbuf[k]);
		w->count[DP_COUNTER_FROM_KERNEL] += n;
		n_moved += n;
	}
	return n_moved;
}
