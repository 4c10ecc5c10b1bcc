// The fixed front of each segment, behind its header. Arrays of configured length follow at the offsets named here.
#ifndef TP_SHM_TABLES_H
#define TP_SHM_TABLES_H

#include "dataplane/contract/shm/allocation_table.h"
#include "dataplane/contract/shm/neighbour_table.h"
#include "dataplane/contract/shm/ring.h"
#include "dataplane/contract/shm/settings.h"
#include "dataplane/contract/shm/turn_table.h"
#include "dataplane/contract/shm/worker_state.h"

// Segment `tables`.
//   off    size field            writer meaning
//     0     128 header           cp
//   128       4 active_settings  cp     index of the settings in force, 0 or 1; atomic
//   132       4 settings_version cp     counts publications; a worker compares it between bursts; atomic
//   136       8 grace_generation cp     counts withdrawals; atomic
//   144      48 reserved         cp     0
//   192      64 turn             cp     placement of the flow table
//   256   14608 settings         cp     two slots
// 14912 2097152 neighbour        cp     index 0 is never used
struct shm_tables {
	struct shm_segment_header header;
	uint32_t active_settings;
	uint32_t settings_version;
	uint64_t grace_generation;
	uint8_t reserved[48];
	struct shm_turn_table turn;
	struct shm_settings settings[2];
	uint8_t pad[48];
	struct shm_neighbour neighbour[SHM_NEIGHBOURS_MAX];
};
static_assert(offsetof(struct shm_tables, neighbour) % 64 == 0, "aligned");

// Segment `workers`; shm_usage arrays follow, worker after worker, n_entries each.
//   off  size field        writer meaning
//     0   128 header       cp
//   128   576 dataplane    dp
//   704 25600 worker       dp
// 26304     8 usage_offset cp     from the segment's start
// 26312     4 n_entries    cp     usage elements per worker
// 26316     4 n_workers    cp
struct shm_workers {
	struct shm_segment_header header;
	struct shm_dataplane_state dataplane;
	struct shm_worker worker[SHM_WORKERS_MAX];
	uint64_t usage_offset;
	uint32_t n_entries;
	uint32_t n_workers;
	uint8_t pad[48];
};
static_assert(sizeof(struct shm_workers) % 64 == 0, "aligned");

// Segment `rings`: header, then for each worker its punt ring and its inject ring.
// off size field  writer meaning
//   0  128 header cp
struct shm_rings {
	struct shm_segment_header header;
};
static inline size_t shm_rings_offset(uint32_t worker_idx, uint32_t inject)
{
	return sizeof(struct shm_rings) + ((size_t)worker_idx * 2 + inject) * SHM_RING_BYTES;
}

#endif
