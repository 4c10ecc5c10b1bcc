// Refresh (RFC 8656 §8.2). Control plane's loop thread.
#include "controlplane/turn/state.h"

// Whether the allocation has a relayed address of that family.
static bool has_family(const struct turn_call *c, uint8_t family)
{
	const struct shm_allocation *r = turn_record(c->server, c->allocation_idx);
	struct ip_address first = turn_local_address(c->server, r->relay_idx);
	struct ip_address second = turn_local_address(c->server, r->relay2_idx);

	return family == turn_family_of(&first) ||
	       (r->relay2_port_be != 0 && family == turn_family_of(&second));
}

size_t turn_refresh(struct turn_call *c)
{
	struct turn_server *s = c->server;
	struct stun_builder b;
	uint32_t lifetime_s;
	uint8_t family;
	uint16_t code;

	if (turn_family_get(c, &family) < 0)
		return turn_answer_error(c, 400);
	if (family != 0 && !has_family(c, family))
		return turn_answer_error(c, 443);
	if (turn_lifetime_get(c, &lifetime_s) < 0)
		return turn_answer_error(c, 400);
	code = turn_mobility_check(c);
	if (code == 0 && c->is_ticket_good && lifetime_s != 0)
		code = turn_mobility_refresh(c);
	if (code != 0)
		return turn_answer_error(c, code);

	// Without a family it is meant for all relayed addresses.
	if (lifetime_s == 0 && family != 0 &&
	    turn_record(s, c->allocation_idx)->relay2_port_be != 0) {
		if (turn_allocation_drop_family(s, c->allocation_idx, family) < 0)
			return turn_answer_error(c, 508);
	} else if (lifetime_s == 0)
		turn_allocation_end(s, c->allocation_idx, TURN_END_DELETED, c->in->now_ns);
	else
		turn_allocation_set_lifetime(s, c->allocation_idx, family,
					     c->in->now_ns + lifetime_s * TURN_NS_PER_S);
	if (lifetime_s != 0)
		turn_tell(s, c->allocation_idx, TURN_EVENT_REFRESHED, c->in->now_ns);
	turn_answer_begin(c, &b);
	stun_build_u32(&b, TURN_ATTR_LIFETIME, lifetime_s);
	if (c->is_ticket_good && lifetime_s != 0)
		turn_mobility_add_ticket(c, c->allocation_idx, &b);
	return turn_answer_end(c, &b);
}
