// Grace periods: when is a withdrawn entry safe to reuse? A reader that has stored a quiescent generation >= the
// generation of the withdrawal holds no reference to it any more.
#ifndef TP_SHM_GRACE_H
#define TP_SHM_GRACE_H

#include <stdbool.h>

#include "dataplane/contract/shm/tables.h"

// Worker, between two bursts: says that it holds nothing.
static inline void shm_grace_quiesce(struct shm_worker *w, const struct shm_tables *t)
{
	uint64_t g = __atomic_load_n(&t->grace_generation, __ATOMIC_ACQUIRE);

	if (g != w->quiescent_gen)
		__atomic_store_n(&w->quiescent_gen, g, __ATOMIC_RELEASE);
}

// Worker, before its first lookup: from here on withdrawn entries wait for it.
static inline void shm_grace_enter(struct shm_worker *w, const struct shm_tables *t)
{
	shm_grace_quiesce(w, t);
	__atomic_store_n(&w->online, 1, __ATOMIC_RELEASE);
	// Pairs with the fence of shm_grace_passed: the control plane sees `online`, or this worker every withdrawal before.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Worker, after its last lookup.
static inline void shm_grace_leave(struct shm_worker *w)
{
	__atomic_store_n(&w->online, 0, __ATOMIC_RELEASE);
}

// Control plane: the generation of the withdrawals made so far; those made before the call belong to it.
uint64_t shm_grace_advance(struct shm_tables *t);

// Control plane: the generation that every online worker has passed; UINT64_MAX when no dataplane is alive
// (`dataplane_alive` is the caller's verdict from pid and heartbeat).
uint64_t shm_grace_passed(const struct shm_workers *ws, bool dataplane_alive);

#endif
