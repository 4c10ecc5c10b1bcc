// Which kernel interface is, or leads to, which DPDK port. Control plane's loop thread.
#ifndef TP_LINKS_H
#define TP_LINKS_H

#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/net/netlink.h"

#define LINKS_MAX 256

struct link_entry {
	uint32_t ifindex;
	uint16_t vlan_id; // 0 = untagged
	uint8_t port_idx;
	char name[16];
};

struct links {
	struct link_entry entry[LINKS_MAX];
	uint32_t n_entries;
};

// Reads the kernel's interfaces: those beside the ports of config, and VLAN interfaces on them. 0
// or -errno.
int links_load(struct links *l, struct netlink *n, const struct config *config);
// NULL: leads to no port of ours.
const struct link_entry *links_find(const struct links *l, uint32_t ifindex);

#endif
