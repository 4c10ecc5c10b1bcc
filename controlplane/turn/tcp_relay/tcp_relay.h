// TCP relaying (RFC 6062): allocations whose relayed transport address speaks TCP. Connect,
// ConnectionBind, ConnectionAttempt, and when what they made ends. Knows no sockets: what it wants of
// them it asks by struct turn_tcp_io, what happens on them it is told, so tests and the fuzzer drive
// it alone. Control plane's loop thread.
#ifndef TP_TURN_TCP_RELAY_H
#define TP_TURN_TCP_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/wire/address.h"

struct turn_call;
struct turn_server;
struct turn_tcp_relay;

// What needs sockets. `connection` is what turn_tcp_relay's functions below call it, >= 1. None of
// them may call back before it returns.
struct turn_tcp_io {
	void *arg;
	// Listens on the relayed transport address of an allocation. 0 or -errno.
	int (*listen)(void *arg, uint32_t allocation_idx, const struct ip_endpoint *relayed);
	void (*unlisten)(void *arg, uint32_t allocation_idx);
	// Begins to connect from the relayed transport address. 0: turn_tcp_relay_connected or _failed will
	// follow; or -errno, -EACCES: not allowed.
	int (*connect)(void *arg, uint32_t connection, const struct ip_endpoint *relayed,
		       const struct ip_endpoint *peer);
	// Joins the connection with a client's stream, once the answer that is being made is sent on it. 0 or
	// -errno.
	int (*join)(void *arg, uint32_t connection, uint32_t stream_idx, uint32_t stream_serial);
	// Closes what stands at the peer's side, and the client data connection with it.
	void (*close)(void *arg, uint32_t connection);
	// A message to the client on its control connection.
	void (*send)(void *arg, uint32_t stream_idx, uint32_t stream_serial, const uint8_t *message,
		     size_t n_bytes);
};

struct turn_tcp_limits {
	uint32_t connections;    // in all
	uint32_t per_allocation; // of one allocation
};

enum turn_tcp_counter {
	TURN_TCP_COUNTER_ALLOCATED = 0,
	TURN_TCP_COUNTER_CONNECTED,     // to peers
	TURN_TCP_COUNTER_FAILED,        // no connection to a peer, or not in time
	TURN_TCP_COUNTER_ACCEPTED,      // of peers
	TURN_TCP_COUNTER_REFUSED,       // peers without a permission, or too many
	TURN_TCP_COUNTER_ACCEPT_FAILED, // descriptors or memory ran out
	TURN_TCP_COUNTER_BOUND,         // by ConnectionBind
	TURN_TCP_COUNTER_UNBOUND,       // nobody bound them in time
	TURN_TCP_COUNTER_UP_BYTES,      // from clients to peers
	TURN_TCP_COUNTER_DOWN_BYTES,    // from peers to clients
	TURN_TCP_COUNTER_COUNT
};
const char *turn_tcp_counter_name(enum turn_tcp_counter c); // snake_case, static

// Attaches TCP relaying to a server, which without it answers 442. `io` is copied. To be freed before the
// server. 0 or -ENOMEM.
int turn_tcp_relay_new(struct turn_server *s, const struct turn_tcp_io *io,
		       const struct turn_tcp_limits *limits, struct turn_tcp_relay **out);
void turn_tcp_relay_free(struct turn_tcp_relay *r); // closes everything; NULL is fine
uint32_t turn_tcp_relay_n_connections(const struct turn_tcp_relay *r);
uint64_t turn_tcp_relay_counter(const struct turn_tcp_relay *r, enum turn_tcp_counter c);

// ---- what happens on sockets

// A connection to a peer stands, or there will be none.
void turn_tcp_relay_connected(struct turn_tcp_relay *r, uint32_t connection, uint64_t now_ns);
void turn_tcp_relay_failed(struct turn_tcp_relay *r, uint32_t connection, uint64_t now_ns);
// A peer connected to an allocation's relayed transport address. The connection it is from now on; 0: close it
// at once.
uint32_t turn_tcp_relay_accepted(struct turn_tcp_relay *r, uint32_t allocation_idx,
				 const struct ip_endpoint *peer, uint64_t now_ns);
// Descriptors or memory ran out where a peer was to be accepted; how often so far, this time included.
uint64_t turn_tcp_relay_accept_failed(struct turn_tcp_relay *r);
// A bound connection has ended, or one that waits to be bound; it is closed already.
void turn_tcp_relay_closed(struct turn_tcp_relay *r, uint32_t connection);
// What a bound connection carried.
void turn_tcp_relay_moved(struct turn_tcp_relay *r, uint32_t connection, uint64_t up_bytes,
			  uint64_t down_bytes);
// Whether the relay may connect to a peer for an allocation: policy alone, asked once more where the socket
// is about to connect. 0, or the code of the error.
uint16_t turn_tcp_relay_may_connect(const struct turn_tcp_relay *r, uint32_t allocation_idx,
				    const struct ip_endpoint *peer);
// Whether an allocation has that relayed transport address.
bool turn_tcp_relay_is_relayed(const struct turn_tcp_relay *r, const struct ip_endpoint *at);
// What all connections of an allocation may carry in each direction, by its limit or its user's, whichever is less; 0 = no
// limit. *user_idx: the user whose TCP allocations may carry that together, 0 = it is for this allocation alone.
uint32_t turn_tcp_relay_bytes_per_s(const struct turn_tcp_relay *r, uint32_t allocation_idx,
				    uint32_t *user_idx);
uint32_t turn_tcp_relay_allocation(const struct turn_tcp_relay *r, uint32_t connection);

// ---- hooks of turn_server; `r` may be NULL

// Whether an Allocate that wants TCP may be had: 0, or the code of the error (RFC 6062 §5.1).
uint16_t turn_tcp_relay_check(const struct turn_tcp_relay *r, const struct turn_call *c);
// The allocation was made: listen. 0, or -errno: no such allocation then.
int turn_tcp_relay_begin(struct turn_tcp_relay *r, uint32_t allocation_idx);
// It ends: so do its connections.
void turn_tcp_relay_end(struct turn_tcp_relay *r, uint32_t allocation_idx);
// Policy has changed: connections with peers that it denies now end. Ends no allocation.
void turn_tcp_relay_recheck(struct turn_tcp_relay *r, uint32_t allocation_idx);
void turn_tcp_relay_expire(struct turn_tcp_relay *r, uint64_t now_ns);
// Connect, on a live allocation of the requester's. The length of an answer, 0: it follows later.
size_t turn_tcp_relay_connect(struct turn_tcp_relay *r, struct turn_call *c);
// ConnectionBind, authenticated, on a stream of its own.
size_t turn_tcp_relay_bind(struct turn_tcp_relay *r, struct turn_call *c);

#endif
