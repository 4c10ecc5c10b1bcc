// The XDP filter's maps from the configuration. Control plane's loop thread; writes the maps of the
// instance and engine's filter fields.
#ifndef TP_FILTER_CONFIG_H
#define TP_FILTER_CONFIG_H

struct engine;

// Mounts the instance's bpffs, creates or opens the maps, and fills them, where an AF_XDP port
// needs them. A failure is logged with what it costs, not returned: the relay works without.
void filter_config_start(struct engine *e);
// Fills the maps anew after a reload.
void filter_config_apply(struct engine *e);
// Closes the maps; filter and configuration stay in force.
void filter_config_stop(struct engine *e);

#endif
