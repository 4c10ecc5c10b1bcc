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

#define SHM_LISTENER_NONE 0xff

// A UDP listener.
// off size field           writer meaning
//   0    1 local_idx       cp
//   1    1 realm_idx       cp     that it challenges with
//   2    2 port_be         cp
//   4    1 other_idx       cp     the listener with other address and other port (RFC 5780 OTHER-ADDRESS), or SHM_LISTENER_NONE
//   5    3 reserved        cp     0
struct shm_listener {
	uint8_t local_idx;
	uint8_t realm_idx;
	uint16_t port_be;
	uint8_t other_idx;
	uint8_t reserved[3];
};
static_assert(sizeof(struct shm_listener) == 8, "bump SHM_LAYOUT_VERSION");

// A realm of users, with a policy of its own. The first is the default.
// off size field           writer meaning
//   0    4 name_bytes      cp     ..123
//   4  124 name            cp     NUL-terminated
struct shm_realm {
	uint32_t name_bytes;
	char name[124];
};
static_assert(sizeof(struct shm_realm) == 128, "bump SHM_LAYOUT_VERSION");

#define SHM_PEER_ALLOW 1
#define SHM_PEER_DENY  2

#define SHM_REALM_ANY 0xff // a rule of every realm

// A rule about peers: the longest matching prefix decides, deny before allow at equal length; without a
// match only globally reachable addresses are allowed.
// off size field           writer meaning
//   0   16 address         cp     network order, IPv4-mapped
//  16    1 length_bits     cp     of the mapped form: 96 + n for IPv4
//  17    1 action          cp     SHM_PEER_*
//  18    1 realm_idx       cp     whose allocations it is about, or SHM_REALM_ANY
//  19    5 reserved        cp     0
struct shm_peer_rule {
	uint8_t address[16];
	uint8_t length_bits;
	uint8_t action;
	uint8_t realm_idx;
	uint8_t reserved[5];
};
static_assert(sizeof(struct shm_peer_rule) == 24, "bump SHM_LAYOUT_VERSION");

enum shm_idle {
	SHM_IDLE_ADAPTIVE = 0, // sleep briefly when nothing came for a while
	SHM_IDLE_POLL,         // never sleep
	SHM_IDLE_COUNT
};

#define SHM_SETTINGS_F_RFC5766_CHANNELS 0x01 // channel numbers up to 0x7FFF, not only RFC 8656's
#define SHM_SETTINGS_F_DTLS             0x02 // TURN over DTLS (RFC 7350): records from strangers are punted
#define SHM_SETTINGS_F_SHA256           0x04 // challenges offer PASSWORD-ALGORITHMS (RFC 8489 §9.2.1)
#define SHM_SETTINGS_F_USERHASH         0x08 // and say that USERHASH is understood (RFC 8489 §9.2)
#define SHM_SETTINGS_F_ALL              0x0f

// off  size field                    writer meaning
//   0     4 n_workers                cp     1..SHM_WORKERS_MAX
//   4     4 idle                     cp     enum shm_idle
//   8     4 n_ports                  cp     1..SHM_PORTS_MAX
//  12     4 n_locals                 cp     ..SHM_LOCALS_MAX
//  16     4 n_listeners              cp     ..SHM_LISTENERS_MAX
//  20     4 n_peer_rules             cp     ..SHM_PEER_RULES_MAX
//  24     4 punt_per_source_per_sec  cp     token bucket per source prefix (/32, /64); 0 = no limit
//  28     4 punt_burst_pkts          cp     size of that bucket
//  32     4 n_realms                 cp     1..SHM_REALMS_MAX
//  36     4 memory_mb                cp     EAL memory for mbufs
//  40    16 challenge_secret         cp     key of nonces, wire/challenge.h
//  56  1024 realm                    cp
// 1080   64 worker_cpu               cp     CPU of worker i, uint32_t each; UINT32_MAX = let the dataplane choose
// 1144    4 flags                    cp     SHM_SETTINGS_F_*
// 1148    4 oauth_name_bytes         cp     ..63; 0: no third-party authorization (RFC 7635)
// 1152   64 oauth_name               cp     of the authorization server, NUL-terminated
// 1216    8 reserved                 cp     0
// 1224 2304 port                     cp
// 3528 1536 local                    cp
// 5064  256 listener                 cp
// 5320 3072 peer_rule                cp
struct shm_settings {
	uint32_t n_workers;
	uint32_t idle;
	uint32_t n_ports;
	uint32_t n_locals;
	uint32_t n_listeners;
	uint32_t n_peer_rules;
	uint32_t punt_per_source_per_sec;
	uint32_t punt_burst_pkts;
	uint32_t n_realms;
	uint32_t memory_mb;
	uint8_t challenge_secret[16];
	struct shm_realm realm[SHM_REALMS_MAX];
	uint32_t worker_cpu[SHM_WORKERS_MAX];
	uint32_t flags;
	uint32_t oauth_name_bytes;
	char oauth_name[64];
	uint8_t reserved[8];
	struct shm_port_settings port[SHM_PORTS_MAX];
	struct shm_local local[SHM_LOCALS_MAX];
	struct shm_listener listener[SHM_LISTENERS_MAX];
	struct shm_peer_rule peer_rule[SHM_PEER_RULES_MAX];
};
static_assert(sizeof(struct shm_settings) == 8392, "bump SHM_LAYOUT_VERSION");

// Whether every count and string is within bounds; `*why` names the first field that is not.
// The caller passes its own copy, so that the bytes cannot change between check and use.
int shm_settings_check(const struct shm_settings *copy, const char **why);

#endif
