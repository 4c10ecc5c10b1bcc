// Which peers an allocation may have: the shared policy, with the rules and own addresses in force
// (RFC 8656 §10.2, §21). Control plane's loop thread.
#include "controlplane/turn/state.h"

void turn_policy_set(struct turn_server *s)
{
	const struct shm_settings *settings = &s->tables->settings;

	for (uint32_t i = 0; i < settings->n_peer_rules; i++) {
		memcpy(s->peer_rules[i].prefix.address.bytes, settings->peer_rule[i].address, 16);
		s->peer_rules[i].prefix.length_bits = settings->peer_rule[i].length_bits;
		s->peer_rules[i].action = settings->peer_rule[i].action;
		s->peer_rules[i].realm_idx = settings->peer_rule[i].realm_idx;
	}
	// Addresses that are not configured any more are still no peers until their slots are used
	// again.
	for (uint32_t i = 0; i < settings->n_locals; i++) {
		memcpy(s->peer_locals[i].address.bytes, settings->local[i].address, 16);
		s->peer_locals[i].is_inside =
			settings->local[i].flags & (SHM_LOCAL_F_RELAY | SHM_LOCAL_F_SFU);
	}
	s->policy = (struct peer_policy){
		.rules = s->peer_rules,
		.n_rules = settings->n_peer_rules,
		.locals = s->peer_locals,
		.n_locals = settings->n_locals,
	};
}

struct turn_peer_verdict turn_server_peer_verdict(const struct turn_server *s, uint8_t realm_idx,
						  uint8_t relay_idx, const struct ip_address *peer)
{
	struct peer_policy policy = s->policy;
	struct ip_address relayed = turn_local_address(s, relay_idx);
	struct turn_peer_verdict v = { .rule_idx = -1 };
	uint32_t rule_idx = UINT32_MAX;
	enum peer_verdict verdict;

	if (ip_address_is_v4(&relayed) != ip_address_is_v4(peer)) {
		v.code = 443;
		return v;
	}
	policy.realm_idx = realm_idx;
	verdict = peer_policy_check(&policy, peer, &rule_idx);
	if (rule_idx != UINT32_MAX)
		v.rule_idx = (int)rule_idx;
	v.is_hairpin = verdict == PEER_ALLOWED_HAIRPIN;
	v.code = peer_is_allowed(verdict) ? 0 : 403;
	return v;
}

static uint16_t verdict_of(const struct turn_server *s, uint32_t idx, const struct ip_address *peer)
{
	return turn_server_peer_verdict(s, turn_record(s, idx)->realm_idx,
					turn_relay_toward(s, idx, peer).local_idx, peer)
		.code;
}

void turn_peers_recheck(struct turn_server *s, uint32_t idx)
{
	struct turn_allocation *a = &s->allocations[idx];
	uint32_t entry, next;

	for (entry = a->channels; entry != 0; entry = next) {
		struct ip_address peer =
			ip_address_from_v6(table_writer_flow(s->tables, entry)->to_address);

		next = s->flows[entry].list_next;
		if (verdict_of(s, idx, &peer) != 0)
			turn_channel_remove(s, idx, entry);
	}
	for (entry = a->permissions; entry != 0; entry = next) {
		struct ip_address peer =
			ip_address_from_v6(table_writer_flow(s->tables, entry)->key.address);

		next = s->flows[entry].list_next;
		if (verdict_of(s, idx, &peer) != 0)
			turn_permission_remove(s, idx, entry);
	}
}
