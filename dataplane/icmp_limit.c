// Buckets of the ICMP errors that are told. Worker thread; writes only its own table.
#include "dataplane/icmp_limit.h"

#define NS_PER_SEC 1000000000ull

// The time up to which a bucket has spent, held between now and a burst ahead of it. False: it is a burst ahead already.
static bool has_room(uint64_t spent_ns, uint64_t now_ns, uint64_t per_sec, uint64_t burst)
{
	return spent_ns <= now_ns || spent_ns - now_ns <= (burst - 1) * (NS_PER_SEC / per_sec);
}

static void spend(uint64_t *spent_ns, uint64_t now_ns, uint64_t per_sec)
{
	*spent_ns = (*spent_ns > now_ns ? *spent_ns : now_ns) + NS_PER_SEC / per_sec;
}

bool dp_icmp_limit_take(struct dp_icmp_limit *l, const struct ip_endpoint *to, uint64_t now_ns)
{
	uint64_t *one_ns;
	uint64_t high;
	uint64_t low;

	memcpy(&high, to->address.bytes, sizeof(high));
	memcpy(&low, to->address.bytes + sizeof(high), sizeof(low));
	low = (low ^ high * 31 ^ (uint64_t)to->port_be << 7) * 0x9e3779b97f4a7c15ull;
	one_ns = &l->one_ns[low >> 32 & (DP_ICMP_BUCKETS - 1)];
	if (!has_room(l->all_ns, now_ns, DP_ICMP_PER_SEC, DP_ICMP_BURST) ||
	    !has_room(*one_ns, now_ns, DP_ICMP_ONE_PER_SEC, DP_ICMP_ONE_BURST))
		return false;
	spend(&l->all_ns, now_ns, DP_ICMP_PER_SEC);
	spend(one_ns, now_ns, DP_ICMP_ONE_PER_SEC);
	return true;
}
