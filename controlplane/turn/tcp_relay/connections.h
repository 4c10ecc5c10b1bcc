// The peer data connections of TCP allocations (RFC 6062 §5.2 to §5.5): which there are, by what
// CONNECTION-ID a client names them, whose they are, and which of them wait for something. Bounded;
// knows no sockets. Control plane's loop thread.
#ifndef TP_TURN_TCP_CONNECTIONS_H
#define TP_TURN_TCP_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/wire/address.h"

// RFC 6062 §5.2, §5.3: how long a connection attempt may take at least, and how long a connection
// waits for its ConnectionBind.
#define TURN_TCP_CONNECT_TIMEOUT_S 30
#define TURN_TCP_BIND_TIMEOUT_S    30
// CONNECTION-IDs carry the slot in their low bits.
#define TURN_TCP_CONNECTIONS_MOST 65535

enum turn_tcp_state {
	TURN_TCP_FREE = 0,
	TURN_TCP_CONNECTING, // to the peer, for a Connect that is to be answered
	TURN_TCP_PENDING,    // connected; the client has not bound it yet
	TURN_TCP_BOUND,      // joined with a client data connection
	TURN_TCP_STATE_COUNT
};

struct turn_tcp_request;

struct turn_tcp_connection {
	uint32_t id; // CONNECTION-ID; never 0
	uint32_t allocation_idx;
	uint64_t deadline_ns; // of CONNECTING and PENDING, CLOCK_MONOTONIC
	struct ip_endpoint peer;
	struct turn_tcp_request *request; // CONNECTING: the Connect
	uint32_t next;                    // of its allocation, or of the free ones; 0 = none
	uint32_t prev;
	uint32_t wait_next; // among those that wait, the first to end first
	uint32_t wait_prev;
	uint8_t state; // enum turn_tcp_state
};

// Per allocation slot.
struct turn_tcp_owner {
	uint32_t first; // of its connections
	uint32_t n;
};

struct turn_tcp_connections {
	struct turn_tcp_connection *slot; // 1..max
	struct turn_tcp_owner *owner;     // by allocation
	uint32_t max;
	uint32_t max_per_allocation;
	uint32_t n;
	uint32_t free;
	uint32_t wait_first;
	uint32_t wait_last;
};

// 0 or -ENOMEM.
int turn_tcp_connections_init(struct turn_tcp_connections *c, uint32_t n_allocations, uint32_t max,
			      uint32_t max_per_allocation);
void turn_tcp_connections_fini(struct turn_tcp_connections *c);

// A new one in `state`, with an id that cannot be foretold, which waits until deadline_ns. The slot;
// 0 when there are too many, of all or of this allocation, or no randomness.
uint32_t turn_tcp_connection_add(struct turn_tcp_connections *c, uint32_t allocation_idx,
				 const struct ip_endpoint *peer, enum turn_tcp_state state,
				 uint64_t deadline_ns);
void turn_tcp_connection_remove(struct turn_tcp_connections *c, uint32_t idx);
// Changes the state. PENDING waits until deadline_ns, which is no earlier than that of any other; BOUND no longer
// waits.
void turn_tcp_connection_set(struct turn_tcp_connections *c, uint32_t idx,
			     enum turn_tcp_state state, uint64_t deadline_ns);

// The slot of that CONNECTION-ID, or of an allocation's connection to or from that peer; 0 when there is none.
uint32_t turn_tcp_connection_by_id(const struct turn_tcp_connections *c, uint32_t id);
uint32_t turn_tcp_connection_by_peer(const struct turn_tcp_connections *c, uint32_t allocation_idx,
				     const struct ip_endpoint *peer);
// The first whose deadline has passed, 0 when none has.
uint32_t turn_tcp_connection_overdue(const struct turn_tcp_connections *c, uint64_t now_ns);

#endif
