// Allocate (RFC 8656 §7.2), checks in the order of the RFC. Control plane's loop thread.
#include "controlplane/turn/redirect.h"
#include "controlplane/turn/state.h"

// RFC 8656 §18.12: why there is no relayed address of that family.
static void add_address_error(struct stun_builder *b, uint8_t family, uint16_t code)
{
	const uint8_t value[4] = { family, 0, (uint8_t)(code / 100), (uint8_t)(code % 100) };

	stun_build_attr(b, TURN_ATTR_ADDRESS_ERROR_CODE, value, sizeof(value));
}

static size_t answer_success(struct turn_call *c, uint32_t idx)
{
	const struct shm_allocation *r = turn_record(c->server, idx);
	struct ip_endpoint relayed = {
		.address = turn_local_address(c->server, r->relay_idx),
		.port_be = r->relay_port_be,
	};
	struct ip_endpoint second = {
		.address = turn_local_address(c->server, r->relay2_idx),
		.port_be = r->relay2_port_be,
	};
	const struct turn_allocation *a = &c->server->allocations[idx];
	const struct turn_reservation *reserved =
		turn_reservation_of(&c->server->reservations, idx, r->serial);
	struct stun_builder b;

	turn_answer_begin(c, &b);
	stun_build_xor_address(&b, TURN_ATTR_XOR_RELAYED_ADDRESS, &relayed);
	if (r->relay2_port_be != 0)
		stun_build_xor_address(&b, TURN_ATTR_XOR_RELAYED_ADDRESS, &second);
	if (a->address_error != 0)
		add_address_error(&b, a->address_error_family, a->address_error);
	stun_build_u32(&b, TURN_ATTR_LIFETIME, r->lifetime_s);
	if (reserved != NULL)
		stun_build_attr(&b, TURN_ATTR_RESERVATION_TOKEN, reserved->token,
				sizeof(reserved->token));
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &c->in->client);
	if (r->flags & SHM_ALLOCATION_F_MOBILE)
		turn_mobility_add_ticket(c, idx, &b);
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
	bool is_dual; // one relayed address of each family
	uint32_t lifetime_s;
	enum port_wish port;
	bool is_tcp; // RFC 6062
	bool is_mobile;
	struct turn_reservation *reservation; // PORT_RESERVED
};

// A port of that family. 0, or the code that tells why not.
static uint16_t relay_take(struct turn_server *s, uint8_t family, enum port_wish wish,
			   uint8_t *relay_idx, uint16_t *port)
{
	*port = 0;
	if (!family_is_configured(s, family))
		return 440;
	return port_take(s, family, wish, relay_idx, port) ? 0 : 508;
}

// The relayed addresses. 0, or the code of the error; with one of two, the other's in *missing.
static uint16_t relays_take(struct turn_server *s, const struct wanted *want,
			    struct turn_allocate_params *p, uint16_t *missing,
			    uint8_t *missing_family)
{
	uint16_t first, second;

	if (want->port == PORT_RESERVED) {
		p->relay_idx = want->reservation->relay_idx;
		p->relay_port = want->reservation->port;
		return 0;
	}
	if (!want->is_dual)
		return relay_take(s, want->family, want->port, &p->relay_idx, &p->relay_port);
	first = relay_take(s, STUN_FAMILY_IPV4, want->port, &p->relay_idx, &p->relay_port);
	second = relay_take(s, STUN_FAMILY_IPV6, want->port, &p->relay2_idx, &p->relay2_port);
	if (first != 0 && second != 0)
		return first == 440 && second == 440 ? 440 : 508;
	if (first != 0) {
		p->relay_idx = p->relay2_idx;
		p->relay_port = p->relay2_port;
		p->relay2_port = 0;
	}
	*missing = first != 0 ? first : second;
	*missing_family = first != 0 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6;
	return 0;
}

static void relays_release(struct turn_server *s, const struct wanted *want,
			   const struct turn_allocate_params *p)
{
	struct turn_ports *ports = s->ports[p->relay_idx];

	// A reserved port stays reserved: the client may try again.
	if (want->port != PORT_RESERVED)
		turn_ports_release(ports, p->relay_port);
	if (want->port == PORT_EVEN_AND_NEXT)
		turn_ports_release(ports, (uint16_t)(p->relay_port + 1));
	if (p->relay2_port != 0)
		turn_ports_release(s->ports[p->relay2_idx], p->relay2_port);
}

static size_t allocate_checked(struct turn_call *c, const struct wanted *want)
{
	struct turn_allocate_params params = {
		.lifetime_s = want->lifetime_s,
		.relay_transport = want->is_tcp ? SHM_TRANSPORT_TCP : SHM_TRANSPORT_UDP,
	};
	struct turn_server *s = c->server;
	struct turn_reservation reservation;
	uint8_t missing_family = 0;
	uint16_t code, missing = 0;
	uint32_t idx;

	code = relays_take(s, want, &params, &missing, &missing_family);
	if (code != 0)
		return turn_answer_error(c, code);
	if (turn_allocation_create(c, &params, &idx) < 0) {
		relays_release(s, want, &params);
		return turn_answer_error(c, 508);
	}
	if (want->is_tcp && turn_tcp_relay_begin(s->tcp_relay, idx) < 0) {
		turn_allocation_end(s, idx, TURN_END_DELETED, c->in->now_ns);
		return turn_answer_error(c, 508);
	}
	if (want->is_mobile)
		turn_mobility_begin(c, idx);
	s->allocations[idx].address_error = missing;
	s->allocations[idx].address_error_family = missing_family;
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
		turn_ports_release(s->ports[params.relay_idx], (uint16_t)(params.relay_port + 1));
		turn_allocation_end(s, idx, TURN_END_DELETED, c->in->now_ns);
		return turn_answer_error(c, 508);
	}
	s->counter[TURN_COUNTER_ALLOCATED]++;
	turn_identity_count(c);
	return answer_success(c, idx);
}

