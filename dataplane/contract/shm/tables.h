// The fixed front of each segment, behind its header. Arrays of configured length follow at the offsets named here.
#ifndef TP_SHM_TABLES_H
#define TP_SHM_TABLES_H

#include "dataplane/contract/shm/allocation_table.h"
#include "dataplane/contract/shm/limit_table.h"
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
//   144       8 limits_offset    cp     of struct shm_limit by allocation slot, from the segment's start
//   152       4 n_limits         cp     of them; slot 0 is no allocation
//   156      36 reserved         cp     0
//   192      64 turn             cp     placement of the flow table
//   256   16784 settings         cp     two slots
// 17088 2097152 neighbour        cp     index 0 is never used
struct shm_tables {
	struct shm_segment_header header;
	uint32_t active_settings;
	uint32_t settings_version;
	uint64_t grace_generation;
	uint64_t limits_offset;
	uint32_t n_limits;
	uint8_t reserved[36];
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
//   704 29696 worker       dp
// 30400     8 usage_offset cp     from the segment's start
// 30408     4 n_entries    cp     usage elements per worker
// 30412     4 n_workers    cp
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

// Segment `rings`: header, then for each worker its rings in the order of enum shm_ring_kind.
// off size field  writer meaning
//   0  128 header cp
struct shm_rings {
	struct shm_segment_header header;
};
#define SHM_WORKER_RINGS_BYTES ((size_t)SHM_RING_STREAM * SHM_RING_BYTES + SHM_STREAM_RING_BYTES)
static_assert(SHM_RING_STREAM == SHM_RING_COUNT - 1, "the one of another size is the last");
static inline size_t shm_rings_offset(uint32_t worker_idx, enum shm_ring_kind kind)
{
	return sizeof(struct shm_rings) + worker_idx * SHM_WORKER_RINGS_BYTES +
	       kind * SHM_RING_BYTES;
}

// The limits within a mapped `tables` segment; NULL when their place makes no sense. `*n` gets their number.
const struct shm_limit *shm_limits_view(const struct shm_tables *tables, size_t segment_bytes,
					uint32_t *n);

#endif
