// The second half of an explanation: what the flow table does with a peer's packets and with those
// to it. Looks up the very entries that a worker looks up. Control plane's loop thread.
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/ops/explain.h"
#include "dataplane/contract/wire/turn.h"

static const struct shm_flow *lookup(const struct explain *x, const struct shm_flow_key *key)
{
	return shm_flow_lookup(&x->engine->tables.flows.view, key);
}

static const struct shm_flow *lookup_channel(const struct explain *x, uint16_t channel)
{
	struct shm_flow_key key = x->allocation.up_key;

	key.kind = SHM_FLOW_CHANNEL;
	key.channel_be = htons(channel);
	return lookup(x, &key);
}

// The relayed address that the peer's packets come to: of its family where there are two.
static struct ip_endpoint relayed_toward(const struct explain *x, const struct ip_address *peer)
{
	const struct turn_allocation_info *a = &x->allocation;

	return a->relayed2.port_be != 0 &&
			       ip_address_is_v4(&a->relayed2.address) == ip_address_is_v4(peer)
		       ? a->relayed2
		       : a->relayed;
}

// kind PERMISSION (port 0) or PEER (with port).
static const struct shm_flow *lookup_peer(const struct explain *x, const struct ip_endpoint *peer,
					  uint8_t kind)
{
	struct ip_endpoint relayed = relayed_toward(x, &peer->address);
	struct shm_flow_key key = {
		.port_be = kind == SHM_FLOW_PEER ? peer->port_be : 0,
		.local_port_be = relayed.port_be,
		.local_idx = (uint8_t)table_writer_local_find(&x->engine->tables, &relayed.address),
		.kind = kind,
	};

	memcpy(key.address, peer->address.bytes, 16);
	return lookup(x, &key);
}

static uint64_t flow_expiry(const struct shm_flow *f)
{
	return __atomic_load_n(&f->expires_at_ns, __ATOMIC_RELAXED);
}

static double seconds_since(const struct explain *x, uint64_t then_ns)
{
	return (double)(int64_t)(x->now_ns - then_ns) / 1e9;
}

// ---- is the peer one that this allocation may talk to

static bool check_family(struct explain *x)
{
	struct ip_endpoint relayed = relayed_toward(x, &x->peer.address);

	if (ip_address_is_v4(&x->peer.address) == ip_address_is_v4(&relayed.address)) {
		x->relay_idx =
			(uint8_t)table_writer_local_find(&x->engine->tables, &relayed.address);
		return true;
	}
	explain_drop(
		x, EXPLAIN_BOTH, "family", "family_mismatch", "family_mismatch",
		"the client has to allocate with REQUESTED-ADDRESS-FAMILY of the peer's family",
		"the peer is %s, the relayed address %s",
		ip_address_is_v4(&x->peer.address) ? "IPv4" : "IPv6",
		ip_address_is_v4(&x->allocation.relayed.address) ? "IPv4" : "IPv6");
	return false;
}

static bool check_policy(struct explain *x)
{
	const struct shm_settings *s = &x->engine->tables.settings;
	struct turn_peer_verdict v = turn_server_peer_verdict(
		x->engine->turn, x->allocation.realm_idx, x->relay_idx, &x->peer.address);
	// Without a permission a worker never gets as far as the policy.
	const char *counter = lookup_peer(x, &x->peer, SHM_FLOW_PERMISSION) ? "peer_denied"
			      : x->channel                                  ? "no_channel"
									    : "no_permission";
	char peer[IP_ENDPOINT_TEXT_MAX], rule[IP_ENDPOINT_TEXT_MAX];

	ip_address_format(&x->peer.address, peer, sizeof(peer));
	x->is_hairpin = v.is_hairpin;
	if (v.rule_idx >= 0 && (uint32_t)v.rule_idx < s->n_peer_rules) {
		const struct shm_peer_rule *r = &s->peer_rule[v.rule_idx];
		struct ip_address prefix = ip_address_from_v6(r->address);
		int bits = r->length_bits - (ip_address_is_v4(&prefix) ? 96 : 0);

		ip_address_format(&prefix, rule, sizeof(rule));
		if (v.code == 0)
			explain_pass(x, EXPLAIN_BOTH, "policy",
				     "%s is allowed by peers.allow %s/%d", peer, rule, bits);
		else
			explain_drop(x, EXPLAIN_BOTH, "policy", "peer_denied", counter,
				     "remove or narrow that rule in the configuration, then: "
				     "turnpikectl reload",
				     "%s is denied by the rule peers.deny %s/%d", peer, rule, bits);
		return v.code == 0;
	}
	if (v.code == 0) {
		explain_pass(x, EXPLAIN_BOTH, "policy", "%s is %s", peer,
			     v.is_hairpin ? "a relayed address of our own"
					  : "globally reachable, and no rule denies it");
		return true;
	}
	explain_drop(
		x, EXPLAIN_BOTH, "policy", "peer_denied", counter,
		"if peers live there, open the range under peers.allow, then: turnpikectl reload",
		table_writer_local_find(&x->engine->tables, &x->peer.address) >= 0
			? "%s is one of our own addresses"
			: "%s is denied by default: its class is '%s', and no rule opens it",
		peer, ip_class_name(ip_address_classify(&x->peer.address)));
	return false;
}

