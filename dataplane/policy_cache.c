// The peer policy on the packet path: judged once per flow entry, peer and version of the settings,
// then remembered in one word. Worker thread; writes only its own words.
#include "dataplane/policy_cache.h"

enum peer_verdict dp_policy_verdict(struct dp_worker *w, const struct shm_flow *flow,
				    const struct ip_address *peer)
{
	uint64_t *word = &w->verdict[dp_flow_idx(w, flow)];
	struct dp_policy_salt salt = dp_policy_salt(w);
	uint64_t tag = dp_policy_tag(&salt, dp_address_of(peer));
	enum peer_verdict v;

	if ((*word & ~DP_POLICY_VERDICT_MASK) == tag && (*word & DP_POLICY_VERDICT_MASK) != 0)
		return (enum peer_verdict)((*word & DP_POLICY_VERDICT_MASK) - 1);
	v = peer_policy_check(&w->settings.policy, peer, NULL);
	*word = tag | (uint64_t)(v + 1);
	return v;
}
