// What counts as one source where something is bounded by source: an IPv4 address or a /64, whoever sits in it. Pure, any
// thread.
#ifndef TP_TURN_SOURCE_H
#define TP_TURN_SOURCE_H

#include <stdbool.h>
#include <string.h>

#include "dataplane/contract/wire/address.h"

static inline bool turn_is_same_source(const struct ip_address *a, const struct ip_address *b)
{
	if (ip_address_is_v4(a) || ip_address_is_v4(b))
		return ip_address_equal(a, b);
	return memcmp(a->bytes, b->bytes, 8) == 0;
}

#endif
