// Segments, flows and allocation records as table_writer.h describes them.
// Control plane's loop thread; writes `tables`, `keys` and nothing else.
#include "controlplane/table_writer.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/table_writer_private.h"
#include "dataplane/contract/shm/grace.h"

uint32_t table_writer_entries(const struct config *config)
{
	uint64_t n = 1ull + config->max_allocations + 3ull * config->max_flows;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static size_t workers_bytes(uint32_t n_workers, uint32_t n_entries)
{
	return sizeof(struct shm_workers) +
	       (size_t)n_workers * n_entries * sizeof(struct shm_usage);
}

// Allocation records, then the usage base of each flow entry, then the totals of each allocation.
static size_t keys_bytes(uint32_t n_allocations_max, uint32_t n_entries, size_t *base_offset,
			 size_t *totals_offset)
{
	*base_offset = sizeof(struct shm_keys) +
		       ((size_t)n_allocations_max + 1) * sizeof(struct shm_allocation);
	*totals_offset = *base_offset + (size_t)n_entries * sizeof(struct shm_usage);
	return *totals_offset +
	       ((size_t)n_allocations_max + 1) * sizeof(struct table_writer_totals);
}

static void detach_all(struct table_writer *w)
{
	struct shm_segment *segments[] = { &w->tables_segment, &w->workers_segment,
					   &w->rings_segment, &w->keys_segment };

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

static void report_create(const char *what, int ret, char *error, size_t error_bytes)
{
	snprintf(error, error_bytes,
		 "cannot create the shared segment \"%s\": %s; make room in /dev/shm or lower "
		 "tables: "
		 "max_allocations and max_flows, and run as root",
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
	*what = "rings";
	return shm_segment_create(config->instance, SHM_SEGMENT_RINGS,
				  shm_rings_offset(config->n_workers, 0), &w->rings_segment);
}

// `tables` is published last: a dataplane that finds it finds the others as well.
static int create_all(struct table_writer *w, const struct config *config, char *error,
		      size_t error_bytes)
{
	struct shm_segment *in_order[] = { &w->keys_segment, &w->rings_segment, &w->workers_segment,
					   &w->tables_segment };
	struct shm_turn_table placement = { 0 };
	size_t base_offset, totals_offset, turn_bytes;
	const char *what = "tables";
	int ret;

	turn_bytes = shm_turn_table_size(sizeof(struct shm_tables), w->n_entries, &placement);
	ret = shm_segment_create(config->instance, SHM_SEGMENT_TABLES,
				 sizeof(struct shm_tables) + turn_bytes, &w->tables_segment);
	if (ret < 0)
		goto fail;
	ret = create_for_workers(w, config, &what);
	if (ret < 0)
		goto fail;
	what = "keys";
	ret = shm_segment_create(
		config->instance, SHM_SEGMENT_KEYS,
		keys_bytes(w->n_allocations_max, w->n_entries, &base_offset, &totals_offset),
		&w->keys_segment);
	if (ret < 0)
		goto fail;

	w->keys = w->keys_segment.base;
	w->keys->n_allocations = w->n_allocations_max + 1;
	w->tables = w->tables_segment.base;
	w->tables->turn = placement;
	if (RAND_bytes((unsigned char *)w->tables->turn.hash_seed,
		       sizeof(w->tables->turn.hash_seed)) != 1) {
		ret = -EIO;
		goto fail;
	}
	w->tables->active_settings = 1;
	ret = table_writer_settings_apply(w, config, NULL, error, error_bytes);
	if (ret < 0) {
		detach_all(w);
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
	if (ret == 0)
		return 0;
fail:
	report_create(what, ret, error, error_bytes);
	detach_all(w);
	return ret;
}

// More workers are configured than the segments have room for: those two are made anew, and the dataplane must start anew to
// find them, as it must for more workers anyway. Sessions stand in the other two; only the running counts begin at 0.
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
	size_t base_offset, totals_offset;

	// Files are rounded up to large pages.
	return w->tables->turn.n_entries == w->n_entries &&
	       w->keys->n_allocations == w->n_allocations_max + 1 &&
	       w->tables_segment.size_bytes >=
		       sizeof(struct shm_tables) + shm_turn_table_size(sizeof(struct shm_tables),
								       w->n_entries, &placement) &&
	       w->keys_segment.size_bytes >= keys_bytes(w->n_allocations_max, w->n_entries,
							&base_offset, &totals_offset) &&
	       workers->n_entries == w->n_entries &&
	       workers->usage_offset == sizeof(struct shm_workers) &&
	       workers->n_workers <= SHM_WORKERS_MAX &&
	       w->workers_segment.size_bytes >= workers_bytes(workers->n_workers, w->n_entries) &&
	       w->rings_segment.size_bytes >= shm_rings_offset(workers->n_workers, 0);
}

// Attaches what a predecessor left. 0, or -errno with the sentence; nothing stays attached then.
static int adopt_all(struct table_writer *w, const struct config *config, char *error,
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
			detach_all(w);
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
		detach_all(w);
		return -EPROTO;
	}
	if (w->workers->n_workers >= config->n_workers)
		return 0;
	w->are_workers_new = true;
	ret = replace_for_workers(w, config);
	if (ret < 0) {
		report_create("workers", ret, error, error_bytes);
		detach_all(w);
	}
	return ret;
}

int table_writer_open(struct table_writer *w, const struct config *config, char *error,
		      size_t error_bytes)
{
	size_t base_offset, totals_offset;
	enum shm_attach_state state;
	struct shm_settings old;
	uint32_t *free_idx = NULL;
	struct shm_flow_retired *retired = NULL;
	int ret;

	memset(w, 0, sizeof(*w));
	w->n_allocations_max = config->max_allocations;
	w->n_entries = table_writer_entries(config);

	state = shm_segment_attach(config->instance, SHM_SEGMENT_TABLES, true, &w->tables_segment);
	switch (state) {
	case SHM_ATTACH_READY:
		ret = adopt_all(w, config, error, error_bytes);
		if (ret < 0)
			return ret;
		w->origin = TABLE_WRITER_ADOPTED;
		old = w->tables->settings[w->tables->active_settings & 1];
		ret = table_writer_settings_apply(w, config, &old, error, error_bytes);
		if (ret < 0)
			goto fail;
		break;
	case SHM_ATTACH_ABSENT:
	case SHM_ATTACH_NOT_READY:
	case SHM_ATTACH_OTHER_BOOT:
		w->tables_segment.base = NULL;
		ret = create_all(w, config, error, error_bytes);
		if (ret < 0)
			return ret;
		w->origin = state == SHM_ATTACH_OTHER_BOOT ? TABLE_WRITER_RECREATED
							   : TABLE_WRITER_CREATED;
		break;
	default:
		w->tables_segment.base = NULL;
		snprintf(error, error_bytes,
			 "shared segment \"tables\" of instance %s: %s (stop both processes, then "
			 "\"turnpikectl --instance %s segment remove\")",
			 config->instance, shm_attach_state_text(state), config->instance);
		return state == SHM_ATTACH_DENIED ? -EACCES : -EPROTO;
	}

	keys_bytes(w->n_allocations_max, w->n_entries, &base_offset, &totals_offset);
	w->usage_base = (struct shm_usage *)((uint8_t *)w->keys + base_offset);
	w->totals = (struct table_writer_totals *)((uint8_t *)w->keys + totals_offset);
	if (w->are_workers_new)
		memset(w->usage_base, 0, (size_t)w->n_entries * sizeof(*w->usage_base));

	ret = -ENOMEM;
	free_idx = calloc(w->n_entries, sizeof(*free_idx));
	retired = calloc(w->n_entries, sizeof(*retired));
	w->free_allocation = calloc(w->n_allocations_max, sizeof(*w->free_allocation));
	if (free_idx == NULL || retired == NULL || w->free_allocation == NULL)
		goto fail_memory;
	ret = shm_flow_writer_init(&w->flows, w->tables_segment.base, w->tables_segment.size_bytes,
				   &w->tables->turn, free_idx, retired);
	if (ret < 0) {
		snprintf(error, error_bytes,
			 "the flow table of instance %s is damaged; stop both processes, run "
			 "\"turnpikectl "
			 "--instance %s segment remove\" (ends its sessions) and start again",
			 config->instance, config->instance);
		goto fail;
	}
	// Low slots first, so that a quiet relay touches little memory.
	for (uint32_t i = w->n_allocations_max; i > 0; i--) {
		if (__atomic_load_n(&w->keys->allocation[i].state, __ATOMIC_ACQUIRE) !=
		    SHM_ALLOCATION_LIVE)
			w->free_allocation[w->n_free_allocations++] = i;
	}
	ret = table_writer_neighbours_init(w);
	if (ret < 0)
		goto fail_memory;
	table_writer_heartbeat(w, monotonic_ns());
	return 0;
fail_memory:
	snprintf(error, error_bytes,
		 "out of memory for tables of %u entries; lower tables: max_flows", w->n_entries);
fail:
	if (w->flows.free_idx == NULL) {
		free(free_idx);
		free(retired);
	}
	table_writer_close(w);
	return ret;
}

void table_writer_close(struct table_writer *w)
{
	free(w->flows.free_idx);
	free(w->flows.retired);
	free(w->free_allocation);
	table_writer_neighbours_fini(w);
	detach_all(w);
	OPENSSL_cleanse(w->settings.challenge_secret, sizeof(w->settings.challenge_secret));
	memset(w, 0, sizeof(*w));
}

void table_writer_heartbeat(struct table_writer *w, uint64_t now_ns)
{
	__atomic_store_n(&w->tables->header.cp_pid, (uint32_t)getpid(), __ATOMIC_RELAXED);
	__atomic_store_n(&w->tables->header.cp_heartbeat_ns, now_ns, __ATOMIC_RELAXED);
}

bool table_writer_dataplane_alive(const struct table_writer *w, uint64_t now_ns)
{
	const struct shm_dataplane_state *d = &w->workers->dataplane;
	uint32_t phase = __atomic_load_n(&d->phase, __ATOMIC_ACQUIRE);
	uint64_t heartbeat_ns = __atomic_load_n(&d->heartbeat_ns, __ATOMIC_RELAXED);

	if (phase != SHM_DATAPLANE_STARTING && phase != SHM_DATAPLANE_RUNNING)
		return false;
	return heartbeat_ns + TABLE_WRITER_DATAPLANE_DEAD_NS > now_ns;
}

void table_writer_reclaim(struct table_writer *w, uint64_t now_ns)
{
	if (w->is_withdrawn) {
		shm_grace_advance(w->tables);
		w->is_withdrawn = false;
	}
	if (w->flows.n_retired > 0)
		shm_flow_reclaim(
			&w->flows,
			shm_grace_passed(w->workers, table_writer_dataplane_alive(w, now_ns)));
}

static void usage_sum(const struct table_writer *w, uint32_t idx, struct shm_usage *out)
{
	const struct shm_usage *usage = (const struct shm_usage *)((const uint8_t *)w->workers +
								   sizeof(struct shm_workers));
	uint32_t n_workers = w->settings.n_workers;

	*out = (struct shm_usage){ 0 };
	for (uint32_t i = 0; i < n_workers; i++) {
		const struct shm_usage *u = &usage[(size_t)i * w->n_entries + idx];

		out->pkts += __atomic_load_n(&u->pkts, __ATOMIC_RELAXED);
		out->bytes += __atomic_load_n(&u->bytes, __ATOMIC_RELAXED);
	}
}

int table_writer_flow_publish(struct table_writer *w, const struct shm_flow *f,
			      uint64_t own_expires_at_ns, uint32_t *out_idx)
{
	int ret = shm_flow_publish(&w->flows, f, own_expires_at_ns, out_idx);

	if (ret == -ENOSPC && w->flows.n_retired > 0) {
		table_writer_reclaim(w, monotonic_ns());
		ret = shm_flow_publish(&w->flows, f, own_expires_at_ns, out_idx);
	}
	if (ret < 0)
		return ret;
	usage_sum(w, *out_idx, &w->usage_base[*out_idx]);
	return 0;
}

void table_writer_flow_withdraw(struct table_writer *w, uint32_t idx)
{
	// The generation that table_writer_reclaim is going to end.
	if (shm_flow_unpublish(&w->flows, idx, w->tables->grace_generation + 1) == 0)
		w->is_withdrawn = true;
}

void table_writer_flow_set_expiry(struct table_writer *w, uint32_t idx, uint64_t expires_at_ns,
				  uint64_t own_expires_at_ns)
{
	shm_flow_set_expiry(&w->flows, idx, expires_at_ns, own_expires_at_ns);
}

uint32_t table_writer_flow_find(const struct table_writer *w, const struct shm_flow_key *key)
{
	const struct shm_flow *f = shm_flow_lookup(&w->flows.view, key);

	return f == NULL ? 0 : (uint32_t)(f - w->flows.view.entries);
}

void table_writer_flow_set_neighbours(struct table_writer *w, uint32_t idx, uint16_t neighbour_idx,
				      uint16_t peer_neighbour_idx)
{
	struct shm_flow *f = &w->flows.entries[idx];

	__atomic_store_n(&f->neighbour_idx, neighbour_idx, __ATOMIC_RELAXED);
	__atomic_store_n(&f->peer_neighbour_idx, peer_neighbour_idx, __ATOMIC_RELAXED);
}

void table_writer_flow_usage(const struct table_writer *w, uint32_t idx, struct shm_usage *out)
{
	const struct shm_usage *base = &w->usage_base[idx];

	usage_sum(w, idx, out);
	// The workers' memory is not ours: it may hold anything after a fault there.
	out->pkts = out->pkts >= base->pkts ? out->pkts - base->pkts : 0;
	out->bytes = out->bytes >= base->bytes ? out->bytes - base->bytes : 0;
}

struct shm_allocation *table_writer_allocation_take(struct table_writer *w, uint32_t *out_idx)
{
	struct shm_allocation *a;
	uint32_t serial;

	if (w->n_free_allocations == 0)
		return NULL;
	*out_idx = w->free_allocation[--w->n_free_allocations];
	a = &w->keys->allocation[*out_idx];
	serial = a->serial + 1;
	memset(a, 0, sizeof(*a));
	a->serial = serial;
	w->totals[*out_idx] = (struct table_writer_totals){ 0 };
	return a;
}

void table_writer_allocation_commit(struct table_writer *w, uint32_t idx)
{
	__atomic_store_n(&w->keys->allocation[idx].state, SHM_ALLOCATION_LIVE, __ATOMIC_RELEASE);
}

void table_writer_allocation_free(struct table_writer *w, uint32_t idx)
{
	struct shm_allocation *a = &w->keys->allocation[idx];

	__atomic_store_n(&a->state, SHM_ALLOCATION_FREE, __ATOMIC_RELEASE);
	OPENSSL_cleanse(a->key, sizeof(a->key));
	w->free_allocation[w->n_free_allocations++] = idx;
}

int table_writer_local_find(const struct table_writer *w, const struct ip_address *a)
{
	for (uint32_t i = 0; i < w->settings.n_locals; i++) {
		if (w->settings.local[i].flags != 0 &&
		    memcmp(w->settings.local[i].address, a->bytes, 16) == 0)
			return (int)i;
	}
	return -ENOENT;
}
