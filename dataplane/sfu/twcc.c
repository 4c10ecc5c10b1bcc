// Feedback of watchers on what they were sent: joined with the sending times, and handed to the control plane that estimates.
// Worker thread; the producing end of its punt ring.
#include "dataplane/sfu/twcc.h"

#include <string.h>

#include "dataplane/contract/wire/rtcp_twcc.h"
#include "dataplane/sfu/transmission.h"

#define FEEDBACK_MAX (SHM_DATAGRAM_BYTES_MAX / sizeof(struct shm_sfu_feedback))
// Slots that are left to others: feedback comes again in a moment, requests of clients do not.
#define RESERVED_SLOTS (SHM_RING_SLOTS / 4)

// The latest time before now that has these low bits.
static uint64_t sent_at_ns(const struct dp_sfu_sending *s, uint64_t now_ns)
{
	uint64_t now = now_ns / DP_SFU_SENDING_NS;

	return (now - (uint32_t)((uint32_t)now - s->at)) * DP_SFU_SENDING_NS;
}

uint32_t dp_sfu_history_join(struct dp_sfu_history *h, uint64_t next_sequence, uint64_t now_ns,
			     const struct rtcp_twcc *feedback, struct shm_sfu_feedback *out,
			     uint32_t n_max)
{
	struct rtcp_twcc_reader r = rtcp_twcc_reader_init(feedback);
	struct rtcp_twcc_status status;
	uint32_t n = 0;

	while (n < n_max && rtcp_twcc_next(&r, &status)) {
		// The latest sequence number before the next one that has these low bits.
		uint64_t back = (uint16_t)((uint16_t)next_sequence - status.sequence);
		uint64_t sequence = next_sequence - back;
		struct dp_sfu_sending *s = &h->sending[sequence % DP_SFU_HISTORY_PKTS];

		if (back == 0 || back > next_sequence || s->size_bytes == 0 ||
		    s->round != (uint8_t)(sequence / DP_SFU_HISTORY_PKTS))
			continue;
		out[n++] = (struct shm_sfu_feedback){
			.sent_at_ns = sent_at_ns(s, now_ns),
			.arrived_ticks = (uint32_t)status.arrival_ticks,
			.size_bytes = s->size_bytes,
			.is_lost = !status.received,
			.probe_id = s->probe_id,
		};
		// One that was only late is told of again when it has come.
		if (status.received)
			s->size_bytes = 0;
	}
	return n;
}

void dp_sfu_on_twcc(struct dp_worker *w, uint32_t transport_idx, const struct rtcp_twcc *feedback)
{
	struct dp_sfu_transmission *x = w->sfu_tx;
	struct shm_sfu_feedback joined[FEEDBACK_MAX];
	struct dp_sfu_watcher *wt;
	struct shm_datagram *d;
	uint32_t n;

	if (transport_idx == 0 || transport_idx >= x->table->n_transports)
		return;
	wt = &x->watcher[transport_idx];
	if (wt->serial == 0 || wt->history == NULL)
		return;
	dp_sfu_watcher_tell_history(wt);
	n = dp_sfu_history_join(wt->history, wt->twcc_sequence, w->now_ns, feedback, joined,
				FEEDBACK_MAX);
	if (n == 0)
		return;
	if (shm_ring_room(w->punt) <= RESERVED_SLOTS || (d = shm_ring_reserve(w->punt)) == NULL) {
		w->count[DP_DROP_PUNT_FULL]++;
		return;
	}
	*d = (struct shm_datagram){
		.kind = SHM_DATAGRAM_SFU_FEEDBACK,
		.at_ns = w->now_ns,
		.length_bytes = (uint16_t)(n * sizeof(joined[0])),
		.transport_idx = transport_idx,
	};
	memcpy(d->data, joined, n * sizeof(joined[0]));
	shm_ring_commit(w->punt);
	w->count[DP_COUNTER_PUNT]++;
	dp_punt_wake(w);
}
