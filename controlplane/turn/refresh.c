// Refresh (RFC 8656 §8.2). Control plane's loop thread.
#include "controlplane/turn/state.h"

size_t turn_refresh(struct turn_call *c)
{
	struct turn_server *s = c->server;
	struct stun_builder b;
	uint32_t lifetime_s;
	struct ip_address relayed;
	uint8_t family;

	relayed = turn_local_address(s, turn_record(s, c->allocation_idx)->relay_idx);
	if (turn_family_get(c, &family) < 0)
		return turn_answer_error(c, 400);
	if (family != 0 && family != turn_family_of(&relayed))
		return turn_answer_error(c, 443);
	if (turn_lifetime_get(c, &lifetime_s) < 0)
		return turn_answer_error(c, 400);

	if (lifetime_s == 0)
		turn_allocation_end(s, c->allocation_idx, TURN_END_DELETED, c->in->now_ns);
	else
		turn_allocation_set_lifetime(s, c->allocation_idx, 0,
					     c->in->now_ns + lifetime_s * TURN_NS_PER_S);
	turn_answer_begin(c, &b);
	stun_build_u32(&b, TURN_ATTR_LIFETIME, lifetime_s);
	return turn_answer_end(c, &b);
}
