// Buckets of the ICMP errors that are told. Worker thread; writes only its own table.
#include "dataplane/icmp_limit.h"

#include "dataplane/contract/wire/challenge.h"

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
	uint8_t message[16 + 2];
	uint8_t hash[16];
	uint64_t *one_ns;

	memcpy(message, to->address.bytes, 16);
	memcpy(message + 16, &to->port_be, sizeof(to->port_be));
	siphash128(l->hash_key, message, sizeof(message), hash);
	one_ns = &l->one_ns[bytes_get_be32(hash) & (DP_ICMP_BUCKETS - 1)];
	if (!has_room(l->all_ns, now_ns, DP_ICMP_PER_SEC, DP_ICMP_BURST) ||
	    !has_room(*one_ns, now_ns, DP_ICMP_ONE_PER_SEC, DP_ICMP_ONE_BURST))
		return false;
	spend(&l->all_ns, now_ns, DP_ICMP_PER_SEC);
	spend(one_ns, now_ns, DP_ICMP_ONE_PER_SEC);
	return true;
}
