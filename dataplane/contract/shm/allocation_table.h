// Allocations with their credentials: what a control plane needs in order to adopt the sessions of one that died. Only the
// control plane maps this segment (`keys`, mode 0600, MADV_DONTDUMP).
#ifndef TP_SHM_ALLOCATION_TABLE_H
#define TP_SHM_ALLOCATION_TABLE_H

#include "dataplane/contract/shm/layout.h"

#define SHM_USERNAME_MAX 508 // RFC 8489 §14.3: fewer than 509 bytes
#define SHM_KEY_MAX      32

// What carries a client's messages, and what carries data to its peers (there UDP or TCP).
enum shm_transport {
	SHM_TRANSPORT_UDP = 0,
	SHM_TRANSPORT_TCP,
	SHM_TRANSPORT_TLS,
	SHM_TRANSPORT_DTLS,
	SHM_TRANSPORT_COUNT
};

#define SHM_ALLOCATION_F_MOBILE 0x01 // RFC 8016: may move to another 5-tuple with its ticket

enum shm_allocation_state {
	SHM_ALLOCATION_FREE = 0,
	SHM_ALLOCATION_LIVE, // stored last with release
	SHM_ALLOCATION_STATE_COUNT
};

// off size field           writer meaning
//   0    4 state           cp     enum shm_allocation_state; atomic
//   4    4 serial          cp     counts reuses of this slot: allocation id = slot and serial
//   8   16 client_address  cp
//  24    2 client_port_be  cp
//  26    2 server_port_be  cp
//  28    1 server_idx      cp     settings.local of the listener, SHM_LOCAL_STREAM for streams
//  29    1 relay_idx       cp     settings.local of the relayed address
//  30    2 relay_port_be   cp
//  32    8 expires_at_ns   cp     CLOCK_MONOTONIC
//  40    8 created_at_ns   cp     CLOCK_MONOTONIC
//  48   12 transaction_id  cp     of the Allocate, for its retransmissions
//  60    2 username_bytes  cp
//  62    1 key_bytes       cp
//  63    1 client_transport cp    enum shm_transport
//  64    8 l2_word         cp     where the client was last seen, as in neighbour_table.h
//  72    4 lifetime_s      cp     granted by the Allocate, for its retransmissions
//  76    1 relay_transport cp     enum shm_transport
//  77    1 relay2_idx      cp     settings.local of the second relayed address
//  78    2 relay2_port_be  cp     its port, 0 = there is none
//  80   32 key             cp     of the long-term credential
// 112  508 username        cp
// 620    4 stream_idx      cp     the client's stream, 0 for UDP
// 624    4 stream_serial   cp
// 628    4 mobility_serial cp     of the only ticket that counts
// 632    2 flags           cp     SHM_ALLOCATION_F_*
// 634    1 realm_idx       cp     settings.realm
// 635    1 integrity       cp     how its owner signs, the control plane's own numbers
// 636    4 relay2_expires_s cp   CLOCK_MONOTONIC of the second relayed address, in whole seconds; expires_at_ns is the first one's
struct shm_allocation {
	uint32_t state;
	uint32_t serial;
	uint8_t client_address[16];
	uint16_t client_port_be;
	uint16_t server_port_be;
	uint8_t server_idx;
	uint8_t relay_idx;
	uint16_t relay_port_be;
	uint64_t expires_at_ns;
	uint64_t created_at_ns;
	uint8_t transaction_id[12];
	uint16_t username_bytes;
	uint8_t key_bytes;
	uint8_t client_transport;
	uint64_t l2_word;
	uint32_t lifetime_s;
	uint8_t relay_transport;
	uint8_t relay2_idx;
	uint16_t relay2_port_be;
	uint8_t key[SHM_KEY_MAX];
	char username[SHM_USERNAME_MAX];
	uint32_t stream_idx;
	uint32_t stream_serial;
	uint32_t mobility_serial;
	uint16_t flags;
	uint8_t realm_idx;
	uint8_t integrity;
	uint32_t relay2_expires_s;
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_allocation) == 640, "bump SHM_LAYOUT_VERSION");

// Segment `keys`; index 0 is used.
// off size field         writer meaning
//   0  128 header        cp
// 128    4 n_allocations cp
// 192    0 allocation    cp     n_allocations of them
struct shm_keys {
	struct shm_segment_header header;
	uint32_t n_allocations;
	uint8_t pad[60];
	struct shm_allocation allocation[];
};

#endif
