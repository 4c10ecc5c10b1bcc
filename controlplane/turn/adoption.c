// Taking over what a control plane left in the tables when it ended or died: allocations,
// permissions and channels are rebuilt from records and flows, and operations that its death cut in
// half are undone. Before the loop runs; control plane's thread.
//
// What may stand there half-finished, by the order in which lifecycle.c writes:
//   a live record without ALLOCATION flow    Allocate cut, never answered; or its end cut  → the record goes, and flows that name it
//   a PEER flow without its CHANNEL          ChannelBind cut, never answered; or its end   → the flow goes
//   expiries of some flows not moved         Refresh cut                                   → all are computed anew
// The tables come from our own hand, but maybe from its last moment, so nothing is believed that can be checked.
#include <errno.h>
#include <openssl/crypto.h>
#include <time.h>

#include "controlplane/turn/state.h"

struct adopter {
	struct turn_server *s;
	uint64_t now_ns;
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TURN_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool listener_is_configured(const struct turn_server *s, const struct shm_allocation *r)
{
	const struct shm_settings *settings = &s->tables->settings;

	for (uint32_t i = 0; i < settings->n_listeners; i++) {
		if (settings->listener[i].local_idx == r->server_idx &&
		    settings->listener[i].port_be == r->server_port_be)
			return true;
	}
	return false;
}

static bool record_is_sound(const struct turn_server *s, const struct shm_allocation *r)
{
	return r->server_idx < s->tables->settings.n_locals &&
	       r->relay_idx < s->tables->settings.n_locals &&
	       r->username_bytes <= SHM_USERNAME_MAX && r->key_bytes == TURN_AUTH_KEY_BYTES;
}

// The record that a flow names, NULL when it is none of a live allocation.
static const struct shm_allocation *record_of(const struct turn_server *s, const struct shm_flow *f)
{
	const struct shm_allocation *r;

	if (f->allocation_idx == 0 || f->allocation_idx > s->tables->n_allocations_max)
		return NULL;
	r = turn_record(s, f->allocation_idx);
	if (__atomic_load_n(&r->state, __ATOMIC_ACQUIRE) != SHM_ALLOCATION_LIVE ||
	    !record_is_sound(s, r))
		return NULL;
	return r;
}

static bool is_upward_of(const struct shm_allocation *r, const struct shm_flow *f)
{
	return memcmp(f->key.address, r->client_address, 16) == 0 &&
	       f->key.port_be == r->client_port_be && f->key.local_port_be == r->server_port_be &&
	       f->key.local_idx == r->server_idx && f->from_port_be == r->relay_port_be &&
	       f->from_local_idx == r->relay_idx;
}

static bool is_downward_of(const struct shm_allocation *r, const struct shm_flow *f)
{
	return memcmp(f->to_address, r->client_address, 16) == 0 &&
	       f->to_port_be == r->client_port_be && f->from_port_be == r->server_port_be &&
	       f->from_local_idx == r->server_idx && f->key.local_port_be == r->relay_port_be &&
	       f->key.local_idx == r->relay_idx;
}

static void drop_flow(struct adopter *a, uint32_t idx)
{
	table_writer_flow_withdraw(a->s->tables, idx);
	a->s->adoption.n_repaired++;
}

// First walk: allocations.
static void adopt_allocation(void *arg, uint32_t idx, const struct shm_flow *f)
{
	struct adopter *a = arg;
	struct turn_server *s = a->s;
	const struct shm_allocation *r;
	struct turn_allocation *allocation;
	struct turn_ports *ports;
	struct turn_user *user;
	const char *name;
	size_t name_bytes;
	uint16_t port;

	if (f->key.kind != SHM_FLOW_ALLOCATION)
		return;
	r = record_of(s, f);
	if (r == NULL || !is_upward_of(r, f) || s->allocations[f->allocation_idx].user != NULL) {
		drop_flow(a, idx);
		return;
	}
	// One port, one allocation. A port out of the configured range ends its allocation later.
	port = __builtin_bswap16(r->relay_port_be);
	ports = s->ports[r->relay_idx];
	if (ports != NULL && port >= ports->min && port <= ports->max &&
	    !turn_ports_take_one(ports, port)) {
		drop_flow(a, idx);
		return;
	}
	turn_auth_quota_name(s->auth, r->username, r->username_bytes, &name, &name_bytes);
	user = turn_quota_user(&s->quota, name, name_bytes, 1);
	if (user == NULL) {
		if (ports != NULL)
			turn_ports_release(ports, port);
		drop_flow(a, idx);
		return;
	}
	user->n_allocations++;
	allocation = &s->allocations[f->allocation_idx];
	*allocation = (struct turn_allocation){ .user = user, .flow_idx = idx };
	s->n_allocations++;
	turn_timers_add(&s->timers, s->flows, idx, r->expires_at_ns);
}

// A channel's other half: for CHANNEL its PEER, for PEER its CHANNEL; 0 when there is none that
// fits.
static uint32_t partner_find(const struct turn_server *s, const struct shm_allocation *r,
			     const struct shm_flow *f)
{
	struct shm_flow_key key = { .kind = SHM_FLOW_PEER };
	const struct shm_flow *other;
	uint32_t idx;

	if (f->key.kind == SHM_FLOW_CHANNEL) {
		memcpy(key.address, f->to_address, 16);
		key.port_be = f->to_port_be;
		key.local_port_be = r->relay_port_be;
		key.local_idx = r->relay_idx;
	} else {
		key.kind = SHM_FLOW_CHANNEL;
		memcpy(key.address, r->client_address, 16);
		key.port_be = r->client_port_be;
		key.local_port_be = r->server_port_be;
		key.local_idx = r->server_idx;
		key.channel_be = f->channel_be;
	}
	idx = table_writer_flow_find(s->tables, &key);
	if (idx == 0)
		return 0;
	other = table_writer_flow(s->tables, idx);
	if (other->channel_be != f->channel_be || other->allocation_idx != f->allocation_idx)
		return 0;
	if (f->key.kind == SHM_FLOW_CHANNEL ? !is_downward_of(r, other) : !is_upward_of(r, other))
		return 0;
	if (f->key.kind == SHM_FLOW_PEER && (memcmp(other->to_address, f->key.address, 16) != 0 ||
					     other->to_port_be != f->key.port_be))
		return 0;
	return idx;
}

// Second walk: what hangs on allocations.
static void adopt_rest(void *arg, uint32_t idx, const struct shm_flow *f)
{
	struct adopter *a = arg;
	struct turn_server *s = a->s;
	const struct shm_allocation *r = record_of(s, f);
	uint32_t partner;

	if (f->key.kind == SHM_FLOW_ALLOCATION)
		return;
	if (r == NULL || s->allocations[f->allocation_idx].user == NULL) {
		drop_flow(a, idx);
		return;
	}
	switch (f->key.kind) {
	case SHM_FLOW_PERMISSION:
		if (!is_downward_of(r, f))
			break;
		turn_permission_link(s, f->allocation_idx, idx);
		return;
	case SHM_FLOW_CHANNEL:
		partner = partner_find(s, r, f);
		if (!is_upward_of(r, f) || partner == 0)
			break;
		turn_channel_link(s, f->allocation_idx, idx, partner);
		return;
	case SHM_FLOW_PEER:
		if (!is_downward_of(r, f) || partner_find(s, r, f) == 0)
			break;
		return; // linked with its CHANNEL
	default:
		break;
	}
	drop_flow(a, idx);
}

// Why an allocation cannot go on; TURN_END_COUNT when it can.
static enum turn_end_reason end_reason(const struct turn_server *s, const struct shm_allocation *r,
				       uint64_t now_ns)
{
	const struct turn_ports *ports = s->ports[r->relay_idx];
	uint16_t port = __builtin_bswap16(r->relay_port_be);

	if (r->expires_at_ns <= now_ns)
		return TURN_END_EXPIRED;
	if (!listener_is_configured(s, r) || ports == NULL || port < ports->min ||
	    port > ports->max)
		return TURN_END_CONFIGURATION;
	return TURN_END_COUNT;
}

int turn_adopt(struct turn_server *s, uint64_t now_ns)
{
	struct table_writer *w = s->tables;
	struct adopter a = { .s = s, .now_ns = now_ns };
	uint64_t started_ns = clock_ns();

	if (w->origin != TABLE_WRITER_ADOPTED)
		return 0;
	shm_flow_each(&w->flows, adopt_allocation, &a);
	for (uint32_t idx = 1; idx <= w->n_allocations_max; idx++) {
		if (turn_record(s, idx)->state != SHM_ALLOCATION_LIVE ||
		    s->allocations[idx].user != NULL)
			continue;
		table_writer_allocation_free(w, idx);
		s->adoption.n_repaired++;
	}
	shm_flow_each(&w->flows, adopt_rest, &a);
	// Flows went without giving their next hops back.
	table_writer_neighbours_recount(w);

	for (uint32_t idx = 1; idx <= w->n_allocations_max; idx++) {
		const struct shm_allocation *r = turn_record(s, idx);
		enum turn_end_reason reason;

		if (s->allocations[idx].user == NULL)
			continue;
		reason = end_reason(s, r, now_ns);
		if (reason != TURN_END_COUNT) {
			turn_allocation_end(s, idx, reason, now_ns);
			s->adoption.n_ended++;
			continue;
		}
		turn_peers_recheck(s, idx);
		turn_allocation_set_lifetime(s, idx, r->expires_at_ns);
	}
	s->adoption.n_allocations = s->n_allocations;
	s->adoption.n_permissions = s->n_permissions;
	s->adoption.n_channels = s->n_channels;
	table_writer_reclaim(w, now_ns);
	s->adoption.took_ns = clock_ns() - started_ns;
	return 0;
}
