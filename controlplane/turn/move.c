// An allocation's way from one client path to another (RFC 8016 §3.2.2): data from the client is
// taken on both, data for it goes to the old one until something came on the new one. Control plane's
// loop thread.
//
// A successor finds the record with the new path, the flows toward peers under both and those toward
// the client with the old one; adoption.c finishes the move.
#include <errno.h>
#include <stdlib.h>

#include "controlplane/turn/state.h"

static void move_unlink(struct turn_server *s, const struct turn_move *move)
{
	struct turn_move **link = &s->moves;

	while (*link != move)
		link = &(*link)->next;
	*link = move->next;
}

static void old_path_withdraw(struct turn_server *s, uint32_t idx)
{
	struct turn_move *move = s->allocations[idx].move;

	while (move->old_channels != 0) {
		uint32_t entry = move->old_channels;

		turn_list_remove(s, &move->old_channels, entry);
		s->flows[entry].partner = 0;
		turn_flow_withdraw(s, idx, entry);
	}
	turn_flow_withdraw(s, idx, move->old_flow_idx);
	move_unlink(s, move);
	s->allocations[idx].move = NULL;
	free(move);
}

void turn_move_forget(struct turn_server *s, uint32_t idx)
{
	old_path_withdraw(s, idx);
}

// Publishes the channel's flow toward its peer once more, under another path.
static int channel_copy(struct turn_server *s, uint32_t idx, uint32_t entry,
			const struct turn_path *path, uint32_t *out_entry)
{
	const struct shm_flow *old = table_writer_flow(s->tables, entry);
	struct ip_endpoint peer = { ip_address_from_v6(old->to_address), old->to_port_be };
	struct shm_flow f = turn_flow_channel(s, idx, path, old->channel_be, &peer);
	int ret;

	f.flags |= old->flags & SHM_FLOW_F_HAIRPIN;
	f.neighbour_idx = old->neighbour_idx;
	f.expires_at_ns = old->expires_at_ns;
	ret = table_writer_flow_publish(s->tables, &f,
					table_writer_flow_own_expiry(s->tables, entry), out_entry);
	if (ret == 0)
		table_writer_neighbour_ref(s->tables, f.neighbour_idx);
	return ret;
}

void turn_move_follow_channel(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	struct turn_move *move = s->allocations[idx].move;
	uint32_t old;

	if (move == NULL || channel_copy(s, idx, entry, &move->old_path, &old) < 0)
		return;
	s->flows[old].partner = entry;
	turn_list_add(s, &move->old_channels, old);
}

void turn_move_drop_channel(struct turn_server *s, uint32_t idx, uint32_t entry)
{
	struct turn_move *move = s->allocations[idx].move;
	uint32_t old;

	if (move == NULL)
		return;
	for (old = move->old_channels; old != 0 && s->flows[old].partner != entry;)
		old = s->flows[old].list_next;
	if (old == 0)
		return;
	turn_list_remove(s, &move->old_channels, old);
	s->flows[old].partner = 0;
	turn_flow_withdraw(s, idx, old);
}

void turn_move_follow_expiries(struct turn_server *s, uint32_t idx)
{
	const struct turn_move *move = s->allocations[idx].move;
	struct table_writer *w = s->tables;
	uint32_t old;

	if (move == NULL)
		return;
	for (old = move->old_channels; old != 0; old = s->flows[old].list_next) {
		uint32_t entry = s->flows[old].partner;

		table_writer_flow_set_expiry(w, old, table_writer_flow(w, entry)->expires_at_ns,
					     table_writer_flow_own_expiry(w, entry));
	}
	table_writer_flow_set_expiry(
		w, move->old_flow_idx,
		table_writer_flow(w, s->allocations[idx].flow_idx)->expires_at_ns,
		table_writer_flow_own_expiry(w, s->allocations[idx].flow_idx));
}

// The new path's channels as a list of their own; all withdrawn again where there is no room.
static int channels_copy(struct turn_server *s, uint32_t idx, const struct turn_path *path,
			 uint32_t *out_head)
{
	uint32_t entry, copy;

	*out_head = 0;
	for (entry = s->allocations[idx].channels; entry != 0; entry = s->flows[entry].list_next) {
		if (channel_copy(s, idx, entry, path, &copy) < 0)
			goto fail;
		s->flows[copy].partner = entry;
		turn_list_add(s, out_head, copy);
	}
	return 0;
fail:
	while (*out_head != 0) {
		copy = *out_head;
		turn_list_remove(s, out_head, copy);
		s->flows[copy].partner = 0;
		turn_flow_withdraw(s, idx, copy);
	}
	return -ENOSPC;
}

// The copies become the allocation's channels, and those the old path's.
static void channels_swap(struct turn_server *s, uint32_t idx, struct turn_move *move,
			  uint32_t copies)
{
	struct turn_allocation *a = &s->allocations[idx];
	uint32_t copy, old;

	for (copy = copies; copy != 0; copy = s->flows[copy].list_next) {
		old = s->flows[copy].partner;
		s->flows[copy].partner = s->flows[old].partner;
		s->flows[s->flows[copy].partner].partner = copy;
		s->flows[old].partner = copy;
		turn_timers_remove(&s->timers, s->flows, old);
		turn_timers_add(&s->timers, s->flows, copy,
				table_writer_flow_own_expiry(s->tables, copy));
	}
	move->old_channels = a->channels;
	a->channels = copies;
}

