// Segments, flows and allocation records as table_writer.h describes them.
// Control plane's loop thread; writes `tables`, `keys` and nothing else.
#include "controlplane/table_writer.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/table_writer_private.h"
#include "controlplane/table_writer_sfu.h"
#include "dataplane/contract/shm/grace.h"

uint32_t table_writer_entries(const struct config *config)
{
	uint64_t n = 1ull + config->max_allocations + 3ull * config->max_flows;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

uint64_t table_writer_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

int table_writer_open(struct table_writer *w, const struct config *config, char *error,
		      size_t error_bytes)
{
	size_t base_offset, totals_offset;
	enum shm_attach_state state;
	uint32_t *free_idx = NULL;
	struct shm_flow_retired *retired = NULL;
	int ret;

	memset(w, 0, sizeof(*w));
	w->n_allocations_max = config->max_allocations;
	w->n_entries = table_writer_entries(config);

	state = shm_segment_attach(config->instance, SHM_SEGMENT_TABLES, true, &w->tables_segment);
	switch (state) {
	case SHM_ATTACH_READY:
		ret = table_writer_segments_adopt(w, config, error, error_bytes);
		if (ret < 0)
			return ret;
		w->origin = TABLE_WRITER_ADOPTED;
		ret = table_writer_settings_adopt(w, config, error, error_bytes);
		if (ret < 0)
			goto fail;
		break;
	case SHM_ATTACH_ABSENT:
	case SHM_ATTACH_NOT_READY:
	case SHM_ATTACH_OTHER_BOOT:
		w->tables_segment.base = NULL;
		ret = table_writer_segments_create(w, config, error, error_bytes);
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

	table_writer_keys_bytes(w->n_allocations_max, w->n_entries, &base_offset, &totals_offset);
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
	ret = table_writer_sfu_init(w);
	if (ret < 0)
		goto fail_memory;
	table_writer_heartbeat(w, table_writer_now_ns());
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
	table_writer_sfu_fini(w);
	table_writer_segments_detach(w);
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
	return heartbeat_ns + TABLE_WRITER_DATAPLANE_SILENT_NS > now_ns;
}

bool table_writer_dataplane_gone(const struct table_writer *w, uint64_t now_ns)
{
	const struct shm_dataplane_state *d = &w->workers->dataplane;
	uint32_t phase = __atomic_load_n(&d->phase, __ATOMIC_ACQUIRE);
	uint32_t pid = __atomic_load_n(&d->pid, __ATOMIC_RELAXED);

	if (table_writer_dataplane_alive(w, now_ns))
		return false;
	if (phase == SHM_DATAPLANE_ABSENT || phase == SHM_DATAPLANE_STOPPED)
		return true;
	// 0 and negative numbers would mean groups of processes.
	return pid == 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) < 0 && errno == ESRCH);
}

void table_writer_reclaim(struct table_writer *w, uint64_t now_ns)
{
	if (w->is_withdrawn) {
		shm_grace_advance(w->tables);
		w->is_withdrawn = false;
	}
	if (w->flows.n_retired > 0 || w->sfu->n_retired > 0) {
		uint64_t passed =
			shm_grace_passed(w->workers, !table_writer_dataplane_gone(w, now_ns));

		shm_flow_reclaim(&w->flows, passed);
		table_writer_sfu_reclaim(w, passed);
	}
}

static void usage_sum(const struct table_writer *w, uint32_t idx, struct shm_usage *out)
{
	const struct shm_usage *usage = (const struct shm_usage *)((const uint8_t *)w->workers +
								   sizeof(struct shm_workers));

	*out = (struct shm_usage){ 0 };
	// All that there is room for: a worker that is not configured any more has counted, too.
	for (uint32_t i = 0; i < w->n_workers_max; i++) {
		const struct shm_usage *u = &usage[(size_t)i * w->n_entries + idx];

		out->pkts += __atomic_load_n(&u->pkts, __ATOMIC_RELAXED);
		out->bytes += __atomic_load_n(&u->bytes, __ATOMIC_RELAXED);
	}
}

int table_writer_flow_publish(struct table_writer *w, const struct shm_flow *f,
			      uint64_t own_expires_at_ns, uint32_t *out_idx)
{
	uint32_t next_idx;

	if (w->flows.n_free == 0 && w->flows.n_retired > 0)
		table_writer_reclaim(w, table_writer_now_ns());
	if (w->flows.n_free == 0)
		return -ENOSPC;
	// Before a worker can count on it.
	next_idx = w->flows.free_idx[w->flows.n_free - 1];
	usage_sum(w, next_idx, &w->usage_base[next_idx]);
	return shm_flow_publish(&w->flows, f, own_expires_at_ns, out_idx);
}

void table_writer_flow_withdraw(struct table_writer *w, uint32_t idx)
{
	// The generation that table_writer_reclaim is going to end.
	if (shm_flow_unpublish(&w->flows, idx, w->tables->grace_generation + 1) == 0)
		w->is_withdrawn = true;
}

int table_writer_flow_replace(struct table_writer *w, uint32_t idx, const struct shm_flow *f,
			      uint64_t own_expires_at_ns, uint32_t *out_idx)
{
	uint32_t next_idx;
	int ret;

	if (w->flows.n_free == 0 && w->flows.n_retired > 0)
		table_writer_reclaim(w, table_writer_now_ns());
	if (w->flows.n_free == 0)
		return -ENOSPC;
	next_idx = w->flows.free_idx[w->flows.n_free - 1];
	usage_sum(w, next_idx, &w->usage_base[next_idx]);
	ret = shm_flow_replace(&w->flows, idx, f, own_expires_at_ns,
			       w->tables->grace_generation + 1, out_idx);
	if (ret == 0)
		w->is_withdrawn = true;
	return ret;
}

void table_writer_flow_set_flags(struct table_writer *w, uint32_t idx, uint8_t flags)
{
	if (w->flows.entries[idx].flags != flags)
		__atomic_store_n(&w->flows.entries[idx].flags, flags, __ATOMIC_RELAXED);
}

void table_writer_flow_set_expiry(struct table_writer *w, uint32_t idx, uint64_t expires_at_ns,
				  uint64_t own_expires_at_ns)
{
	// Workers read these lines with each packet: what stands there already is not written
	// again.
	if (w->flows.entries[idx].expires_at_ns != expires_at_ns ||
	    w->flows.own_expiry_ns[idx] != own_expires_at_ns)
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

	if (w->n_free_allocations == 0)
		return NULL;
	*out_idx = w->free_allocation[--w->n_free_allocations];
	a = &w->keys->allocation[*out_idx];
	// All but state and serial, which must not be lost should we die here: ids are never given
	// twice.
	memset(a->client_address, 0, sizeof(*a) - offsetof(struct shm_allocation, client_address));
	a->serial++;
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

void table_writer_limit_set(struct table_writer *w, uint32_t idx, const struct shm_limit *l)
{
	struct shm_limit *to = &w->limits[idx];

	__atomic_store_n(&to->bytes_per_s, l->bytes_per_s, __ATOMIC_RELAXED);
	__atomic_store_n(&to->user_bytes_per_s, l->user_bytes_per_s, __ATOMIC_RELAXED);
	__atomic_store_n(&to->user_idx, l->user_idx, __ATOMIC_RELAXED);
	__atomic_store_n(&to->realm_idx, l->realm_idx, __ATOMIC_RELAXED);
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
