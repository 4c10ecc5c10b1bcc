// Filling the paths of a run. Cold; one thread.
#include "bench/blast/flow_set.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE_BYTES (2u << 20)

static struct frame_path *paths_allocate(uint32_t n)
{
	size_t bytes = ((size_t)n * sizeof(struct frame_path) + LARGE_PAGE_BYTES - 1) &
		       ~(size_t)(LARGE_PAGE_BYTES - 1);
	void *p = aligned_alloc(LARGE_PAGE_BYTES, bytes);

	// The generator must not be bounded by its own page walks.
	if (p != NULL)
		madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

void flow_set_addresses(const struct flow_set *s, uint32_t i, struct flow_addresses *out)
{
	flow_plan_addresses(&s->plan, i, out);
	if (s->relayed != NULL) {
		out->relayed = s->relayed[i];
		if (s->plan.is_hairpin)
			out->peer = s->relayed[i ^ 1];
	}
}

int flow_set_fill(struct flow_set *s)
{
	if (s->up == NULL)
		s->up = paths_allocate(s->plan.n_flows);
	if (s->down == NULL)
		s->down = paths_allocate(s->plan.n_flows);
	if (s->up == NULL || s->down == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->plan.n_flows; i++) {
		struct flow_addresses a;
		struct flow_addresses other;

		flow_set_addresses(s, i, &a);
		if (s->plan.is_hairpin)
			flow_set_addresses(s, i ^ 1, &other);
		frame_path_init(&s->up[i], &a, s->plan.is_hairpin ? &other : NULL, false, &s->use,
				&s->macs);
		frame_path_init(&s->down[i], &a, NULL, true, &s->use, &s->macs);
	}
	return 0;
}

void flow_set_free(struct flow_set *s)
{
	free(s->up);
	free(s->down);
	free(s->relayed);
	s->up = NULL;
	s->down = NULL;
	s->relayed = NULL;
}
