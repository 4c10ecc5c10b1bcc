// The TCP ports on which TURN clients connect, in the clear and with TLS. Control plane's loop thread.
#ifndef TP_TURN_STREAM_LISTENERS_H
#define TP_TURN_STREAM_LISTENERS_H

#include <openssl/ssl.h>

#include "controlplane/config/config.h"
#include "controlplane/turn/stream/stream.h"

struct turn_listeners;

// Causes for which TLS failed.
enum turn_tls_failure {
	TURN_TLS_FAILURE_NOT_TLS = 0, // what came is no TLS record
	TURN_TLS_FAILURE_VERSION,     // none in common
	TURN_TLS_FAILURE_CIPHER,      // none in common
	TURN_TLS_FAILURE_CERTIFICATE, // the client refuses ours
	TURN_TLS_FAILURE_ALERT,       // it ended the handshake for another reason
	TURN_TLS_FAILURE_RECORD,      // a record that cannot be authentic
	TURN_TLS_FAILURE_OTHER,
	TURN_TLS_FAILURE_COUNT
};
const char *turn_tls_failure_name(enum turn_tls_failure f);

struct turn_listeners_stats {
	uint64_t n_connections; // accepted by the kernel
	uint64_t n_ended;
	uint64_t n_tls_failures[TURN_TLS_FAILURE_COUNT];
};

// Binds and listens where the configuration says. -errno and one sentence with the remedy.
int turn_listeners_new(const struct config *config, const char *state_dir, struct event_base *base,
		       struct turn_streams *streams, struct turn_listeners **out, char *error,
		       size_t error_bytes);
// Closes all connections with it.
void turn_listeners_free(struct turn_listeners *l);
// Reads the certificate again for connections that come from now on; those that stand go on with theirs. In two steps, so that
// a reload applies whole or not at all: the context that prepare makes is taken over by commit, or freed by the caller. NULL
// where nothing listens for TLS.
int turn_listeners_prepare(const struct config *config, const char *state_dir, SSL_CTX **out,
			   char *error, size_t error_bytes);
void turn_listeners_commit(struct turn_listeners *l, SSL_CTX *tls);
// Whether both configurations listen to the same.
bool turn_listeners_same(const struct config *a, const struct config *b);
const struct turn_listeners_stats *turn_listeners_stats(const struct turn_listeners *l);

#endif
