// Creating the segments of an instance, and attaching to those that a predecessor left; those of the
// SFU with table_writer_sfu_segments.c.
// Control plane's loop thread.
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/table_writer_private.h"

static size_t workers_bytes(uint32_t n_workers, uint32_t n_entries)
{
	return sizeof(struct shm_workers) +
	       (size_t)n_workers * n_entries * sizeof(struct shm_usage);
}

// Allocation records, then the usage base of each flow entry, then the totals of each allocation.
size_t table_writer_keys_bytes(uint32_t n_allocations_max, uint32_t n_entries, size_t *base_offset,
			       size_t *totals_offset)
{
	*base_offset = sizeof(struct shm_keys) +
		       ((size_t)n_allocations_max + 1) * sizeof(struct shm_allocation);
	*totals_offset = *base_offset + (size_t)n_entries * sizeof(struct shm_usage);
	return *totals_offset +
	       ((size_t)n_allocations_max + 1) * sizeof(struct table_writer_totals);
}

// The flow table, then the limits of each allocation.
static size_t tables_bytes(const struct table_writer *w, struct shm_turn_table *placement,
			   size_t *limits_offset)
{
	*limits_offset = sizeof(struct shm_tables) +
			 shm_turn_table_size(sizeof(struct shm_tables), w->n_entries, placement);
	*limits_offset = (*limits_offset + 63) & ~(size_t)63;
	return *limits_offset + ((size_t)w->n_allocations_max + 1) * sizeof(struct shm_limit);
}

void table_writer_segments_detach(struct table_writer *w)
{
	struct shm_segment *segments[] = { &w->tables_segment,    &w->workers_segment,
					   &w->rings_segment,     &w->keys_segment,
					   &w->sfu_segment,       &w->srtp_segment,
					   &w->sfu_state_segment, &w->sessions_segment };

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		if (segments[i]->base != NULL)
			shm_segment_detach(segments[i]);
		segments[i]->base = NULL;
	}
}

// From here on the workers' own memory is only read.
static int workers_reattach(struct table_writer *w, const char *instance)
{
	shm_segment_detach(&w->workers_segment);
	w->workers_segment.base = NULL;
	if (shm_segment_attach(instance, SHM_SEGMENT_WORKERS, false, &w->workers_segment) !=
	    SHM_ATTACH_READY) {
		w->workers_segment.base = NULL;
		return -EIO;
	}
	w->workers = w->workers_segment.base;
	return 0;
}

// After a failure: segments that were created and not published leave no file behind.
static void discard_new(struct table_writer *w)
{
	const struct shm_segment *segments[] = { &w->tables_segment,    &w->workers_segment,
						 &w->rings_segment,     &w->keys_segment,
						 &w->sfu_segment,       &w->srtp_segment,
						 &w->sfu_state_segment, &w->sessions_segment };

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		const char *suffix = strrchr(segments[i]->path, '.');

		if (segments[i]->base != NULL && suffix != NULL && strcmp(suffix, ".new") == 0)
			unlink(segments[i]->path);
	}
}

static void report_create(const char *what, int ret, char *error, size_t error_bytes)
{
	snprintf(error, error_bytes,
		 "cannot create the shared segment \"%s\": %s; make room in /dev/shm or lower "
		 "tables: "
		 "max_allocations and max_flows or sfu: max_sessions, and run as root",
		 what, strerror(-ret));
}

// Creates `workers` and `rings` for that many workers, not published yet.
static int create_for_workers(struct table_writer *w, const struct config *config,
			      const char **what)
{
	struct shm_workers *workers;
	int ret;

	*what = "workers";
	ret = shm_segment_create(config->instance, SHM_SEGMENT_WORKERS,
				 workers_bytes(config->n_workers, w->n_entries),
				 &w->workers_segment);
	if (ret < 0)
		return ret;
	workers = w->workers_segment.base;
	workers->usage_offset = sizeof(struct shm_workers);
	workers->n_entries = w->n_entries;
	workers->n_workers = config->n_workers;
	w->n_workers_max = config->n_workers;
	*what = "rings";
	return shm_segment_create(config->instance, SHM_SEGMENT_RINGS,
				  shm_rings_offset(config->n_workers, SHM_RING_PUNT),
				  &w->rings_segment);
}

