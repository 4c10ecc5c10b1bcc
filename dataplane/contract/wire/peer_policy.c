// Where a relay may send to: own addresses first, then the operator's rules, then the address classes.
#include "dataplane/contract/wire/peer_policy.h"

#define RULE_NONE UINT32_MAX

// The longest rule that contains the address, RULE_NONE if none does.
static uint32_t rule_match(const struct peer_policy *p, const struct ip_address *a)
{
	uint32_t best = RULE_NONE;

	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct peer_rule *r = &p->rules[i];

		if (!ip_prefix_contains(&r->prefix, a) ||
		    (r->realm_idx != p->realm_idx && r->realm_idx != PEER_REALM_ANY))
			continue;
		if (best == RULE_NONE ||
		    r->prefix.length_bits > p->rules[best].prefix.length_bits ||
		    (r->prefix.length_bits == p->rules[best].prefix.length_bits &&
		     r->action == PEER_ACTION_DENY))
			best = i;
	}
	return best;
}

static const struct peer_local *local_match(const struct peer_policy *p, const struct ip_address *a)
{
	for (uint32_t i = 0; i < p->n_locals; i++) {
		if (ip_address_equal(&p->locals[i].address, a))
			return &p->locals[i];
	}
	return NULL;
}

static bool class_is_openable(enum ip_class c)
{
	return c != IP_CLASS_UNSPECIFIED && c != IP_CLASS_LOOPBACK && c != IP_CLASS_MULTICAST &&
	       c != IP_CLASS_BROADCAST;
}

// Rules and class of one address, whatever it is embedded in.
static enum peer_verdict judge(const struct peer_policy *p, const struct ip_address *a,
			       uint32_t *rule_idx)
{
	enum ip_class c = ip_address_classify(a);
	uint32_t rule = rule_match(p, a);

	if (rule != RULE_NONE && p->rules[rule].action != PEER_ACTION_ALLOW) {
		*rule_idx = rule;
		return PEER_DENIED_RULE;
	}
	if (c == IP_CLASS_GLOBAL) {
		*rule_idx = rule;
		return PEER_ALLOWED;
	}
	if (rule == RULE_NONE || !class_is_openable(c))
		return PEER_DENIED_CLASS;
	*rule_idx = rule;
	return PEER_ALLOWED;
}

enum peer_verdict peer_policy_check(const struct peer_policy *p, const struct ip_address *peer,
				    uint32_t *rule_idx)
{
	struct ip_address embedded[IP_ADDRESS_EMBEDDED_MAX];
	uint32_t n_embedded = ip_address_embedded(peer, embedded);
	const struct peer_local *local = local_match(p, peer);
	enum peer_verdict v;
	uint32_t unused;
	uint32_t rule;

	if (rule_idx == NULL)
		rule_idx = &unused;
	*rule_idx = RULE_NONE;

	for (uint32_t i = 0; i < n_embedded; i++) {
		if (local_match(p, &embedded[i]) != NULL)
			return PEER_DENIED_LOCAL;
		v = judge(p, &embedded[i], rule_idx);
		if (!peer_is_allowed(v))
			return v;
		*rule_idx = RULE_NONE; // what let the inner address pass does not decide
	}
	if (local == NULL)
		return judge(p, peer, rule_idx);
	if (!local->is_inside)
		return PEER_DENIED_LOCAL;
	// Its class does not matter, for nothing leaves the host; an operator's word does.
	rule = rule_match(p, peer);
	if (rule != RULE_NONE && p->rules[rule].action != PEER_ACTION_ALLOW) {
		*rule_idx = rule;
		return PEER_DENIED_RULE;
	}
	return PEER_ALLOWED_HAIRPIN;
}
