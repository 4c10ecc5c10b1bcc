// Grace periods: who is waited for.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/contract/shm/grace.h"

static struct shm_workers *workers;
static struct shm_tables *tables;

static void set_up(void)
{
	workers = aligned_alloc(64, sizeof(*workers));
	tables = aligned_alloc(64, sizeof(*tables));
	cr_assert(workers && tables);
	memset(workers, 0, sizeof(*workers));
	memset(tables, 0, sizeof(*tables));
}

static void tear_down(void)
{
	free(workers);
	free(tables);
}

TestSuite(grace, .init = set_up, .fini = tear_down);

Test(grace, waits_for_the_last_worker_that_is_online)
{
	struct shm_worker *a = &workers->worker[0], *b = &workers->worker[SHM_WORKERS_MAX - 1];

	cr_assert_eq(shm_grace_passed(workers, true), UINT64_MAX, "nobody reads");
	shm_grace_enter(a, tables);
	shm_grace_enter(b, tables);
	cr_assert_eq(shm_grace_passed(workers, true), 0);
	cr_assert_eq(shm_grace_advance(tables), 1);
	cr_assert_eq(shm_grace_passed(workers, true), 0);
	shm_grace_quiesce(a, tables);
	cr_assert_eq(shm_grace_passed(workers, true), 0);
	shm_grace_quiesce(b, tables);
	cr_assert_eq(shm_grace_passed(workers, true), 1);
	cr_assert_eq(shm_grace_advance(tables), 2);
	shm_grace_quiesce(b, tables);
	cr_assert_eq(shm_grace_passed(workers, true), 1);
	shm_grace_leave(a);
	cr_assert_eq(shm_grace_passed(workers, true), 2);
}

Test(grace, waits_for_nobody_when_the_dataplane_is_dead)
{
	shm_grace_enter(&workers->worker[3], tables);
	shm_grace_advance(tables);
	cr_assert_eq(shm_grace_passed(workers, true), 0);
	cr_assert_eq(shm_grace_passed(workers, false), UINT64_MAX);
}

Test(grace, worker_that_enters_has_passed_what_was_before)
{
	shm_grace_advance(tables);
	shm_grace_advance(tables);
	shm_grace_enter(&workers->worker[0], tables);
	cr_assert_eq(shm_grace_passed(workers, true), 2);
}
