// Allocations with their credentials: what a control plane needs in order to adopt the sessions of one that died. Only the
// control plane maps this segment (`keys`, mode 0600, MADV_DONTDUMP).
#ifndef TP_SHM_ALLOCATION_TABLE_H
#define TP_SHM_ALLOCATION_TABLE_H

#include "dataplane/contract/shm/layout.h"

#define SHM_USERNAME_MAX 508 // RFC 8489 §14.3: fewer than 509 bytes
#define SHM_KEY_MAX      32

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
//  28    1 server_idx      cp     settings.local of the listener
//  29    1 relay_idx       cp     settings.local of the relayed address
//  30    2 relay_port_be   cp
//  32    8 expires_at_ns   cp     CLOCK_MONOTONIC
//  40    8 created_at_ns   cp     CLOCK_MONOTONIC
//  48   12 transaction_id  cp     of the Allocate, for its retransmissions
//  60    2 username_bytes  cp
//  62    1 key_bytes       cp
//  63    1 reserved        cp     0
//  64    8 l2_word         cp     where the client was last seen, as in neighbour_table.h
//  72    4 lifetime_s      cp     granted by the Allocate, for its retransmissions
//  76    4 reserved2       cp     0
//  80   32 key             cp     of the long-term credential
// 112  508 username        cp
// 620   20 reserved3       cp     0
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
	uint8_t reserved;
	uint64_t l2_word;
	uint32_t lifetime_s;
	uint32_t reserved2;
	uint8_t key[SHM_KEY_MAX];
	char username[SHM_USERNAME_MAX];
	uint8_t reserved3[20];
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
