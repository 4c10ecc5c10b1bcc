// Between next_hop.c and next_hop_explain.c only.
#ifndef TP_NEXT_HOP_PRIVATE_H
#define TP_NEXT_HOP_PRIVATE_H

#include <string.h>

#include "controlplane/net/links.h"
#include "controlplane/net/next_hop.h"

struct event;

struct hop {
	struct ip_address next_hop;
	uint32_t ifindex; // 0: static
	uint8_t state;    // NEXT_HOP_NONE, _LOCAL, _STATIC; else the kernel's neighbour decides
	uint8_t port_idx;
	uint16_t vlan_id;
};

struct cached {
	struct ip_address destination;
	uint32_t generation;
	struct hop hop;
};

struct next_hops {
	const struct config *config;
	struct table_writer *tables;
	struct turn_server *turn; // whose flows are asked about anew
	struct netlink *netlink;  // NULL: no kernel
	struct links links;
	struct cached *cache;
	uint32_t generation;
	uint8_t hash_key[16];
	uint64_t *failed_at_ns;  // per neighbour, 0 = not failed
	uint64_t *touched_at_ns; // per neighbour: when the kernel was last asked to verify it
	uint16_t high_idx;       // the highest neighbour index seen
	uint32_t care_cursor;
	bool links_are_stale;
	bool is_stale; // routes changed since the last sweep began
	uint64_t swept_at_ns;
	struct event *readable;
	struct event *care;
	struct next_hops_stats stats;
};

// The key of a port's static gateway in the neighbour table: no next hop has such an address.
static inline struct ip_address next_hop_static_key(uint8_t port_idx)
{
	return (struct ip_address){ .bytes = { [15] = port_idx } };
}

static inline bool next_hop_is_static_key(const struct ip_address *a)
{
	static const uint8_t zero[15];

	return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

// Where a destination goes by routes and static gateways now. -errno when the kernel gave no
// answer; `out` says NONE then.
int next_hop_lookup(struct next_hops *n, const struct ip_address *destination, struct hop *out);

#endif
