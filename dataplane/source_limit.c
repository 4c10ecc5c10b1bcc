// Token buckets per source prefix. Worker thread; writes only its own table.
#include "dataplane/source_limit.h"

#define TOKEN          256u
#define NS_PER_SEC     1000000000ull
#define REFILL_STEP_NS 100000000ull
#define TOKENS_MAX     (UINT32_MAX / 2)
#define PROOF_SHARE    4u // of a proven request's bytes, what it leaves

void dp_source_limit_init(struct dp_source_limit *l, uint64_t seed)
{
	memset(l, 0, sizeof(*l));
	l->seed = seed | 1;
}

// Never 0: that marks a free slot.
static uint64_t prefix_of(const struct ip_address *a)
{
	uint64_t v;

	memcpy(&v, ip_address_is_v4(a) ? a->bytes + 8 : a->bytes, sizeof(v));
	return v | (uint64_t)(v == 0);
}

static uint32_t tokens_of(uint32_t pkts)
{
	return pkts > TOKENS_MAX / TOKEN ? TOKENS_MAX : pkts * TOKEN;
}

static void refill(struct dp_source *s, uint64_t now_ns, uint32_t per_sec, uint32_t burst_pkts)
{
	uint64_t gone_ns = now_ns > s->filled_at_ns ? now_ns - s->filled_at_ns : 0;
	uint32_t full = tokens_of(burst_pkts);
	uint64_t tokens;

	if (now_ns > s->seen_at_ns + DP_SOURCE_FORGOTTEN_NS)
		s->answer_credit = DP_ANSWER_CREDIT_BYTES;
	s->seen_at_ns = now_ns;
	// Short steps are left to add up, so that hardly a fraction is lost to rounding.
	if (gone_ns < REFILL_STEP_NS)
		return;
	if (gone_ns > 60 * NS_PER_SEC)
		gone_ns = 60 * NS_PER_SEC;
	tokens = s->punt_tokens + (uint64_t)((__uint128_t)gone_ns * TOKEN * per_sec / NS_PER_SEC);
	s->punt_tokens = tokens < full ? (uint32_t)tokens : full;
	s->filled_at_ns = now_ns;
}

struct dp_source *dp_source_get(struct dp_source_limit *l, const struct ip_address *a,
				uint64_t now_ns, uint32_t punt_per_sec, uint32_t punt_burst_pkts)
{
	uint64_t prefix = prefix_of(a);
	__uint128_t wide = (__uint128_t)(prefix ^ l->seed) * 0x9e3779b97f4a7c15ull;
	uint64_t hash = ((uint64_t)wide ^ (uint64_t)(wide >> 64)) * l->seed;
	uint32_t set = (uint32_t)(hash >> (64 - DP_SOURCES_LOG2)) & ~(DP_SOURCE_WAYS - 1u);
	struct dp_source *oldest = &l->source[set];

	for (uint32_t i = 0; i < DP_SOURCE_WAYS; i++) {
		struct dp_source *s = &l->source[set + i];

		if (s->prefix == prefix) {
			refill(s, now_ns, punt_per_sec, punt_burst_pkts);
			return s;
		}
		if (s->seen_at_ns < oldest->seen_at_ns)
			oldest = s;
	}
	*oldest = (struct dp_source){
		.prefix = prefix,
		.seen_at_ns = now_ns,
		.filled_at_ns = now_ns,
		.punt_tokens = tokens_of(punt_burst_pkts),
		.answer_credit = DP_ANSWER_CREDIT_BYTES,
	};
	return oldest;
}

bool dp_source_may_punt_part(struct dp_source *s, uint32_t punt_per_sec, uint32_t parts)
{
	uint32_t tokens = TOKEN / parts;

	if (punt_per_sec == 0)
		return true;
	if (s->punt_tokens < tokens)
		return false;
	s->punt_tokens -= tokens;
	return true;
}

bool dp_source_may_punt(struct dp_source *s, uint32_t punt_per_sec)
{
	return dp_source_may_punt_part(s, punt_per_sec, 1);
}

static void pay_in(struct dp_source *s, uint32_t bytes)
{
	uint64_t credit = (uint64_t)s->answer_credit + bytes;

	s->answer_credit =
		credit < DP_ANSWER_CREDIT_BYTES ? (uint32_t)credit : DP_ANSWER_CREDIT_BYTES;
}

bool dp_source_may_answer(struct dp_source *s, uint32_t in_bytes, uint32_t out_bytes)
{
	uint32_t earned_bytes = in_bytes - in_bytes / 8;

	// What the request itself pays for is not held against the limit of what is saved.
	if (out_bytes <= earned_bytes) {
		pay_in(s, earned_bytes - out_bytes);
		return true;
	}
	if (out_bytes - earned_bytes > s->answer_credit) {
		pay_in(s, earned_bytes);
		return false;
	}
	s->answer_credit -= out_bytes - earned_bytes;
	return true;
}

void dp_source_prove(struct dp_source *s, uint32_t in_bytes)
{
	pay_in(s, in_bytes / PROOF_SHARE);
}
