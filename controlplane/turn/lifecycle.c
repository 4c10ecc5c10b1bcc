// Making and ending allocations, permissions and channels: record, flows, port, quota and timer
// together. Order matters for a successor: a record is live before its flows are published, and is
// freed after they are withdrawn. Control plane's loop thread.
#include <errno.h>

#include "controlplane/turn/state.h"

const char *turn_end_reason_name(enum turn_end_reason r)
{
	static const char *const names[TURN_END_COUNT] = { "expired", "deleted", "killed",
							   "configuration", "damaged" };

	return r < TURN_END_COUNT ? names[r] : "unknown";
}

// ---- flows as the tables want them

static struct shm_flow allocation_flow(const struct shm_allocation *r, uint32_t idx)
{
	struct shm_flow f = {
		.key = { .port_be = r->client_port_be,
			 .local_port_be = r->server_port_be,
			 .local_idx = r->server_idx,
			 .kind = SHM_FLOW_ALLOCATION },
		.from_port_be = r->relay_port_be,
		.from_local_idx = r->relay_idx,
		.allocation_idx = idx,
	};

	memcpy(f.key.address, r->client_address, 16);
	return f;
}

// From a peer to the client: the part that PEER and PERMISSION share.
static struct shm_flow down_flow(const struct shm_allocation *r, uint32_t idx, uint8_t kind,
				 const struct ip_address *peer)
{
	struct shm_flow f = {
		.key = { .local_port_be = r->relay_port_be,
			 .local_idx = r->relay_idx,
			 .kind = kind },
		.to_port_be = r->client_port_be,
		.from_port_be = r->server_port_be,
		.from_local_idx = r->server_idx,
		.allocation_idx = idx,
	};

	memcpy(f.key.address, peer->bytes, 16);
	memcpy(f.to_address, r->client_address, 16);
	return f;
}

static uint16_t client_neighbour(const struct turn_server *s, uint32_t idx)
{
	return table_writer_flow(s->tables, s->allocations[idx].flow_idx)->neighbour_idx;
}

// ---- lists

static void list_add(struct turn_server *s, uint32_t *head, uint32_t entry)
{
	struct turn_flow_state *f = &s->flows[entry];

	f->list_prev = 0;
	f->list_next = *head;
	if (*head != 0)
		s->flows[*head].list_prev = entry;
	*head = entry;
}

static void list_remove(struct turn_server *s, uint32_t *head, uint32_t entry)
{
	struct turn_flow_state *f = &s->flows[entry];

	if (f->list_prev != 0)
		s->flows[f->list_prev].list_next = f->list_next;
	else
		*head = f->list_next;
	if (f->list_next != 0)
		s->flows[f->list_next].list_prev = f->list_prev;
	f->list_next = f->list_prev = 0;
}

// Withdraws an entry and keeps what it counted with its allocation.
static void flow_withdraw(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	const struct shm_flow *f = table_writer_flow(s->tables, entry);
	uint16_t neighbour = f->neighbour_idx, peer_neighbour = f->peer_neighbour_idx;
	struct table_writer_totals *t = &s->tables->totals[idx];
	uint8_t kind = f->key.kind;
	struct shm_usage usage;

	table_writer_flow_usage(s->tables, entry, &usage);
	if (kind == SHM_FLOW_CHANNEL || kind == SHM_FLOW_ALLOCATION) {
		t->up_pkts += usage.pkts;
		t->up_bytes += usage.bytes;
	} else {
		t->down_pkts += usage.pkts;
		t->down_bytes += usage.bytes;
	}
	turn_timers_remove(&s->timers, s->flows, entry);
	table_writer_flow_withdraw(s->tables, entry);
	table_writer_neighbour_unref(s->tables, neighbour);
	table_writer_neighbour_unref(s->tables, peer_neighbour);
}

// ---- allocations

uint32_t turn_allocation_find(struct turn_server *s, const struct turn_request *in)
{
	struct shm_flow_key key = {
		.port_be = in->client.port_be,
		.local_port_be = in->local_port_be,
		.local_idx = in->local_idx,
		.kind = SHM_FLOW_ALLOCATION,
	};
	uint32_t entry, idx;

	memcpy(key.address, in->client.address.bytes, 16);
	entry = table_writer_flow_find(s->tables, &key);
	if (entry == 0)
		return 0;
	idx = table_writer_flow(s->tables, entry)->allocation_idx;
	if (turn_record(s, idx)->expires_at_ns <= in->now_ns) {
		turn_allocation_end(s, idx, TURN_END_EXPIRED, in->now_ns);
		return 0;
	}
	return idx;
}

