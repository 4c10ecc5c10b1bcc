// What the dataplane must know before it forwards, as the control plane read it from the configuration.
// Written by the control plane into the slot that is not active, then published by storing its index
// (struct shm_tables.active_settings) with release; a worker takes over a new slot between two bursts.
// Read by the dataplane as untrusted input: counts are bounded, strings end inside their field.
#ifndef TP_SHM_SETTINGS_H
#define TP_SHM_SETTINGS_H

#include "dataplane/contract/shm/layout.h"

enum shm_kernel_path {
	SHM_KERNEL_PATH_NONE = 0, // no kernel on this port (pcap, ring, null, memif)
	SHM_KERNEL_PATH_BESIDE,   // AF_XDP: the kernel sees what the filter passes
	SHM_KERNEL_PATH_TAP,      // a TAP twin carries what is not ours (vfio-pci, memif)
	SHM_KERNEL_PATH_COUNT
};

// One DPDK port.
// off size field           writer meaning
//   0  256 device          cp     EAL device: PCI address or vdev string with arguments, NUL-terminated
// 256   16 interface       cp     kernel interface beside it or name of the TAP twin, "" if none
// 272    2 n_queues        cp     rx/tx queue pairs wanted, 1..SHM_WORKERS_MAX
// 274    2 mtu_bytes       cp     of the IP packet
// 276    1 kernel_path     cp     enum shm_kernel_path
// 277   11 reserved        cp     0
struct shm_port_settings {
	char device[256];
	char interface[16];
	uint16_t n_queues;
	uint16_t mtu_bytes;
	uint8_t kernel_path;
	uint8_t reserved[11];
};
static_assert(sizeof(struct shm_port_settings) == 288, "bump SHM_LAYOUT_VERSION");

#define SHM_LOCAL_F_LISTENER 0x01
#define SHM_LOCAL_F_RELAY    0x02
#define SHM_LOCAL_F_SFU      0x04 // a listener whose clients may come through our own relay

// One of our own addresses; its index in the array is the local_idx of flow keys. Never reordered while flows live.
// off size field           writer meaning
//   0   16 address         cp     network order, IPv4-mapped
//  16    1 port_idx        cp     DPDK port it lives on
//  17    1 flags           cp     SHM_LOCAL_F_*
//  18    2 relay_port_min  cp     host order; relayed ports, inclusive
//  20    2 relay_port_max  cp     host order
//  22    2 reserved        cp     0
struct shm_local {
	uint8_t address[16];
	uint8_t port_idx;
	uint8_t flags;
	uint16_t relay_port_min;
	uint16_t relay_port_max;
	uint16_t reserved;
};
static_assert(sizeof(struct shm_local) == 24, "bump SHM_LAYOUT_VERSION");

// A UDP listener.
// off size field           writer meaning
//   0    1 local_idx       cp
//   1    1 reserved        cp     0
//   2    2 port_be         cp
struct shm_listener {
	uint8_t local_idx;
	uint8_t reserved;
	uint16_t port_be;
};
static_assert(sizeof(struct shm_listener) == 4, "bump SHM_LAYOUT_VERSION");

#define SHM_PEER_ALLOW 1
#define SHM_PEER_DENY  2

// A rule about peers: the longest matching prefix decides, deny before allow at equal length; without a
// match only globally reachable addresses are allowed.
// off size field           writer meaning
//   0   16 address         cp     network order, IPv4-mapped
//  16    1 length_bits     cp     of the mapped form: 96 + n for IPv4
//  17    1 action          cp     SHM_PEER_*
//  18    6 reserved        cp     0
struct shm_peer_rule {
	uint8_t address[16];
	uint8_t length_bits;
	uint8_t action;
	uint8_t reserved[6];
};
static_assert(sizeof(struct shm_peer_rule) == 24, "bump SHM_LAYOUT_VERSION");

enum shm_idle {
	SHM_IDLE_ADAPTIVE = 0, // sleep briefly when nothing came for a while
	SHM_IDLE_POLL,         // never sleep
	SHM_IDLE_COUNT
};

#define SHM_SETTINGS_F_RFC5766_CHANNELS 0x01 // channel numbers up to 0x7FFF, not only RFC 8656's

// off  size field                    writer meaning
//   0     4 n_workers                cp     1..SHM_WORKERS_MAX
//   4     4 idle                     cp     enum shm_idle
//   8     4 n_ports                  cp     1..SHM_PORTS_MAX
//  12     4 n_locals                 cp     ..SHM_LOCALS_MAX
//  16     4 n_listeners              cp     ..SHM_LISTENERS_MAX
//  20     4 n_peer_rules             cp     ..SHM_PEER_RULES_MAX
//  24     4 punt_per_source_per_sec  cp     token bucket per source prefix (/32, /64); 0 = no limit
//  28     4 punt_burst_pkts          cp     size of that bucket
//  32     4 realm_bytes              cp     ..127
//  36     4 memory_mb                cp     EAL memory for mbufs
//  40    16 challenge_secret         cp     key of nonces, wire/challenge.h
//  56   128 realm                    cp
// 184    64 worker_cpu               cp     CPU of worker i, uint32_t each; UINT32_MAX = let the dataplane choose
// 248     4 flags                    cp     SHM_SETTINGS_F_*
// 252    12 reserved                 cp     0
// 264  2304 port                     cp
// 2568 1536 local                    cp
// 4104  128 listener                 cp
// 4232 3072 peer_rule                cp
struct shm_settings {
	uint32_t n_workers;
	uint32_t idle;
	uint32_t n_ports;
	uint32_t n_locals;
	uint32_t n_listeners;
	uint32_t n_peer_rules;
	uint32_t punt_per_source_per_sec;
	uint32_t punt_burst_pkts;
	uint32_t realm_bytes;
	uint32_t memory_mb;
	uint8_t challenge_secret[16];
	char realm[128];
	uint32_t worker_cpu[SHM_WORKERS_MAX];
	uint32_t flags;
	uint8_t reserved[12];
	struct shm_port_settings port[SHM_PORTS_MAX];
	struct shm_local local[SHM_LOCALS_MAX];
	struct shm_listener listener[SHM_LISTENERS_MAX];
	struct shm_peer_rule peer_rule[SHM_PEER_RULES_MAX];
};
static_assert(sizeof(struct shm_settings) == 7304, "bump SHM_LAYOUT_VERSION");

// Whether every count and string is within bounds; `*why` names the first field that is not.
// The caller passes its own copy, so that the bytes cannot change between check and use.
int shm_settings_check(const struct shm_settings *copy, const char **why);

#endif
