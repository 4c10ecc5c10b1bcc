// The certificate of TURN over TLS and DTLS: the operator's files, or one of our own that outlives restarts. Control plane's
// loop thread.
#ifndef TP_TURN_STREAM_CERTIFICATE_H
#define TP_TURN_STREAM_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "controlplane/config/config.h"

// A context of that method (TLS_server_method, DTLS_server_method) with certificate, key, lowest version, cipher settings and
// ALPN (RFC 7443: stun.turn, stun.nat-discovery); the caller frees it. Reads the files anew each time, so a reload makes
// another context and sessions that are open keep theirs. -errno and one sentence with the remedy on failure.
int turn_certificate_context(const struct config *config, const char *state_dir,
			     const SSL_METHOD *method, SSL_CTX **out, char *error,
			     size_t error_bytes);

#endif
