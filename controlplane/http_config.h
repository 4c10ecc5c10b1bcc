// The HTTP server as the configuration wants it: the engine's side of controlplane/signaling. Control plane's loop thread.
#ifndef TP_HTTP_CONFIG_H
#define TP_HTTP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct engine;

// Starts the server if the configuration has one; needs the loop and the SFU. -errno and one sentence in error.
int http_config_start(struct engine *e, char *error, size_t error_bytes);
// Applies what `next` changes. On failure the old settings stay in force.
int http_config_reload(struct engine *e, const struct config *next, char *error,
		       size_t error_bytes);
// Whether both listen in the same places; anything else can be reloaded.
bool http_config_same_listeners(const struct config *a, const struct config *b);

#endif
