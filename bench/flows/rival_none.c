// Without DPDK there is nobody to compare with.
#include <errno.h>
#include <stddef.h>

#include "bench/flows/flows.h"

int flows_rival_start(void)
{
	return -ENOTSUP;
}

struct flows_rival *flows_rival_create(const struct shm_flow *entries, uint32_t n_entries)
{
	return NULL;
}

void flows_rival_free(struct flows_rival *r)
{
}

uint32_t flows_rival_bulk(struct flows_rival *r, const struct shm_flow_key *keys, uint32_t n,
			  bool read, uint64_t *sum)
{
	return 0;
}

uint32_t flows_rival_single(struct flows_rival *r, const struct shm_flow_key *keys, uint32_t n)
{
	return 0;
}
