// Between the files of table_writer only.
#ifndef TP_TABLE_WRITER_PRIVATE_H
#define TP_TABLE_WRITER_PRIVATE_H

#include "controlplane/table_writer.h"

// Builds settings from config over those that were in force (NULL: none) and publishes them if anything differs.
int table_writer_settings_apply(struct table_writer *w, const struct config *config,
				const struct shm_settings *old, char *error, size_t error_bytes);

int table_writer_neighbours_init(struct table_writer *w);
void table_writer_neighbours_fini(struct table_writer *w);

#endif
