// Making and ending allocations: record, flows, port, quota and timer together. Order matters for a
// successor: a record is live before its flows are published, and is freed after they are withdrawn.
// Control plane's loop thread.
#include <errno.h>

#include "controlplane/turn/state.h"

const char *turn_end_reason_name(enum turn_end_reason r)
{
	static const char *const names[TURN_END_COUNT] = {
		"expired", "deleted", "killed", "configuration", "damaged", "connection"
	};

	return r < TURN_END_COUNT ? names[r] : "unknown";
}

// ---- allocations

uint32_t turn_allocation_find(struct turn_server *s, const struct turn_request *in)
{
	struct turn_path path = turn_path_of_request(in);
	uint32_t idx = turn_allocation_at(s, &path);

	if (idx != 0 && turn_allocation_expire(s, idx, in->now_ns) &&
	    s->allocations[idx].user == NULL)
		return 0;
	return idx;
}

// The path's next hop; streams have none.
static uint16_t client_hop(struct turn_server *s, const struct turn_path *path, uint64_t l2_word)
{
	struct ip_address client = ip_address_from_v6(path->address);

	if (turn_path_of_stream(path))
		return 0;
	return s->hops.client(s->hops.arg, &client, l2_word);
}

void turn_record_set_path(struct shm_allocation *r, const struct turn_request *in)
{
	bool is_stream = in->transport != SHM_TRANSPORT_UDP;

	memcpy(r->client_address, in->client.address.bytes, 16);
	r->client_port_be = in->client.port_be;
	r->server_port_be = in->local_port_be;
	r->server_idx = in->local_idx;
	r->client_transport = in->transport;
	r->stream_idx = is_stream ? in->stream.idx : 0;
	r->stream_serial = is_stream ? in->stream.serial : 0;
	r->l2_word = in->l2_word;
}

static void record_fill(struct shm_allocation *r, const struct turn_call *c,
			const struct turn_allocate_params *p)
{
	const struct turn_request *in = c->in;

	turn_record_set_path(r, in);
	r->relay_idx = p->relay_idx;
	r->relay_port_be = __builtin_bswap16(p->relay_port);
	r->created_at_ns = in->now_ns;
	r->expires_at_ns = in->now_ns + p->lifetime_s * TURN_NS_PER_S;
	if (p->relay2_port != 0) {
		r->relay2_idx = p->relay2_idx;
		r->relay2_port_be = __builtin_bswap16(p->relay2_port);
		r->relay2_expires_s = (uint32_t)(r->expires_at_ns / TURN_NS_PER_S);
	}
	memcpy(r->transaction_id, c->msg.transaction_id, sizeof(r->transaction_id));
	turn_identity_keep(c, r);
	r->lifetime_s = p->lifetime_s;
	r->relay_transport = p->relay_transport;
}

int turn_allocation_create(struct turn_call *c, const struct turn_allocate_params *p,
			   uint32_t *out_idx)
{
	struct turn_path path = turn_path_of_request(c->in);
	struct turn_server *s = c->server;
	struct turn_user *user;
	struct shm_allocation *r;
	struct turn_allocation *a;
	struct shm_flow flow;
	const char *name;
	size_t name_bytes;
	uint32_t idx;
	int ret;

	turn_auth_quota_name(s->auth, c->identity.username, c->identity.username_bytes, &name,
			     &name_bytes);
	user = turn_quota_user(&s->quota, c->in->realm_idx, name, name_bytes);
	if (user == NULL)
		return -ENOSPC;
	r = table_writer_allocation_take(s->tables, &idx);
	if (r == NULL) {
		turn_quota_drop_unused(&s->quota, user);
		return -ENOSPC;
	}
	record_fill(r, c, p);
	table_writer_allocation_commit(s->tables, idx);

	a = &s->allocations[idx];
	*a = (struct turn_allocation){ .user = user };
	turn_limits_user_take(s, user);
	turn_limits_apply(s, idx);
	flow = turn_flow_allocation(s, idx, &path);
	flow.expires_at_ns = r->expires_at_ns;
	flow.neighbour_idx = client_hop(s, &path, c->in->l2_word);
	ret = table_writer_flow_publish(s->tables, &flow, r->expires_at_ns, &a->flow_idx);
	if (ret < 0) {
		table_writer_neighbour_unref(s->tables, flow.neighbour_idx);
		table_writer_allocation_free(s->tables, idx);
		if (user->n_allocations == 0)
			turn_limits_user_give(s, user);
		turn_quota_drop_unused(&s->quota, user);
		a->user = NULL;
		return -ENOSPC;
	}
	turn_timers_add(&s->timers, s->flows, a->flow_idx, r->expires_at_ns);
	turn_quota_take(&s->quota, user);
	s->n_allocations++;
	turn_tell(s, idx, TURN_EVENT_NEW, c->in->now_ns);
	*out_idx = idx;
	return 0;
}

