// Next hops. One word per neighbour, stored atomically by the control plane, read by workers with each packet.
#ifndef TP_SHM_NEIGHBOUR_TABLE_H
#define TP_SHM_NEIGHBOUR_TABLE_H

#include "dataplane/contract/shm/layout.h"

#define SHM_NEIGHBOURS_MAX 65536 // index 0 is never used

// off size field     writer meaning
//   0    8 word      cp     MAC (bits 63..16, network order), VLAN id (15..4, 0 = untagged), DPDK port (3..0); 0 = unresolved; atomic
//   8    4 ifindex   cp     kernel interface it was resolved on, 0 = static
//  12    4 n_users   cp     flows that name it
//  16   16 address   cp     of the next hop
struct shm_neighbour {
	uint64_t word;
	uint32_t ifindex;
	uint32_t n_users;
	uint8_t address[16];
};
static_assert(sizeof(struct shm_neighbour) == 32, "bump SHM_LAYOUT_VERSION");

static inline uint64_t shm_neighbour_word(const uint8_t mac[6], uint16_t vlan_id, uint8_t port_idx)
{
	uint64_t w = 0;

	for (int i = 0; i < 6; i++)
		w = w << 8 | mac[i];
	return w << 16 | (uint64_t)(vlan_id & 0xfff) << 4 | (port_idx & 0xf);
}

static inline void shm_neighbour_mac(uint64_t word, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(word >> (56 - 8 * i));
}

static inline uint16_t shm_neighbour_vlan(uint64_t word)
{
	return (word >> 4) & 0xfff;
}

static inline uint8_t shm_neighbour_port(uint64_t word)
{
	return word & 0xf;
}

#endif
