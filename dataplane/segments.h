// The shared segments as the dataplane sees them: attached, sized and bounded before the first
// packet.
#ifndef TP_DP_SEGMENTS_H
#define TP_DP_SEGMENTS_H

#include "dataplane/contract/shm/segment.h"
#include "dataplane/contract/shm/sfu_state.h"
#include "dataplane/contract/shm/tables.h"

struct dp_segments {
	struct shm_segment tables_segment;
	struct shm_segment workers_segment;
	struct shm_segment rings_segment;
	struct shm_segment sfu_segment;
	struct shm_segment srtp_segment; // with a record for each transport of the SFU
	struct shm_segment sfu_state_segment;
	const struct shm_tables *tables;
	struct shm_workers *workers;
	uint8_t *rings;
	struct shm_flow_view flows;
	const struct shm_limit *limits; // by allocation_idx
	uint32_t n_limits;
	struct shm_usage *usage; // n_entries per worker
	struct shm_sfu_view sfu;
	struct shm_sfu_state_view sfu_state;
	bool has_sfu; // one is configured
	int wake_fd;  // -1: the control plane will only notice punts when it looks
};

// Attaches tables (read-only), workers, rings and the segments of the SFU. SHM_ATTACH_READY, or the first state that is not;
// `*kind` is the segment. What stands in them is checked by dp_segments_check.
enum shm_attach_state dp_segments_attach(const char *instance, struct dp_segments *out,
					 enum shm_segment_kind *kind);
// Whether the segments are large enough for what these settings need, and the tables lie
// within their segments. 0 or -EINVAL with `*why` naming the part.
int dp_segments_check(struct dp_segments *s, uint32_t n_workers, const char **why);
// Whether other files stand under the segments' names now: the control plane made new ones, and
// nobody writes those that are mapped any more.
bool dp_segments_replaced(const struct dp_segments *s);
void dp_segments_detach(struct dp_segments *s);

#endif
