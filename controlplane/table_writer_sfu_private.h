// Between the files of table_writer that write the SFU's tables.
#ifndef TP_TABLE_WRITER_SFU_PRIVATE_H
#define TP_TABLE_WRITER_SFU_PRIVATE_H

#include "controlplane/table_writer_sfu.h"

enum table_writer_sfu_kind {
	TABLE_WRITER_TRANSPORT = 0,
	TABLE_WRITER_TRACK,
	TABLE_WRITER_SUBSCRIPTION,
	TABLE_WRITER_UNITS, // of the pool of lists
};

// Withdrawn, and to be given out when all workers have passed the generation.
struct table_writer_sfu_retired {
	uint64_t generation;
	uint32_t idx; // or the first unit
	uint32_t n;   // units
	uint32_t kind;
};

void table_writer_sfu_retire(struct table_writer *w, enum table_writer_sfu_kind kind, uint32_t idx,
			     uint32_t n);

// Marks the blocks of published tracks, and retires what may still be read of others.
void table_writer_fanout_init(struct table_writer *w);
void table_writer_fanout_drop(struct table_writer *w, uint32_t track_idx, uint32_t worker_idx);

// The first keys of a transport, and their end.
void table_writer_ice_set(struct table_writer *w, uint32_t transport_idx, uint32_t serial,
			  const char *pwd);
void table_writer_keys_wipe(struct table_writer *w, uint32_t transport_idx);

#endif
