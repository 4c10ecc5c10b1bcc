// Spreads what a transport is sent over time, so that no frame goes out as a burst at line rate: retransmissions and new
// video in turn; sound is never held. What cannot be sent in time is given up as a whole, up to the next key frame,
// and a key frame is asked for. Worker thread.
#ifndef TP_DP_SFU_PACER_H
#define TP_DP_SFU_PACER_H

#include "dataplane/sfu/transmission.h"

#define DP_SFU_PACER_JOBS    1024 // powers of two
#define DP_SFU_PACER_RESENT  256
#define DP_SFU_WHEEL_SLOTS   256
#define DP_SFU_WHEEL_TICK_NS 250000

struct dp_sfu_wheel {
	uint64_t tick;                              // all before it is done
	uint64_t occupied[DP_SFU_WHEEL_SLOTS / 64]; // a bit per slot
	uint32_t head[DP_SFU_WHEEL_SLOTS];          // transport, 0 = none; chained by next_due
};

// ---- pure: when the next packet may go

struct dp_sfu_pace {
	uint64_t next_ns; // earliest time of the next packet
};

// A pause earns no more than this much of a burst.
#define DP_SFU_PACE_CREDIT_NS 1000000ull

static inline bool dp_sfu_pace_is_due(const struct dp_sfu_pace *p, uint64_t now_ns)
{
	return p->next_ns <= now_ns;
}

static inline void dp_sfu_pace_spend(struct dp_sfu_pace *p, uint64_t now_ns, uint32_t n_bytes,
				     uint64_t rate_bps)
{
	uint64_t from_ns = p->next_ns;

	if (from_ns + DP_SFU_PACE_CREDIT_NS < now_ns)
		from_ns = now_ns - DP_SFU_PACE_CREDIT_NS;
	p->next_ns =
		from_ns + (uint64_t)n_bytes * 8 * 1000000000ull / (rate_bps > 0 ? rate_bps : 1);
}

// ---- per transport

// Takes a new video packet, or sends it at once where nothing holds it up. The reference stays the caller's.
void dp_sfu_pacer_push(struct dp_sfu_transmission *x, struct dp_sfu_egress *e,
		       struct dp_sfu_job *job, const struct dp_sfu_header *h);
// The same for a retransmission.
void dp_sfu_pacer_resend(struct dp_sfu_transmission *x, struct dp_sfu_egress *e,
			 struct dp_sfu_job *job);
// A cluster that the control plane wants sent: word of shm_sfu_transport.probe. All that is sent meanwhile is of it; what is
// missing is filled up with packets of the stream once more, or with padding.
void dp_sfu_probe_check(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt, uint64_t word);
// Gives up what waits for one subscription.
void dp_sfu_pacer_forget(struct dp_sfu_transmission *x, struct dp_sfu_egress *e);
void dp_sfu_pacer_close(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt);
// Sends what is due; tells the worker when to wake. Returns how many packets went.
uint32_t dp_sfu_pacer_poll(struct dp_sfu_transmission *x);

#endif
