// The kernel's side of TCP relaying (RFC 6062): listening on relayed transport addresses, connecting from them, and
// passing bytes between a peer and a client's stream. Control plane's loop thread.
#ifndef TP_TURN_TCP_SOCKETS_H
#define TP_TURN_TCP_SOCKETS_H

#include <stdint.h>

#include "controlplane/turn/stream/stream.h"
#include "controlplane/turn/tcp_relay/tcp_relay.h"

struct event_base;
struct next_hops;
struct turn_tcp_sockets;

// Attaches TCP relaying to a server, by way of turn_tcp_relay_new. 0 or -errno.
int turn_tcp_sockets_new(struct event_base *base, struct turn_server *server,
			 struct turn_streams *streams, struct next_hops *hops,
			 uint32_t n_allocations, const struct turn_tcp_limits *limits,
			 struct turn_tcp_sockets **out);
// Ends all connections. After turn_streams_free, before turn_server_free; NULL is fine.
void turn_tcp_sockets_free(struct turn_tcp_sockets *k);
const struct turn_tcp_relay *turn_tcp_sockets_relay(const struct turn_tcp_sockets *k);

#endif
