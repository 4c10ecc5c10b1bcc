// Finding the limits in the segment `tables`. Pure, any thread.
#include "dataplane/contract/shm/limit_table.h"

#include "dataplane/contract/shm/tables.h"

const struct shm_limit *shm_limits_view(const struct shm_tables *tables, size_t segment_bytes,
					uint32_t *n)
{
	// Used as it was checked: the segment could change in between.
	uint64_t offset = __atomic_load_n(&tables->limits_offset, __ATOMIC_RELAXED);
	uint32_t n_limits = __atomic_load_n(&tables->n_limits, __ATOMIC_RELAXED);

	if (offset < sizeof(*tables) || offset % sizeof(struct shm_limit) != 0 ||
	    offset > segment_bytes || n_limits == 0 ||
	    n_limits > (segment_bytes - offset) / sizeof(struct shm_limit))
		return NULL;
	*n = n_limits;
	return (const struct shm_limit *)((const uint8_t *)tables + offset);
}
