// What the control plane is told of transports. Worker thread; the producing end of its punt ring.
#include "dataplane/sfu/reception.h"

void dp_sfu_event(struct dp_worker *w, uint32_t transport_idx, enum shm_sfu_event event)
{
	struct shm_datagram *d = shm_ring_reserve(w->punt);

	// It looks at the state's phase and owner too, so one that is lost comes late, not never.
	if (d == NULL)
		return;
	*d = (struct shm_datagram){
		.kind = SHM_DATAGRAM_SFU_EVENT,
		.at_ns = w->now_ns,
		.length_bytes = 1,
		.transport_idx = transport_idx,
	};
	d->data[0] = (uint8_t)event;
	shm_ring_commit(w->punt);
	dp_punt_wake(w);
}
