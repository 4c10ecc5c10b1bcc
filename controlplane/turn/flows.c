// See flows.h. Control plane's loop thread.
#include "controlplane/turn/flows.h"

#include <errno.h>

#include "controlplane/turn/state.h"

// ---- what stands in them

struct turn_path turn_path_of_stream_id(uint32_t idx, uint32_t serial)
{
	struct turn_path p = { .local_idx = SHM_LOCAL_STREAM, .flags = SHM_FLOW_F_STREAM };

	shm_stream_address(idx, serial, p.address);
	return p;
}

bool turn_path_equal(const struct turn_path *a, const struct turn_path *b)
{
	return memcmp(a->address, b->address, sizeof(a->address)) == 0 &&
	       a->port_be == b->port_be && a->local_port_be == b->local_port_be &&
	       a->local_idx == b->local_idx;
}

bool turn_path_of_stream(const struct turn_path *p)
{
	return p->flags & SHM_FLOW_F_STREAM;
}

// Whether the second relayed address is the one for that peer.
static bool is_for_second(const struct turn_server *s, const struct shm_allocation *r,
			  const struct ip_address *peer)
{
	struct ip_address first = turn_local_address(s, r->relay_idx);

	return r->relay2_port_be != 0 && ip_address_is_v4(&first) != ip_address_is_v4(peer);
}

struct turn_relay turn_relay_toward(const struct turn_server *s, uint32_t idx,
				    const struct ip_address *peer)
{
	const struct shm_allocation *r = turn_record(s, idx);

	if (is_for_second(s, r, peer))
		return (struct turn_relay){ r->relay2_idx, r->relay2_port_be };
	return (struct turn_relay){ r->relay_idx, r->relay_port_be };
}

uint64_t turn_relay_expiry(const struct turn_server *s, uint32_t idx, const struct ip_address *peer)
{
	const struct shm_allocation *r = turn_record(s, idx);

	// A permission of a TCP allocation is ours to look at: workers relay nothing by it.
	if (r->relay_transport == SHM_TRANSPORT_TCP)
		return 0;
	return is_for_second(s, r, peer) ? turn_second_expiry_ns(r) : r->expires_at_ns;
}

static struct shm_flow flow_up(uint32_t idx, uint8_t kind, const struct turn_path *path,
			       struct turn_relay from, uint8_t flags)
{
	struct shm_flow f = {
		.key = { .port_be = path->port_be,
			 .local_port_be = path->local_port_be,
			 .local_idx = path->local_idx,
			 .kind = kind },
		.from_port_be = from.port_be,
		.from_local_idx = from.local_idx,
		.flags = path->flags | flags,
		.allocation_idx = idx,
	};

	memcpy(f.key.address, path->address, sizeof(f.key.address));
	return f;
}

struct shm_flow turn_flow_allocation(const struct turn_server *s, uint32_t idx,
				     const struct turn_path *path)
{
	const struct shm_allocation *r = turn_record(s, idx);
	struct turn_relay first = { r->relay_idx, r->relay_port_be };
	struct shm_flow f =
		flow_up(idx, SHM_FLOW_ALLOCATION, path, first, s->allocations[idx].flow_flags);

	f.to_port_be = r->relay2_port_be;
	f.to_address[15] = r->relay2_port_be != 0 ? r->relay2_idx : 0;
	return f;
}

struct shm_flow turn_flow_channel(const struct turn_server *s, uint32_t idx,
				  const struct turn_path *path, uint16_t channel_be,
				  const struct ip_endpoint *peer)
{
	struct shm_flow f =
		flow_up(idx, SHM_FLOW_CHANNEL, path, turn_relay_toward(s, idx, &peer->address),
			s->allocations[idx].flow_flags);

	f.key.channel_be = f.channel_be = channel_be;
	memcpy(f.to_address, peer->address.bytes, sizeof(f.to_address));
	f.to_port_be = peer->port_be;
	return f;
}

struct turn_path turn_path_down(const struct turn_server *s, uint32_t idx)
{
	const struct turn_move *move = s->allocations[idx].move;

	return move != NULL ? move->old_path : turn_path_of_record(turn_record(s, idx));
}

struct shm_flow turn_flow_down(const struct turn_server *s, uint32_t idx, uint8_t kind,
			       const struct ip_address *peer)
{
	struct turn_path path = turn_path_down(s, idx);
	struct turn_relay relay = turn_relay_toward(s, idx, peer);
	struct shm_flow f = {
		.key = { .local_port_be = relay.port_be,
			 .local_idx = relay.local_idx,
			 .kind = kind },
		.to_port_be = path.port_be,
		.from_port_be = path.local_port_be,
		.from_local_idx = path.local_idx,
		.flags = path.flags | s->allocations[idx].flow_flags,
		.allocation_idx = idx,
	};

	memcpy(f.key.address, peer->bytes, sizeof(f.key.address));
	memcpy(f.to_address, path.address, sizeof(f.to_address));
	return f;
}

