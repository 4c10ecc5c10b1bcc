// Where a relay may send to. One pure function that both processes ask: the control plane when a permission or
// channel is made, a worker again for the final destination. Any thread.
#ifndef TP_WIRE_PEER_POLICY_H
#define TP_WIRE_PEER_POLICY_H

#include "dataplane/contract/wire/address.h"

enum peer_action {
	PEER_ACTION_NONE = 0,
	PEER_ACTION_ALLOW, // the numbers of SHM_PEER_ALLOW and SHM_PEER_DENY
	PEER_ACTION_DENY,
	PEER_ACTION_COUNT
};

struct peer_rule {
	struct ip_prefix prefix;
	uint8_t action;    // enum peer_action
	uint8_t realm_idx; // whose allocations it is about, or PEER_REALM_ANY
};

#define PEER_REALM_ANY 0xff // the number of SHM_REALM_ANY

// An address of our own: listener, relay pool, control or metrics.
struct peer_local {
	struct ip_address address;
	bool is_inside; // allocations stand on it, or the SFU: reached without leaving the box
};

struct peer_policy {
	const struct peer_rule *rules;
	uint32_t n_rules;
	const struct peer_local *locals;
	uint32_t n_locals;
	uint8_t realm_idx; // of the allocation: rules of other realms do not count
};

enum peer_verdict {
	PEER_ALLOWED = 0,
	PEER_ALLOWED_HAIRPIN, // such an address of ours: only to another allocation or to the SFU, never to the wire or to TURN
	PEER_DENIED_LOCAL, // an address of ours that holds no relayed ports, or one of ours in an embedding
	PEER_DENIED_RULE,  // a rule of the operator's; its index is told
	PEER_DENIED_CLASS, // not globally reachable, and no rule opens it
	PEER_VERDICT_COUNT
};

static inline bool peer_is_allowed(enum peer_verdict v)
{
	return v == PEER_ALLOWED || v == PEER_ALLOWED_HAIRPIN;
}

// Judges the address and every IPv4 address embedded in it; the strictest wins, so that an embedding launders nothing.
// The longest matching rule decides, deny before allow at equal length; without a match only globally reachable
// addresses are allowed. Unspecified, loopback, multicast and broadcast cannot be opened: no unicast peer has them. `*rule_idx`
// (may be NULL) is the rule that decided, UINT32_MAX if none did.
enum peer_verdict peer_policy_check(const struct peer_policy *p, const struct ip_address *peer,
				    uint32_t *rule_idx);

#endif
