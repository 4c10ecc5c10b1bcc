// 300 (Try Alternate): where new clients go while this host drains, or whenever they are another
// host's by weight (RFC 8489 §10, §14.15, §14.16). Control plane's loop thread.
#include "controlplane/turn/redirect.h"

#include <string.h>

#include "controlplane/turn/state.h"
#include "dataplane/contract/wire/challenge.h"

// The draw of one server among those that a user may go to. Every host of a fleet that knows the same
// servers draws the same, so that nobody is sent round in circles.
static uint64_t draw(const char *user, size_t user_bytes, const struct ip_address *server,
		     uint32_t weight)
{
	static const uint8_t key[16] = "turnpike balance";
	uint8_t lot[16 + 16 + 4], hash[16];
	uint64_t best = 0, v;

	siphash128(key, user, user_bytes, lot);
	memcpy(lot + 16, server->bytes, 16);
	for (uint32_t i = 0; i < weight; i++) {
		bytes_put_be32(lot + 32, i);
		siphash128(key, lot, sizeof(lot), hash);
		memcpy(&v, hash, sizeof(v));
		best = max_u64(best, v);
	}
	return best;
}

// Our own address, as the other hosts list it: the first listener of that family.
static const struct ip_address *own_address(const struct config *c, bool is_v4)
{
	for (uint32_t i = 0; i < c->n_listeners; i++) {
		if (ip_address_is_v4(&c->listeners[i].endpoint.address) == is_v4)
			return &c->listeners[i].endpoint.address;
	}
	return NULL;
}

enum turn_redirection turn_redirect(const struct turn_call *c, const struct config_alternate **out)
{
	const struct config *config = c->server->config;
	bool is_v4 = ip_address_is_v4(&c->in->client.address);
	bool is_draining = c->server->is_draining;
	const struct config_alternate *best = NULL;
	const struct ip_address *own;
	uint64_t best_draw = 0;
	const char *user = c->identity.username;
	size_t user_bytes = c->identity.username_bytes;

	if (!is_draining && !config->alternates_balance)
		return TURN_REDIRECT_STAYS;
	for (uint32_t i = 0; i < config->n_alternates; i++) {
		const struct config_alternate *a = &config->alternates[i];
		uint64_t v;

		// RFC 8489 §14.15: only to an address of the client's family.
		if (ip_address_is_v4(&a->address) != is_v4)
			continue;
		v = draw(user, user_bytes, &a->address, a->weight);
		if (best == NULL || v > best_draw) {
			best = a;
			best_draw = v;
		}
	}
	*out = best;
	if (is_draining)
		return best != NULL ? TURN_REDIRECT_GOES : TURN_REDIRECT_NOWHERE;
	own = own_address(config, is_v4);
	if (best == NULL || (own != NULL && draw(user, user_bytes, own,
						 config->alternates_own_weight) >= best_draw))
		return TURN_REDIRECT_STAYS;
	return TURN_REDIRECT_GOES;
}

void turn_server_drain(struct turn_server *s, bool is_draining)
{
	s->is_draining = is_draining;
}

bool turn_server_is_draining(const struct turn_server *s)
{
	return s->is_draining;
}
