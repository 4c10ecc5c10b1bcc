// The peer policy on the packet path: judged once per flow entry, peer and version of the settings,
// then remembered in one word. Worker thread; writes only its own words.
#include "dataplane/worker.h"

// word: hash of the peer (bits 63..16), version of the settings (15..4), verdict + 1 (3..0). An
// entry that is reused for another peer, or other settings, make it a miss.
#define VERDICT_MASK 0xfull

static uint64_t verdict_tag(const struct dp_worker *w, const struct ip_address *peer)
{
	uint64_t high;
	uint64_t low;
	__uint128_t wide;

	memcpy(&high, peer->bytes, 8);
	memcpy(&low, peer->bytes + 8, 8);
	wide = (__uint128_t)(high ^ w->verdict_seed) * (low ^ (w->verdict_seed >> 17 | 1));
	return (((uint64_t)wide ^ (uint64_t)(wide >> 64)) & ~0xffffull) |
	       (w->settings.version & DP_VERDICT_VERSION_MASK) << 4;
}

enum peer_verdict dp_policy_verdict(struct dp_worker *w, const struct shm_flow *flow,
				    const struct ip_address *peer)
{
	uint64_t *word = &w->verdict[dp_flow_idx(w, flow)];
	uint64_t tag = verdict_tag(w, peer);
	enum peer_verdict v;

	if ((*word & ~VERDICT_MASK) == tag && (*word & VERDICT_MASK) != 0)
		return (enum peer_verdict)((*word & VERDICT_MASK) - 1);
	v = peer_policy_check(&w->settings.policy, peer, NULL);
	*word = tag | (uint64_t)(v + 1);
	return v;
}
