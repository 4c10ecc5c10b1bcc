// Draining: a host that is to be emptied takes no new allocations and sessions. Whoever drains a host means it until
// they say otherwise, so a file state_dir/draining keeps it over restarts. Control plane's loop thread.
#ifndef TP_CONTROLPLANE_DRAIN_H
#define TP_CONTROLPLANE_DRAIN_H

#include <stdbool.h>

struct engine;

// Takes effect at once. 0, or -errno when it could not be written down: the next start will not know of it.
int drain_set(struct engine *e, bool is_draining);
// At start: drains if the last process did.
void drain_restore(struct engine *e);

#endif
