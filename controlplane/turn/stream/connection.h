// One TCP connection of a client: PROXY header, TLS, messages in, messages out. Control plane's loop thread.
#ifndef TP_TURN_STREAM_CONNECTION_H
#define TP_TURN_STREAM_CONNECTION_H

#include <openssl/ssl.h>

#include "controlplane/turn/stream/listeners.h"
#include "controlplane/turn/stream/output.h"

struct bufferevent;
struct event;
struct turn_connection;

// What connections of the same process share.
struct turn_connections {
	struct event_base *base;
	struct turn_streams *streams;
	SSL_CTX *tls; // for the next one that comes; NULL where nothing listens for TLS
	struct turn_connection *all;
	struct turn_listeners_stats stats;
};

// Takes over the socket, whatever becomes of it. `n_unknown` counts those of the listener whose client is not known yet, and stays
// as long as they do.
void turn_connection_new(struct turn_connections *all, const struct config_stream_listener *l,
			 uint32_t *n_unknown, int fd);
// Once a second: what takes too long, and what waits too long.
void turn_connections_tick(struct turn_connections *all, uint64_t now_ns);
void turn_connections_free(struct turn_connections *all);

// ---- tls_failure.c
enum turn_tls_failure turn_tls_failure_of(unsigned long openssl_error);

#endif
