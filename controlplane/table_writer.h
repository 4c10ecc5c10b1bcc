// The only code that writes the shared tables: it creates or adopts an instance's segments,
// publishes settings, flows, neighbours and allocation records, and gives withdrawn flows back once
// every worker has passed them. One thread: the control plane's loop (or a test, or a bench). It
// writes the segments `tables` and `keys`, the consumer end of the punt and stream rings and the
// producer end of the inject rings; `workers` it maps read-only.
#ifndef TP_TABLE_WRITER_H
#define TP_TABLE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "dataplane/contract/shm/segment.h"
#include "dataplane/contract/shm/tables.h"
#include "dataplane/contract/wire/address.h"

#define TABLE_WRITER_ERROR_BYTES 320
// A dataplane whose heartbeat is older does not forward as it should; it may have died, or only be
// held up.
#define TABLE_WRITER_DATAPLANE_SILENT_NS 1000000000ull

// Behind the allocations in `keys`, one per allocation slot; control plane only. What entries that were withdrawn
// from a live allocation had counted.
// off size field      writer meaning
//   0    8 up_pkts    cp     client to peers
//   8    8 up_bytes   cp     application data
//  16    8 down_pkts  cp     peers to client
//  24    8 down_bytes cp     application data
struct table_writer_totals {
	uint64_t up_pkts;
	uint64_t up_bytes;
	uint64_t down_pkts;
	uint64_t down_bytes;
};
static_assert(sizeof(struct table_writer_totals) == 32, "the keys segment holds an array of it");

// What table_writer_open found.
enum table_writer_origin {
	TABLE_WRITER_CREATED = 0, // there was nothing
	TABLE_WRITER_ADOPTED,     // segments of a control plane that ended or died
	TABLE_WRITER_RECREATED,   // segments from before the last reboot were replaced
	TABLE_WRITER_ORIGIN_COUNT
};

struct table_writer {
	struct shm_segment tables_segment;
	struct shm_segment workers_segment;
	struct shm_segment rings_segment;
	struct shm_segment keys_segment;
	struct shm_segment sfu_segment;
	struct shm_segment srtp_segment;
	struct shm_segment sfu_state_segment; // read-only, as `workers`
	struct shm_segment sessions_segment;
	struct shm_tables *tables;
	const struct shm_workers *workers;
	struct shm_keys *keys;
	struct shm_limit *limits; // by allocation slot, in `tables`
	struct shm_flow_writer flows;
	struct shm_settings settings; // in force; a copy of what the dataplane reads
	// Rules about peers beside those of the configuration: of the shared store.
	struct config_peer_rule shared_rule[SHM_PEER_RULES_MAX];
	uint32_t n_shared_rules;
	enum table_writer_origin origin;

	uint32_t n_allocations_max; // slots 1..n_allocations_max of keys->allocation
	uint32_t n_entries;
	uint32_t
		n_workers_max; // that `workers` and `rings` have room for; fewer than configured while an old dataplane lives
	struct shm_usage *usage_base;       // per flow entry: what its predecessors had counted
	struct table_writer_totals *totals; // per allocation slot

	uint32_t *free_allocation; // stack of free slots
	uint32_t n_free_allocations;

	uint32_t *neighbour_bucket; // heads of chains, by next hop
	uint32_t *neighbour_next;   // chain
	uint16_t *free_neighbour;   // stack
	uint32_t n_free_neighbours;
	uint64_t neighbour_seed[2];

	struct table_writer_sfu *sfu; // table_writer_sfu.h

	bool are_workers_new; // `workers` and `rings` were replaced at adoption
	bool is_withdrawn;    // flows were withdrawn since the last advance of the grace generation
};

// ---- life

// Creates the segments of config->instance, or adopts live ones. Settings are published in either
// case; local addresses that were there keep their index. Returns 0; or -errno and one sentence
// with the remedy in `error` (-EPROTO: segments of another layout or size; -ENOSPC: too many
// addresses). With config->instance's lock held by the caller.
int table_writer_open(struct table_writer *w, const struct config *config, char *error,
		      size_t error_bytes);
// Unmaps; the segments stay for the next control plane.
void table_writer_close(struct table_writer *w);

// Publishes other rules of the shared store beside config's. 0; -ENOSPC: more than fit, and those before
// stay in force.
int table_writer_publish_rules(struct table_writer *w, const struct config *config,
			       const struct config_peer_rule *rules, uint32_t n, char *error,
			       size_t error_bytes);
// Publishes settings made from config (at start and on reload). 0, -ENOSPC when there are more than
// SHM_LOCALS_MAX addresses.
int table_writer_publish_settings(struct table_writer *w, const struct config *config, char *error,
				  size_t error_bytes);
