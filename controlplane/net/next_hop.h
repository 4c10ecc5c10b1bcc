// Next hops: which neighbour a flow's packets go to, from the kernel's routes and neighbours over
// rtnetlink, from a static gateway on ports without a kernel, or from the way a client's request
// came. Control plane's loop thread.
#ifndef TP_NEXT_HOP_H
#define TP_NEXT_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/table_writer.h"
#include "controlplane/turn/server.h"

struct event_base;
struct next_hops;

enum next_hop_state {
	NEXT_HOP_NONE = 0,   // no route, or the route leaves through no port of ours
	NEXT_HOP_UNRESOLVED, // the kernel does not know the MAC address yet
	NEXT_HOP_RESOLVED,   // by the kernel
	NEXT_HOP_STATIC,     // gateway_mac of a port
	NEXT_HOP_LEARNED,    // from the way the client's requests come
	NEXT_HOP_LOCAL,      // one of the host's own addresses
	NEXT_HOP_STATE_COUNT
};
const char *next_hop_state_name(enum next_hop_state s); // static: "none", "unresolved", …

struct next_hop_info {
	enum next_hop_state state;
	struct ip_address next_hop; // gateway, or the destination itself when on-link
	uint32_t ifindex;           // 0 = no kernel interface
	char interface[16];
	int port_idx; // DPDK port, -1 = none of ours
	uint8_t mac[6];
	uint16_t vlan_id;
};

struct next_hops_stats {
	uint64_t n_route_lookups;
	uint64_t n_route_cache_hits;
	uint64_t n_route_failures;
	uint64_t n_neighbour_events;
	uint64_t n_sweeps; // re-resolutions of all flows after a route change
};

// Without a kernel so far: static and learned next hops only. `config` and `tables` must outlive
// it. 0 or -errno.
int next_hops_new(const struct config *config, struct table_writer *tables, struct next_hops **out);
// Asks the kernel from now on, and follows its routes and neighbours. 0 or -errno.
int next_hops_start(struct next_hops *n, struct event_base *base);
void next_hops_free(struct next_hops *n);
struct turn_next_hops next_hops_for_turn(struct next_hops *n);
// The server whose flows are asked about anew when routes change.
void next_hops_attach_turn(struct next_hops *n, struct turn_server *turn);
// Takes over gateways and interfaces of another configuration, which must outlive n.
void next_hops_reload(struct next_hops *n, const struct config *config);
// Asks anew about a destination, for explanations; changes nothing.
void next_hop_explain(struct next_hops *n, const struct ip_address *destination,
		      struct next_hop_info *out);
// The state of a neighbour that a flow names.
void next_hop_describe(const struct next_hops *n, uint16_t neighbour_idx,
		       struct next_hop_info *out);
const struct next_hops_stats *next_hops_stats(const struct next_hops *n);

#endif
