// What the dataplane tells: its ports, and per worker liveness, counters and latency. Written by the dataplane (ports: its
// main thread; workers: each its own), read by the control plane through a read-only mapping.
#ifndef TP_SHM_WORKER_STATE_H
#define TP_SHM_WORKER_STATE_H

#include "dataplane/contract/shm/layout.h"

#define SHM_COUNTERS_MAX    128 // names and order: dataplane/drop_reason.h
#define SHM_LATENCY_BUCKETS 96  // bucket i: [2^(i/4) * (1 + (i%4)/4), next) ns, RX to TX

enum shm_xdp_mode {
	SHM_XDP_NONE = 0, // the port has no filter
	SHM_XDP_GENERIC,
	SHM_XDP_NATIVE,
	SHM_XDP_COUNT
};

// off size field       writer meaning
//   0   16 driver      dp     DPDK driver name
//  16    6 mac         dp
//  22    1 xdp_mode    dp     enum shm_xdp_mode
//  23    1 link_up     dp
//  24    2 mtu_bytes   dp
//  26    2 n_queues    dp
//  28    4 ifindex     dp     of the kernel interface beside it, 0 = none
//  32    8 rx_pkts     dp     of the port, all queues
//  40    8 tx_pkts     dp
//  48    8 rx_missed   dp     dropped by the device because no descriptor was free
//  56    8 rx_nombuf   dp
struct shm_port_state {
	char driver[16];
	uint8_t mac[6];
	uint8_t xdp_mode;
	uint8_t link_up;
	uint16_t mtu_bytes;
	uint16_t n_queues;
	uint32_t ifindex;
	uint64_t rx_pkts;
	uint64_t tx_pkts;
	uint64_t rx_missed;
	uint64_t rx_nombuf;
};
static_assert(sizeof(struct shm_port_state) == 64, "bump SHM_LAYOUT_VERSION");

#define SHM_DATAPLANE_F_HUGEPAGES 0x01
enum shm_dataplane_phase {
	SHM_DATAPLANE_ABSENT = 0,
	SHM_DATAPLANE_STARTING,
	SHM_DATAPLANE_RUNNING,
	SHM_DATAPLANE_STOPPED, // left in good order
	SHM_DATAPLANE_PHASE_COUNT
};

// off size field          writer meaning
//   0    4 pid            dp
//   4    4 phase          dp     enum shm_dataplane_phase
//   8    8 started_at_ns  dp     CLOCK_MONOTONIC
//  16    8 heartbeat_ns   dp     main thread, about every 100 ms
//  24    8 tsc_hz         dp
//  32    4 n_ports        dp
//  36    4 n_workers      dp
//  40    4 flags          dp     SHM_DATAPLANE_F_*
//  44    4 n_starts       dp     how often a dataplane attached to this segment
//  48   16 version        dp     text
//  64  512 port           dp
struct shm_dataplane_state {
	uint32_t pid;
	uint32_t phase;
	uint64_t started_at_ns;
	uint64_t heartbeat_ns;
	uint64_t tsc_hz;
	uint32_t n_ports;
	uint32_t n_workers;
	uint32_t flags;
	uint32_t n_starts;
	char version[16];
	struct shm_port_state port[SHM_PORTS_MAX];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_dataplane_state) == 576, "bump SHM_LAYOUT_VERSION");

// off size field           writer meaning
//   0    8 quiescent_gen   dp     the grace generation this worker has seen with no reference held
//   8    8 heartbeat_ns    dp
//  16    4 cpu             dp
//  20    4 online          dp     1 while it reads the tables: grace waits for it
//  24    8 busy_tsc        dp     cycles in iterations that moved packets
//  32    8 total_tsc       dp     cycles in all
//  40    8 n_sleeps        dp     adaptive idle
//  48   16 reserved        dp     0
//  64 1024 counter         dp     by enum dp_counter, 8 bytes each
// 1088 768 latency         dp     sampled bursts of which something left at once, 8 bytes each
struct shm_worker {
	uint64_t quiescent_gen;
	uint64_t heartbeat_ns;
	uint32_t cpu;
	uint32_t online;
	uint64_t busy_tsc;
	uint64_t total_tsc;
	uint64_t n_sleeps;
	uint8_t reserved[16];
	uint64_t counter[SHM_COUNTERS_MAX];
	uint64_t latency[SHM_LATENCY_BUCKETS];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_worker) == 1856, "bump SHM_LAYOUT_VERSION");

// What went through one flow entry at one worker. Array of n_entries per worker; never reset, so that a recycled
// entry's user subtracts what stood there when it was published (kept by the control plane).
// off size field  writer meaning
//   0    8 pkts   dp
//   8    8 bytes  dp     application data
struct shm_usage {
	uint64_t pkts;
	uint64_t bytes;
};
static_assert(sizeof(struct shm_usage) == 16, "bump SHM_LAYOUT_VERSION");

#endif
