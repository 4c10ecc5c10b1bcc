// The shared store of users and the accounting as the configuration wants them: started with the loop,
// made anew when the section redis changes. Control plane's loop thread.
#ifndef TP_STORE_CONFIG_H
#define TP_STORE_CONFIG_H

#include <stddef.h>

struct config;
struct engine;

// Needs e->base. 0, or -errno and one sentence in error.
int store_config_start(struct engine *e, char *error, size_t error_bytes);
// After a reload: e->config is the new one, `old` what was in force.
void store_config_reload(struct engine *e, const struct config *old);
void store_config_stop(struct engine *e);

#endif
