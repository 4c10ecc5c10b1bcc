// Permissions and channels of an allocation: their flows, timers and lists together. Control plane's
// loop thread.
#include <errno.h>

#include "controlplane/turn/state.h"

// ---- permissions

uint32_t turn_permission_find(const struct turn_server *s, uint32_t idx,
			      const struct ip_address *peer)
{
	struct shm_flow f = turn_flow_down(s, idx, SHM_FLOW_PERMISSION, peer);

	return table_writer_flow_find(s->tables, &f.key);
}

void turn_permission_link(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	turn_list_add(s, &s->allocations[idx].permissions, entry);
	s->allocations[idx].n_permissions++;
	s->n_permissions++;
	turn_timers_add(&s->timers, s->flows, entry,
			table_writer_flow_own_expiry(s->tables, entry));
}

int turn_permission_create(struct turn_server *s, uint32_t idx, const struct ip_address *peer,
			   bool is_hairpin, uint64_t now_ns, uint32_t *out_entry)
{
	struct shm_flow f = turn_flow_down(s, idx, SHM_FLOW_PERMISSION, peer);
	uint64_t own_ns = now_ns + TURN_PERMISSION_LIFETIME_S * TURN_NS_PER_S;

	if (!turn_flows_have_room(s, 1, now_ns))
		return -ENOSPC;
	f.expires_at_ns = min_u64(own_ns, turn_relay_expiry(s, idx, peer));
	f.flags |= is_hairpin ? SHM_FLOW_F_HAIRPIN : 0;
	f.neighbour_idx = turn_client_neighbour(s, idx);
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
				     min_u64(own_expires_at_ns, turn_relay_expiry(s, idx, &peer)),
				     own_expires_at_ns);
	if (f->peer_neighbour_idx != 0 || f->flags & SHM_FLOW_F_HAIRPIN)
		return;
	hop = s->hops.peer(s->hops.arg, &peer);
	if (hop != 0)
		turn_flow_set_neighbours(s, entry, f->neighbour_idx, hop);
	table_writer_neighbour_unref(s->tables, hop);
}

void turn_permission_remove(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	turn_list_remove(s, &s->allocations[idx].permissions, entry);
	s->allocations[idx].n_permissions--;
	s->n_permissions--;
	turn_flow_withdraw(s, idx, entry);
}

// ---- channels

uint32_t turn_channel_find(const struct turn_server *s, uint32_t idx, uint16_t channel_be)
{
	static const struct ip_endpoint any;
	struct turn_path path = turn_path_of_record(turn_record(s, idx));
	struct shm_flow f = turn_flow_channel(s, idx, &path, channel_be, &any);

	return table_writer_flow_find(s->tables, &f.key);
}

uint32_t turn_channel_peer_find(const struct turn_server *s, uint32_t idx,
				const struct ip_endpoint *peer)
{
	struct shm_flow f = turn_flow_down(s, idx, SHM_FLOW_PEER, &peer->address);

	f.key.port_be = peer->port_be;
	return table_writer_flow_find(s->tables, &f.key);
}

void turn_channel_link(struct turn_server *s, uint32_t idx, uint32_t entry, uint32_t peer_entry)
{
	turn_list_add(s, &s->allocations[idx].channels, entry);
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
	struct turn_path path = turn_path_of_record(turn_record(s, idx));
	struct shm_flow up = turn_flow_channel(s, idx, &path, channel_be, peer);
	struct shm_flow down = turn_flow_down(s, idx, SHM_FLOW_PEER, &peer->address);
	uint64_t own_ns = now_ns + TURN_CHANNEL_LIFETIME_S * TURN_NS_PER_S;
	uint32_t up_entry, down_entry;

	if (!turn_flows_have_room(s, 2, now_ns))
		return -ENOSPC;
	up.flags |= is_hairpin ? SHM_FLOW_F_HAIRPIN : 0;
	up.neighbour_idx = table_writer_flow(s->tables, permission)->peer_neighbour_idx;
	up.expires_at_ns = min_u64(min_u64(own_ns, turn_relay_expiry(s, idx, &peer->address)),
				   table_writer_flow_own_expiry(s->tables, permission));
	down.key.port_be = peer->port_be;
	down.channel_be = channel_be;
	down.neighbour_idx = turn_client_neighbour(s, idx);
	down.expires_at_ns = up.expires_at_ns;

	if (table_writer_flow_publish(s->tables, &down, own_ns, &down_entry) < 0)
		return -ENOSPC;
	table_writer_neighbour_ref(s->tables, down.neighbour_idx);
	if (table_writer_flow_publish(s->tables, &up, own_ns, &up_entry) < 0) {
		turn_flow_withdraw(s, idx, down_entry);
		return -ENOSPC;
	}
	table_writer_neighbour_ref(s->tables, up.neighbour_idx);
	turn_channel_link(s, idx, up_entry, down_entry);
	turn_move_follow_channel(s, idx, up_entry);
	return 0;
}

