// A flow table in private memory, with its writer and a reader's view, for the tests of this folder and of tests/race.
#ifndef TP_TESTS_TABLE_FIXTURE_H
#define TP_TESTS_TABLE_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/shm/grace.h"

struct table_fixture {
	struct shm_tables *tables;
	size_t size_bytes;
	uint32_t *free_idx;
	struct shm_flow_retired *retired;
	struct shm_flow_writer writer;
	struct shm_flow_view view;
};

// Starts a writer over the memory, as a control plane that starts does. 0 or -errno.
static inline int table_fixture_adopt(struct table_fixture *t)
{
	// Garbage: the writer must not rely on what its arrays held.
	memset(t->free_idx, 0xa5, t->tables->turn.n_entries * sizeof(*t->free_idx));
	memset(t->retired, 0xa5, t->tables->turn.n_entries * sizeof(*t->retired));
	return shm_flow_writer_init(&t->writer, t->tables, t->size_bytes, &t->tables->turn,
				    t->free_idx, t->retired);
}

static inline int table_fixture_init(struct table_fixture *t, uint32_t n_entries)
{
	struct shm_turn_table placement;
	size_t table_bytes = shm_turn_table_size(sizeof(struct shm_tables), n_entries, &placement);
	int ret;

	t->size_bytes = sizeof(struct shm_tables) + table_bytes;
	t->tables = aligned_alloc(64, (t->size_bytes + 63) & ~(size_t)63);
	t->free_idx = malloc(n_entries * sizeof(*t->free_idx));
	t->retired = malloc(n_entries * sizeof(*t->retired));
	if (!t->tables || !t->free_idx || !t->retired)
		abort();
	memset(t->tables, 0, t->size_bytes);
	placement.hash_seed[0] = 0x0123456789abcdefull;
	placement.hash_seed[1] = 0x1122334455667788ull;
	placement.hash_seed[2] = 0xfedcba9876543210ull;
	t->tables->turn = placement;
	ret = table_fixture_adopt(t);
	if (ret < 0)
		return ret;
	return shm_flow_view_init(&t->view, t->tables, t->size_bytes, &t->tables->turn);
}

static inline void table_fixture_free(struct table_fixture *t)
{
	free(t->tables);
	free(t->free_idx);
	free(t->retired);
}

// The channel of client number i; distinct for distinct i.
static inline struct shm_flow_key table_fixture_key(uint32_t i)
{
	struct shm_flow_key key = {
		.address = { [10] = 0xff, [11] = 0xff, [12] = 10 },
		.port_be = (uint16_t)(1000 + (i & 15)),
		.local_port_be = 3478,
		.local_idx = 1,
		.kind = SHM_FLOW_CHANNEL,
		.channel_be = 0x4000,
	};
	uint32_t client = i >> 4;

	key.address[13] = (uint8_t)(client >> 16);
	key.address[14] = (uint8_t)(client >> 8);
	key.address[15] = (uint8_t)client;
	return key;
}

// A flow whose other fields follow from its key, so that a reader can tell a whole entry from a torn one.
static inline struct shm_flow table_fixture_flow(struct shm_flow_key key)
{
	struct shm_flow f = { .key = key, .expires_at_ns = 1000 };

	for (uint32_t i = 0; i < sizeof(f.to_address); i++)
		f.to_address[i] = (uint8_t)(key.address[15] ^ (key.address[14] + i) ^ key.port_be);
	f.to_port_be = (uint16_t)~key.port_be;
	f.allocation_idx = (uint32_t)key.address[15] << 16 | key.port_be;
	return f;
}

static inline uint64_t table_fixture_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
