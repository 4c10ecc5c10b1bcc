// The kernel's neighbour tables: asked, watched, and kept warm. Control plane's loop thread.
#ifndef TP_NEIGHBOURS_H
#define TP_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/net/netlink.h"

enum neighbour_event_kind {
	NEIGHBOUR_RESOLVED = 0, // the MAC address may be used
	NEIGHBOUR_FAILED,       // resolution failed
	NEIGHBOUR_OTHER, // incomplete, or forgotten by the kernel: says nothing about the address
	NEIGHBOUR_EVENT_COUNT
};

struct neighbour_event {
	struct ip_address address;
	uint32_t ifindex;
	enum neighbour_event_kind kind;
	uint8_t mac[6]; // RESOLVED only
};

// Reads an RTM_NEWNEIGH or RTM_DELNEIGH message; false when it is no such message or about no
// unicast Ethernet neighbour.
bool neighbour_parse(const struct nlmsghdr *m, struct neighbour_event *out);
// What the kernel knows now. 0, or -ENOENT.
int neighbour_get(struct netlink *n, const struct ip_address *a, uint32_t ifindex,
		  struct neighbour_event *out);
// Makes the kernel resolve the address, or verify it if it is stale.
void neighbour_touch(struct netlink *n, const struct ip_address *a, uint32_t ifindex);
// Calls fn for all neighbours of both families.
int neighbour_dump(struct netlink *n, void (*fn)(void *arg, const struct nlmsghdr *m), void *arg);

#endif