void turn_channel_refresh(struct turn_server *s, uint32_t idx, uint32_t entry,
			  uint64_t own_expires_at_ns)
{
	const struct shm_flow *f = table_writer_flow(s->tables, entry);
	struct ip_address peer = ip_address_from_v6(f->to_address);
	uint64_t effective_ns = min_u64(own_expires_at_ns, turn_relay_expiry(s, idx, &peer));
	uint32_t permission = turn_permission_find(s, idx, &peer);

	// Without a permission nothing passes; the channel stays bound (RFC 8656 §12.2).
	effective_ns = min_u64(effective_ns,
			       permission != 0 ? table_writer_flow_own_expiry(s->tables, permission)
					       : f->expires_at_ns);
	table_writer_flow_set_expiry(s->tables, entry, effective_ns, own_expires_at_ns);
	table_writer_flow_set_expiry(s->tables, s->flows[entry].partner, effective_ns,
				     own_expires_at_ns);
	if (f->neighbour_idx == 0 && permission != 0)
		turn_flow_set_neighbours(
			s, entry, table_writer_flow(s->tables, permission)->peer_neighbour_idx, 0);
}

void turn_channels_follow(struct turn_server *s, uint32_t idx)
{
	for (uint32_t ch = s->allocations[idx].channels; ch != 0; ch = s->flows[ch].list_next)
		turn_channel_refresh(s, idx, ch, table_writer_flow_own_expiry(s->tables, ch));
	turn_move_follow_expiries(s, idx);
}

void turn_channel_remove(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	uint32_t partner = s->flows[entry].partner;

	if (entry == 0)
		return;
	turn_move_drop_channel(s, idx, entry);
	turn_list_remove(s, &s->allocations[idx].channels, entry);
	s->allocations[idx].n_channels--;
	s->n_channels--;
	s->flows[entry].partner = s->flows[partner].partner = 0;
	turn_flow_withdraw(s, idx, entry);
	turn_flow_withdraw(s, idx, partner);
}

// ---- all of an allocation

void turn_bindings_renew_next_hops(struct turn_server *s, uint32_t idx, uint16_t client_hop)
{
	const struct turn_allocation *a = &s->allocations[idx];
	uint32_t entry;

	for (entry = a->permissions; entry != 0; entry = s->flows[entry].list_next) {
		const struct shm_flow *f = table_writer_flow(s->tables, entry);
		struct ip_address peer = ip_address_from_v6(f->key.address);
		uint16_t hop = f->flags & SHM_FLOW_F_HAIRPIN ? 0 : s->hops.peer(s->hops.arg, &peer);

		turn_flow_set_neighbours(s, entry, client_hop, hop);
		table_writer_neighbour_unref(s->tables, hop);
	}
	for (entry = a->channels; entry != 0; entry = s->flows[entry].list_next) {
		const struct shm_flow *f = table_writer_flow(s->tables, entry);
		struct ip_address peer = ip_address_from_v6(f->to_address);
		uint16_t hop = f->flags & SHM_FLOW_F_HAIRPIN ? 0 : s->hops.peer(s->hops.arg, &peer);

		turn_flow_set_neighbours(s, entry, hop, 0);
		turn_flow_set_neighbours(s, s->flows[entry].partner, client_hop, 0);
		table_writer_neighbour_unref(s->tables, hop);
	}
}

void turn_bindings_remove(struct turn_server *s, uint32_t idx, uint8_t family)
{
	const struct turn_allocation *a = &s->allocations[idx];
	struct ip_address peer;
	uint32_t entry, next;

	for (entry = a->channels; entry != 0; entry = next) {
		next = s->flows[entry].list_next;
		peer = ip_address_from_v6(table_writer_flow(s->tables, entry)->to_address);
		if (family == 0 || turn_family_of(&peer) == family)
			turn_channel_remove(s, idx, entry);
	}
	for (entry = a->permissions; entry != 0; entry = next) {
		next = s->flows[entry].list_next;
		peer = ip_address_from_v6(table_writer_flow(s->tables, entry)->key.address);
		if (family == 0 || turn_family_of(&peer) == family)
			turn_permission_remove(s, idx, entry);
	}
}
