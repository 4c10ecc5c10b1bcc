// Taking over what a control plane left in the tables when it ended or died: allocations,
// permissions and channels are rebuilt from records and flows, and operations that its death cut in
// half are undone. Before the loop runs; control plane's thread.
//
// What may stand there half-finished, by the order in which lifecycle.c writes:
//   a live record without ALLOCATION flow    Allocate cut, never answered; or its end cut  → the record goes, and flows that name it
//   a PEER flow without its CHANNEL          ChannelBind cut, never answered; or its end   → the flow goes
//   expiries of some flows not moved         Refresh cut                                   → all are computed anew
//   ALLOCATION flow without a relayed address  its family was given up                     → the record follows
//   upward flows on another path             Refresh with a ticket cut, or its move under way → the flows go
//   downward flows to another path           a move under way                              → they are turned around
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
	uint32_t n_locals = s->tables->settings.n_locals;

	if (r->client_transport >= SHM_TRANSPORT_COUNT ||
	    (r->client_transport == SHM_TRANSPORT_UDP && r->server_idx >= n_locals))
		return false;
	return r->relay_idx < n_locals && (r->relay2_port_be == 0 || r->relay2_idx < n_locals) &&
	       turn_identity_is_sound(r);
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

static bool has_source(const struct shm_flow *f, struct turn_relay relay)
{
	return f->from_port_be == relay.port_be && f->from_local_idx == relay.local_idx;
}

static bool is_upward_of(const struct turn_server *s, const struct shm_allocation *r,
			 const struct shm_flow *f)
{
	struct turn_path path = turn_path_of_record(r);
	struct ip_address peer = ip_address_from_v6(f->to_address);

	if (memcmp(f->key.address, path.address, 16) != 0 || f->key.port_be != path.port_be ||
	    f->key.local_port_be != path.local_port_be || f->key.local_idx != path.local_idx ||
	    (f->flags & SHM_FLOW_F_STREAM) != path.flags)
		return false;
	return f->key.kind == SHM_FLOW_ALLOCATION ||
	       has_source(f, turn_relay_toward(s, f->allocation_idx, &peer));
}

static bool leads_to(const struct shm_flow *f, const struct turn_path *path)
{
	return memcmp(f->to_address, path->address, 16) == 0 && f->to_port_be == path->port_be &&
	       f->from_port_be == path->local_port_be && f->from_local_idx == path->local_idx &&
	       (f->flags & SHM_FLOW_F_STREAM) == path->flags;
}

// One of a client that may move can still lead to where the client was; that is mended later.
static bool is_downward_of(const struct turn_server *s, const struct shm_allocation *r,
			   const struct shm_flow *f)
{
	struct turn_path path = turn_path_of_record(r);
	struct ip_address peer = ip_address_from_v6(f->key.address);
	struct turn_relay relay = turn_relay_toward(s, f->allocation_idx, &peer);

	return f->key.local_port_be == relay.port_be && f->key.local_idx == relay.local_idx &&
	       (leads_to(f, &path) || r->flags & SHM_ALLOCATION_F_MOBILE);
}

// Whether an ALLOCATION flow has the relayed addresses of its record. One that was given up is
// missing in the flow first; then the record follows.
static bool relays_agree(struct shm_allocation *r, const struct shm_flow *f)
{
	struct turn_relay first = { r->relay_idx, r->relay_port_be };
	struct turn_relay second = { r->relay2_idx, r->relay2_port_be };

	if (r->relay2_port_be == 0 || f->to_port_be != 0)
		return has_source(f, first) && f->to_port_be == r->relay2_port_be &&
		       (f->to_port_be == 0 || f->to_address[15] == r->relay2_idx);
	if (has_source(f, second)) {
		r->expires_at_ns = turn_second_expiry_ns(r);
		r->relay_idx = second.local_idx;
		r->relay_port_be = second.port_be;
	} else if (!has_source(f, first)) {
		return false;
	}
	r->relay2_port_be = 0;
	return true;
}

static bool port_take(struct turn_server *s, uint8_t relay_idx, uint16_t port_be)
{
	struct turn_ports *ports = s->ports[relay_idx];
	uint16_t port = __builtin_bswap16(port_be);

	// A port out of the configured range ends its allocation later.
	return port_be == 0 || ports == NULL || port < ports->min || port > ports->max ||
	       turn_ports_take_one(ports, port);
}

static void port_release(struct turn_server *s, uint8_t relay_idx, uint16_t port_be)
{
	if (port_be != 0 && s->ports[relay_idx] != NULL)
		turn_ports_release(s->ports[relay_idx], __builtin_bswap16(port_be));
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
	struct turn_allocation *allocation;
	struct shm_allocation *r;
	struct turn_user *user;
	const char *name;
	size_t name_bytes;

	if (f->key.kind != SHM_FLOW_ALLOCATION)
		return;
	if (record_of(s, f) == NULL || s->allocations[f->allocation_idx].user != NULL) {
		drop_flow(a, idx);
		return;
	}
	r = turn_record(s, f->allocation_idx);
	// One port, one allocation.
	if (!is_upward_of(s, r, f) || !relays_agree(r, f) ||
	    !port_take(s, r->relay_idx, r->relay_port_be)) {
		drop_flow(a, idx);
		return;
	}
	turn_auth_quota_name(s->auth, r->username, r->username_bytes, &name, &name_bytes);
	user = port_take(s, r->relay2_idx, r->relay2_port_be)
		       ? turn_quota_user(&s->quota, r->realm_idx, name, name_bytes)
		       : NULL;
	if (user == NULL) {
		port_release(s, r->relay_idx, r->relay_port_be);
		drop_flow(a, idx);
		return;
	}
	turn_quota_take(&s->quota, user);
	allocation = &s->allocations[f->allocation_idx];
	*allocation = (struct turn_allocation){
		.user = user,
		.flow_idx = idx,
		// Its client may not have got our predecessor's last answer.
		.has_old_ticket = r->flags & SHM_ALLOCATION_F_MOBILE,
	};
	turn_limits_user_take(s, user);
	turn_limits_apply(s, f->allocation_idx);
	s->n_allocations++;
	turn_timers_add(&s->timers, s->flows, idx, table_writer_flow_own_expiry(s->tables, idx));
}