// ADDITIONAL-ADDRESS-FAMILY, also under the number that it had as a draft (coturn's client sends that).
static bool additional_family_find(const struct turn_call *c, struct stun_attr *out)
{
	return stun_attr_find(&c->msg, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY, out) ||
	       stun_attr_find(&c->msg, TURN_ATTR_DRAFT_ADDITIONAL_FAMILY, out);
}

// EVEN-PORT and RESERVATION-TOKEN. 0, or the code of the error.
static uint16_t check_ports(const struct turn_call *c, struct wanted *want)
{
	struct stun_attr even, token, a;
	bool has_even = stun_attr_find(&c->msg, TURN_ATTR_EVEN_PORT, &even);

	if (has_even && even.length_bytes != 1)
		return 400;
	if (stun_attr_find(&c->msg, TURN_ATTR_RESERVATION_TOKEN, &token)) {
		if (token.length_bytes != TURN_RESERVATION_TOKEN_BYTES || has_even ||
		    stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, &a) ||
		    additional_family_find(c, &a))
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

// Whether EVEN-PORT can be had at all: that is asked before the quota.
static bool even_port_is_free(struct turn_server *s, const struct wanted *want)
{
	static const uint8_t families[] = { STUN_FAMILY_IPV4, STUN_FAMILY_IPV6 };
	bool with_next = want->port == PORT_EVEN_AND_NEXT;

	for (size_t i = 0; i < sizeof(families); i++) {
		uint8_t relay_idx;
		uint16_t port;

		if ((!want->is_dual && families[i] != want->family) ||
		    !port_take(s, families[i], want->port, &relay_idx, &port))
			continue;
		turn_ports_release(s->ports[relay_idx], port);
		if (with_next)
			turn_ports_release(s->ports[relay_idx], (uint16_t)(port + 1));
		return true;
	}
	return false;
}

// REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY. 0, or the code of the error.
static uint16_t check_families(const struct turn_call *c, struct wanted *want)
{
	const struct turn_server *s = c->server;
	bool has_v4 = family_is_configured(s, STUN_FAMILY_IPV4);
	bool has_v6 = family_is_configured(s, STUN_FAMILY_IPV6);
	struct stun_attr additional, a;

	want->is_dual = additional_family_find(c, &additional);
	if (want->is_dual && stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, &a))
		return 400;
	if (turn_family_get(c, &want->family) < 0)
		return 400;
	if (want->family == 0)
		want->family = STUN_FAMILY_IPV4;
	if (want->port == PORT_RESERVED)
		return 0;
	// One family of two is enough.
	if (!family_is_configured(s, want->family) && !(want->is_dual && (has_v4 || has_v6)))
		return 440;
	if (want->is_dual && want->port == PORT_EVEN_AND_NEXT)
		return 400;
	if (want->port != PORT_ANY && !even_port_is_free(c->server, want))
		return 508;
	if (want->is_dual &&
	    (additional.length_bytes != 4 || additional.value[0] != STUN_FAMILY_IPV6))
		return 400;
	return 0;
}

size_t turn_allocate(struct turn_call *c)
{
	const struct config_alternate *alternate = NULL;
	struct wanted want = { .port = PORT_ANY };
	struct stun_attr a;
	uint16_t code;

	if (c->allocation_idx != 0)
		return answer_in_use(c);

	if (!stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_TRANSPORT, &a) || a.length_bytes != 4)
		return turn_answer_error(c, 400);
	want.is_tcp = a.value[0] == TURN_TRANSPORT_TCP;
	if (!want.is_tcp && a.value[0] != TURN_TRANSPORT_UDP)
		return turn_answer_error(c, 442);
	code = want.is_tcp ? turn_tcp_relay_check(c->server->tcp_relay, c) : 0;
	if (code != 0)
		return turn_answer_error(c, code);
	// DONT-FRAGMENT is supported: workers set DF where it is asked for.
	code = check_ports(c, &want);
	if (code == 0)
		code = check_families(c, &want);
	if (code != 0)
		return turn_answer_error(c, code);
	if (turn_lifetime_get(c, &want.lifetime_s) < 0)
		return turn_answer_error(c, 400);
	// A lifetime of 0 makes no sense here; the bounds apply to it like to any other value.
	if (want.lifetime_s == 0)
		want.lifetime_s = TURN_LIFETIME_MIN_S;
	code = turn_mobility_check_allocate(c, &want.is_mobile);
	if (code != 0)
		return turn_answer_error(c, code);
	if (turn_quota_is_reached(c))
		return turn_answer_error(c, 486);
	switch (turn_redirect(c, &alternate)) {
	case TURN_REDIRECT_GOES:
		return turn_answer_alternate(c, alternate);
	case TURN_REDIRECT_NOWHERE:
		return turn_answer_error(c, 508);
	default:
		break;
	}
	return allocate_checked(c, &want);
}
