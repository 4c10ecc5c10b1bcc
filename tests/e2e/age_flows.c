// Injects a fault: lets the published flows of one kind and port expire now, as if their time had passed. One thread; writes
// the expiry words in an instance's `tables` segment, atomically, as the control plane does.
//
//   age_flows INSTANCE allocation|channel|permission PORT     the client's port, or the relayed one for permissions
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/contract/shm/segment.h"
#include "dataplane/contract/shm/tables.h"

static uint8_t kind_of(const char *name)
{
	if (strcmp(name, "allocation") == 0)
		return SHM_FLOW_ALLOCATION;
	if (strcmp(name, "channel") == 0)
		return SHM_FLOW_CHANNEL;
	if (strcmp(name, "permission") == 0)
		return SHM_FLOW_PERMISSION;
	return SHM_FLOW_NONE;
}

static uint32_t age(const struct shm_flow_view *v, uint8_t kind, uint16_t port_be)
{
	struct timespec now;
	uint32_t n = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	for (uint32_t b = 0; b <= v->bucket_mask; b++) {
		for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++) {
			uint32_t idx = (uint32_t)v->buckets[b].slot[s];
			struct shm_flow *f;

			if (idx == 0 || idx >= v->n_entries)
				continue;
			f = (struct shm_flow *)&v->entries[idx];
			if (f->key.kind != kind ||
			    (kind == SHM_FLOW_PERMISSION ? f->key.local_port_be : f->key.port_be) !=
				    port_be)
				continue;
			__atomic_store_n(&f->expires_at_ns,
					 (uint64_t)now.tv_sec * 1000000000ULL +
						 (uint64_t)now.tv_nsec - 1,
					 __ATOMIC_RELAXED);
			n++;
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	struct shm_segment segment;
	struct shm_tables *tables;
	struct shm_flow_view view;
	enum shm_attach_state state;
	uint32_t n;

	if (argc != 4 || kind_of(argv[2]) == SHM_FLOW_NONE) {
		fprintf(stderr, "usage: age_flows INSTANCE allocation|channel|permission PORT\n");
		return 2;
	}
	state = shm_segment_attach(argv[1], SHM_SEGMENT_TABLES, true, &segment);
	if (state != SHM_ATTACH_READY) {
		fprintf(stderr, "age_flows: %s\n", shm_attach_state_text(state));
		return 1;
	}
	tables = segment.base;
	if (shm_flow_view_init(&view, segment.base, segment.size_bytes, &tables->turn) < 0) {
		fprintf(stderr, "age_flows: the flow table makes no sense\n");
		return 1;
	}
	n = age(&view, kind_of(argv[2]), htons((uint16_t)strtoul(argv[3], NULL, 10)));
	shm_segment_detach(&segment);
	printf("%u\n", n);
	return n ? 0 : 1;
}
