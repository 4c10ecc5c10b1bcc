// Sizes and bounds of the SFU's segments. Pure.
#include "dataplane/contract/shm/sfu_table.h"

#include <errno.h>
#include <string.h>

#include "dataplane/contract/shm/sfu_state.h"

#define LINE 128u

static uint64_t align_up(uint64_t n)
{
	return (n + LINE - 1) / LINE * LINE;
}

// Whether `n` elements from `offset` on lie within the segment, behind its front.
static bool array_fits(uint64_t offset, uint64_t n, size_t element_bytes, size_t front_bytes,
		       size_t size_bytes)
{
	return offset % 64 == 0 && offset >= front_bytes && offset <= size_bytes &&
	       n <= (size_bytes - offset) / element_bytes;
}

size_t shm_sfu_size(uint32_t n_transports, uint32_t n_tracks, uint32_t n_subscriptions,
		    uint32_t n_fanout, struct shm_sfu *placement)
{
	uint64_t at = align_up(sizeof(struct shm_sfu));

	placement->n_transports = n_transports;
	placement->n_tracks = n_tracks;
	placement->n_subscriptions = n_subscriptions;
	placement->n_fanout = n_fanout;
	placement->transports_offset = at;
	at = align_up(at + (uint64_t)n_transports * sizeof(struct shm_sfu_transport));
	placement->tracks_offset = at;
	at = align_up(at + (uint64_t)n_tracks * sizeof(struct shm_sfu_track));
	placement->subscriptions_offset = at;
	at = align_up(at + (uint64_t)n_subscriptions * sizeof(struct shm_sfu_subscription));
	placement->fanout_offset = at;
	return (size_t)align_up(at + (uint64_t)n_fanout * sizeof(uint32_t));
}

int shm_sfu_view_init(struct shm_sfu_view *v, const void *base, size_t size_bytes)
{
	const struct shm_sfu *sfu = base;
	struct shm_sfu s;

	memset(v, 0, sizeof(*v));
	if (size_bytes < sizeof(s))
		return -EINVAL;
	// Checked and used from a copy, because the other side could still write.
	memcpy(&s, sfu, sizeof(s));
	if (!array_fits(s.transports_offset, s.n_transports, sizeof(*v->transport), sizeof(s),
			size_bytes) ||
	    !array_fits(s.tracks_offset, s.n_tracks, sizeof(*v->track), sizeof(s), size_bytes) ||
	    !array_fits(s.subscriptions_offset, s.n_subscriptions, sizeof(*v->subscription),
			sizeof(s), size_bytes) ||
	    !array_fits(s.fanout_offset, s.n_fanout, sizeof(*v->fanout), sizeof(s), size_bytes))
		return -EINVAL;
	v->sfu = sfu;
	v->transport = (const void *)((const uint8_t *)base + s.transports_offset);
	v->track = (const void *)((const uint8_t *)base + s.tracks_offset);
	v->subscription = (const void *)((const uint8_t *)base + s.subscriptions_offset);
	v->fanout = (const void *)((const uint8_t *)base + s.fanout_offset);
	v->n_transports = s.n_transports;
	v->n_tracks = s.n_tracks;
	v->n_subscriptions = s.n_subscriptions;
	v->n_fanout = s.n_fanout;
	return 0;
}

size_t shm_sfu_state_size(uint32_t n_transports, uint32_t n_tracks, uint32_t n_subscriptions,
			  struct shm_sfu_state *placement)
{
	uint64_t at = sizeof(struct shm_sfu_state) +
		      (uint64_t)n_transports * sizeof(struct shm_sfu_transport_state);

	placement->n_transports = n_transports;
	placement->n_tracks = n_tracks;
	placement->n_subscriptions = n_subscriptions;
	placement->ingress_offset = align_up(at);
	at = placement->ingress_offset +
	     (uint64_t)n_tracks * SHM_SFU_LAYERS_MAX * sizeof(struct shm_sfu_ingress_state);
	placement->egress_offset = align_up(at);
	at = placement->egress_offset +
	     (uint64_t)n_subscriptions * sizeof(struct shm_sfu_egress_state);
	return (size_t)align_up(at);
}

int shm_sfu_state_view_init(struct shm_sfu_state_view *v, void *base, size_t size_bytes,
			    const struct shm_sfu_view *table)
{
	struct shm_sfu_state s;

	memset(v, 0, sizeof(*v));
	if (size_bytes < sizeof(s))
		return -EINVAL;
	memcpy(&s, base, sizeof(s));
	if (s.n_transports != table->n_transports || s.n_tracks != table->n_tracks ||
	    s.n_subscriptions != table->n_subscriptions ||
	    !array_fits(sizeof(s), s.n_transports, sizeof(*v->transport), sizeof(s), size_bytes) ||
	    !array_fits(s.ingress_offset, (uint64_t)s.n_tracks * SHM_SFU_LAYERS_MAX,
			sizeof(*v->ingress), sizeof(s), size_bytes) ||
	    !array_fits(s.egress_offset, s.n_subscriptions, sizeof(*v->egress), sizeof(s),
			size_bytes))
		return -EINVAL;
	v->transport = (void *)((uint8_t *)base + sizeof(s));
	v->ingress = (void *)((uint8_t *)base + s.ingress_offset);
	v->egress = (void *)((uint8_t *)base + s.egress_offset);
	return 0;
}
