// Asking the kernel where a destination goes. Control plane's loop thread.
#ifndef TP_ROUTES_H
#define TP_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/net/netlink.h"

enum route_kind {
	ROUTE_NONE = 0, // unreachable, blackhole, or none
	ROUTE_UNICAST,
	ROUTE_LOCAL, // one of the host's own addresses
	ROUTE_KIND_COUNT
};

struct route {
	enum route_kind kind;
	uint32_t ifindex;
	struct ip_address next_hop; // the gateway, or the destination itself
};

// 0 (kind tells), or -errno when the kernel could not be asked.
int route_lookup(struct netlink *n, const struct ip_address *destination, struct route *out);

#endif
