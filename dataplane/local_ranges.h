// Our own IPv4 addresses and ports as the fast path asks for them: few enough that eight packets at once are
// compared with each in turn. Part of a worker's settings: built when they change, read-only afterwards.
#ifndef TP_DP_LOCAL_RANGES_H
#define TP_DP_LOCAL_RANGES_H

#include <stdint.h>

#include "dataplane/contract/shm/layout.h"

// Ports of one address, in host order.
struct dp_local_range {
	uint32_t address; // as it lies in a packet
	uint32_t port_min;
	uint32_t n_ports;
	uint32_t local_idx;
};

struct dp_local_ranges {
	uint32_t v4[SHM_LOCALS_MAX]; // by local_idx, as it lies in a packet; 0: IPv6
	uint32_t n_addresses;
	uint32_t address[SHM_LOCALS_MAX]; // those of `v4` that are
	uint32_t n_listeners;
	struct dp_local_range listener[SHM_LISTENERS_MAX]; // of one port each
	uint32_t n_relays;
	struct dp_local_range relay[SHM_LOCALS_MAX];
};

struct dp_settings;

// From `local` of the settings.
void dp_local_ranges_build(struct dp_local_ranges *r, const struct dp_settings *s);

#endif