// `tables` is published last: a dataplane that finds it finds the others as well.
int table_writer_segments_create(struct table_writer *w, const struct config *config, char *error,
				 size_t error_bytes)
{
	struct shm_segment *in_order[] = { &w->keys_segment,    &w->sessions_segment,
					   &w->srtp_segment,    &w->sfu_state_segment,
					   &w->sfu_segment,     &w->rings_segment,
					   &w->workers_segment, &w->tables_segment };
	struct shm_turn_table placement = { 0 };
	size_t base_offset, totals_offset, limits_offset;
	const char *what = "tables";
	int ret;

	ret = shm_segment_create(config->instance, SHM_SEGMENT_TABLES,
				 tables_bytes(w, &placement, &limits_offset), &w->tables_segment);
	if (ret < 0)
		goto fail;
	ret = create_for_workers(w, config, &what);
	if (ret < 0)
		goto fail;
	what = "keys";
	ret = shm_segment_create(config->instance, SHM_SEGMENT_KEYS,
				 table_writer_keys_bytes(w->n_allocations_max, w->n_entries,
							 &base_offset, &totals_offset),
				 &w->keys_segment);
	if (ret < 0)
		goto fail;

	ret = table_writer_sfu_segments_create(w, config, &what);
	if (ret < 0)
		goto fail;

	w->keys = w->keys_segment.base;
	w->keys->n_allocations = w->n_allocations_max + 1;
	w->tables = w->tables_segment.base;
	w->tables->turn = placement;
	w->tables->limits_offset = limits_offset;
	w->tables->n_limits = w->n_allocations_max + 1;
	w->limits = (struct shm_limit *)((uint8_t *)w->tables + limits_offset);
	if (RAND_bytes((unsigned char *)w->tables->turn.hash_seed,
		       sizeof(w->tables->turn.hash_seed)) != 1) {
		ret = -EIO;
		goto fail;
	}
	w->tables->active_settings = 1;
	ret = table_writer_settings_create(w, config, error, error_bytes);
	if (ret < 0) {
		discard_new(w);
		table_writer_segments_detach(w);
		return ret;
	}
	for (size_t i = 0; i < sizeof(in_order) / sizeof(in_order[0]); i++) {
		what = shm_segment_kind_name(
			((struct shm_segment_header *)in_order[i]->base)->kind);
		ret = shm_segment_publish(in_order[i], config->instance);
		if (ret < 0)
			goto fail;
	}
	what = "workers";
	ret = workers_reattach(w, config->instance);
	if (ret < 0)
		goto fail;
	what = "sfu_state";
	ret = table_writer_sfu_state_reattach(w, config->instance);
	if (ret == 0)
		return 0;
fail:
	report_create(what, ret, error, error_bytes);
	discard_new(w);
	table_writer_segments_detach(w);
	return ret;
}

// More workers are configured than the segments have room for, and no dataplane uses them: those
// two are made anew. Sessions stand in the other two; only the running counts begin at 0.
static int replace_for_workers(struct table_writer *w, const struct config *config)
{
	const char *what;
	int ret;

	shm_segment_detach(&w->workers_segment);
	shm_segment_detach(&w->rings_segment);
	w->workers_segment.base = w->rings_segment.base = NULL;
	ret = create_for_workers(w, config, &what);
	if (ret == 0)
		ret = shm_segment_publish(&w->rings_segment, config->instance);
	if (ret == 0)
		ret = shm_segment_publish(&w->workers_segment, config->instance);
	if (ret == 0)
		ret = workers_reattach(w, config->instance);
	return ret;
}

