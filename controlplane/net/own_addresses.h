// The addresses that the configuration names: that they are ours, and that nobody else uses them
// meanwhile. Control plane's thread.
#ifndef TP_OWN_ADDRESSES_H
#define TP_OWN_ADDRESSES_H

#include <stddef.h>

#include "controlplane/config/config.h"

// What holds the claims: sockets that receive nothing, and locked files; they go with the process.
struct own_addresses;

// For hosts whose kernel answers ARP for us (AF_XDP): every listener and relay address must stand
// on an interface, nobody else may listen on a listener's port, and no other Turnpike of this
// network namespace may have any of them. On other ports nothing is checked. 0; or -EADDRNOTAVAIL,
// -EADDRINUSE, … and one sentence with the remedy.
int own_addresses_claim(const struct config *config, struct own_addresses **out, char *error,
			size_t error_bytes);
void own_addresses_release(struct own_addresses *o); // NULL is fine

#endif