uint32_t turn_allocation_at(const struct turn_server *s, const struct turn_path *path)
{
	struct shm_flow_key key = {
		.port_be = path->port_be,
		.local_port_be = path->local_port_be,
		.local_idx = path->local_idx,
		.kind = SHM_FLOW_ALLOCATION,
	};
	uint32_t entry;

	memcpy(key.address, path->address, sizeof(key.address));
	entry = table_writer_flow_find(s->tables, &key);

	return entry == 0 ? 0 : table_writer_flow(s->tables, entry)->allocation_idx;
}

uint16_t turn_client_neighbour(const struct turn_server *s, uint32_t idx)
{
	const struct turn_allocation *a = &s->allocations[idx];
	uint32_t entry = a->move != NULL ? a->move->old_flow_idx : a->flow_idx;

	return table_writer_flow(s->tables, entry)->neighbour_idx;
}

// ---- publishing and withdrawing

// Adds what an entry counted to its allocation.
static void keep_usage(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	struct table_writer_totals *t = &s->tables->totals[idx];
	uint8_t kind = table_writer_flow(s->tables, entry)->key.kind;
	struct shm_usage usage;

	table_writer_flow_usage(s->tables, entry, &usage);
	if (kind == SHM_FLOW_CHANNEL || kind == SHM_FLOW_ALLOCATION) {
		t->up_pkts += usage.pkts;
		t->up_bytes += usage.bytes;
	} else {
		t->down_pkts += usage.pkts;
		t->down_bytes += usage.bytes;
	}
}

void turn_flow_withdraw(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	const struct shm_flow *f = table_writer_flow(s->tables, entry);
	uint16_t neighbour = f->neighbour_idx, peer_neighbour = f->peer_neighbour_idx;

	keep_usage(s, idx, entry);
	turn_timers_remove(&s->timers, s->flows, entry);
	table_writer_flow_withdraw(s->tables, entry);
	table_writer_neighbour_unref(s->tables, neighbour);
	table_writer_neighbour_unref(s->tables, peer_neighbour);
}

// The new entry takes the old one's place in its list and beside its other half.
static void rechain(struct turn_server *s, uint32_t *head, uint32_t old, uint32_t entry)
{
	struct turn_flow_state *from = &s->flows[old], *to = &s->flows[entry];

	to->list_next = from->list_next;
	to->list_prev = from->list_prev;
	to->partner = from->partner;
	if (to->list_next != 0)
		s->flows[to->list_next].list_prev = entry;
	if (to->list_prev != 0)
		s->flows[to->list_prev].list_next = entry;
	else if (head != NULL && *head == old)
		*head = entry;
	if (to->partner != 0)
		s->flows[to->partner].partner = entry;
	from->list_next = from->list_prev = from->partner = 0;
}

int turn_flow_replace(struct turn_server *s, uint32_t idx, uint32_t entry, const struct shm_flow *f,
		      uint64_t own_expires_at_ns, uint32_t *out_entry)
{
	const struct shm_flow *old = table_writer_flow(s->tables, entry);
	uint16_t neighbour = old->neighbour_idx, peer_neighbour = old->peer_neighbour_idx;
	bool is_queued = s->flows[entry].timer_slot != TURN_TIMER_NONE;
	struct turn_allocation *a = &s->allocations[idx];
	uint32_t *head = NULL;
	int ret;

	ret = table_writer_flow_replace(s->tables, entry, f, own_expires_at_ns, out_entry);
	if (ret < 0)
		return ret;
	keep_usage(s, idx, entry);
	if (f->key.kind == SHM_FLOW_PERMISSION)
		head = &a->permissions;
	else if (f->key.kind == SHM_FLOW_CHANNEL)
		head = &a->channels;
	turn_timers_remove(&s->timers, s->flows, entry);
	rechain(s, head, entry, *out_entry);
	if (is_queued)
		turn_timers_add(&s->timers, s->flows, *out_entry, own_expires_at_ns);
	table_writer_neighbour_unref(s->tables, neighbour);
	table_writer_neighbour_unref(s->tables, peer_neighbour);
	return 0;
}

void turn_flow_set_neighbours(struct turn_server *s, uint32_t entry, uint16_t hop,
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

bool turn_flows_have_room(struct turn_server *s, uint32_t n, uint64_t now_ns)
{
	uint32_t reserve = s->tables->n_allocations_max - s->n_allocations;

	if (s->tables->flows.n_free < reserve + n && s->tables->flows.n_retired > 0)
		table_writer_reclaim(s->tables, now_ns);
	return s->tables->flows.n_free >= reserve + n;
}

// ---- lists

void turn_list_add(struct turn_server *s, uint32_t *head, uint32_t entry)
{
	struct turn_flow_state *f = &s->flows[entry];

	f->list_prev = 0;
	f->list_next = *head;
	if (*head != 0)
		s->flows[*head].list_prev = entry;
	*head = entry;
}

void turn_list_remove(struct turn_server *s, uint32_t *head, uint32_t entry)
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