// The ALLOCATION flow lives as long as the longest of its relayed addresses; its timer looks at the
// shortest.
static void expiries_of(const struct shm_allocation *r, uint64_t *longest_ns, uint64_t *shortest_ns)
{
	*longest_ns = *shortest_ns = r->expires_at_ns;
	if (r->relay2_port_be == 0)
		return;
	*longest_ns = max_u64(*longest_ns, turn_second_expiry_ns(r));
	*shortest_ns = min_u64(*shortest_ns, turn_second_expiry_ns(r));
}

void turn_allocation_set_lifetime(struct turn_server *s, uint32_t idx, uint8_t family,
				  uint64_t expires_at_ns)
{
	struct shm_allocation *r = turn_record(s, idx);
	struct turn_allocation *a = &s->allocations[idx];
	uint64_t second_ns = turn_second_expiry_ns(r), longest_ns, shortest_ns;
	struct ip_address first = turn_local_address(s, r->relay_idx);
	struct table_writer *w = s->tables;
	uint32_t entry;

	if (family == 0 || family == turn_family_of(&first))
		r->expires_at_ns = expires_at_ns;
	if (family == 0 || family != turn_family_of(&first))
		second_ns = expires_at_ns;
	if (r->relay2_port_be != 0)
		r->relay2_expires_s = (uint32_t)(second_ns / TURN_NS_PER_S);
	expiries_of(r, &longest_ns, &shortest_ns);
	table_writer_flow_set_expiry(w, a->flow_idx, longest_ns, shortest_ns);
	for (entry = a->permissions; entry != 0; entry = s->flows[entry].list_next)
		turn_permission_refresh(s, idx, entry, table_writer_flow_own_expiry(w, entry));
	turn_channels_follow(s, idx);
}

static void port_release(struct turn_server *s, uint8_t relay_idx, uint16_t port_be)
{
	if (port_be != 0 && s->ports[relay_idx] != NULL)
		turn_ports_release(s->ports[relay_idx], __builtin_bswap16(port_be));
}

// The flow is made narrower before the record, so that a successor can tell what is still to be done.
int turn_allocation_drop_family(struct turn_server *s, uint32_t idx, uint8_t family)
{
	struct turn_path path = turn_path_of_record(turn_record(s, idx));
	struct turn_allocation *a = &s->allocations[idx];
	struct shm_allocation *r = turn_record(s, idx);
	struct ip_address first = turn_local_address(s, r->relay_idx);
	bool is_first = turn_family_of(&first) == family;
	struct turn_relay dropped = { r->relay_idx, r->relay_port_be };
	uint64_t kept_ns = is_first ? turn_second_expiry_ns(r) : r->expires_at_ns;
	struct shm_flow flow = turn_flow_allocation(s, idx, &path);
	uint32_t entry;

	if (!turn_move_finish(s, idx))
		return -ENOSPC;
	if (is_first) {
		flow.from_local_idx = r->relay2_idx;
		flow.from_port_be = r->relay2_port_be;
	} else {
		dropped = (struct turn_relay){ r->relay2_idx, r->relay2_port_be };
	}
	flow.to_port_be = 0;
	flow.to_address[15] = 0;
	flow.expires_at_ns = kept_ns;
	flow.neighbour_idx = turn_client_neighbour(s, idx);
	table_writer_neighbour_ref(s->tables, flow.neighbour_idx);
	if (turn_flow_replace(s, idx, a->flow_idx, &flow, kept_ns, &entry) < 0) {
		table_writer_neighbour_unref(s->tables, flow.neighbour_idx);
		return -ENOSPC;
	}
	turn_timers_remove(&s->timers, s->flows, entry);
	turn_timers_add(&s->timers, s->flows, entry, kept_ns);
	a->flow_idx = entry;
	turn_bindings_remove(s, idx, family);
	if (is_first) {
		r->relay_idx = r->relay2_idx;
		r->relay_port_be = r->relay2_port_be;
		r->expires_at_ns = kept_ns;
	}
	r->relay2_port_be = 0;
	port_release(s, dropped.local_idx, dropped.port_be);
	return 0;
}

bool turn_allocation_expire(struct turn_server *s, uint32_t idx, uint64_t now_ns)
{
	const struct shm_allocation *r = turn_record(s, idx);
	struct ip_address first = turn_local_address(s, r->relay_idx);
	uint64_t longest_ns, shortest_ns;

	expiries_of(r, &longest_ns, &shortest_ns);
	if (shortest_ns > now_ns)
		return false;
	if (longest_ns > now_ns) {
		bool is_first = r->expires_at_ns <= now_ns;
		bool is_v4 = ip_address_is_v4(&first) == is_first;

		// Without room its permissions have expired all the same.
		return turn_allocation_drop_family(
			       s, idx, is_v4 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6) == 0;
	}
	turn_allocation_end(s, idx, TURN_END_EXPIRED, now_ns);
	return true;
}

