// Allocate (RFC 8656 §7.2), checks in the order of the RFC. Control plane's loop thread.
#include "controlplane/turn/state.h"

static size_t answer_success(struct turn_call *c, uint32_t idx)
{
	const struct shm_allocation *r = turn_record(c->server, idx);
	struct ip_endpoint relayed = {
		.address = turn_local_address(c->server, r->relay_idx),
		.port_be = r->relay_port_be,
	};
	const struct turn_reservation *reserved =
		turn_reservation_of(&c->server->reservations, idx, r->serial);
	struct stun_builder b;

	turn_answer_begin(c, &b);
	stun_build_xor_address(&b, TURN_ATTR_XOR_RELAYED_ADDRESS, &relayed);
	stun_build_u32(&b, TURN_ATTR_LIFETIME, r->lifetime_s);
	if (reserved != NULL)
		stun_build_attr(&b, TURN_ATTR_RESERVATION_TOKEN, reserved->token,
				sizeof(reserved->token));
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

// What the request wants of its relayed port.
enum port_wish {
	PORT_ANY = 0,
	PORT_EVEN,
	PORT_EVEN_AND_NEXT, // EVEN-PORT with the R bit: the next one is reserved
	PORT_RESERVED,      // by a RESERVATION-TOKEN
};

// A free port on some relay address of that family: on the one with the most room.
static bool port_take(struct turn_server *s, uint8_t family, enum port_wish wish,
		      uint8_t *relay_idx, uint16_t *port)
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
	*port = wish == PORT_ANY ? turn_ports_take(s->ports[best])
				 : turn_ports_take_even(s->ports[best], wish == PORT_EVEN_AND_NEXT);
	return *port != 0;
}

// What an Allocate asks for, once its attributes are checked.
struct wanted {
	uint8_t family;
	uint32_t lifetime_s;
	enum port_wish port;
	struct turn_reservation *reservation; // PORT_RESERVED
};

static size_t allocate_checked(struct turn_call *c, const struct wanted *want)
{
	struct turn_allocate_params params = { .lifetime_s = want->lifetime_s };
	struct turn_server *s = c->server;
	struct turn_reservation reservation;
	struct turn_ports *ports;
	uint32_t idx;

	if (want->port == PORT_RESERVED) {
		params.relay_idx = want->reservation->relay_idx;
		params.relay_port = want->reservation->port;
	} else if (!port_take(s, want->family, want->port, &params.relay_idx, &params.relay_port)) {
		return turn_answer_error(c, 508);
	}
	ports = s->ports[params.relay_idx];
	if (turn_allocation_create(c, &params, &idx) < 0) {
		// A reserved port stays reserved: the client may try again.
		if (want->port != PORT_RESERVED)
			turn_ports_release(ports, params.relay_port);
		if (want->port == PORT_EVEN_AND_NEXT)
			turn_ports_release(ports, (uint16_t)(params.relay_port + 1));
		return turn_answer_error(c, 508);
	}
	if (want->port == PORT_RESERVED)
		want->reservation->is_used = true;
	reservation = (struct turn_reservation){
		.token = { (uint8_t)(s->node_id >> 8), (uint8_t)s->node_id },
		.user_hash = s->allocations[idx].user->hash,
		.allocation_idx = idx,
		.allocation_serial = turn_record(s, idx)->serial,
		.relay_idx = params.relay_idx,
		.port = (uint16_t)(params.relay_port + 1),
	};
	if (want->port == PORT_EVEN_AND_NEXT &&
	    turn_reservation_add(&s->reservations, &reservation, c->in->now_ns) < 0) {
		turn_ports_release(ports, (uint16_t)(params.relay_port + 1));
		turn_allocation_end(s, idx, TURN_END_DELETED, c->in->now_ns);
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

// EVEN-PORT and RESERVATION-TOKEN. 0, or the code of the error.
static uint16_t port_wish_get(const struct turn_call *c, struct wanted *want)
{
	struct stun_attr even, token, a;
	bool has_even = stun_attr_find(&c->msg, TURN_ATTR_EVEN_PORT, &even);

	if (has_even && even.length_bytes != 1)
		return 400;
	if (stun_attr_find(&c->msg, TURN_ATTR_RESERVATION_TOKEN, &token)) {
		if (token.length_bytes != TURN_RESERVATION_TOKEN_BYTES || has_even ||
		    stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, &a) ||
		    stun_attr_find(&c->msg, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY, &a))
			return 400;
		want->reservation =
			turn_reservation_find(&c->server->reservations, token.value, c->in->now_ns);
		want->port = PORT_RESERVED;
		return want->reservation == NULL ? 508 : 0;
	}
	if (has_even)
		want->port = even.value[0] & 0x80 ? PORT_EVEN_AND_NEXT : PORT_EVEN;
	return 0;
}

// ADDITIONAL-ADDRESS-FAMILY must make sense, even though a second address is not given: it may be
// ignored. 0 or 400.
static uint16_t additional_family_check(const struct turn_call *c, const struct wanted *want)
{
	struct stun_attr additional, a;

	if (!stun_attr_find(&c->msg, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY, &additional))
		return 0;
	if (additional.length_bytes != 4 || additional.value[0] == STUN_FAMILY_IPV4 ||
	    stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, &a) ||
	    want->port == PORT_EVEN_AND_NEXT)
		return 400;
	return 0;
}

size_t turn_allocate(struct turn_call *c)
{
	static const uint16_t dont_fragment = TURN_ATTR_DONT_FRAGMENT;
	struct wanted want = { .port = PORT_ANY };
	struct stun_attr a;
	uint16_t code;

	if (c->allocation_idx != 0)
		return answer_in_use(c);

	if (!stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_TRANSPORT, &a) || a.length_bytes != 4)
		return turn_answer_error(c, 400);
	if (a.value[0] != TURN_TRANSPORT_UDP)
		return turn_answer_error(c, 442);
	if (stun_attr_find(&c->msg, TURN_ATTR_DONT_FRAGMENT, &a))
		return turn_answer_unknown(c, &dont_fragment, 1);

	code = port_wish_get(c, &want);
	if (code == 0)
		code = additional_family_check(c, &want);
	if (code != 0)
		return turn_answer_error(c, code);
	if (turn_family_get(c, &want.family) < 0)
		return turn_answer_error(c, 400);
	if (want.family == 0)
		want.family = STUN_FAMILY_IPV4;
	if (want.port != PORT_RESERVED && !family_is_configured(c->server, want.family))
		return turn_answer_error(c, 440);
	if (turn_lifetime_get(c, &want.lifetime_s) < 0)
		return turn_answer_error(c, 400);
	// A lifetime of 0 makes no sense here; the bounds apply to it like to any other value.
	if (want.lifetime_s == 0)
		want.lifetime_s = TURN_LIFETIME_MIN_S;
	if (quota_is_reached(c))
		return turn_answer_error(c, 486);
	return allocate_checked(c, &want);
}
