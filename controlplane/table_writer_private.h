// Between the files of table_writer only.
#ifndef TP_TABLE_WRITER_PRIVATE_H
#define TP_TABLE_WRITER_PRIVATE_H

#include "controlplane/table_writer.h"

// Maps fresh segments, or those that are there; `tables` is attached already for adoption. 0; or
// -errno, a sentence, and nothing attached.
int table_writer_segments_create(struct table_writer *w, const struct config *config, char *error,
				 size_t error_bytes);
int table_writer_segments_adopt(struct table_writer *w, const struct config *config, char *error,
				size_t error_bytes);
void table_writer_segments_detach(struct table_writer *w);
// Bytes of `keys`, and where its arrays behind the allocation records stand: the usage base of each
// flow entry, the totals of each allocation.
size_t table_writer_keys_bytes(uint32_t n_allocations_max, uint32_t n_entries, size_t *base_offset,
			       size_t *totals_offset);

// The segments of the SFU: created but not published, *what names the one that failed; mapped
// read-only where workers write, once it is published; adopted, or made anew when the configured
// sizes changed and nothing is lost by it. 0 or -errno; adoption with a sentence.
int table_writer_sfu_segments_create(struct table_writer *w, const struct config *config,
				     const char **what);
int table_writer_sfu_state_reattach(struct table_writer *w, const char *instance);
int table_writer_sfu_segments_adopt(struct table_writer *w, const struct config *config,
				    char *error, size_t error_bytes);

// Publishes the first settings of fresh segments.
int table_writer_settings_create(struct table_writer *w, const struct config *config, char *error,
				 size_t error_bytes);
// Builds settings over those that a predecessor left and publishes them if anything differs.
// -EPROTO when its own are damaged.
int table_writer_settings_adopt(struct table_writer *w, const struct config *config, char *error,
				size_t error_bytes);
uint64_t table_writer_now_ns(void); // CLOCK_MONOTONIC

// The working memory of table_writer_sfu.h; sessions that stand in the segments are kept.
int table_writer_sfu_init(struct table_writer *w);
void table_writer_sfu_fini(struct table_writer *w);
void table_writer_sfu_reclaim(struct table_writer *w, uint64_t passed_generation);

int table_writer_neighbours_init(struct table_writer *w);
void table_writer_neighbours_fini(struct table_writer *w);

#endif
