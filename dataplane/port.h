// DPDK ports: whatever device the settings name, brought up with the same few demands: one rx and
// one tx queue per worker where the device has them, no offloads.
#ifndef TP_DP_PORT_H
#define TP_DP_PORT_H

#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include "dataplane/contract/shm/tables.h"

#define DP_ETHDEV_NONE UINT16_MAX

struct dp_port {
	uint16_t ethdev;     // DPDK port id
	uint16_t tap_ethdev; // TAP twin toward the kernel, DP_ETHDEV_NONE without
	uint16_t n_queues;   // rx and tx alike
	uint16_t mtu_bytes;
	uint8_t mac[6];
	uint8_t kernel_path; // enum shm_kernel_path
	bool is_af_xdp;
	bool tx_is_shared; // fewer queues than workers: queue w % n_queues, under its lock
	int ifindex;       // of the kernel interface beside it, 0 = none
	rte_spinlock_t tx_lock[SHM_WORKERS_MAX];
	rte_spinlock_t tap_lock;
};

struct dp_port_error {
	char text[400]; // what, which, why and what to do
};

// Bytes that a packet may grow at its head: from IPv4 to IPv6, a VLAN tag, the prefix of a Data
// indication for an IPv6 peer. The mbuf headroom covers it on every driver.
#define DP_HEAD_GROWTH_BYTES (20 + 4 + 48)
static_assert(DP_HEAD_GROWTH_BYTES <= RTE_PKTMBUF_HEADROOM, "Data indications would not fit");

// Packet buffers for all ports of these settings; NULL with `err` set.
struct rte_mempool *dp_port_pool_create(const struct shm_settings *s, struct dp_port_error *err);

// Probes the device, configures and starts it. `run_dir` is where the instance's BPF maps are
// pinned (AF_XDP only). 0 or -errno; -EAGAIN: a queue of an AF_XDP port, which a process that has
// just died may still hold, so a new start may succeed.
int dp_port_open(struct dp_port *p, const struct shm_port_settings *s, uint32_t port_idx,
		 uint32_t n_workers, const char *run_dir, struct rte_mempool *pool,
		 struct dp_port_error *err);
// Stops and closes it, except for an AF_XDP port: closing that would take the filter from the
// interface, and then the kernel would answer our traffic with ICMP errors until the next start.
void dp_port_close(struct dp_port *p);

// Writes what the control plane shows. Main thread.
void dp_port_describe(const struct dp_port *p, const char *run_dir, struct shm_port_state *out);
void dp_port_update(const struct dp_port *p, struct shm_port_state *out);

#endif