// ---- permission and channel

// ChannelData passes on its channel's entry, which holds the permission's expiry too; all else
// needs the permission's entry.
static const struct shm_flow *check_permission(struct explain *x)
{
	unsigned directions = x->channel ? EXPLAIN_DOWN : EXPLAIN_BOTH;
	const struct shm_flow *f = lookup_peer(x, &x->peer, SHM_FLOW_PERMISSION);
	char peer[IP_ENDPOINT_TEXT_MAX];
	uint64_t expires;

	ip_address_format(&x->peer.address, peer, sizeof(peer));
	if (!f) {
		explain_drop(
			x, directions, "permission", "no_permission", "no_permission",
			"the client has to send CreatePermission or ChannelBind for that "
			"address, and again within 300 s (RFC 8656, section 9)",
			"the allocation has no permission for %s: the client never asked for one, "
			"or did not renew it",
			peer);
		return NULL;
	}
	expires = flow_expiry(f);
	if (expires <= x->now_ns) {
		explain_drop(x, directions, "permission", "permission_expired",
			     "permission_expired",
			     "the client has to send CreatePermission or ChannelBind within every "
			     "300 s (RFC 8656, section 9)",
			     "the permission for %s expired %.1f s ago", peer,
			     seconds_since(x, expires));
		return NULL;
	}
	explain_pass(x, directions, "permission", "for %s, expires in %.0f s", peer,
		     -seconds_since(x, expires));
	return f;
}

static bool find_channel_of_peer(void *arg, const struct turn_channel_info *c)
{
	struct explain *x = arg;

	if (ip_endpoint_equal(&c->peer, &x->peer))
		x->bound_channel = c->channel;
	return x->bound_channel == 0;
}

// The named channel; its peer becomes the peer asked about when none was named.
static void check_channel(struct explain *x)
{
	const struct shm_flow *f = lookup_channel(x, x->channel);
	const struct shm_flow *p = lookup_peer(x, &x->peer, SHM_FLOW_PERMISSION);
	bool has_permission = x->has_peer && p && flow_expiry(p) > x->now_ns;
	struct ip_endpoint bound;
	char bound_text[IP_ENDPOINT_TEXT_MAX], peer[IP_ENDPOINT_TEXT_MAX];
	uint64_t expires, own;

	if (!f) {
		if (x->bound_channel)
			explain_drop(x, EXPLAIN_UP, "channel", "no_channel", "no_channel",
				     "the client has to use the number that it bound",
				     "channel 0x%04x is not bound; that peer's channel is 0x%04x",
				     x->channel, x->bound_channel);
		else
			explain_drop(
				x, EXPLAIN_UP, "channel", "no_channel", "no_channel",
				"the client has to send ChannelBind, and again within 600 s; "
				"numbers are 0x4000 to 0x4fff (to 0x7fff with rfc5766_channels)",
				"channel 0x%04x is not bound on this allocation%s", x->channel,
				has_permission ? "; Send indications to that peer get through"
					       : "");
		return;
	}
	bound = (struct ip_endpoint){ ip_address_from_v6(f->to_address), f->to_port_be };
	ip_endpoint_format(&bound, bound_text, sizeof(bound_text));
	expires = flow_expiry(f);
	own = x->engine->tables.flows.own_expiry_ns[f - x->engine->tables.flows.entries];
	if (x->peer.port_be && !ip_endpoint_equal(&bound, &x->peer)) {
		explain_drop(
			x, EXPLAIN_UP, "channel", "wrong_channel", NULL,
			"the client has to use another number for each peer",
			"channel 0x%04x is bound to %s: what is sent on it goes there, not to %s",
			x->channel, bound_text, ip_endpoint_format(&x->peer, peer, sizeof(peer)));
		return;
	}
	if (expires <= x->now_ns && own <= x->now_ns)
		explain_drop(x, EXPLAIN_UP, "channel", "channel_expired", "channel_expired",
			     "the client has to repeat ChannelBind within every 600 s (RFC 8656, "
			     "section 12)",
			     "the binding of channel 0x%04x to %s expired %.1f s ago", x->channel,
			     bound_text, seconds_since(x, own));
	else if (expires <= x->now_ns)
		explain_drop(x, EXPLAIN_UP, "channel", "permission_expired", "permission_expired",
			     "the client has to send CreatePermission or ChannelBind within every "
			     "300 s",
			     "channel 0x%04x to %s is bound, but its permission expired %.1f s ago",
			     x->channel, bound_text, seconds_since(x, expires));
	else
		explain_pass(x, EXPLAIN_UP, "channel", "0x%04x is bound to %s, expires in %.0f s",
			     x->channel, bound_text, -seconds_since(x, own));
}

