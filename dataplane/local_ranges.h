// Our own IPv4 addresses and ports as the fast path asks for them. Part of a worker's settings: built when they
// change, read-only afterwards.
#ifndef TP_DP_LOCAL_RANGES_H
#define TP_DP_LOCAL_RANGES_H

#include <stdint.h>

#include "dataplane/contract/shm/layout.h"

#define DP_OWN_SLOTS_LOG2 9
#define DP_OWN_SLOTS      (1u << DP_OWN_SLOTS_LOG2) // eight times SHM_LOCALS_MAX

// Ports of one address, in host order. Four words, because eight of them are turned into columns.
struct dp_local_range {
	uint32_t address; // as it lies in a packet
	uint32_t port_min;
	uint32_t n_ports;
	uint32_t local_idx;
};

struct dp_local_ranges {
	uint32_t v4[SHM_LOCALS_MAX]; // by local_idx, as it lies in a packet; 0: IPv6
	uint32_t n_listeners;        // few: they are compared in turn
	struct dp_local_range listener[SHM_LISTENERS_MAX]; // of one port each
	// By dp_own_slot: all that are in `v4`, and what each relays. The multiplier is chosen so that no two share
	// a slot; an empty one is 0.
	uint32_t multiplier;
	uint32_t address[DP_OWN_SLOTS];
	struct dp_local_range relay[DP_OWN_SLOTS];
};

static inline uint32_t dp_own_slot(const struct dp_local_ranges *r, uint32_t v4)
{
	return v4 * r->multiplier >> (32 - DP_OWN_SLOTS_LOG2);
}

struct dp_settings;

// From `local` of the settings.
void dp_local_ranges_build(struct dp_local_ranges *r, const struct dp_settings *s);

#endif
