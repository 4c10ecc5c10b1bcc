// Which transport of the SFU a datagram belongs to, by its 5-tuple. One table per worker: that worker alone writes it, all may
// read it at any time. A reader may miss an entry while it is being changed, or be told of one that is just gone; who acts on
// the answer verifies the packet anyway.
#ifndef TP_DP_SFU_REMOTE_TABLE_H
#define TP_DP_SFU_REMOTE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/wire/address.h"

struct dp_sfu_remote_key {
	uint64_t word[3];
};

struct dp_sfu_remote_table;

static inline struct dp_sfu_remote_key dp_sfu_remote_key(const struct ip_endpoint *remote,
							 uint8_t local_idx, uint16_t local_port_be)
{
	struct dp_sfu_remote_key k;

	__builtin_memcpy(k.word, remote->address.bytes, 16);
	k.word[2] = remote->port_be | (uint64_t)local_port_be << 16 | (uint64_t)local_idx << 32;
	return k;
}

// Room for n entries at a load of one half. NULL without memory. `seed` is secret and the same for all tables of a process.
struct dp_sfu_remote_table *dp_sfu_remote_table_create(uint32_t n, uint64_t seed);
void dp_sfu_remote_table_destroy(struct dp_sfu_remote_table *t);

// Writer: adds an entry or changes its transport (not 0). False when the table is full.
bool dp_sfu_remote_put(struct dp_sfu_remote_table *t, const struct dp_sfu_remote_key *key,
		       uint32_t transport_idx);
// Writer: takes the entry out if it is that transport's.
void dp_sfu_remote_remove(struct dp_sfu_remote_table *t, const struct dp_sfu_remote_key *key,
			  uint32_t transport_idx);
// Anyone: 0 when there is none.
uint32_t dp_sfu_remote_find(const struct dp_sfu_remote_table *t,
			    const struct dp_sfu_remote_key *key);
void dp_sfu_remote_prefetch(const struct dp_sfu_remote_table *t,
			    const struct dp_sfu_remote_key *key);

#endif
