// What the files about sockets share. Control plane's loop thread.
#ifndef TP_TURN_TCP_SOCKETS_PRIVATE_H
#define TP_TURN_TCP_SOCKETS_PRIVATE_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "controlplane/turn/tcp_relay/sockets.h"

// What the connections of an allocation share, or of all allocations of a user.
struct turn_tcp_rate {
	struct bufferevent_rate_limit_group *group;
	uint32_t user_idx; // 0: of one allocation
	uint32_t n_listeners;
};

// Where a relayed transport address listens.
struct turn_tcp_listener {
	struct turn_tcp_sockets *sockets;
	struct event *event;
	struct event *go_on;        // after accept failed
	struct turn_tcp_rate *rate; // of its connections; NULL = no limit
	uint32_t allocation_idx;
	int fd;
};

// A connection with a peer.
struct turn_tcp_peer {
	struct turn_tcp_sockets *sockets;
	struct turn_tcp_peer *next;
	struct turn_tcp_peer *prev;
	uint32_t connection;        // 0: the relay knows it no more
	int fd;                     // -1: `buffer` has it
	struct event *connecting;   // until it stands
	struct event *timer;        // once the client is gone
	struct bufferevent *buffer; // from ConnectionBind on
	struct turn_stream *stream; // the client's; NULL: not bound, or gone
	bool is_paused;             // the client, since the peer does not read
	bool is_held;               // free it later
	bool is_dead;               // and that is now due
};

struct turn_tcp_sockets {
	struct event_base *base;
	struct turn_streams *streams;
	struct turn_tcp_relay *relay;
	struct next_hops *hops;
	struct turn_tcp_listener **listener; // by allocation
	struct turn_tcp_peer **peer;         // by connection
	struct turn_tcp_rate **user_rate;    // by user
	struct turn_tcp_peer *peers;         // all, also those that only send what is left
	uint32_t n_lingering;                // of those that only send what is left
};

// ---- socket.c: binding and options

// A socket that does not block, bound to the relayed transport address beside others that are; or -errno.
int turn_tcp_socket_bound(const struct ip_endpoint *relayed);
// Of one that was accepted or connects: no delay, and an end to peers that vanished.
void turn_tcp_socket_prepare(int fd);

// ---- pipe.c

struct turn_tcp_peer *turn_tcp_peer_new(struct turn_tcp_sockets *k, int fd, uint32_t connection);
// Joins a peer with a stream: data flows once the stream starts, no faster than `rate` (NULL: no limit). 0 or -errno.
int turn_tcp_pipe_join(struct turn_tcp_peer *p, struct turn_stream *s,
		       struct bufferevent_rate_limit_group *rate);
// The relay knows it no more. What came from the client before goes out still.
void turn_tcp_peer_end(struct turn_tcp_peer *p);
void turn_tcp_peer_free(struct turn_tcp_peer *p);

#endif
