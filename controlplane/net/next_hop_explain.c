// Next hops told to people: what is known of a destination, and of an entry that a flow names.
// Control plane's loop thread; changes nothing.
#include <string.h>

#include "controlplane/net/neighbours.h"
#include "controlplane/net/next_hop_private.h"

const char *next_hop_state_name(enum next_hop_state s)
{
	static const char *const names[NEXT_HOP_STATE_COUNT] = { "none",   "unresolved", "resolved",
								 "static", "learned",    "local" };

	return s < NEXT_HOP_STATE_COUNT ? names[s] : "unknown";
}

static void describe_link(const struct next_hops *n, struct next_hop_info *out)
{
	const struct link_entry *link = links_find(&n->links, out->ifindex);

	if (link == NULL)
		return;
	memcpy(out->interface, link->name, sizeof(out->interface));
	out->port_idx = link->port_idx;
	out->vlan_id = link->vlan_id;
}

static void describe_word(struct next_hop_info *out, uint64_t word)
{
	if (word == 0)
		return;
	shm_neighbour_mac(word, out->mac);
	out->vlan_id = shm_neighbour_vlan(word);
	out->port_idx = shm_neighbour_port(word);
}

void next_hop_describe(const struct next_hops *n, uint16_t neighbour_idx, struct next_hop_info *out)
{
	const struct shm_neighbour *e;

	memset(out, 0, sizeof(*out));
	out->port_idx = -1;
	if (neighbour_idx == 0)
		return;
	e = table_writer_neighbour(n->tables, neighbour_idx);
	memcpy(out->next_hop.bytes, e->address, 16);
	out->ifindex = e->ifindex;
	describe_link(n, out);
	describe_word(out, e->word);
	if (next_hop_is_static_key(&out->next_hop))
		out->state = NEXT_HOP_STATIC;
	else if (e->word == 0)
		out->state = NEXT_HOP_UNRESOLVED;
	else
		out->state = e->ifindex == 0 ? NEXT_HOP_LEARNED : NEXT_HOP_RESOLVED;
}

void next_hop_explain(struct next_hops *n, const struct ip_address *destination,
		      struct next_hop_info *out)
{
	struct neighbour_event e;
	struct hop h;
	uint16_t idx;

	next_hop_lookup(n, destination, &h);
	memset(out, 0, sizeof(*out));
	out->state = h.state;
	out->next_hop = h.next_hop;
	out->ifindex = h.ifindex;
	out->port_idx = -1;
	describe_link(n, out);
	if (h.state == NEXT_HOP_STATIC) {
		out->port_idx = h.port_idx;
		out->vlan_id = h.vlan_id;
		memcpy(out->mac, n->config->ports[h.port_idx].gateway_mac, 6);
		return;
	}
	if (h.state != NEXT_HOP_UNRESOLVED)
		return;
	idx = table_writer_neighbour_find(n->tables, &h.next_hop, h.ifindex);
	if (idx != 0) {
		describe_word(out, table_writer_neighbour(n->tables, idx)->word);
		if (table_writer_neighbour(n->tables, idx)->word != 0)
			out->state = NEXT_HOP_RESOLVED;
	} else if (neighbour_get(n->netlink, &h.next_hop, h.ifindex, &e) == 0 &&
		   e.kind == NEIGHBOUR_RESOLVED) {
		memcpy(out->mac, e.mac, 6);
		out->state = NEXT_HOP_RESOLVED;
	}
}
