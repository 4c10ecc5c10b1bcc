// Limits of allocations as the dataplane enforces them, one per allocation slot, in segment `tables`. The control plane writes
// single words, atomically; the buckets that they fill are the dataplane's own. A worker reads them for flows with
// SHM_FLOW_F_LIMITED, and realm_idx whenever it asks the peer policy.
#ifndef TP_SHM_LIMIT_TABLE_H
#define TP_SHM_LIMIT_TABLE_H

#include "dataplane/contract/shm/layout.h"

// off size field            writer meaning
//   0    4 bytes_per_s      cp     application data, each direction for itself; 0 = no limit; atomic
//   4    4 user_bytes_per_s cp     the same over all allocations of a user; atomic
//   8    4 user_idx         cp     the user's bucket: below n_limits, 0 = none; atomic
//  12    1 realm_idx        cp     settings.realm; atomic
//  13    3 reserved         cp     0
struct shm_limit {
	uint32_t bytes_per_s;
	uint32_t user_bytes_per_s;
	uint32_t user_idx;
	uint8_t realm_idx;
	uint8_t reserved[3];
};
static_assert(sizeof(struct shm_limit) == 16, "bump SHM_LAYOUT_VERSION");

#endif
