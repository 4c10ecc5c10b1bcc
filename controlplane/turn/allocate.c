// Allocate (RFC 8656 §7.2), checks in the order of the RFC. Control plane's loop thread.
#include "controlplane/turn/state.h"

static size_t answer_success(struct turn_call *c, uint32_t idx)
{
	const struct shm_allocation *r = turn_record(c->server, idx);
	struct ip_endpoint relayed = {
		.address = turn_local_address(c->server, r->relay_idx),
		.port_be = r->relay_port_be,
	};
	struct stun_builder b;

	turn_answer_begin(c, &b);
	stun_build_xor_address(&b, TURN_ATTR_XOR_RELAYED_ADDRESS, &relayed);
	stun_build_u32(&b, TURN_ATTR_LIFETIME, r->lifetime_s);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &c->in->client);
	return turn_answer_end(c, &b);
}

// The answer was lost and the client asks again: the same answer, or 437 if it is another request.
static size_t answer_in_use(struct turn_call *c)
{
	const struct shm_allocation *r = turn_record(c->server, c->allocation_idx);

	if (memcmp(r->transaction_id, c->msg.transaction_id, sizeof(r->transaction_id)) == 0 &&
	    r->username_bytes == c->identity.username_bytes &&
	    memcmp(r->username, c->identity.username, r->username_bytes) == 0 &&
	    c->in->now_ns <= r->created_at_ns + TURN_ALLOCATE_RETRANSMIT_S * TURN_NS_PER_S)
		return answer_success(c, c->allocation_idx);
	return turn_answer_error(c, 437);
}

static bool family_is_configured(const struct turn_server *s, uint8_t family)
{
	for (uint32_t i = 0; i < s->tables->settings.n_locals; i++) {
		struct ip_address a = turn_local_address(s, (uint8_t)i);

		if (s->ports[i] != NULL && turn_family_of(&a) == family)
			return true;
	}
	return false;
}

// A free port on some relay address of that family: on the one with the most room.
static bool port_take(struct turn_server *s, uint8_t family, uint8_t *relay_idx, uint16_t *port)
{
	uint32_t n = s->tables->settings.n_locals;
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < n; i++) {
		struct ip_address a = turn_local_address(s, (uint8_t)i);

		if (s->ports[i] == NULL || turn_family_of(&a) != family)
			continue;
		if (best == UINT32_MAX || s->ports[i]->n_free > s->ports[best]->n_free)
			best = i;
	}
	if (best == UINT32_MAX)
		return false;
	*relay_idx = (uint8_t)best;
	*port = turn_ports_take(s->ports[best]);
	return *port != 0;
}

static size_t allocate_checked(struct turn_call *c, uint8_t family, uint32_t lifetime_s)
{
	struct turn_allocate_params params = { .lifetime_s = lifetime_s };
	struct turn_server *s = c->server;
	uint32_t idx;

	if (!port_take(s, family, &params.relay_idx, &params.relay_port))
		return turn_answer_error(c, 508);
	if (turn_allocation_create(c, &params, &idx) < 0) {
		turn_ports_release(s->ports[params.relay_idx], params.relay_port);
		return turn_answer_error(c, 508);
	}
	s->counter[TURN_COUNTER_ALLOCATED]++;
	return answer_success(c, idx);
}

static bool quota_is_reached(struct turn_call *c)
{
	const struct config *config = c->server->config;
	const struct turn_user *user;
	const char *name;
	size_t name_bytes;

	if (config->quota_total != 0 && c->server->n_allocations >= config->quota_total)
		return true;
	if (config->quota_per_user == 0)
		return false;
	turn_auth_quota_name(c->server->auth, c->identity.username, c->identity.username_bytes,
			     &name, &name_bytes);
	user = turn_quota_user(&c->server->quota, name, name_bytes, 0);
	return user != NULL && user->n_allocations >= config->quota_per_user;
}

size_t turn_allocate(struct turn_call *c)
{
	static const uint16_t unsupported[] = { TURN_ATTR_DONT_FRAGMENT, TURN_ATTR_EVEN_PORT,
						TURN_ATTR_RESERVATION_TOKEN };
	uint16_t found[sizeof(unsupported) / sizeof(unsupported[0])];
	uint32_t n_found = 0;
	uint32_t lifetime_s;
	struct stun_attr a;
	uint8_t family;

	if (c->allocation_idx != 0)
		return answer_in_use(c);

	if (!stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_TRANSPORT, &a) || a.length_bytes != 4)
		return turn_answer_error(c, 400);
	if (a.value[0] != TURN_TRANSPORT_UDP)
		return turn_answer_error(c, 442);

	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
		if (stun_attr_find(&c->msg, unsupported[i], &a))
			found[n_found++] = unsupported[i];
	}
	if (n_found > 0)
		return turn_answer_unknown(c, found, n_found);

	if (turn_family_get(c, &family) < 0)
		return turn_answer_error(c, 400);
	if (family == 0)
		family = STUN_FAMILY_IPV4;
	if (!family_is_configured(c->server, family))
		return turn_answer_error(c, 440);
	if (turn_lifetime_get(c, &lifetime_s) < 0)
		return turn_answer_error(c, 400);
	// A lifetime of 0 makes no sense here; the bounds apply to it like to any other value.
	if (lifetime_s == 0)
		lifetime_s = TURN_LIFETIME_MIN_S;
	if (quota_is_reached(c))
		return turn_answer_error(c, 486);
	return allocate_checked(c, family, lifetime_s);
}
