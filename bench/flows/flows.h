// The flow table under load: programmed by the control plane's own code, read as a worker reads it. One thread.
#ifndef TP_BENCH_FLOWS_H
#define TP_BENCH_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/table_writer.h"

#define FLOWS_BURST        32
#define FLOWS_ROUNDS_MAX   64
#define FLOWS_CHANNELS_PER 5 // channels of one allocation: with permissions and peers 16 entries

// ---- program.c

struct flows_programmed {
	uint32_t n_allocations;
	uint32_t n_flows; // channels, each with its permission, both ways
	uint32_t n_entries;
	double open_s; // creating the segments
	double program_s;
	double adopt_s; // a control plane that starts takes the table over
	size_t tables_bytes;
	size_t workers_bytes;
	size_t keys_bytes;
};

// Creates the segments of a bench instance and fills them. The writer stays open. 0, or -errno and a sentence on stderr.
int flows_program(struct table_writer *w, uint32_t n_allocations, struct flows_programmed *out);
// Ends the instance and removes its files.
void flows_remove(struct table_writer *w);
const char *flows_instance(void);
double flows_now_s(void);

// ---- lookups.c

struct flows_series {
	double ns[FLOWS_ROUNDS_MAX]; // per lookup, one value a round
};

enum flows_measure {
	FLOWS_BULK = 0,   // bursts, the answers only
	FLOWS_BULK_READ,  // bursts, and the expiry of each entry is read
	FLOWS_SINGLE,     // one by one
	FLOWS_BULK_MISS,  // bursts of keys that are not there
	FLOWS_RIVAL_BULK, // the same with rte_hash
	FLOWS_RIVAL_BULK_READ,
	FLOWS_RIVAL_SINGLE,
	FLOWS_RIVAL_BULK_MISS,
	FLOWS_MEASURE_COUNT
};

struct flows_lookups {
	uint32_t n_entries;
	uint32_t n_rounds;
	bool has_rival;
	double median_ns[FLOWS_MEASURE_COUNT];
	// Medians over the rounds of rival / ours in that round.
	double ratio_bulk, ratio_bulk_read, ratio_single, ratio_bulk_miss;
};

// Looks uniformly random published keys up, contestants in turn, over a table of about n_entries programmed for this.
// 0, or -errno and a sentence on stderr.
int flows_measure_lookups(uint32_t n_entries, uint32_t n_lookups, uint32_t n_rounds,
			  bool with_rival, struct flows_lookups *out);

// ---- rival_rte_hash.c (rival_none.c without DPDK)

struct flows_rival;
// Starts EAL. -ENOTSUP when there is no DPDK in this build.
int flows_rival_start(void);
// A hash over the same entries, lock-free for readers as ours is. NULL when memory is short.
struct flows_rival *flows_rival_create(const struct shm_flow *entries, uint32_t n_entries);
void flows_rival_free(struct flows_rival *r);
// The found entries' count. `read`: also sums their expiries into *sum.
uint32_t flows_rival_bulk(struct flows_rival *r, const struct shm_flow_key *keys, uint32_t n,
			  bool read, uint64_t *sum);
uint32_t flows_rival_single(struct flows_rival *r, const struct shm_flow_key *keys, uint32_t n);

#endif