// ---- next hops

static void check_next_hop(struct explain *x, unsigned direction, uint16_t neighbour_idx,
			   const struct ip_address *destination, const char *who)
{
	struct next_hop_info hop = { .state = NEXT_HOP_NONE };
	char target[IP_ENDPOINT_TEXT_MAX], via[IP_ENDPOINT_TEXT_MAX];
	uint64_t word = 0;

	if (neighbour_idx)
		word = __atomic_load_n(
			&table_writer_neighbour(&x->engine->tables, neighbour_idx)->word,
			__ATOMIC_RELAXED);
	ip_address_format(destination, target, sizeof(target));
	if (word) {
		uint8_t mac[6];

		shm_neighbour_mac(word, mac);
		explain_pass(x, direction, "next_hop",
			     "toward the %s through %02x:%02x:%02x:%02x:%02x:%02x on port %u", who,
			     mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
			     shm_neighbour_port(word));
		return;
	}
	if (x->engine->hops)
		next_hop_explain(x->engine->hops, destination, &hop);
	ip_address_format(&hop.next_hop, via, sizeof(via));
	if (hop.state == NEXT_HOP_NONE && hop.interface[0])
		explain_drop(x, direction, "next_hop", "no_next_hop", "no_next_hop",
			     "add a route through an interface that stands under 'ports'",
			     "the route to %s leaves through %s, which is no port of ours", target,
			     hop.interface);
	else if (hop.state == NEXT_HOP_NONE)
		explain_drop(x, direction, "next_hop", "no_next_hop", "no_next_hop",
			     "add a route (ip route add) or gateway_mac of the port",
			     "the kernel has no route to the %s %s", who, target);
	else
		explain_drop(x, direction, "next_hop", "no_next_hop", "no_next_hop",
			     "check that it is up and answers ARP or ND: ip neigh show",
			     "the next hop %s of the %s on %s has not told its MAC address", via,
			     who, hop.interface);
}

// How much of the peer's data fits the way to the client in one piece, with TURN's framing in front (RFC 8656 §13, §14).
static void note_size(struct explain *x, uint16_t neighbour_idx, bool has_channel)
{
	const struct shm_settings *s = &x->engine->tables.settings;
	uint64_t word =
		neighbour_idx
			? __atomic_load_n(
				  &table_writer_neighbour(&x->engine->tables, neighbour_idx)->word,
				  __ATOMIC_RELAXED)
			: 0;
	int headers = ip_address_is_v4(&x->allocation.client.address) ? 28 : 48;
	int framing = ip_address_is_v4(&x->peer.address) ? TURN_DATA_PREFIX_V4_BYTES
							 : TURN_DATA_PREFIX_V6_BYTES;

	if (!word || shm_neighbour_port(word) >= s->n_ports)
		return;
	if (has_channel)
		framing = TURN_CHANNEL_HEADER_BYTES;
	explain_pass(
		x, EXPLAIN_DOWN, "size",
		"up to %d bytes of data in one piece; larger ones are cut up, or, where they must "
		"not be, dropped as too_big and the peer is told by ICMP",
		s->port[shm_neighbour_port(word)].mtu_bytes - headers - framing);
}

