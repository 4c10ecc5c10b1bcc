// The segments of the SFU under test, and their records.
#include <criterion/criterion.h>

#include "dataplane/contract/shm/segment.h"
#include "tests/burst/pipeline.h"

static struct shm_segment sfu_segment;
static struct shm_segment srtp_segment;
static struct shm_segment sfu_state_segment;
static struct shm_sfu_view sfu_view;
static struct shm_sfu_state_view state_view;

// Without an SFU they are there all the same, with room for nothing.
void pipeline_sfu_segments_create(bool with_sfu)
{
	uint32_t n_transports = with_sfu ? SFU_TRANSPORTS : 1;
	uint32_t n_tracks = with_sfu ? SFU_TRACKS : 1;
	uint32_t n_subscriptions = with_sfu ? SFU_SUBSCRIPTIONS : 1;
	uint32_t n_fanout = with_sfu ? SFU_FANOUT : 0;
	struct shm_sfu table = { 0 };
	struct shm_sfu_state state = { 0 };
	struct shm_sfu_state *placed;
	struct shm_sfu *sfu;
	size_t bytes;

	bytes = shm_sfu_size(n_transports, n_tracks, n_subscriptions, n_fanout, &table);
	cr_assert_eq(shm_segment_create(INSTANCE, SHM_SEGMENT_SFU, bytes, &sfu_segment), 0);
	sfu = sfu_segment.base;
	table.header = sfu->header;
	table.is_enabled = with_sfu;
	table.retransmit_ms = 500;
	*sfu = table;
	cr_assert_eq(shm_segment_create(INSTANCE, SHM_SEGMENT_SRTP, shm_srtp_size(n_transports),
					&srtp_segment),
		     0);
	((struct shm_srtp *)srtp_segment.base)->n_transports = n_transports;
	bytes = shm_sfu_state_size(n_transports, n_tracks, n_subscriptions, &state);
	cr_assert_eq(shm_segment_create(INSTANCE, SHM_SEGMENT_SFU_STATE, bytes, &sfu_state_segment),
		     0);
	placed = sfu_state_segment.base;
	state.header = placed->header;
	*placed = state;
	cr_assert_eq(shm_sfu_view_init(&sfu_view, sfu, sfu_segment.size_bytes), 0);
	cr_assert_eq(shm_sfu_state_view_init(&state_view, placed, sfu_state_segment.size_bytes,
					     &sfu_view),
		     0);
	cr_assert_eq(shm_segment_publish(&sfu_segment, INSTANCE), 0);
	cr_assert_eq(shm_segment_publish(&srtp_segment, INSTANCE), 0);
	cr_assert_eq(shm_segment_publish(&sfu_state_segment, INSTANCE), 0);
}

void pipeline_sfu_segments_detach(void)
{
	shm_segment_detach(&sfu_segment);
	shm_segment_detach(&srtp_segment);
	shm_segment_detach(&sfu_state_segment);
}

struct shm_sfu_transport *sfu_transport(uint32_t idx)
{
	return (struct shm_sfu_transport *)(uintptr_t)&sfu_view.transport[idx];
}

struct shm_sfu_track *sfu_track(uint32_t idx)
{
	return (struct shm_sfu_track *)(uintptr_t)&sfu_view.track[idx];
}

struct shm_sfu_subscription *sfu_subscription(uint32_t idx)
{
	return (struct shm_sfu_subscription *)(uintptr_t)&sfu_view.subscription[idx];
}

uint32_t *sfu_fanout(void)
{
	return (uint32_t *)(uintptr_t)sfu_view.fanout;
}

struct shm_srtp_keys *sfu_keys(uint32_t idx)
{
	return shm_srtp_record(srtp_segment.base, idx);
}

struct shm_sfu_transport_state *sfu_transport_state(uint32_t idx)
{
	return &state_view.transport[idx];
}

struct shm_sfu_ingress_state *sfu_ingress_state(uint32_t track_idx, uint32_t layer)
{
	return &state_view.ingress[shm_sfu_ingress_idx(track_idx, layer)];
}

struct shm_sfu_egress_state *sfu_egress_state(uint32_t idx)
{
	return &state_view.egress[idx];
}
