// From packets to flows: one bulk lookup for the whole burst, a second one for what needs a
// permission, or the reason why it is dropped. Decides where a packet goes and why not. Worker
// thread; writes the packets and the lists.
#include "dataplane/sfu/reception.h"
#include "dataplane/worker.h"

static_assert(DP_BURST <= SHM_FLOW_BULK_MAX, "a burst is one bulk lookup");

static bool permission_is_live(const struct dp_worker *w, const struct shm_flow *channel)
{
	const struct shm_flow *f;
	struct shm_flow_key key = {
		.local_port_be = channel->from_port_be,
		.local_idx = channel->from_local_idx,
		.kind = SHM_FLOW_PERMISSION,
	};

	memcpy(key.address, channel->to_address, sizeof(key.address));
	f = shm_flow_lookup(&w->shared->flows, &key);
	return f != NULL && dp_flow_is_live(w, f);
}

// ChannelData found no live channel; its allocation was looked up to tell why. Only a channel that
// has expired and still stands there costs a lookup of its own, and such ones are soon gone.
static void drop_channel_miss(struct dp_worker *w, struct dp_packet *p,
			      const struct shm_flow *allocation)
{
	const struct shm_flow *channel = p->flow;

	if (allocation == NULL || !dp_flow_is_live(w, allocation))
		dp_drop(w, p,
			allocation != NULL || channel != NULL ? DP_DROP_ALLOCATION_EXPIRED
							      : DP_DROP_NO_ALLOCATION);
	else if (channel == NULL)
		dp_drop(w, p, DP_DROP_NO_CHANNEL);
	else
		dp_drop(w, p,
			permission_is_live(w, channel) ? DP_DROP_CHANNEL_EXPIRED
						       : DP_DROP_PERMISSION_EXPIRED);
}

// False: the bytes per second of its allocation or user are used up, and the packet is dropped.
static bool within_limits(struct dp_worker *w, struct dp_packet *p, const struct shm_flow *f,
			  enum dp_limit_direction direction)
{
	// What another worker passed on was charged there.
	if (likely((f->flags & SHM_FLOW_F_LIMITED) == 0) ||
	    (w->sfu_rx != NULL && w->sfu_rx->is_passed))
		return true;
	switch (dp_limit_take(&w->shared->limiter, f->allocation_idx, direction, p->data_bytes,
			      dp_limit_is_urgent(p->frame + p->data_offset, p->data_bytes),
			      w->now_ns)) {
	case DP_LIMIT_PASS:
		return true;
	case DP_LIMIT_ALLOCATION_USED_UP:
		dp_drop(w, p, DP_DROP_LIMIT_ALLOCATION);
		return false;
	default:
		dp_drop(w, p, DP_DROP_LIMIT_USER);
		return false;
	}
}

// Upward and permitted: the policy's word on the final destination, then to the wire or to another
// allocation of ours.
static void forward_up(struct dp_worker *w, struct dp_packet *p, const struct shm_flow *ruling)
{
	switch (dp_policy_verdict(w, ruling, &p->destination.address)) {
	case PEER_ALLOWED:
		if (within_limits(w, p, ruling, DP_LIMIT_UP))
			dp_list_add(w, DP_STAGE_RELAY, p);
		return;
	case PEER_ALLOWED_HAIRPIN:
		if (within_limits(w, p, ruling, DP_LIMIT_UP))
			dp_list_add(w, DP_STAGE_HAIRPIN, p);
		return;
	default:
		dp_drop(w, p, DP_DROP_PEER_DENIED);
	}
}

// The relayed address that a flow sends from; false if the table names none of ours.
static bool set_source(const struct dp_worker *w, struct dp_packet *p, const struct shm_flow *f)
{
	// Once: what was checked is what is used.
	uint8_t local_idx = __atomic_load_n(&f->from_local_idx, __ATOMIC_RELAXED);

	if (local_idx >= w->settings.n_locals)
		return false;
	p->source.address = w->settings.local[local_idx].address;
	p->source.port_be = f->from_port_be;
	return true;
}

// True: no live channel, look the allocation up to name the reason.
static bool resolve_channel(struct dp_worker *w, struct dp_packet *p, const struct shm_flow *f)
{
	p->flow = f;
	if (f == NULL || !dp_flow_is_live(w, f)) {
		p->key.kind = SHM_FLOW_ALLOCATION;
		p->key.channel_be = 0;
		return true;
	}
	if (!set_source(w, p, f)) {
		dp_drop(w, p, DP_DROP_NO_ALLOCATION);
		return false;
	}
	memcpy(p->destination.address.bytes, f->to_address, 16);
	p->destination.port_be = f->to_port_be;
	p->neighbour_idx = f->neighbour_idx;
	forward_up(w, p, f);
	return false;
}

// RFC 8656 §7.2: an allocation may have two relayed addresses, one of each family; that of the peer's sends. False: it has none.
static bool set_source_for_peer(const struct dp_worker *w, struct dp_packet *p,
				const struct shm_flow *f)
{
	bool is_v4 = ip_address_is_v4(&p->peer.address);
	// Once each: what was checked is what is used.
	uint16_t port2_be = __atomic_load_n(&f->to_port_be, __ATOMIC_RELAXED);
	uint8_t local2_idx = __atomic_load_n(&f->to_address[15], __ATOMIC_RELAXED);

	p->key.local_idx = __atomic_load_n(&f->from_local_idx, __ATOMIC_RELAXED);
	p->key.local_port_be = f->from_port_be;
	if (port2_be != 0 && local2_idx < w->settings.n_locals &&
	    (w->settings.local[local2_idx].is_v4 != 0) == is_v4) {
		p->key.local_idx = local2_idx;
		p->key.local_port_be = port2_be;
	}
	if (p->key.local_idx >= w->settings.n_locals)
		return false;
	p->source.address = w->settings.local[p->key.local_idx].address;
	p->source.port_be = p->key.local_port_be;
	return true;
}

