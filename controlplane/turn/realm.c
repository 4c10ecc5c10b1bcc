// What belongs to realms: shared users, quotas, rules about peers that change while we run; and who is
// told of allocations. Control plane's loop thread.
#include "controlplane/turn/state.h"
#include "controlplane/turn/store/store.h"

void turn_server_attach_store(struct turn_server *s, const struct turn_store_backend *backend)
{
	s->backend = backend;
	turn_store_attach(turn_auth_store(s->auth), backend);
}

const struct turn_store *turn_server_store(const struct turn_server *s)
{
	return turn_auth_store(s->auth);
}

const char *turn_server_realm(const struct turn_server *s, uint8_t realm_idx)
{
	return turn_store_realm(turn_auth_store(s->auth), realm_idx);
}

void turn_server_retry(struct turn_server *s, uint64_t now_ns, uint64_t wall_ns)
{
	turn_waiting_run(&s->waiting, now_ns, wall_ns);
}

const struct turn_waiting *turn_server_waiting(const struct turn_server *s)
{
	return &s->waiting;
}

void turn_server_rules_changed(struct turn_server *s)
{
	turn_policy_set(s);
	turn_walk_start(s, &s->recheck);
	turn_walk_slice(s, &s->recheck, turn_allocation_recheck);
}

void turn_server_observe(struct turn_server *s, const struct turn_observer *observer)
{
	s->observer = observer != NULL ? *observer : (struct turn_observer){ 0 };
}

void turn_tell(struct turn_server *s, uint32_t idx, enum turn_event event, uint64_t now_ns)
{
	if (s->observer.allocation != NULL)
		s->observer.allocation(s->observer.arg, idx, event, now_ns);
}

bool turn_quota_is_reached(const struct turn_call *c)
{
	const struct turn_server *s = c->server;
	uint8_t realm_idx = c->in->realm_idx;
	struct turn_store_limits limits;
	const struct turn_user *user;
	const char *name;
	size_t name_bytes;

	if (s->config->quota_total != 0 && s->n_allocations >= s->config->quota_total)
		return true;
	turn_store_limits(turn_auth_store(s->auth), realm_idx, &limits);
	if (limits.quota_total != 0 &&
	    s->quota.n_in_realm[realm_idx % SHM_REALMS_MAX] >= limits.quota_total)
		return true;
	if (limits.quota_per_user == 0)
		return false;
	turn_auth_quota_name(s->auth, c->identity.username, c->identity.username_bytes, &name,
			     &name_bytes);
	user = turn_quota_find(&s->quota, realm_idx, name, name_bytes);
	return user != NULL && user->n_allocations >= limits.quota_per_user;
}
