// Grace periods, control plane's half. Its one thread; writes shm_tables.grace_generation.
#include "dataplane/contract/shm/grace.h"

uint64_t shm_grace_advance(struct shm_tables *t)
{
	return __atomic_add_fetch(&t->grace_generation, 1, __ATOMIC_SEQ_CST);
}

uint64_t shm_grace_passed(const struct shm_workers *ws, bool dataplane_alive)
{
	uint64_t passed = UINT64_MAX;

	if (!dataplane_alive)
		return UINT64_MAX;
	// Pairs with the fence of shm_grace_enter: a worker that is not seen online here sees every withdrawal made so far.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++) {
		const struct shm_worker *w = &ws->worker[i];
		uint64_t gen;

		if (!__atomic_load_n(&w->online, __ATOMIC_ACQUIRE))
			continue;
		gen = __atomic_load_n(&w->quiescent_gen, __ATOMIC_ACQUIRE);
		if (gen < passed)
			passed = gen;
	}
	return passed;
}
