// What the peer policy said, remembered per flow entry. Worker thread.
#ifndef TP_DP_POLICY_CACHE_H
#define TP_DP_POLICY_CACHE_H

#include "dataplane/header.h"
#include "dataplane/worker.h"

// word: hash of the peer (bits 63..16), version of the settings (15..4), verdict + 1 (3..0). An
// entry that is reused for another peer, or other settings, make it a miss.
#define DP_POLICY_VERDICT_MASK 0xfull

// What the hash is made with.
struct dp_policy_salt {
	uint64_t high;
	uint64_t low;
	uint64_t version; // in its place in the word
};

static inline struct dp_policy_salt dp_policy_salt(const struct dp_worker *w)
{
	return (struct dp_policy_salt){
		.high = w->verdict_seed,
		.low = w->verdict_seed >> 17 | 1,
		.version = (w->settings.version & DP_VERDICT_VERSION_MASK) << 4,
	};
}

static inline uint64_t dp_policy_tag(const struct dp_policy_salt *s, struct dp_address peer)
{
	__uint128_t wide = (__uint128_t)(peer.high ^ s->high) * (peer.low ^ s->low);

	return (((uint64_t)wide ^ (uint64_t)(wide >> 64)) & ~0xffffull) | s->version;
}

// The word of an entry for which it is remembered that the policy allows this peer, and that it is no
// relayed address of ours.
static inline uint64_t dp_policy_allowed(const struct dp_policy_salt *s, struct dp_address peer)
{
	return dp_policy_tag(s, peer) | (PEER_ALLOWED + 1);
}

#endif
