// Toward the control plane: requests of clients that hold a valid nonce. Worker thread; the
// producing end of its punt ring.
#include <unistd.h>

#include "dataplane/contract/shm/ring.h"
#include "dataplane/worker.h"

// Slots that are kept for clients with an allocation, so that a flood of newcomers cannot starve a
// Refresh.
#define RESERVED_SLOTS (SHM_RING_SLOTS / 2)

static bool has_allocation(const struct dp_worker *w, const struct dp_packet *p)
{
	struct shm_flow_key key = {
		.port_be = p->view.source.port_be,
		.local_port_be = p->view.destination.port_be,
		.local_idx = p->local_idx,
		.kind = SHM_FLOW_ALLOCATION,
	};
	const struct shm_flow *f;

	memcpy(key.address, p->view.source.address.bytes, sizeof(key.address));
	f = shm_flow_lookup(&w->shared->flows, &key);
	return f != NULL && dp_flow_is_live(w, f);
}

static bool punt_one(struct dp_worker *w, struct dp_packet *p)
{
	bool established = has_allocation(w, p);
	struct shm_datagram *d = NULL;
	struct dp_source *s;

	if (p->view.payload_bytes > SHM_DATAGRAM_BYTES_MAX) {
		dp_drop(w, p, DP_DROP_PUNT_TOO_BIG);
		return false;
	}
	s = dp_source_get(&w->sources, &p->view.source.address, w->now_ns, w->settings.punt_per_sec,
			  w->settings.punt_burst_pkts);
	dp_source_prove(s);
	if (!dp_source_may_punt(s, w->settings.punt_per_sec)) {
		dp_drop(w, p, DP_DROP_PUNT_RATE);
		return false;
	}
	if (established || shm_ring_room(w->punt) > RESERVED_SLOTS)
		d = shm_ring_reserve(w->punt);
	if (d == NULL) {
		dp_drop(w, p, DP_DROP_PUNT_FULL);
		return false;
	}
	*d = (struct shm_datagram){
		.remote_port_be = p->view.source.port_be,
		.local_port_be = p->view.destination.port_be,
		.local_idx = p->local_idx,
		.kind = SHM_DATAGRAM_STUN,
		.flags = established ? SHM_DATAGRAM_F_ESTABLISHED : 0,
		.l2_word = dp_answer_l2_word(p),
		.at_ns = w->now_ns,
		.length_bytes = p->view.payload_bytes,
	};
	memcpy(d->remote_address, p->view.source.address.bytes, sizeof(d->remote_address));
	memcpy(d->data, p->frame + p->view.payload_offset, p->view.payload_bytes);
	shm_ring_commit(w->punt);
	w->count[DP_COUNTER_PUNT]++;
	dp_done(w, p);
	return true;
}

void dp_punt_wake(struct dp_worker *w)
{
	if (w->shared->wake_fd >= 0 && shm_ring_needs_wake(w->punt)) {
		// A full FIFO means that a wake-up is under way already.
		if (write(w->shared->wake_fd, "", 1) < 0)
			return;
	}
}

void dp_punt_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	bool any = false;

	for (uint32_t i = 0; i < n; i++)
		any |= punt_one(w, in[i]);
	if (any)
		dp_punt_wake(w);
}
