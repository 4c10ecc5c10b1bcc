// The layout that both processes must agree on: its comments tell the truth, and it does not change unnoticed.
#include <criterion/criterion.h>
#include <stdio.h>

#include "dataplane/contract/shm/segment.h"
#include "dataplane/contract/shm/sfu_session_record.h"
#include "dataplane/contract/shm/sfu_state.h"
#include "dataplane/contract/shm/srtp_keys.h"
#include "dataplane/contract/shm/tables.h"

// One line of a field table, and what the compiler says.
struct field_line {
	const char *name;
	size_t said_offset, said_size;
	size_t offset, size_bytes;
};
#include "field_lines.h"

Test(layout, field_tables_tell_the_truth)
{
	uint32_t n_wrong = 0;

	for (size_t i = 0; i < sizeof(field_lines) / sizeof(field_lines[0]); i++) {
		const struct field_line *l = &field_lines[i];

		if (l->said_offset == l->offset && l->said_size == l->size_bytes)
			continue;
		n_wrong++;
		cr_log_error("%s: the comment says offset %zu size %zu, it is %zu and %zu", l->name,
			     l->said_offset, l->said_size, l->offset, l->size_bytes);
	}
	cr_assert_eq(n_wrong, 0);
}

// Each line has one writer: what the two sides store into stands on lines of its own.
Test(layout, sides_do_not_share_cache_lines)
{
	cr_assert_eq(offsetof(struct shm_workers, dataplane) % SHM_CACHE_LINE, 0);
	cr_assert_eq(offsetof(struct shm_workers, worker) % SHM_CACHE_LINE, 0);
	cr_assert_eq(offsetof(struct shm_workers, usage_offset) % SHM_CACHE_LINE, 0);
	cr_assert_eq(sizeof(struct shm_worker) % SHM_CACHE_LINE, 0);
	cr_assert_neq(offsetof(struct shm_ring, produced) / SHM_CACHE_LINE,
		      offsetof(struct shm_ring, consumed) / SHM_CACHE_LINE);
	cr_assert_eq(SHM_RING_BYTES % SHM_CACHE_LINE, 0);
	cr_assert_eq(shm_rings_offset(1, SHM_RING_PUNT) % SHM_CACHE_LINE, 0);
}
