// What the relay stage shares with hairpins.
#ifndef TP_DP_RELAY_H
#define TP_DP_RELAY_H

#include "dataplane/worker.h"

// Adds the packet's application data to the usage of a flow.
static inline void dp_relay_account(struct dp_worker *w, const struct shm_flow *flow,
				    const struct dp_packet *p)
{
	struct shm_usage *u = &w->usage[dp_flow_idx(w, flow)];

	__atomic_store_n(&u->pkts, u->pkts + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&u->bytes, u->bytes + p->data_bytes, __ATOMIC_RELAXED);
}

#endif
