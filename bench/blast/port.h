// The generator's DPDK port: one queue pair, polled by one thread. Frames to send come from a pool of their own whose
// payloads hold the pattern for good, since no port that copies ever writes to them.
#ifndef TP_BENCH_PORT_H
#define TP_BENCH_PORT_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bench/blast/frame.h"

#define PORT_BURST          32
#define PORT_PAYLOAD_OFFSET (RTE_PKTMBUF_HEADROOM + FRAME_HEADER_MAX)

struct blast_port {
	uint16_t ethdev;
	struct rte_mempool *tx_pool;
	struct rte_mempool *rx_pool;
	struct rte_mbuf *pending[PORT_BURST]; // built, not yet taken by the device
	uint32_t n_pending;
	uint32_t at_pending;
	uint64_t n_refused; // bursts of which the device took not all at once
};

struct port_options {
	const char *device; // EAL device: vdev with arguments, or PCI address
	uint32_t cpu;
	uint32_t memory_mb; // 0: 512
	uint32_t ring;      // descriptors, 0: 2048
	const char *file_prefix;
};

// Starts EAL with that one device (hugepages where there are some, else without) and the port; waits up to
// wait_seconds for its link. Logs its reason to stderr. 0 or -errno.
int blast_port_open(const struct port_options *o, uint32_t wait_seconds, struct blast_port *out);
void blast_port_close(struct blast_port *p);

// Starts EAL alone; further devices may be given. 0 or -errno.
int blast_eal_start(const struct port_options *o, const char *const *devices, uint32_t n_devices);
// Configures and starts one ethdev. 0 or -errno.
int blast_port_start(uint16_t ethdev, const struct port_options *o, struct blast_port *out);

// An mbuf for a payload at the fixed offset; the caller sets the data's begin and length. NULL: none left.
static inline uint8_t *blast_port_payload(struct rte_mbuf *m)
{
	return (uint8_t *)m->buf_addr + PORT_PAYLOAD_OFFSET;
}

static inline void blast_port_frame(struct rte_mbuf *m, uint16_t header_bytes, uint16_t frame_bytes)
{
	m->data_off = (uint16_t)(PORT_PAYLOAD_OFFSET - header_bytes);
	m->data_len = frame_bytes;
	m->pkt_len = frame_bytes;
}

// Hands what is pending to the device; true when nothing is left.
static inline bool blast_port_flush(struct blast_port *p)
{
	if (p->n_pending == 0)
		return true;
	p->at_pending += rte_eth_tx_burst(p->ethdev, 0, p->pending + p->at_pending,
					  (uint16_t)(p->n_pending - p->at_pending));
	if (p->at_pending < p->n_pending) {
		p->n_refused++;
		return false;
	}
	p->n_pending = 0;
	p->at_pending = 0;
	return true;
}

// Sends a copy of a frame that is not part of the traffic (a STUN message, an ARP answer); retries for a while. 0, -ENOBUFS.
int blast_port_send_copy(struct blast_port *p, const void *frame, uint16_t frame_bytes);

#endif
