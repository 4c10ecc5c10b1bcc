// Between the files of table_writer only.
#ifndef TP_TABLE_WRITER_PRIVATE_H
#define TP_TABLE_WRITER_PRIVATE_H

#include "controlplane/table_writer.h"

// Maps fresh segments, or those that are there; `tables` is attached already for adoption. 0; or -errno, a sentence, and nothing attached.
int table_writer_segments_create(struct table_writer *w, const struct config *config, char *error,
				 size_t error_bytes);
int table_writer_segments_adopt(struct table_writer *w, const struct config *config, char *error,
				size_t error_bytes);
void table_writer_segments_detach(struct table_writer *w);
// Bytes of `keys`, and where its arrays behind the allocation records stand: the usage base of each flow entry, the totals of each allocation.
size_t table_writer_keys_bytes(uint32_t n_allocations_max, uint32_t n_entries, size_t *base_offset,
			       size_t *totals_offset);

// Builds settings from config over those that were in force (NULL: none) and publishes them if anything differs.
int table_writer_settings_apply(struct table_writer *w, const struct config *config,
				const struct shm_settings *old, char *error, size_t error_bytes);

int table_writer_neighbours_init(struct table_writer *w);
void table_writer_neighbours_fini(struct table_writer *w);

#endif
