// DPDK's environment: memory and threads for the settings at hand.
#ifndef TP_DP_EAL_H
#define TP_DP_EAL_H

#include <stdbool.h>

#include "dataplane/port.h"

// Whether the free hugepages hold what these settings need. more_mb: beside what follows from the settings.
bool dp_eal_hugepages_suffice(const struct shm_settings *s, uint32_t n_entries, uint32_t more_mb);

// Starts EAL: main thread on lcore 0, worker i on lcore i + 1. 0; -EINVAL for a CPU that is not
// there; -EIO when EAL does not start.
int dp_eal_init(const struct shm_settings *s, uint32_t n_entries, uint32_t more_mb, bool hugepages,
		struct dp_port_error *err);

#endif
