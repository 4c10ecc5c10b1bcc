// The operators' door: a unix socket that takes one JSON object per line and answers each with one
// line. Framing and limits stand here, what the requests mean in ctl_request.h. Control plane's
// loop thread.
#ifndef TP_OPS_CTL_SERVER_H
#define TP_OPS_CTL_SERVER_H

#include <stddef.h>

struct engine;
struct ctl_server;

#define CTL_CLIENTS_MAX     32
#define CTL_LINE_BYTES_MAX  65536 // of a request, newline included
#define CTL_IDLE_TIMEOUT_S  300   // a client that asks nothing
#define CTL_WRITE_TIMEOUT_S 10    // a client that does not take its answer

// Binds `path` with mode 0660, replacing a socket that a predecessor left: the caller holds the
// instance's lock. Uses engine->base; the engine must outlive it. 0, or -errno and one sentence
// with the remedy.
int ctl_server_new(struct engine *engine, const char *path, struct ctl_server **out, char *error,
		   size_t error_bytes);
// Closes the clients and removes the socket. NULL is fine.
void ctl_server_free(struct ctl_server *s);

#endif
