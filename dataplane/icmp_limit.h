// How many ICMP errors are told: so many in all, and so many to one address (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8). Per worker, a
// fixed table: whoever is many shares, and nothing is allocated. Keyed, so that nobody can choose addresses that share with
// somebody else's.
#ifndef TP_DP_ICMP_LIMIT_H
#define TP_DP_ICMP_LIMIT_H

#include "dataplane/contract/wire/address.h"

#define DP_ICMP_PER_SEC     1000 // in all
#define DP_ICMP_BURST       100
#define DP_ICMP_ONE_PER_SEC 20 // to one address
#define DP_ICMP_ONE_BURST   20
#define DP_ICMP_BUCKETS     1024 // a power of two

// Each word is the time up to which a bucket has spent; 0 at start.
struct dp_icmp_limit {
	uint64_t all_ns;
	uint64_t one_ns[DP_ICMP_BUCKETS];
	uint8_t hash_key[16]; // random; before the first use
};

// One error to that address, now. False: it has had its share, and nothing was taken.
bool dp_icmp_limit_take(struct dp_icmp_limit *l, const struct ip_endpoint *to, uint64_t now_ns);

#endif