static bool sizes_agree(const struct table_writer *w, const struct config *config)
{
	const struct shm_workers *workers = w->workers_segment.base;
	struct shm_turn_table placement = { 0 };
	size_t base_offset, totals_offset, limits_offset;
	uint32_t n_limits;

	// Files are rounded up to large pages.
	return w->tables->turn.n_entries == w->n_entries &&
	       w->keys->n_allocations == w->n_allocations_max + 1 &&
	       w->tables_segment.size_bytes >= tables_bytes(w, &placement, &limits_offset) &&
	       w->tables->limits_offset == limits_offset &&
	       shm_limits_view(w->tables, w->tables_segment.size_bytes, &n_limits) != NULL &&
	       n_limits == w->n_allocations_max + 1 &&
	       w->keys_segment.size_bytes >= table_writer_keys_bytes(w->n_allocations_max,
								     w->n_entries, &base_offset,
								     &totals_offset) &&
	       workers->n_entries == w->n_entries &&
	       workers->usage_offset == sizeof(struct shm_workers) &&
	       workers->n_workers <= SHM_WORKERS_MAX &&
	       w->workers_segment.size_bytes >= workers_bytes(workers->n_workers, w->n_entries) &&
	       w->rings_segment.size_bytes >= shm_rings_offset(workers->n_workers, SHM_RING_PUNT);
}

// Attaches what a predecessor left. 0, or -errno with the sentence; nothing stays attached then.
int table_writer_segments_adopt(struct table_writer *w, const struct config *config, char *error,
				size_t error_bytes)
{
	static const enum shm_segment_kind kinds[] = { SHM_SEGMENT_WORKERS, SHM_SEGMENT_RINGS,
						       SHM_SEGMENT_KEYS };
	struct shm_segment *segments[] = { &w->workers_segment, &w->rings_segment,
					   &w->keys_segment };
	int ret;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		enum shm_attach_state state = shm_segment_attach(
			config->instance, kinds[i], kinds[i] != SHM_SEGMENT_WORKERS, segments[i]);

		if (state != SHM_ATTACH_READY) {
			segments[i]->base = NULL;
			snprintf(error, error_bytes,
				 "shared segment \"%s\" of instance %s: %s (stop both processes, "
				 "then "
				 "\"turnpikectl --instance %s segment remove\")",
				 shm_segment_kind_name(kinds[i]), config->instance,
				 shm_attach_state_text(state), config->instance);
			table_writer_segments_detach(w);
			return -EPROTO;
		}
	}
	w->tables = w->tables_segment.base;
	w->workers = w->workers_segment.base;
	w->keys = w->keys_segment.base;
	if (!sizes_agree(w, config)) {
		snprintf(error, error_bytes,
			 "the live segments of instance %s were made for other table sizes; set "
			 "tables: "
			 "max_allocations and max_flows back, or stop both processes, run "
			 "\"turnpikectl "
			 "--instance %s segment remove\" (ends its sessions) and start again",
			 config->instance, config->instance);
		table_writer_segments_detach(w);
		return -EPROTO;
	}
	w->limits = (struct shm_limit *)((uint8_t *)w->tables + w->tables->limits_offset);
	ret = table_writer_sfu_segments_adopt(w, config, error, error_bytes);
	if (ret < 0) {
		discard_new(w);
		table_writer_segments_detach(w);
		return ret;
	}
	// Kept here: the header is in memory that the dataplane may write.
	w->n_workers_max = w->workers->n_workers;
	// What a living dataplane reads and writes stays, even if it has room for fewer workers
	// than are wanted.
	if (w->n_workers_max >= config->n_workers ||
	    !table_writer_dataplane_gone(w, table_writer_now_ns()))
		return 0;
	w->are_workers_new = true;
	ret = replace_for_workers(w, config);
	if (ret < 0) {
		report_create("workers", ret, error, error_bytes);
		discard_new(w);
		table_writer_segments_detach(w);
	}
	return ret;
}
