// What one source prefix (an IPv4 address, an IPv6 /64) may cost: requests toward the control
// plane, and bytes of unauthenticated answers. Per worker, no state but a fixed table; a spoofed
// flood recycles slots and allocates nothing.
#ifndef TP_DP_SOURCE_LIMIT_H
#define TP_DP_SOURCE_LIMIT_H

#include "dataplane/contract/wire/address.h"

#define DP_SOURCES_LOG2 14
#define DP_SOURCES      (1u << DP_SOURCES_LOG2)
#define DP_SOURCE_WAYS  4

// Unauthenticated answers are paid for by what came in, byte by byte of the IP packets: 7/8 of each request
// count, and a prefix that was silent for a while has this to begin with. So the first answers of a client
// that asks a few times (NAT discovery) come at once; after some 70 requests a prefix has got no more than it
// sent, and at no time gets more beyond that. Whoever is not answered sends again, and has then paid.
#define DP_ANSWER_CREDIT_BYTES 512
#define DP_SOURCE_FORGOTTEN_NS (10 * 1000000000ull)

// off size field          writer  meaning
//   0    8 prefix         worker  0: free
//   8    8 seen_at_ns     worker  last packet
//  16    8 filled_at_ns   worker  last refill
//  24    4 punt_tokens    worker  1/256 of a request
//  28    4 answer_credit  worker  bytes
struct dp_source {
	uint64_t prefix;
	uint64_t seen_at_ns;
	uint64_t filled_at_ns;
	uint32_t punt_tokens;
	uint32_t answer_credit;
};

struct dp_source_limit {
	uint64_t seed;
	struct dp_source source[DP_SOURCES];
};

void dp_source_limit_init(struct dp_source_limit *l, uint64_t seed);

// The slot of that address' prefix, refilled; a new one starts full in the place of the longest
// unseen of its set.
struct dp_source *dp_source_get(struct dp_source_limit *l, const struct ip_address *a,
				uint64_t now_ns, uint32_t punt_per_sec, uint32_t punt_burst_pkts);

// One request to the control plane. per_sec 0: no limit.
bool dp_source_may_punt(struct dp_source *s, uint32_t punt_per_sec);
// Something of which `parts` (..256) cost as much as one request.
bool dp_source_may_punt_part(struct dp_source *s, uint32_t punt_per_sec, uint32_t parts);
// An answer of out_bytes to an unauthenticated request of in_bytes, both as IP packets. False: the
// request is paid into the balance, and remains without an answer.
bool dp_source_may_answer(struct dp_source *s, uint32_t in_bytes, uint32_t out_bytes);
// The prefix returned a nonce of ours with a request of that many bytes. Most of it pays for the control
// plane's answer, which nobody counts; the rest helps the newcomers among many clients behind one address.
void dp_source_prove(struct dp_source *s, uint32_t in_bytes);

// IP and UDP headers at their shortest, as they count here.
static inline uint32_t dp_source_header_bytes(bool is_v4)
{
	return is_v4 ? 28 : 48;
}

#endif
