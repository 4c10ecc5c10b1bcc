// CreatePermission (RFC 8656 §10.2): all peers of a request or none. Control plane's loop thread.
#include "controlplane/turn/state.h"

// More peers in one request than this are refused: a STUN message over UDP holds hardly more.
#define PEERS_MAX 64

struct wanted {
	struct ip_address peer;
	uint32_t entry;
	bool is_hairpin;
	bool is_new;
};

// Reads the peers, each address once. 0, or the code of the error.
static uint16_t read_peers(const struct turn_call *c, struct wanted *w, uint32_t *n_out)
{
	uint16_t offset = 0;
	struct stun_attr a;
	uint32_t n = 0;

	while (stun_attr_next(&c->msg, &offset, &a)) {
		struct ip_endpoint peer;
		uint32_t i;

		// What follows is not protected.
		if (a.type == STUN_ATTR_MESSAGE_INTEGRITY)
			break;
		if (a.type != TURN_ATTR_XOR_PEER_ADDRESS)
			continue;
		if (stun_xor_address_get(&c->msg, &a, &peer) < 0)
			return 400;
		for (i = 0; i < n && !ip_address_equal(&w[i].peer, &peer.address); i++)
			;
		if (i < n)
			continue;
		if (n == PEERS_MAX)
			return 508;
		w[n++] = (struct wanted){ .peer = peer.address };
	}
	*n_out = n;
	return n == 0 ? 400 : 0;
}

size_t turn_create_permission(struct turn_call *c)
{
	uint64_t expires_at_ns = c->in->now_ns + TURN_PERMISSION_LIFETIME_S * TURN_NS_PER_S;
	uint32_t idx = c->allocation_idx;
	struct turn_server *s = c->server;
	struct wanted w[PEERS_MAX];
	struct stun_builder b;
	uint32_t n = 0, n_new = 0;
	uint16_t code;

	code = read_peers(c, w, &n);
	if (code != 0)
		return turn_answer_error(c, code);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t relay_idx = turn_relay_toward(s, idx, &w[i].peer).local_idx;
		struct turn_peer_verdict v = turn_server_peer_verdict(
			s, turn_record(s, idx)->realm_idx, relay_idx, &w[i].peer);

		if (v.code != 0)
			return turn_answer_error(c, v.code);
		w[i].is_hairpin = v.is_hairpin;
		w[i].entry = turn_permission_find(s, idx, &w[i].peer);
		w[i].is_new = w[i].entry == 0;
		n_new += w[i].is_new;
	}
	if (!turn_limits_permissions(s, idx, n_new, c->in->now_ns))
		return turn_answer_error(c, 508);
	for (uint32_t i = 0; i < n; i++) {
		if (!w[i].is_new || turn_permission_create(s, idx, &w[i].peer, w[i].is_hairpin,
							   c->in->now_ns, &w[i].entry) == 0)
			continue;
		while (i-- > 0) {
			if (w[i].is_new)
				turn_permission_remove(s, idx, w[i].entry);
		}
		return turn_answer_error(c, 508);
	}
	for (uint32_t i = 0; i < n; i++)
		turn_permission_refresh(s, idx, w[i].entry, expires_at_ns);
	turn_channels_follow(s, idx);
	turn_answer_begin(c, &b);
	return turn_answer_end(c, &b);
}
