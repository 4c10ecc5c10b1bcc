// What the files about one connection share. Control plane's loop thread.
#ifndef TP_TURN_STREAM_CONNECTION_PRIVATE_H
#define TP_TURN_STREAM_CONNECTION_PRIVATE_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>

#include "controlplane/turn/stream/connection.h"
#include "controlplane/turn/stream/proxy_header.h"
#include "controlplane/turn/stream/stream_private.h"
#include "dataplane/contract/wire/bytes.h"

// So much is given to libevent at a time; what waits beyond can still be dropped for age.
#define CONNECTION_FEED_BYTES (32u << 10)
// And more of it is asked for when so little is left.
#define CONNECTION_REFILL_BYTES (8u << 10)
// Answers that a client lets pile up.
#define CONNECTION_ANSWERS_BYTES_MAX (64u << 10)

enum connection_state {
	CONNECTION_PROXY_HEADER = 0, // waits for it
	CONNECTION_FIRST_BYTE,       // waits for it, TLS or not
	CONNECTION_HANDSHAKE,
	CONNECTION_OPEN,
};

struct turn_connection {
	struct turn_connections *all;
	struct turn_connection *next, **link;
	struct turn_stream *stream; // NULL until the client is known
	enum connection_state state;
	uint32_t *n_unknown;     // of its listener
	int fd;                  // until bev has it
	struct event *readable;  // until bev is there
	struct bufferevent *bev; // from the first byte on
	bool takes_plain;
	bool takes_tls;
	bool has_begun;    // the first message came
	bool is_paused;    // by the pipe
	bool is_blocked;   // waits for the worker, or until it may ask again
	bool is_finishing; // sends what waits, then ends
	bool is_shut;      // has sent all, and waits for the client's end
	uint8_t realm_idx;
	uint8_t dscp;
	uint8_t *header; // until the PROXY header is whole
	uint32_t n_header_bytes;
	struct ip_endpoint client;
	struct ip_endpoint server;
	uint64_t accepted_at_ns;
	struct turn_output output;
	uint64_t n_acked_bytes;  // by the client's host, when last looked at
	uint64_t progress_at_ns; // when that grew, or nothing waited
	uint64_t blocked_at_ns;
	uint64_t asked_until_ns; // up to when its requests use up what it may ask
	uint64_t shut_at_ns;
	uint64_t ticked_at_ns;
	struct event *retry; // while blocked
};

// ---- connection.c
// Ends a connection whether it has a stream or not.
void turn_connection_end(struct turn_connection *c, enum turn_stream_close_reason reason);
// For the carrier alone: the stream is gone already.
void turn_connection_destroy(struct turn_connection *c, enum turn_stream_close_reason reason);

// ---- connection_socket.c
// Options of an accepted socket.
void turn_socket_prepare(int fd, uint32_t stalled_s);
bool turn_socket_endpoints(int fd, struct ip_endpoint *client, struct ip_endpoint *server);
// The kernel ends it no more for a client that lets data wait, only for a host that says nothing.
void turn_socket_let_wait(int fd);
// What the client's packets carried when it connected, 0 when the kernel does not tell; ours carry the same from now on.
uint8_t turn_socket_dscp(int fd, bool is_v4);
// Bytes that the client's host has acknowledged, ever, and whether it says nothing at all; true: none is left to acknowledge
// or to send.
bool turn_socket_progress(int fd, uint64_t *n_acked_bytes, bool *is_silent);

// ---- connection_read.c
void turn_connection_read(struct turn_connection *c);
// The client has ended: hands the peer what came before that, be it paused or not (RFC 6062). False: the connection is gone.
bool turn_connection_read_rest(struct turn_connection *c);
void turn_connection_on_retry(evutil_socket_t fd, short what, void *arg);

// ---- connection_write.c
extern const struct turn_stream_carrier turn_connection_carrier;
void turn_connection_on_write(struct bufferevent *bev, void *arg);
// Ages what waits, and finds out whether the client reads at all.
void turn_connection_check_output(struct turn_connection *c, uint64_t now_ns);

#endif
