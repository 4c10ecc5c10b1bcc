// What the files of tcp_relay/ share. Control plane's loop thread.
#ifndef TP_TURN_TCP_RELAY_PRIVATE_H
#define TP_TURN_TCP_RELAY_PRIVATE_H

#include "controlplane/turn/state.h"
#include "controlplane/turn/tcp_relay/connections.h"
#include "controlplane/turn/tcp_relay/tcp_relay.h"

struct turn_tcp_relay {
	struct turn_server *server;
	struct turn_tcp_io io;
	struct turn_tcp_connections connections;
	uint32_t *listening
		[SHM_LOCALS_MAX]; // by local and port_be: the allocation; NULL = none there yet
	uint64_t counter[TURN_TCP_COUNTER_COUNT];
};

// Takes a connection out of the table, and its unanswered Connect with it; nothing is closed or said.
void turn_tcp_forget(struct turn_tcp_relay *r, uint32_t connection);
// What policy says of a peer: 0, or the code of the error.
uint16_t turn_tcp_peer_code(const struct turn_tcp_relay *r, uint32_t allocation_idx,
			    const struct ip_address *peer);
// Frees and wipes a Connect that was kept; NULL is fine.
void turn_tcp_request_free(struct turn_tcp_request *q);

#endif