// A channel's other half: for CHANNEL its PEER, for PEER its CHANNEL; 0 when there is none that
// fits.
static uint32_t partner_find(const struct turn_server *s, const struct shm_allocation *r,
			     const struct shm_flow *f)
{
	struct turn_path path = turn_path_of_record(r);
	struct ip_endpoint peer = { ip_address_from_v6(f->to_address), f->to_port_be };
	const struct shm_flow *other;
	struct shm_flow_key key;
	uint32_t idx;

	if (f->key.kind == SHM_FLOW_CHANNEL) {
		key = turn_flow_down(s, f->allocation_idx, SHM_FLOW_PEER, &peer.address).key;
		key.port_be = f->to_port_be;
	} else {
		key = turn_flow_channel(s, f->allocation_idx, &path, f->channel_be, &peer).key;
	}
	idx = table_writer_flow_find(s->tables, &key);
	if (idx == 0)
		return 0;
	other = table_writer_flow(s->tables, idx);
	if (other->channel_be != f->channel_be || other->allocation_idx != f->allocation_idx)
		return 0;
	if (f->key.kind == SHM_FLOW_CHANNEL ? !is_downward_of(s, r, other)
					    : !is_upward_of(s, r, other))
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
		if (!is_downward_of(s, r, f))
			break;
		turn_permission_link(s, f->allocation_idx, idx);
		return;
	case SHM_FLOW_CHANNEL:
		partner = partner_find(s, r, f);
		if (!is_upward_of(s, r, f) || partner == 0)
			break;
		turn_channel_link(s, f->allocation_idx, idx, partner);
		return;
	case SHM_FLOW_PEER:
		if (!is_downward_of(s, r, f) || partner_find(s, r, f) == 0)
			break;
		return; // linked with its CHANNEL
	default:
		break;
	}
	drop_flow(a, idx);
}

// Finishes a move that was cut: whatever leads to the client leads to where it is.
static void move_finish(struct adopter *a, uint32_t idx)
{
	struct turn_path path = turn_path_of_record(turn_record(a->s, idx));
	const struct turn_allocation *allocation = &a->s->allocations[idx];
	struct turn_server *s = a->s;
	bool is_whole = true;
	uint32_t entry;

	for (entry = allocation->permissions; entry != 0; entry = s->flows[entry].list_next)
		is_whole &= leads_to(table_writer_flow(s->tables, entry), &path);
	for (entry = allocation->channels; entry != 0; entry = s->flows[entry].list_next)
		is_whole &= leads_to(table_writer_flow(s->tables, s->flows[entry].partner), &path);
	if (is_whole)
		return;
	a->s->adoption.n_repaired++;
	// Without room for it they would go to another client one day.
	if (!turn_bindings_turn_around(s, idx))
		turn_bindings_remove(s, idx, 0);
}

// Whether a relayed address can go on.
static bool relay_is_configured(const struct turn_server *s, uint8_t relay_idx, uint16_t port_be)
{
	const struct turn_ports *ports = s->ports[relay_idx];
	uint16_t port = __builtin_bswap16(port_be);

	return port_be == 0 || (ports != NULL && port >= ports->min && port <= ports->max);
}

// Why an allocation cannot go on; TURN_END_COUNT when it can.
static enum turn_end_reason end_reason(const struct turn_server *s, const struct shm_allocation *r,
				       uint64_t now_ns)
{
	bool is_stream = r->client_transport != SHM_TRANSPORT_UDP;

	if (r->expires_at_ns <= now_ns &&
	    (r->relay2_port_be == 0 || turn_second_expiry_ns(r) <= now_ns))
		return TURN_END_EXPIRED;
	// Its connection ended with the process that had it; a client that may move comes back with its
	// ticket.
	if (is_stream && !(r->flags & SHM_ALLOCATION_F_MOBILE))
		return TURN_END_CONNECTION;
	if ((!is_stream && !listener_is_configured(s, r)) ||
	    !relay_is_configured(s, r->relay_idx, r->relay_port_be) ||
	    !relay_is_configured(s, r->relay2_idx, r->relay2_port_be))
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
		struct ip_address first;

		if (s->allocations[idx].user == NULL)
			continue;
		reason = end_reason(s, r, now_ns);
		if (reason != TURN_END_COUNT) {
			turn_allocation_end(s, idx, reason, now_ns);
			s->adoption.n_ended++;
			continue;
		}
		if (r->flags & SHM_ALLOCATION_F_MOBILE)
			move_finish(&a, idx);
		turn_limits_apply(s, idx);
		turn_peers_recheck(s, idx);
		first = turn_local_address(s, r->relay_idx);
		turn_allocation_set_lifetime(s, idx, turn_family_of(&first), r->expires_at_ns);
	}
	s->adoption.n_allocations = s->n_allocations;
	s->adoption.n_permissions = s->n_permissions;
	s->adoption.n_channels = s->n_channels;
	table_writer_reclaim(w, now_ns);
	s->adoption.took_ns = clock_ns() - started_ns;
	return 0;
}
