// What stands beside the listeners for clients on streams: TURN over DTLS on the UDP listeners, and connections with TCP
// peers. Put together with the engine and taken apart. Control plane's loop thread.
#ifndef TP_STREAM_CONFIG_H
#define TP_STREAM_CONFIG_H

#include <openssl/ssl.h>

#include "controlplane/engine.h"

// Behind punt and streams. -errno and one sentence with the remedy.
int stream_config_start(struct engine *e, char *error, size_t error_bytes);
// Before the streams go.
void stream_config_stop_dtls(struct engine *e);
// Behind them: peers get what is left.
void stream_config_stop_tcp_relay(struct engine *e);
// The certificate of DTLS once more, in two steps: what prepare makes is taken over by commit, or freed by the caller.
// NULL where DTLS is not spoken.
int stream_config_prepare(const struct engine *e, const struct config *next, SSL_CTX **out,
			  char *error, size_t error_bytes);
void stream_config_commit(struct engine *e, SSL_CTX *dtls);
// Whether both configurations have the same parts.
bool stream_config_same(const struct config *a, const struct config *b);

#endif