int turn_allocation_create(struct turn_call *c, const struct turn_allocate_params *p,
			   uint32_t *out_idx)
{
	const struct turn_request *in = c->in;
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
	user = turn_quota_user(&s->quota, name, name_bytes, 1);
	if (user == NULL)
		return -ENOSPC;
	r = table_writer_allocation_take(s->tables, &idx);
	if (r == NULL) {
		turn_quota_drop_unused(&s->quota, user);
		return -ENOSPC;
	}
	memcpy(r->client_address, in->client.address.bytes, 16);
	r->client_port_be = in->client.port_be;
	r->server_port_be = in->local_port_be;
	r->server_idx = in->local_idx;
	r->relay_idx = p->relay_idx;
	r->relay_port_be = __builtin_bswap16(p->relay_port);
	r->created_at_ns = in->now_ns;
	r->expires_at_ns = in->now_ns + p->lifetime_s * TURN_NS_PER_S;
	memcpy(r->transaction_id, c->msg.transaction_id, sizeof(r->transaction_id));
	r->username_bytes = c->identity.username_bytes;
	memcpy(r->username, c->identity.username, r->username_bytes);
	r->key_bytes = TURN_AUTH_KEY_BYTES;
	memcpy(r->key, c->identity.key, TURN_AUTH_KEY_BYTES);
	r->l2_word = in->l2_word;
	r->lifetime_s = p->lifetime_s;
	table_writer_allocation_commit(s->tables, idx);

	flow = allocation_flow(r, idx);
	flow.expires_at_ns = r->expires_at_ns;
	flow.neighbour_idx = s->hops.client(s->hops.arg, &in->client.address, in->l2_word);
	a = &s->allocations[idx];
	*a = (struct turn_allocation){ .user = user };
	ret = table_writer_flow_publish(s->tables, &flow, r->expires_at_ns, &a->flow_idx);
	if (ret < 0) {
		table_writer_neighbour_unref(s->tables, flow.neighbour_idx);
		table_writer_allocation_free(s->tables, idx);
		turn_quota_drop_unused(&s->quota, user);
		a->user = NULL;
		return -ENOSPC;
	}
	turn_timers_add(&s->timers, s->flows, a->flow_idx, r->expires_at_ns);
	user->n_allocations++;
	s->n_allocations++;
	*out_idx = idx;
	return 0;
}

void turn_allocation_set_lifetime(struct turn_server *s, uint32_t idx, uint64_t expires_at_ns)
{
	struct turn_allocation *a = &s->allocations[idx];
	struct table_writer *w = s->tables;
	uint32_t entry;

	turn_record(s, idx)->expires_at_ns = expires_at_ns;
	table_writer_flow_set_expiry(w, a->flow_idx, expires_at_ns, expires_at_ns);
	for (entry = a->permissions; entry != 0; entry = s->flows[entry].list_next)
		turn_permission_refresh(s, idx, entry, table_writer_flow_own_expiry(w, entry));
	turn_channels_follow(s, idx);
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
	while (a->channels != 0)
		turn_channel_remove(s, idx, a->channels);
	while (a->permissions != 0)
		turn_permission_remove(s, idx, a->permissions);
	flow_withdraw(s, idx, a->flow_idx);
	if (s->ports[r->relay_idx] != NULL)
		turn_ports_release(s->ports[r->relay_idx], __builtin_bswap16(r->relay_port_be));
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
}

