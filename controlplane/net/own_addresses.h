// Whether the addresses that the configuration names are ours to use. Control plane's thread, at start.
#ifndef TP_OWN_ADDRESSES_H
#define TP_OWN_ADDRESSES_H

#include <stddef.h>

#include "controlplane/config/config.h"

// For hosts whose kernel answers ARP for us (AF_XDP): every listener and relay address must stand on an interface, and nobody else may
// listen on a listener's port. 0; or -EADDRNOTAVAIL, -EADDRINUSE and one sentence with the remedy.
int own_addresses_check(const struct config *config, char *error, size_t error_bytes);

#endif
