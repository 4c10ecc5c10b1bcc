// Work on all live allocations in slices, so that requests have their turn in between. Control
// plane's loop thread.
#include "controlplane/turn/state.h"

// What one slice may cost: a slot that is looked at counts 1, each flow of a live one FLOW_COST.
#define SLICE_COST 32768u
#define FLOW_COST  64u

void turn_walk_start(const struct turn_server *s, struct turn_walk *w)
{
	w->n_left = s->tables->n_allocations_max;
}

bool turn_walk_slice(struct turn_server *s, struct turn_walk *w,
		     void (*fn)(struct turn_server *s, uint32_t idx))
{
	for (uint32_t cost = 0; w->n_left > 0 && cost < SLICE_COST; w->n_left--, cost++) {
		const struct turn_allocation *a;

		w->idx = w->idx % s->tables->n_allocations_max + 1;
		a = &s->allocations[w->idx];
		if (a->user == NULL)
			continue;
		cost += FLOW_COST * (1u + a->n_permissions + a->n_channels);
		fn(s, w->idx);
	}
	return w->n_left > 0;
}