// Stores pid and time in the segment's header.
void table_writer_heartbeat(struct table_writer *w, uint64_t now_ns);
// Whether a dataplane does its work, by phase and heartbeat.
bool table_writer_dataplane_alive(const struct table_writer *w, uint64_t now_ns);
// Whether no process is left that reads the tables: it stopped, or is silent and its pid is gone. A
// dataplane whose main thread is merely held up is neither alive nor gone.
bool table_writer_dataplane_gone(const struct table_writer *w, uint64_t now_ns);
// Ends the current grace generation and takes back what all workers have passed. Call it every few
// milliseconds.
void table_writer_reclaim(struct table_writer *w, uint64_t now_ns);

// Index in settings.local of one of our addresses, -ENOENT when it is not ours.
int table_writer_local_find(const struct table_writer *w, const struct ip_address *a);

// Entries that a configuration needs: one per allocation, and channel, peer and permission of each
// flow.
uint32_t table_writer_entries(const struct config *config);

// ---- flows

// Publishes a copy. 0 and the index; -EEXIST; -ENOSPC.
int table_writer_flow_publish(struct table_writer *w, const struct shm_flow *f,
			      uint64_t own_expires_at_ns, uint32_t *out_idx);
void table_writer_flow_withdraw(struct table_writer *w, uint32_t idx);
// Publishes a copy in the place of an entry of the same key, which is withdrawn: no packet finds neither. 0 and
// the index; -ENOSPC.
int table_writer_flow_replace(struct table_writer *w, uint32_t idx, const struct shm_flow *f,
			      uint64_t own_expires_at_ns, uint32_t *out_idx);
// Stores the flags of a published entry (one atomic byte).
void table_writer_flow_set_flags(struct table_writer *w, uint32_t idx, uint8_t flags);
void table_writer_flow_set_expiry(struct table_writer *w, uint32_t idx, uint64_t expires_at_ns,
				  uint64_t own_expires_at_ns);
// Index of a published entry, 0 when there is none.
uint32_t table_writer_flow_find(const struct table_writer *w, const struct shm_flow_key *key);
static inline const struct shm_flow *table_writer_flow(const struct table_writer *w, uint32_t idx)
{
	return &w->flows.entries[idx];
}
static inline uint64_t table_writer_flow_own_expiry(const struct table_writer *w, uint32_t idx)
{
	return w->flows.own_expiry_ns[idx];
}
// Moves a published flow to other next hops (single atomic words). The caller keeps the reference
// counts.
void table_writer_flow_set_neighbours(struct table_writer *w, uint32_t idx, uint16_t neighbour_idx,
				      uint16_t peer_neighbour_idx);
// What went through the entry since it was published, over all workers.
void table_writer_flow_usage(const struct table_writer *w, uint32_t idx, struct shm_usage *out);

// ---- allocation records

// Takes a free record, filled with zeros but for its serial; NULL when none is left.
struct shm_allocation *table_writer_allocation_take(struct table_writer *w, uint32_t *out_idx);
// Marks a filled record live (release).
void table_writer_allocation_commit(struct table_writer *w, uint32_t idx);
// Wipes the credential and frees the record.
void table_writer_allocation_free(struct table_writer *w, uint32_t idx);
static inline struct shm_allocation *table_writer_allocation(const struct table_writer *w,
							     uint32_t idx)
{
	return &w->keys->allocation[idx];
}

// ---- limits

// Stores each word of an allocation's limits for the dataplane; 0 <= idx <= n_allocations_max. Flows that are to be limited
// carry SHM_FLOW_F_LIMITED besides.
void table_writer_limit_set(struct table_writer *w, uint32_t idx, const struct shm_limit *l);

// ---- neighbours

// The entry of a next hop on a kernel interface (ifindex 0: static or learned), one user more. 0
// when the table is full.
uint16_t table_writer_neighbour_acquire(struct table_writer *w, const struct ip_address *next_hop,
					uint32_t ifindex);
// The same without taking it; 0 when there is none.
uint16_t table_writer_neighbour_find(const struct table_writer *w,
				     const struct ip_address *next_hop, uint32_t ifindex);
void table_writer_neighbour_ref(struct table_writer *w, uint16_t idx); // idx 0 is ignored
void table_writer_neighbour_unref(struct table_writer *w,
				  uint16_t idx); // idx 0 is ignored; frees with the last user
// One atomic store; 0 = unresolved.
void table_writer_neighbour_set_word(struct table_writer *w, uint16_t idx, uint64_t word);
static inline const struct shm_neighbour *table_writer_neighbour(const struct table_writer *w,
								 uint16_t idx)
{
	return &w->tables->neighbour[idx];
}
// Recounts users from the published flows, frees entries without any, and rebuilds the index
// (adoption).
void table_writer_neighbours_recount(struct table_writer *w);

// ---- rings

static inline struct shm_ring *table_writer_ring(const struct table_writer *w, uint32_t worker_idx,
						 enum shm_ring_kind kind)
{
	return (struct shm_ring *)((uint8_t *)w->rings_segment.base +
				   shm_rings_offset(worker_idx, kind));
}

#endif