int turn_move_start(struct turn_call *c, uint32_t idx)
{
	struct turn_path path = turn_path_of_request(c->in);
	struct turn_server *s = c->server;
	struct turn_allocation *a = &s->allocations[idx];
	struct shm_allocation *r = turn_record(s, idx);
	struct turn_path old_path = turn_path_of_record(r);
	struct turn_move *move;
	struct shm_flow f;
	uint32_t copies;
	int ret = -ENOMEM;

	if (a->move != NULL && !turn_move_finish(s, idx))
		return -ENOSPC;
	move = calloc(1, sizeof(*move));
	if (move == NULL)
		return -ENOMEM;
	if (!turn_flows_have_room(s, a->n_channels, c->in->now_ns))
		goto fail;
	ret = channels_copy(s, idx, &path, &copies);
	if (ret < 0)
		goto fail;
	f = turn_flow_allocation(s, idx, &path);
	f.expires_at_ns = table_writer_flow(s->tables, a->flow_idx)->expires_at_ns;
	f.neighbour_idx =
		turn_path_of_stream(&path)
			? 0
			: s->hops.client(s->hops.arg, &c->in->client.address, c->in->l2_word);
	move->old_flow_idx = a->flow_idx;
	ret = table_writer_flow_publish(
		s->tables, &f, table_writer_flow_own_expiry(s->tables, a->flow_idx), &a->flow_idx);
	if (ret < 0) {
		table_writer_neighbour_unref(s->tables, f.neighbour_idx);
		goto fail_channels;
	}
	turn_record_set_path(r, c->in);
	r->mobility_serial++;
	turn_timers_remove(&s->timers, s->flows, move->old_flow_idx);
	turn_timers_add(&s->timers, s->flows, a->flow_idx,
			table_writer_flow_own_expiry(s->tables, a->flow_idx));
	channels_swap(s, idx, move, copies);
	move->allocation_idx = idx;
	move->old_path = old_path;
	move->next = s->moves;
	s->moves = move;
	a->move = move;
	s->counter[TURN_COUNTER_MOVED]++;
	return 0;

fail_channels:
	while (copies != 0) {
		uint32_t copy = copies;

		turn_list_remove(s, &copies, copy);
		s->flows[copy].partner = 0;
		turn_flow_withdraw(s, idx, copy);
	}
fail:
	free(move);
	return ret;
}

// An entry toward the client gets the new path. Again for one that has it already: no harm.
static int turn_around(struct turn_server *s, uint32_t idx, uint32_t entry, uint16_t hop,
		       uint32_t *out_entry)
{
	const struct shm_flow *old = table_writer_flow(s->tables, entry);
	struct turn_path path = turn_path_of_record(turn_record(s, idx));
	struct shm_flow f = *old;
	int ret;

	memcpy(f.to_address, path.address, sizeof(f.to_address));
	f.to_port_be = path.port_be;
	f.from_port_be = path.local_port_be;
	f.from_local_idx = path.local_idx;
	f.flags = (old->flags & (uint8_t)~SHM_FLOW_F_STREAM) | path.flags;
	f.neighbour_idx = hop;
	table_writer_neighbour_ref(s->tables, f.neighbour_idx);
	table_writer_neighbour_ref(s->tables, f.peer_neighbour_idx);
	ret = turn_flow_replace(s, idx, entry, &f, table_writer_flow_own_expiry(s->tables, entry),
				out_entry);
	if (ret < 0) {
		table_writer_neighbour_unref(s->tables, f.neighbour_idx);
		table_writer_neighbour_unref(s->tables, f.peer_neighbour_idx);
	}
	return ret;
}

bool turn_bindings_turn_around(struct turn_server *s, uint32_t idx)
{
	const struct turn_allocation *a = &s->allocations[idx];
	uint16_t hop = table_writer_flow(s->tables, a->flow_idx)->neighbour_idx;
	uint32_t entry, next;

	for (entry = a->permissions; entry != 0; entry = s->flows[next].list_next) {
		if (turn_around(s, idx, entry, hop, &next) < 0)
			return false;
	}
	for (entry = a->channels; entry != 0; entry = s->flows[entry].list_next) {
		if (turn_around(s, idx, s->flows[entry].partner, hop, &next) < 0)
			return false;
	}
	return true;
}

bool turn_move_finish(struct turn_server *s, uint32_t idx)
{
	if (s->allocations[idx].move == NULL)
		return true;
	// Without room the old path serves on; the next packet asks again.
	if (!turn_bindings_turn_around(s, idx))
		return false;
	old_path_withdraw(s, idx);
	return true;
}

// Whether the client has sent on the new path.
static bool is_heard(const struct turn_server *s, uint32_t idx)
{
	const struct turn_allocation *a = &s->allocations[idx];
	struct shm_usage usage;

	table_writer_flow_usage(s->tables, a->flow_idx, &usage);
	for (uint32_t entry = a->channels; usage.pkts == 0 && entry != 0;
	     entry = s->flows[entry].list_next)
		table_writer_flow_usage(s->tables, entry, &usage);
	return usage.pkts != 0;
}

void turn_server_follow_moves(struct turn_server *s)
{
	struct turn_move *move, *next;

	for (move = s->moves; move != NULL; move = next) {
		uint32_t move_idx = move->allocation_idx;

		next = move->next;
		if (is_heard(s, move_idx) && turn_move_finish(s, move_idx))
			s->allocations[move_idx].has_old_ticket = false;
	}
}