// Between two allocations of our own: the other side has to let us in as well.
static void check_other_side(struct explain *x)
{
	struct turn_allocation_info other;
	struct shm_flow_key key = { .kind = SHM_FLOW_PERMISSION };
	const struct shm_flow *f;
	char text[IP_ENDPOINT_TEXT_MAX];
	uint32_t idx;
	int local_idx = table_writer_local_find(&x->engine->tables, &x->peer.address);

	ip_endpoint_format(&x->peer, text, sizeof(text));
	if (!x->peer.port_be)
		return;
	if (local_idx < 0 || turn_allocation_find_relayed(x->engine->turn, &x->peer, &idx) < 0 ||
	    turn_allocation_info(x->engine->turn, idx, &other) < 0) {
		explain_drop(x, EXPLAIN_BOTH, "hairpin", "no_relay", "no_permission",
			     "the client holds an old candidate of that peer",
			     "no allocation holds the relayed port %s", text);
		return;
	}
	memcpy(key.address, relayed_toward(x, &x->peer.address).address.bytes, 16);
	key.local_port_be = x->peer.port_be;
	key.local_idx = (uint8_t)local_idx;
	f = lookup(x, &key);
	if (!f || flow_expiry(f) <= x->now_ns)
		explain_drop(
			x, EXPLAIN_UP, "hairpin", f ? "permission_expired" : "no_permission",
			f ? "permission_expired" : "no_permission",
			"the other client has to send CreatePermission for our relayed address",
			"the allocation %s behind %s has no live permission for our relayed "
			"address",
			other.id, text);
	else
		explain_pass(x, EXPLAIN_UP, "hairpin",
			     "%s is the allocation %s of our own, which lets us in", text,
			     other.id);
}

void explain_peer(struct explain *x)
{
	const struct shm_flow *permission, *channel, *down;
	uint16_t neighbour_idx;

	if (x->channel && !x->has_peer) {
		channel = lookup_channel(x, x->channel);
		if (!channel) {
			check_channel(x);
			return;
		}
		x->peer = (struct ip_endpoint){ ip_address_from_v6(channel->to_address),
						channel->to_port_be };
		x->has_peer = true;
	}
	if (!x->has_peer)
		return;
	if (!check_family(x))
		return;
	if (!check_policy(x) && !lookup_peer(x, &x->peer, SHM_FLOW_PERMISSION))
		return; // no permission can come about
	turn_allocation_channels(x->engine->turn, x->allocation.idx, find_channel_of_peer, x);
	channel = lookup_channel(x, x->channel ? x->channel : x->bound_channel);
	if (x->channel)
		check_channel(x);
	permission = check_permission(x);
	if (!x->channel && permission)
		explain_pass(x, EXPLAIN_UP, "form",
			     x->bound_channel ? "as ChannelData 0x%04x or in a Send indication"
					      : "in a Send indication, no channel is bound",
			     x->bound_channel);
	if (!permission)
		return;
	down = x->peer.port_be ? lookup_peer(x, &x->peer, SHM_FLOW_PEER) : NULL;
	if (down && flow_expiry(down) > x->now_ns)
		explain_pass(x, EXPLAIN_DOWN, "form", "as ChannelData 0x%04x",
			     ntohs(down->channel_be));
	else
		explain_pass(x, EXPLAIN_DOWN, "form", "in a Data indication");
	if (x->is_hairpin)
		check_other_side(x);
	else
		check_next_hop(x, EXPLAIN_UP,
			       channel && x->channel ? channel->neighbour_idx
						     : permission->peer_neighbour_idx,
			       &x->peer.address, "peer");
	if (x->allocation.client_transport != SHM_TRANSPORT_UDP) {
		explain_pass(x, EXPLAIN_DOWN, "next_hop",
			     "the client is on a connection of the control plane");
		return;
	}
	if (down && flow_expiry(down) <= x->now_ns)
		down = NULL;
	neighbour_idx = down ? down->neighbour_idx : permission->neighbour_idx;
	check_next_hop(x, EXPLAIN_DOWN, neighbour_idx, &x->allocation.client.address, "client");
	if (!x->is_hairpin)
		note_size(x, neighbour_idx, down != NULL);
}
