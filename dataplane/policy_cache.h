// What the peer policy said, remembered per flow entry. Worker thread.
#ifndef TP_DP_POLICY_CACHE_H
#define TP_DP_POLICY_CACHE_H

#include "dataplane/header.h"
#include "dataplane/worker.h"

// word: hash of the peer (bits 63..16), version of the settings (15..4), verdict + 1 (3..0). An
// entry that is reused for another peer, or other settings, make it a miss.
#define DP_POLICY_VERDICT_MASK 0xfull

static inline uint64_t dp_policy_tag(const struct dp_worker *w, struct dp_address peer)
{
	__uint128_t wide = (__uint128_t)(peer.high ^ w->verdict_seed) *
			   (peer.low ^ (w->verdict_seed >> 17 | 1));

	return (((uint64_t)wide ^ (uint64_t)(wide >> 64)) & ~0xffffull) |
	       (w->settings.version & DP_VERDICT_VERSION_MASK) << 4;
}

// Whether it is remembered that the policy allows this peer, and that it is no relayed address of
// ours.
static inline bool dp_policy_is_allowed(const struct dp_worker *w, uint32_t flow_idx,
					struct dp_address peer)
{
	return w->verdict[flow_idx] == (dp_policy_tag(w, peer) | (PEER_ALLOWED + 1));
}

#endif
