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
#define DP_LOCAL_TABLE_NONE       SHM_LOCALS_MAX // the ports of no address: none at all

#define DP_LOCAL_PORT_NONE 0x10000u // what no port equals

// What the ports of one address are, in host order.
struct dp_local_ports {
	uint32_t listener; // the first one, or DP_LOCAL_PORT_NONE
	uint32_t relay_min;
	uint32_t n_relay;          // 0: no relayed ports
	uint16_t n_more_listeners; // behind the first one
	uint16_t more_listener[SHM_LISTENERS_MAX - 1];
};

struct dp_local_table {
	uint32_t multiplier;
	uint32_t address[DP_LOCAL_TABLE_SLOTS]; // as it lies in a packet; 0: free
	uint8_t local_idx[DP_LOCAL_TABLE_SLOTS];
	struct dp_local_ports ports[SHM_LOCALS_MAX + 1];
};

struct dp_settings;

// From `local` of the settings. Should no multiplier be found that gives each IPv4 address a slot of
// its own, the table knows no ports at all.
void dp_local_table_build(struct dp_local_table *t, const struct dp_settings *s);

static inline uint32_t dp_local_table_slot(const struct dp_local_table *t, uint32_t v4)
{
	return v4 * t->multiplier >> (32 - DP_LOCAL_TABLE_SLOTS_LOG2);
}

// `v4` as it lies in a packet. True for 0.0.0.0, too, which is no source.
static inline bool dp_local_table_has(const struct dp_local_table *t, uint32_t v4)
{
	return t->address[dp_local_table_slot(t, v4)] == v4;
}

// Index into `ports`; DP_LOCAL_TABLE_NONE when the address is none of ours.
static inline uint8_t dp_local_table_find(const struct dp_local_table *t, uint32_t v4)
{
	uint32_t slot = dp_local_table_slot(t, v4);

	return t->address[slot] == v4 ? t->local_idx[slot] : DP_LOCAL_TABLE_NONE;
}

// Ports in host order from here on.
static inline bool dp_local_ports_listen(const struct dp_local_ports *p, uint32_t port)
{
	bool listens = p->listener == port;

	for (uint32_t i = 0; i < p->n_more_listeners; i++)
		listens |= p->more_listener[i] == port;
	return listens;
}

static inline bool dp_local_ports_relay(const struct dp_local_ports *p, uint32_t port)
{
	return port - p->relay_min < p->n_relay;
}

#endif
