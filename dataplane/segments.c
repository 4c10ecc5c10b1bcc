// Attaching to what the control plane made. Main thread, before the workers run.
#include "dataplane/segments.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/contract/shm/srtp_keys.h"

// Those of the SFU are there without one as well, with room for nothing.
static enum shm_attach_state attach_sfu(const char *instance, struct dp_segments *out,
					enum shm_segment_kind *kind)
{
	enum shm_attach_state state;

	*kind = SHM_SEGMENT_SFU;
	state = shm_segment_attach(instance, *kind, false, &out->sfu_segment);
	if (state != SHM_ATTACH_READY)
		return state;
	*kind = SHM_SEGMENT_SRTP;
	state = shm_segment_attach(instance, *kind, false, &out->srtp_segment);
	if (state != SHM_ATTACH_READY)
		goto fail_sfu;
	*kind = SHM_SEGMENT_SFU_STATE;
	state = shm_segment_attach(instance, *kind, true, &out->sfu_state_segment);
	if (state != SHM_ATTACH_READY)
		goto fail_srtp;
	return SHM_ATTACH_READY;
fail_srtp:
	shm_segment_detach(&out->srtp_segment);
fail_sfu:
	shm_segment_detach(&out->sfu_segment);
	return state;
}

enum shm_attach_state dp_segments_attach(const char *instance, struct dp_segments *out,
					 enum shm_segment_kind *kind)
{
	enum shm_attach_state state;

	*out = (struct dp_segments){ .wake_fd = -1 };
	*kind = SHM_SEGMENT_TABLES;
	state = shm_segment_attach(instance, *kind, false, &out->tables_segment);
	if (state != SHM_ATTACH_READY)
		return state;
	*kind = SHM_SEGMENT_WORKERS;
	state = shm_segment_attach(instance, *kind, true, &out->workers_segment);
	if (state != SHM_ATTACH_READY)
		goto fail_tables;
	*kind = SHM_SEGMENT_RINGS;
	state = shm_segment_attach(instance, *kind, true, &out->rings_segment);
	if (state != SHM_ATTACH_READY)
		goto fail_workers;
	state = attach_sfu(instance, out, kind);
	if (state != SHM_ATTACH_READY)
		goto fail_rings;
	out->tables = out->tables_segment.base;
	out->workers = out->workers_segment.base;
	out->rings = out->rings_segment.base;
	out->wake_fd = shm_wake_open(instance);
	return SHM_ATTACH_READY;
fail_rings:
	shm_segment_detach(&out->rings_segment);
fail_workers:
	shm_segment_detach(&out->workers_segment);
fail_tables:
	shm_segment_detach(&out->tables_segment);
	return state;
}

static int check_sfu(struct dp_segments *s, const char **why)
{
	const struct shm_srtp *srtp = s->srtp_segment.base;

	*why = "sfu";
	if (shm_sfu_view_init(&s->sfu, s->sfu_segment.base, s->sfu_segment.size_bytes) < 0)
		return -EINVAL;
	*why = "srtp";
	if (s->srtp_segment.size_bytes < shm_srtp_size(s->sfu.n_transports) ||
	    srtp->n_transports < s->sfu.n_transports)
		return -EINVAL;
	*why = "sfu_state";
	if (shm_sfu_state_view_init(&s->sfu_state, s->sfu_state_segment.base,
				    s->sfu_state_segment.size_bytes, &s->sfu) < 0)
		return -EINVAL;
	s->has_sfu = __atomic_load_n(&s->sfu.sfu->is_enabled, __ATOMIC_RELAXED) != 0;
	return 0;
}

int dp_segments_check(struct dp_segments *s, uint32_t n_workers, const char **why)
{
	uint64_t usage_offset;
	uint64_t usage_bytes;

	*why = "tables";
	if (s->tables_segment.size_bytes < sizeof(*s->tables) ||
	    shm_flow_view_init(&s->flows, s->tables, s->tables_segment.size_bytes,
			       &s->tables->turn) < 0)
		return -EINVAL;
	s->limits = shm_limits_view(s->tables, s->tables_segment.size_bytes, &s->n_limits);
	if (s->limits == NULL)
		return -EINVAL;
	*why = "workers";
	if (s->workers_segment.size_bytes < sizeof(*s->workers))
		return -EINVAL;
	// Used as it was checked: the segment could change in between.
	usage_offset = __atomic_load_n(&s->workers->usage_offset, __ATOMIC_RELAXED);
	usage_bytes = (uint64_t)n_workers * s->flows.n_entries * sizeof(struct shm_usage);
	if (s->workers->n_workers < n_workers || s->workers->n_entries != s->flows.n_entries ||
	    usage_offset < sizeof(*s->workers) || usage_offset % 16 != 0 ||
	    usage_offset > s->workers_segment.size_bytes ||
	    usage_bytes > s->workers_segment.size_bytes - usage_offset)
		return -EINVAL;
	s->usage = (void *)((uint8_t *)s->workers + usage_offset);
	*why = "rings";
	if (s->rings_segment.size_bytes < shm_rings_offset(n_workers, SHM_RING_PUNT))
		return -EINVAL;
	return check_sfu(s, why);
}

// A file that is gone is left aside: it is removed before a new one comes, and until then relaying
// goes on.
static bool is_replaced(const struct shm_segment *s)
{
	struct stat st;

	return stat(s->path, &st) == 0 && (st.st_dev != s->device || st.st_ino != s->inode);
}

bool dp_segments_replaced(const struct dp_segments *s)
{
	return is_replaced(&s->tables_segment) || is_replaced(&s->workers_segment) ||
	       is_replaced(&s->rings_segment) || is_replaced(&s->sfu_segment) ||
	       is_replaced(&s->srtp_segment) || is_replaced(&s->sfu_state_segment);
}

void dp_segments_detach(struct dp_segments *s)
{
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	shm_segment_detach(&s->sfu_state_segment);
	shm_segment_detach(&s->srtp_segment);
	shm_segment_detach(&s->sfu_segment);
	shm_segment_detach(&s->rings_segment);
	shm_segment_detach(&s->workers_segment);
	shm_segment_detach(&s->tables_segment);
}
