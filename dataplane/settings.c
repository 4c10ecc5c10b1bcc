// Settings from shared memory. Any thread of the dataplane, between bursts; writes only its own
// copy.
#include "dataplane/settings.h"

#include <errno.h>

#include "dataplane/contract/wire/challenge.h"
#include "dataplane/contract/wire/turn.h"

static_assert((int)PEER_ACTION_ALLOW == SHM_PEER_ALLOW && (int)PEER_ACTION_DENY == SHM_PEER_DENY &&
		      PEER_REALM_ANY == SHM_REALM_ANY,
	      "the policy takes the rules of the settings as they are");
static_assert(DP_LOCAL_SLOTS >= 2 * SHM_LOCALS_MAX && SHM_LOCALS_MAX < DP_LOCAL_NONE,
	      "searches must end");

int dp_settings_read(const struct shm_tables *t, struct shm_settings *raw, uint32_t *version,
		     const char **why)
{
	uint32_t before = __atomic_load_n(&t->settings_version, __ATOMIC_ACQUIRE);
	uint32_t active = __atomic_load_n(&t->active_settings, __ATOMIC_ACQUIRE) & 1;

	memcpy(raw, &t->settings[active], sizeof(*raw));
	// The writer fills the other slot, so only two publications during the copy can have torn
	// it.
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&t->settings_version, __ATOMIC_ACQUIRE) != before)
		return -EAGAIN;
	if (shm_settings_check(raw, why) < 0)
		return -EINVAL;
	*version = before;
	return 0;
}

static void local_insert(struct dp_settings *s, uint8_t idx)
{
	uint32_t slot = dp_local_hash(&s->local[idx].address);

	while (s->local_slot[slot] != DP_LOCAL_NONE)
		slot = (slot + 1) % DP_LOCAL_SLOTS;
	s->local_slot[slot] = idx;
}

void dp_settings_build(struct dp_settings *s, const struct shm_settings *raw, uint32_t version)
{
	memset(s, 0, sizeof(*s));
	memset(s->local_slot, DP_LOCAL_NONE, sizeof(s->local_slot));
	s->version = version;
	s->n_workers = raw->n_workers;
	s->n_ports = raw->n_ports;
	s->n_locals = raw->n_locals;
	s->idle = raw->idle;
	s->punt_per_sec = raw->punt_per_source_per_sec;
	s->punt_burst_pkts =
		raw->punt_burst_pkts > 0 ? raw->punt_burst_pkts : raw->punt_per_source_per_sec;
	s->channel_max = raw->flags & SHM_SETTINGS_F_RFC5766_CHANNELS ? TURN_CHANNEL_RFC5766_MAX
								      : TURN_CHANNEL_MAX;
	s->has_dtls = (raw->flags & SHM_SETTINGS_F_DTLS) != 0;
	s->n_realms = raw->n_realms;
	memcpy(s->realm, raw->realm, sizeof(s->realm));
	memcpy(s->challenge_secret, raw->challenge_secret, sizeof(s->challenge_secret));
	if (raw->flags & SHM_SETTINGS_F_SHA256)
		s->challenge_features |= CHALLENGE_F_ALGORITHMS;
	if (raw->flags & SHM_SETTINGS_F_USERHASH)
		s->challenge_features |= CHALLENGE_F_USERHASH;
	s->oauth_name_bytes = raw->oauth_name_bytes;
	memcpy(s->oauth_name, raw->oauth_name, sizeof(s->oauth_name));

	for (uint32_t i = 0; i < raw->n_locals; i++) {
		const struct shm_local *from = &raw->local[i];
		struct dp_local *to = &s->local[i];
		bool relays = (from->flags & SHM_LOCAL_F_RELAY) != 0;

		memcpy(to->address.bytes, from->address, sizeof(from->address));
		s->local_address[i] = to->address;
		to->is_v4 = ip_address_is_v4(&to->address);
		to->port_idx = from->port_idx;
		to->relay_port_min = relays ? from->relay_port_min : 1;
		to->relay_port_max = relays ? from->relay_port_max : 0;
		local_insert(s, (uint8_t)i);
		s->peer_local[i] = (struct peer_local){
			.address = to->address,
			.is_inside = (from->flags & (SHM_LOCAL_F_RELAY | SHM_LOCAL_F_SFU)) != 0,
		};
	}
	for (uint32_t i = 0; i < raw->n_listeners; i++) {
		struct dp_local *to = &s->local[raw->listener[i].local_idx];

		to->listener_realm[to->n_listeners] = raw->listener[i].realm_idx;
		to->listener_port_be[to->n_listeners++] = raw->listener[i].port_be;
	}
	s->n_listeners = raw->n_listeners;
	memcpy(s->listener, raw->listener, sizeof(s->listener));
	dp_local_ranges_build(&s->local_ranges, s);
	for (uint32_t i = 0; i < raw->n_peer_rules; i++) {
		const struct shm_peer_rule *from = &raw->peer_rule[i];

		memcpy(s->peer_rule[i].prefix.address.bytes, from->address, sizeof(from->address));
		s->peer_rule[i].prefix.length_bits = from->length_bits;
		s->peer_rule[i].action = from->action;
		s->peer_rule[i].realm_idx = from->realm_idx;
	}
	s->policy = (struct peer_policy){
		.rules = s->peer_rule,
		.n_rules = raw->n_peer_rules,
		.locals = s->peer_local,
		.n_locals = raw->n_locals,
	};
}
