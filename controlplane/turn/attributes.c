// Attributes that several methods read. Control plane's loop thread.
#include <errno.h>

#include "controlplane/turn/state.h"

// An allocation does not outlive the access token that it was granted for (RFC 7635 §4.2), and without a
// new one a Refresh gives no more time than there was.
static uint32_t within_token(const struct turn_call *c, uint32_t lifetime_s)
{
	const struct shm_allocation *r;
	uint64_t left_ns;

	if (!(c->identity.signing & TURN_SIGNED_TOKEN))
		return lifetime_s;
	if (c->identity.has_token) {
		left_ns = c->identity.expires_at_wall_ns - c->in->wall_ns;
	} else {
		r = turn_record(c->server, c->allocation_idx);
		left_ns = r->expires_at_ns - c->in->now_ns;
	}
	return (uint32_t)min_u64(lifetime_s, left_ns / TURN_NS_PER_S + 1);
}

int turn_lifetime_get(const struct turn_call *c, uint32_t *out_seconds)
{
	uint32_t max_s = c->server->config->lifetime_max_s;
	struct stun_attr a;
	uint32_t v = TURN_LIFETIME_MIN_S;

	if (stun_attr_find(&c->msg, TURN_ATTR_LIFETIME, &a)) {
		if (a.length_bytes != 4)
			return -EINVAL;
		v = bytes_get_be32(a.value);
	}
	// RFC 8656 §7.2: max(600, min(requested, maximum)).
	if (v != 0) {
		if (v > max_s)
			v = max_s;
		if (v < TURN_LIFETIME_MIN_S)
			v = TURN_LIFETIME_MIN_S;
		v = within_token(c, v);
	}
	*out_seconds = v;
	return 0;
}

int turn_family_get(const struct turn_call *c, uint8_t *out)
{
	struct stun_attr a;

	*out = 0;
	if (!stun_attr_find(&c->msg, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, &a))
		return 0;
	if (a.length_bytes != 4 || a.value[0] == 0)
		return -EINVAL;
	*out = a.value[0];
	return 0;
}

uint8_t turn_family_of(const struct ip_address *a)
{
	return ip_address_is_v4(a) ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6;
}