void turn_allocation_seen(struct turn_server *s, uint32_t idx, uint64_t l2_word)
{
	struct shm_allocation *r = turn_record(s, idx);
	uint16_t hop = client_neighbour(s, idx);
	const struct shm_neighbour *n;

	if (l2_word == 0)
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

static void neighbours_change(struct turn_server *s, uint32_t entry, uint16_t hop,
			      uint16_t peer_hop)
{
	const struct shm_flow *f = table_writer_flow(s->tables, entry);
	uint16_t old_hop = f->neighbour_idx, old_peer_hop = f->peer_neighbour_idx;

	table_writer_neighbour_ref(s->tables, hop);
	table_writer_neighbour_ref(s->tables, peer_hop);
	table_writer_flow_set_neighbours(s->tables, entry, hop, peer_hop);
	table_writer_neighbour_unref(s->tables, old_hop);
	table_writer_neighbour_unref(s->tables, old_peer_hop);
}

void turn_allocation_renew_next_hops(struct turn_server *s, uint32_t idx)
{
	const struct shm_allocation *r = turn_record(s, idx);
	const struct turn_allocation *a = &s->allocations[idx];
	struct ip_address client = ip_address_from_v6(r->client_address);
	uint16_t client_hop = s->hops.client(s->hops.arg, &client, r->l2_word);
	uint32_t entry;

	neighbours_change(s, a->flow_idx, client_hop, 0);
	for (entry = a->permissions; entry != 0; entry = s->flows[entry].list_next) {
		const struct shm_flow *f = table_writer_flow(s->tables, entry);
		struct ip_address peer = ip_address_from_v6(f->key.address);
		uint16_t hop = f->flags & SHM_FLOW_F_HAIRPIN ? 0 : s->hops.peer(s->hops.arg, &peer);

		neighbours_change(s, entry, client_hop, hop);
		table_writer_neighbour_unref(s->tables, hop);
	}
	for (entry = a->channels; entry != 0; entry = s->flows[entry].list_next) {
		const struct shm_flow *f = table_writer_flow(s->tables, entry);
		struct ip_address peer = ip_address_from_v6(f->to_address);
		uint16_t hop = f->flags & SHM_FLOW_F_HAIRPIN ? 0 : s->hops.peer(s->hops.arg, &peer);

		neighbours_change(s, entry, hop, 0);
		neighbours_change(s, s->flows[entry].partner, client_hop, 0);
		table_writer_neighbour_unref(s->tables, hop);
	}
	table_writer_neighbour_unref(s->tables, client_hop);
}

// ---- permissions

// Whether n entries can be had without those that allocations up to the maximum will need: channels
// and permissions of some clients must not keep others from allocating.
static bool has_room(struct turn_server *s, uint32_t n, uint64_t now_ns)
{
	uint32_t reserve = s->tables->n_allocations_max - s->n_allocations;

	if (s->tables->flows.n_free < reserve + n && s->tables->flows.n_retired > 0)
		table_writer_reclaim(s->tables, now_ns);
	return s->tables->flows.n_free >= reserve + n;
}

uint32_t turn_permission_find(const struct turn_server *s, uint32_t idx,
			      const struct ip_address *peer)
{
	struct shm_flow f = down_flow(turn_record(s, idx), idx, SHM_FLOW_PERMISSION, peer);

	return table_writer_flow_find(s->tables, &f.key);
}

void turn_permission_link(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	list_add(s, &s->allocations[idx].permissions, entry);
	s->allocations[idx].n_permissions++;
	s->n_permissions++;
	turn_timers_add(&s->timers, s->flows, entry,
			table_writer_flow_own_expiry(s->tables, entry));
}

int turn_permission_create(struct turn_server *s, uint32_t idx, const struct ip_address *peer,
			   bool is_hairpin, uint64_t now_ns, uint32_t *out_entry)
{
	const struct shm_allocation *r = turn_record(s, idx);
	struct shm_flow f = down_flow(r, idx, SHM_FLOW_PERMISSION, peer);
	uint64_t own_ns = now_ns + TURN_PERMISSION_LIFETIME_S * TURN_NS_PER_S;

	if (!has_room(s, 1, now_ns))
		return -ENOSPC;
	f.expires_at_ns = min_u64(own_ns, r->expires_at_ns);
	f.flags = is_hairpin ? SHM_FLOW_F_HAIRPIN : 0;
	f.neighbour_idx = client_neighbour(s, idx);
	table_writer_neighbour_ref(s->tables, f.neighbour_idx);
	if (!is_hairpin)
		f.peer_neighbour_idx = s->hops.peer(s->hops.arg, peer);
	if (table_writer_flow_publish(s->tables, &f, own_ns, out_entry) < 0) {
		table_writer_neighbour_unref(s->tables, f.neighbour_idx);
		table_writer_neighbour_unref(s->tables, f.peer_neighbour_idx);
		return -ENOSPC;
	}
	turn_permission_link(s, idx, *out_entry);
	return 0;
}

void turn_permission_refresh(struct turn_server *s, uint32_t idx, uint32_t entry,
			     uint64_t own_expires_at_ns)
{
	const struct shm_flow *f = table_writer_flow(s->tables, entry);
	struct ip_address peer = ip_address_from_v6(f->key.address);
	uint16_t hop;

	table_writer_flow_set_expiry(s->tables, entry,
				     min_u64(own_expires_at_ns, turn_record(s, idx)->expires_at_ns),
				     own_expires_at_ns);
	if (f->peer_neighbour_idx != 0 || f->flags & SHM_FLOW_F_HAIRPIN)
		return;
	hop = s->hops.peer(s->hops.arg, &peer);
	if (hop != 0)
		neighbours_change(s, entry, f->neighbour_idx, hop);
	table_writer_neighbour_unref(s->tables, hop);
}

void turn_permission_remove(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	list_remove(s, &s->allocations[idx].permissions, entry);
	s->allocations[idx].n_permissions--;
	s->n_permissions--;
	flow_withdraw(s, idx, entry);
}

// ---- channels

uint32_t turn_channel_find(const struct turn_server *s, uint32_t idx, uint16_t channel_be)
{
	struct shm_flow f = allocation_flow(turn_record(s, idx), idx);

	f.key.kind = SHM_FLOW_CHANNEL;
	f.key.channel_be = channel_be;
	return table_writer_flow_find(s->tables, &f.key);
}

void turn_channel_link(struct turn_server *s, uint32_t idx, uint32_t entry, uint32_t peer_entry)
{
	list_add(s, &s->allocations[idx].channels, entry);
	s->allocations[idx].n_channels++;
	s->n_channels++;
	s->flows[entry].partner = peer_entry;
	s->flows[peer_entry].partner = entry;
	turn_timers_add(&s->timers, s->flows, entry,
			table_writer_flow_own_expiry(s->tables, entry));
}

int turn_channel_create(struct turn_server *s, uint32_t idx, uint16_t channel_be,
			const struct ip_endpoint *peer, bool is_hairpin, uint32_t permission,
			uint64_t now_ns)
{
	const struct shm_allocation *r = turn_record(s, idx);
	struct shm_flow up = allocation_flow(r, idx);
	struct shm_flow down = down_flow(r, idx, SHM_FLOW_PEER, &peer->address);
	uint64_t own_ns = now_ns + TURN_CHANNEL_LIFETIME_S * TURN_NS_PER_S;
	uint32_t up_entry, down_entry;

	if (!has_room(s, 2, now_ns))
		return -ENOSPC;
	up.key.kind = SHM_FLOW_CHANNEL;
	up.key.channel_be = up.channel_be = channel_be;
	memcpy(up.to_address, peer->address.bytes, 16);
	up.to_port_be = peer->port_be;
	up.flags = is_hairpin ? SHM_FLOW_F_HAIRPIN : 0;
	up.neighbour_idx = table_writer_flow(s->tables, permission)->peer_neighbour_idx;
	up.expires_at_ns = min_u64(min_u64(own_ns, r->expires_at_ns),
				   table_writer_flow_own_expiry(s->tables, permission));
	down.key.port_be = peer->port_be;
	down.channel_be = channel_be;
	down.neighbour_idx = client_neighbour(s, idx);
	down.expires_at_ns = up.expires_at_ns;

	if (table_writer_flow_publish(s->tables, &down, own_ns, &down_entry) < 0)
		return -ENOSPC;
	table_writer_neighbour_ref(s->tables, down.neighbour_idx);
	if (table_writer_flow_publish(s->tables, &up, own_ns, &up_entry) < 0) {
		flow_withdraw(s, idx, down_entry);
		return -ENOSPC;
	}
	table_writer_neighbour_ref(s->tables, up.neighbour_idx);
	turn_channel_link(s, idx, up_entry, down_entry);
	return 0;
}

void turn_channel_refresh(struct turn_server *s, uint32_t idx, uint32_t entry,
			  uint64_t own_expires_at_ns)
{
	const struct shm_flow *f = table_writer_flow(s->tables, entry);
	uint64_t effective_ns = min_u64(own_expires_at_ns, turn_record(s, idx)->expires_at_ns);
	struct ip_address peer = ip_address_from_v6(f->to_address);
	uint32_t permission = turn_permission_find(s, idx, &peer);

	// Without a permission nothing passes; the channel stays bound (RFC 8656 §12.2).
	effective_ns = min_u64(effective_ns,
			       permission != 0 ? table_writer_flow_own_expiry(s->tables, permission)
					       : f->expires_at_ns);
	table_writer_flow_set_expiry(s->tables, entry, effective_ns, own_expires_at_ns);
	table_writer_flow_set_expiry(s->tables, s->flows[entry].partner, effective_ns,
				     own_expires_at_ns);
	if (f->neighbour_idx == 0 && permission != 0)
		neighbours_change(s, entry,
				  table_writer_flow(s->tables, permission)->peer_neighbour_idx, 0);
}

void turn_channels_follow(struct turn_server *s, uint32_t idx)
{
	for (uint32_t ch = s->allocations[idx].channels; ch != 0; ch = s->flows[ch].list_next)
		turn_channel_refresh(s, idx, ch, table_writer_flow_own_expiry(s->tables, ch));
}

void turn_channel_remove(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	uint32_t partner = s->flows[entry].partner;

	if (entry == 0)
		return;
	list_remove(s, &s->allocations[idx].channels, entry);
	s->allocations[idx].n_channels--;
	s->n_channels--;
	s->flows[entry].partner = s->flows[partner].partner = 0;
	flow_withdraw(s, idx, entry);
	flow_withdraw(s, idx, partner);
}
