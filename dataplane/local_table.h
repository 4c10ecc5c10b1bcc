// Our own addresses and ports as the fast path asks for them: is this IPv4 address ours, and what is
// that port there? One load and one comparison, without a loop. Part of a worker's settings: built
// when they change, read-only afterwards.
#ifndef TP_DP_LOCAL_TABLE_H
#define TP_DP_LOCAL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/shm/layout.h"

#define DP_LOCAL_TABLE_SLOTS_LOG2 10 // so many more than addresses that a few tries spread them
#define DP_LOCAL_TABLE_SLOTS      (1u << DP_LOCAL_TABLE_SLOTS_LOG2)
#define DP_LOCAL_TABLE_SHIFT      (32 - DP_LOCAL_TABLE_SLOTS_LOG2) // of the product
#define DP_LOCAL_TABLE_NONE       SHM_LOCALS_MAX // no address of ours: it has no ports

#define DP_LOCAL_PORT_NONE 0x10000u // what no port equals

// Arrays by local_idx, so that an index needs no arithmetic; ports in host order.
struct dp_local_table {
	uint32_t multiplier;
	uint32_t address[DP_LOCAL_TABLE_SLOTS]; // as it lies in a packet; 0: free
	uint8_t local_idx[DP_LOCAL_TABLE_SLOTS];
	uint32_t v4[SHM_LOCALS_MAX + 1];       // as it lies in a packet; 0: IPv6
	uint32_t listener[SHM_LOCALS_MAX + 1]; // the first one, or DP_LOCAL_PORT_NONE
	uint32_t relay_min[SHM_LOCALS_MAX + 1];
	uint32_t n_relay[SHM_LOCALS_MAX + 1]; // 0: no relayed ports
	// Listeners that are not the first of their address.
	uint32_t n_more;
	uint16_t more_port[SHM_LISTENERS_MAX];
	uint8_t more_local_idx[SHM_LISTENERS_MAX];
};

struct dp_settings;

// From `local` of the settings. Should no multiplier be found that gives each IPv4 address a slot of
// its own, the table knows no ports at all.
void dp_local_table_build(struct dp_local_table *t, const struct dp_settings *s);

static inline uint32_t dp_local_table_slot(const struct dp_local_table *t, uint32_t v4)
{
	return v4 * t->multiplier >> DP_LOCAL_TABLE_SHIFT;
}

// `v4` as it lies in a packet, `slot` its own. True for 0.0.0.0, too, which is no source.
static inline bool dp_local_table_has(const struct dp_local_table *t, uint32_t slot, uint32_t v4)
{
	return t->address[slot] == v4;
}

// Index of an address; DP_LOCAL_TABLE_NONE when it is none of ours.
static inline uint8_t dp_local_table_find(const struct dp_local_table *t, uint32_t slot,
					  uint32_t v4)
{
	return t->address[slot] == v4 ? t->local_idx[slot] : DP_LOCAL_TABLE_NONE;
}

static inline bool dp_local_table_listens(const struct dp_local_table *t, uint32_t local_idx,
					  uint32_t port)
{
	bool listens = t->listener[local_idx] == port;

	for (uint32_t i = 0; i < t->n_more; i++)
		listens |= (t->more_local_idx[i] == local_idx) & (t->more_port[i] == port);
	return listens;
}

static inline bool dp_local_table_relays(const struct dp_local_table *t, uint32_t local_idx,
					 uint32_t port)
{
	return port - t->relay_min[local_idx] < t->n_relay[local_idx];
}

#endif
