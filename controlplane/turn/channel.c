// ChannelBind (RFC 8656 §12.2). Control plane's loop thread.
#include "controlplane/turn/state.h"

// 0, or the code of the error.
static uint16_t read_binding(const struct turn_call *c, uint16_t *channel, struct ip_endpoint *peer)
{
	struct stun_attr number, address;

	if (!stun_attr_find(&c->msg, TURN_ATTR_CHANNEL_NUMBER, &number) ||
	    number.length_bytes != 4 ||
	    !stun_attr_find(&c->msg, TURN_ATTR_XOR_PEER_ADDRESS, &address) ||
	    stun_xor_address_get(&c->msg, &address, peer) < 0 || peer->port_be == 0)
		return 400;
	*channel = bytes_get_be16(number.value);
	if (*channel < TURN_CHANNEL_MIN ||
	    *channel > (c->server->config->rfc5766_channels ? TURN_CHANNEL_RFC5766_MAX
							    : TURN_CHANNEL_MAX))
		return 400;
	return 0;
}

size_t turn_channel_bind(struct turn_call *c)
{
	struct turn_server *s = c->server;
	uint32_t idx = c->allocation_idx;
	uint64_t now_ns = c->in->now_ns;
	uint32_t entry, peer_entry, permission;
	bool permission_is_new;
	struct turn_peer_verdict v;
	struct ip_endpoint peer;
	struct stun_builder b;
	uint16_t channel;
	uint16_t code;

	// RFC 6062 §4: data goes over connections of its own.
	if (turn_record(s, idx)->relay_transport == SHM_TRANSPORT_TCP)
		return turn_answer_error(c, 403);
	code = read_binding(c, &channel, &peer);
	if (code != 0)
		return turn_answer_error(c, code);
	entry = turn_channel_find(s, idx, __builtin_bswap16(channel));
	if (entry != 0 && table_writer_flow_own_expiry(s->tables, entry) <= now_ns) {
		turn_channel_remove(s, idx, entry);
		entry = 0;
	}
	peer_entry = turn_channel_peer_find(s, idx, &peer);
	if (peer_entry != 0 && table_writer_flow_own_expiry(s->tables, peer_entry) <= now_ns) {
		turn_channel_remove(s, idx, s->flows[peer_entry].partner);
		peer_entry = 0;
	}
	// The number must not be bound to another peer, nor the peer to another number.
	if ((entry != 0) != (peer_entry != 0) ||
	    (entry != 0 && s->flows[entry].partner != peer_entry))
		return turn_answer_error(c, 400);
	v = turn_server_peer_verdict(s, turn_record(s, idx)->realm_idx,
				     turn_relay_toward(s, idx, &peer.address).local_idx,
				     &peer.address);
	if (v.code != 0)
		return turn_answer_error(c, v.code);

	permission = turn_permission_find(s, idx, &peer.address);
	permission_is_new = permission == 0;
	if ((permission_is_new && (!turn_limits_permissions(s, idx, 1, now_ns) ||
				   turn_permission_create(s, idx, &peer.address, v.is_hairpin,
							  now_ns, &permission) < 0)))
		return turn_answer_error(c, 508);
	if (entry == 0 && (!turn_limits_channel(s, idx) ||
			   turn_channel_create(s, idx, __builtin_bswap16(channel), &peer,
					       v.is_hairpin, permission, now_ns) < 0)) {
		if (permission_is_new)
			turn_permission_remove(s, idx, permission);
		return turn_answer_error(c, 508);
	}
	turn_permission_refresh(s, idx, permission,
				now_ns + TURN_PERMISSION_LIFETIME_S * TURN_NS_PER_S);
	// A new one has its lifetime already.
	if (entry != 0)
		turn_channel_refresh(s, idx, entry,
				     now_ns + TURN_CHANNEL_LIFETIME_S * TURN_NS_PER_S);
	turn_channels_follow(s, idx);
	turn_answer_begin(c, &b);
	return turn_answer_end(c, &b);
}