// RFC 8656 §11.2: a Send indication needs an allocation, then a permission. True: look the
// permission up.
static bool resolve_send(struct dp_worker *w, struct dp_packet *p, const struct shm_flow *f)
{
	if (f == NULL || !dp_flow_is_live(w, f)) {
		dp_drop(w, p, f == NULL ? DP_DROP_NO_ALLOCATION : DP_DROP_ALLOCATION_EXPIRED);
		return false;
	}
	if (!set_source_for_peer(w, p, f)) {
		dp_drop(w, p, DP_DROP_NO_ALLOCATION);
		return false;
	}
	if (ip_address_is_v4(&p->source.address) != ip_address_is_v4(&p->peer.address)) {
		dp_drop(w, p, DP_DROP_FAMILY_MISMATCH);
		return false;
	}
	p->flow = f;
	p->destination = p->peer;
	memcpy(p->key.address, p->peer.address.bytes, 16);
	p->key.port_be = 0;
	p->key.kind = SHM_FLOW_PERMISSION;
	return true;
}

static void resolve_send_permission(struct dp_worker *w, struct dp_packet *p,
				    const struct shm_flow *permission)
{
	if (permission == NULL || !dp_flow_is_live(w, permission)) {
		dp_drop(w, p,
			permission == NULL ? DP_DROP_NO_PERMISSION : DP_DROP_PERMISSION_EXPIRED);
		return;
	}
	p->neighbour_idx = permission->peer_neighbour_idx;
	// Usage stays with the allocation's entry: the permission's counts the other way.
	forward_up(w, p, permission);
}

// Downward to the client that the flow names.
static void forward_down(struct dp_worker *w, struct dp_packet *p, const struct shm_flow *f)
{
	if (!within_limits(w, p, f, DP_LIMIT_DOWN))
		return;
	if (f->flags & SHM_FLOW_F_STREAM) {
		p->flow = f;
		memcpy(p->destination.address.bytes, f->to_address, 16);
		p->channel_be = f->key.kind == SHM_FLOW_PEER ? f->channel_be : 0;
		dp_list_add(w, DP_STAGE_STREAM, p);
		return;
	}
	if (!set_source(w, p, f)) {
		dp_drop(w, p, DP_DROP_NO_ALLOCATION);
		return;
	}
	p->flow = f;
	memcpy(p->destination.address.bytes, f->to_address, 16);
	p->destination.port_be = f->to_port_be;
	p->neighbour_idx = f->neighbour_idx;
	p->channel_be = f->key.kind == SHM_FLOW_PEER ? f->channel_be : 0;
	dp_list_add(w, DP_STAGE_RELAY, p);
}

// True: no live channel, look the permission up (RFC 8656 §11.3).
static bool resolve_peer(struct dp_worker *w, struct dp_packet *p, const struct shm_flow *f)
{
	if (f != NULL && dp_flow_is_live(w, f)) {
		forward_down(w, p, f);
		return false;
	}
	p->key.port_be = 0;
	p->key.kind = SHM_FLOW_PERMISSION;
	return true;
}

static void resolve_peer_permission(struct dp_worker *w, struct dp_packet *p,
				    const struct shm_flow *f)
{
	if (f == NULL || !dp_flow_is_live(w, f)) {
		dp_drop(w, p, f == NULL ? DP_DROP_NO_PERMISSION : DP_DROP_PERMISSION_EXPIRED);
		return;
	}
	forward_down(w, p, f);
}

// What is kept per flow entry is fetched while the first packets are decided.
static void prefetch_flow_state(const struct dp_worker *w, const struct shm_flow *const *flow,
				uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t idx;

		if (flow[i] == NULL)
			continue;
		idx = dp_flow_idx(w, flow[i]);
		rte_prefetch0(&w->usage[idx]);
		rte_prefetch0(&w->verdict[idx]);
	}
}

void dp_lookup_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	const struct shm_flow_key *key[DP_BURST];
	const struct shm_flow *flow[DP_BURST];
	struct dp_packet *again[DP_BURST];
	uint32_t n_again = 0;

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		key[i] = &in[i]->key;
	shm_flow_lookup_bulk(&w->shared->flows, key, n, flow);
	prefetch_flow_state(w, flow, n);
	for (uint32_t i = 0; i < n; i++) {
		struct dp_packet *p = in[i];
		bool needs_another;

		if (p->kind == DP_KIND_UP_CHANNEL)
			needs_another = resolve_channel(w, p, flow[i]);
		else if (p->kind == DP_KIND_UP_SEND)
			needs_another = resolve_send(w, p, flow[i]);
		else
			needs_another = resolve_peer(w, p, flow[i]);
		if (needs_another)
			again[n_again++] = p;
	}
	if (n_again == 0)
		return;

	for (uint32_t i = 0; i < n_again; i++)
		key[i] = &again[i]->key;
	shm_flow_lookup_bulk(&w->shared->flows, key, n_again, flow);
	prefetch_flow_state(w, flow, n_again);
	for (uint32_t i = 0; i < n_again; i++) {
		if (again[i]->kind == DP_KIND_UP_CHANNEL)
			drop_channel_miss(w, again[i], flow[i]);
		else if (again[i]->kind == DP_KIND_UP_SEND)
			resolve_send_permission(w, again[i], flow[i]);
		else
			resolve_peer_permission(w, again[i], flow[i]);
	}
}