static void remember_end(struct turn_server *s, uint32_t idx, enum turn_end_reason reason,
			 uint64_t now_ns)
{
	struct turn_ended *e = &s->ended[s->n_ended++ % TURN_ENDED_MAX];
	const struct shm_allocation *r = turn_record(s, idx);
	size_t n = r->username_bytes;

	memset(e, 0, sizeof(*e));
	turn_allocation_id_format(s, idx, r->serial, e->id);
	memcpy(e->client.address.bytes, r->client_address, 16);
	e->client.port_be = r->client_port_be;
	e->server.address = turn_local_address(s, r->server_idx);
	e->server.port_be = r->server_port_be;
	e->relayed.address = turn_local_address(s, r->relay_idx);
	e->relayed.port_be = r->relay_port_be;
	if (n >= sizeof(e->username))
		n = sizeof(e->username) - 1;
	memcpy(e->username, r->username, n);
	e->ended_at_ns = now_ns;
	e->reason = reason;
}

void turn_allocation_end(struct turn_server *s, uint32_t idx, enum turn_end_reason reason,
			 uint64_t now_ns)
{
	struct turn_allocation *a = &s->allocations[idx];
	const struct shm_allocation *r = turn_record(s, idx);

	remember_end(s, idx, reason, now_ns);
	turn_tell(s, idx, TURN_EVENT_ENDED, now_ns);
	turn_tcp_relay_end(s->tcp_relay, idx);
	if (a->move != NULL)
		turn_move_forget(s, idx);
	turn_bindings_remove(s, idx, 0);
	turn_flow_withdraw(s, idx, a->flow_idx);
	port_release(s, r->relay_idx, r->relay_port_be);
	port_release(s, r->relay2_idx, r->relay2_port_be);
	if (a->user->n_allocations == 1)
		turn_limits_user_give(s, a->user);
	turn_quota_release(&s->quota, a->user);
	*a = (struct turn_allocation){ 0 };
	table_writer_allocation_free(s->tables, idx);
	s->n_allocations--;
	if (reason == TURN_END_EXPIRED)
		s->counter[TURN_COUNTER_ENDED_EXPIRED]++;
	else if (reason == TURN_END_DELETED)
		s->counter[TURN_COUNTER_ENDED_DELETED]++;
	else if (reason == TURN_END_KILLED)
		s->counter[TURN_COUNTER_ENDED_KILLED]++;
	else if (reason == TURN_END_CONNECTION)
		s->counter[TURN_COUNTER_ENDED_CONNECTION]++;
}

void turn_allocation_seen(struct turn_server *s, uint32_t idx, uint64_t l2_word)
{
	struct shm_allocation *r = turn_record(s, idx);
	uint16_t hop = turn_client_neighbour(s, idx);
	const struct shm_neighbour *n;

	if (l2_word == 0 || r->client_transport != SHM_TRANSPORT_UDP)
		return;
	r->l2_word = l2_word;
	if (hop == 0) {
		turn_allocation_renew_next_hops(s, idx);
		return;
	}
	n = table_writer_neighbour(s->tables, hop);
	// A learned hop follows its client; one that the kernel resolves takes the hint only while
	// it has nothing.
	if ((n->ifindex == 0 && memcmp(n->address, r->client_address, 16) == 0) || n->word == 0)
		table_writer_neighbour_set_word(s->tables, hop, l2_word);
}

void turn_allocation_renew_next_hops(struct turn_server *s, uint32_t idx)
{
	const struct shm_allocation *r = turn_record(s, idx);
	struct turn_path path = turn_path_of_record(r);
	uint16_t hop;

	if (s->allocations[idx].move != NULL)
		turn_move_finish(s, idx);
	hop = client_hop(s, &path, r->l2_word);
	turn_flow_set_neighbours(s, s->allocations[idx].flow_idx, hop, 0);
	turn_bindings_renew_next_hops(s, idx, hop);
	table_writer_neighbour_unref(s->tables, hop);
}

void turn_server_stream_closed(struct turn_server *s, uint32_t stream_idx, uint32_t stream_serial,
			       uint64_t now_ns)
{
	struct turn_path path = turn_path_of_stream_id(stream_idx, stream_serial);
	uint32_t idx = turn_allocation_at(s, &path);
	struct turn_path current;

	if (idx == 0)
		return;
	current = turn_path_of_record(turn_record(s, idx));
	// RFC 8016 §3.2.2: the old path is given up with its end.
	if (!turn_path_equal(&current, &path))
		turn_move_finish(s, idx);
	else if (!(turn_record(s, idx)->flags & SHM_ALLOCATION_F_MOBILE))
		turn_allocation_end(s, idx, TURN_END_CONNECTION, now_ns);
}
