// See limits.h. Control plane's loop thread.
#include "controlplane/turn/limits.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/turn/state.h"
#include "controlplane/turn/store/store.h"

int turn_limits_init(struct turn_limits *l, uint32_t n_allocations_max)
{
	l->free_user = calloc(n_allocations_max, sizeof(*l->free_user));
	if (l->free_user == NULL)
		return -ENOMEM;
	// Users are no more than allocations, so that there is always one left; 0 is none.
	for (uint32_t i = n_allocations_max; i > 0; i--)
		l->free_user[l->n_free_users++] = i;
	return 0;
}

void turn_limits_fini(struct turn_limits *l)
{
	free(l->free_user);
}

void turn_limits_user_take(struct turn_server *s, struct turn_user *u)
{
	if (u->limit_idx == 0 && s->limits.n_free_users > 0)
		u->limit_idx = s->limits.free_user[--s->limits.n_free_users];
}

void turn_limits_user_give(struct turn_server *s, struct turn_user *u)
{
	if (u->limit_idx == 0)
		return;
	s->limits.free_user[s->limits.n_free_users++] = u->limit_idx;
	u->limit_idx = 0;
}

static void set_flags(struct turn_server *s, uint32_t entry, uint8_t flow_flags)
{
	uint8_t flags = table_writer_flow(s->tables, entry)->flags;

	table_writer_flow_set_flags(s->tables, entry,
				    (flags & (uint8_t)~SHM_FLOW_F_LIMITED) | flow_flags);
}

void turn_limits_apply(struct turn_server *s, uint32_t idx)
{
	struct turn_allocation *a = &s->allocations[idx];
	uint8_t realm_idx = turn_record(s, idx)->realm_idx;
	struct turn_store_limits of_realm;
	struct shm_limit l = {
		.bytes_per_s = s->config->bytes_per_s_per_allocation,
		.user_bytes_per_s = s->config->bytes_per_s_per_user,
		.user_idx = a->user->limit_idx,
		.realm_idx = realm_idx,
	};
	uint8_t flow_flags = 0;
	uint32_t entry;

	turn_store_limits(turn_auth_store(s->auth), realm_idx, &of_realm);
	if (of_realm.max_bps != 0 && (l.bytes_per_s == 0 || of_realm.max_bps < l.bytes_per_s))
		l.bytes_per_s = of_realm.max_bps;
	// A worker's fast path knows neither limits nor the rules of other realms than the default one.
	if (l.bytes_per_s != 0 || l.user_bytes_per_s != 0 || realm_idx != 0)
		flow_flags = SHM_FLOW_F_LIMITED;
	table_writer_limit_set(s->tables, idx, &l);
	a->flow_flags = flow_flags;
	if (a->flow_idx == 0)
		return;
	set_flags(s, a->flow_idx, flow_flags);
	for (entry = a->permissions; entry != 0; entry = s->flows[entry].list_next)
		set_flags(s, entry, flow_flags);
	for (entry = a->channels; entry != 0; entry = s->flows[entry].list_next) {
		set_flags(s, entry, flow_flags);
		set_flags(s, s->flows[entry].partner, flow_flags);
	}
	if (a->move == NULL)
		return;
	set_flags(s, a->move->old_flow_idx, flow_flags);
	for (entry = a->move->old_channels; entry != 0; entry = s->flows[entry].list_next)
		set_flags(s, entry, flow_flags);
}

// At most that many new peers within a second, however they come (a leaky bucket that holds a second's
// worth).
static bool peers_may_be_new(struct turn_server *s, uint32_t idx, uint32_t n_new, uint64_t now_ns)
{
	uint32_t per_s = s->config->new_peers_per_s_per_allocation;
	struct turn_allocation *a = &s->allocations[idx];
	uint64_t full_at_ns;

	if (per_s == 0 || n_new == 0)
		return true;
	full_at_ns = max_u64(a->new_peers_until_ns, now_ns) + n_new * (TURN_NS_PER_S / per_s);
	if (full_at_ns > now_ns + TURN_NS_PER_S) {
		s->counter[TURN_COUNTER_LIMIT_NEW_PEERS]++;
		return false;
	}
	a->new_peers_until_ns = full_at_ns;
	return true;
}

bool turn_limits_permissions(struct turn_server *s, uint32_t idx, uint32_t n_new, uint64_t now_ns)
{
	uint32_t most = s->config->permissions_per_allocation;

	if (most == 0)
		most = TURN_ALLOCATION_PERMISSIONS_MAX;
	if (n_new != 0 && s->allocations[idx].n_permissions + n_new > most) {
		s->counter[TURN_COUNTER_LIMIT_PERMISSIONS]++;
		return false;
	}
	return peers_may_be_new(s, idx, n_new, now_ns);
}

bool turn_limits_channel(struct turn_server *s, uint32_t idx)
{
	uint32_t most = s->config->channels_per_allocation;

	if (most == 0)
		most = TURN_ALLOCATION_CHANNELS_MAX;
	if (s->allocations[idx].n_channels < most)
		return true;
	s->counter[TURN_COUNTER_LIMIT_CHANNELS]++;
	return false;
}
