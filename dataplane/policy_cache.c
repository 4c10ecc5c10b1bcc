// The peer policy on the packet path: judged once per flow entry, peer and version of the settings,
// then remembered in one word. Worker thread; writes only its own words.
#include "dataplane/policy_cache.h"

// The realm of the flow's allocation; the default one for an index that is none.
static uint8_t realm_of(const struct dp_worker *w, const struct shm_flow *flow)
{
	uint32_t idx = __atomic_load_n(&flow->allocation_idx, __ATOMIC_RELAXED);

	if (w->settings.n_realms <= 1 || idx >= w->shared->n_limits)
		return 0;
	return __atomic_load_n(&w->shared->limits[idx].realm_idx, __ATOMIC_RELAXED);
}

enum peer_verdict dp_policy_verdict(struct dp_worker *w, const struct shm_flow *flow,
				    const struct ip_address *peer)
{
	uint64_t *word = &w->verdict[dp_flow_idx(w, flow)];
	struct dp_policy_salt salt = dp_policy_salt(w);
	struct peer_policy policy;
	enum peer_verdict v;
	uint8_t realm_idx = realm_of(w, flow);
	uint64_t tag;

	// A word that was written for another realm's allocation is a miss. The fast path knows only the default realm's
	// words: flows of the others carry SHM_FLOW_F_LIMITED, which keeps them off it.
	salt.low ^= (uint64_t)realm_idx << 56;
	tag = dp_policy_tag(&salt, dp_address_of(peer));

	if ((*word & ~DP_POLICY_VERDICT_MASK) == tag && (*word & DP_POLICY_VERDICT_MASK) != 0)
		return (enum peer_verdict)((*word & DP_POLICY_VERDICT_MASK) - 1);
	policy = w->settings.policy;
	policy.realm_idx = realm_idx;
	v = peer_policy_check(&policy, peer, NULL);
	*word = tag | (uint64_t)(v + 1);
	return v;
}
