// Token buckets of allocations and users. Workers; they write the buckets, each with single atomic words.
#include "dataplane/limit.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/contract/wire/demux.h"

#define NS_PER_SEC 1000000000ull

#define SMALL_BYTES          400
#define RTP_STATIC_AUDIO_MAX 18 // RFC 3551 §6: of the numbers below the dynamic ones
#define DTLS_HANDSHAKE       22

int dp_limits_create(const struct shm_limit *limit, uint32_t n, struct dp_limits *out)
{
	*out = (struct dp_limits){ .limit = limit, .n = n };
	out->bucket = calloc(n, sizeof(*out->bucket));
	if (out->bucket == NULL) {
		out->n = 0;
		return -ENOMEM;
	}
	return 0;
}

void dp_limits_destroy(struct dp_limits *l)
{
	free(l->bucket);
	*l = (struct dp_limits){ 0 };
}

static uint64_t cost_of(uint32_t data_bytes, uint32_t bytes_per_s)
{
	uint64_t cost_ns = (data_bytes * NS_PER_SEC + bytes_per_s / 2) / bytes_per_s;

	return cost_ns < DP_LIMIT_DEBT_NS ? cost_ns : DP_LIMIT_DEBT_NS;
}

static bool bucket_take(uint64_t *bucket, uint64_t cost_ns, uint64_t most_ns, uint64_t now_ns)
{
	uint64_t was = __atomic_load_n(bucket, __ATOMIC_RELAXED);
	uint64_t next;

	do {
		uint64_t paid_at_ns = was > now_ns ? was : now_ns;

		if (paid_at_ns - now_ns >= most_ns)
			return false;
		next = paid_at_ns + cost_ns;
		if (next - now_ns > DP_LIMIT_DEBT_NS)
			next = now_ns + DP_LIMIT_DEBT_NS;
	} while (!__atomic_compare_exchange_n(bucket, &was, next, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

static void bucket_give_back(uint64_t *bucket, uint64_t cost_ns)
{
	uint64_t was = __atomic_load_n(bucket, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(bucket, &was, was > cost_ns ? was - cost_ns : 0, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

enum dp_limit_verdict dp_limit_take(const struct dp_limits *l, uint32_t allocation_idx,
				    enum dp_limit_direction direction, uint32_t data_bytes,
				    bool is_urgent, uint64_t now_ns)
{
	uint64_t most_ns = is_urgent ? DP_LIMIT_BUCKET_NS : DP_LIMIT_VIDEO_NS;
	const struct shm_limit *limit;
	uint32_t user_bytes_per_s;
	uint64_t *allocation;
	uint32_t bytes_per_s;
	uint32_t user_idx;

	if (allocation_idx >= l->n)
		return DP_LIMIT_PASS;
	limit = &l->limit[allocation_idx];
	// Once each: what was checked is what is used.
	bytes_per_s = __atomic_load_n(&limit->bytes_per_s, __ATOMIC_RELAXED);
	user_bytes_per_s = __atomic_load_n(&limit->user_bytes_per_s, __ATOMIC_RELAXED);
	user_idx = __atomic_load_n(&limit->user_idx, __ATOMIC_RELAXED);
	allocation = &l->bucket[allocation_idx].allocation[direction];
	if (bytes_per_s != 0 &&
	    !bucket_take(allocation, cost_of(data_bytes, bytes_per_s), most_ns, now_ns))
		return DP_LIMIT_ALLOCATION_USED_UP;
	if (user_bytes_per_s == 0 || user_idx == 0 || user_idx >= l->n ||
	    bucket_take(&l->bucket[user_idx].user[direction], cost_of(data_bytes, user_bytes_per_s),
			most_ns, now_ns))
		return DP_LIMIT_PASS;
	if (bytes_per_s != 0)
		bucket_give_back(allocation, cost_of(data_bytes, bytes_per_s));
	return DP_LIMIT_USER_USED_UP;
}

bool dp_limit_is_urgent(const uint8_t *data, uint32_t data_bytes)
{
	if (data_bytes <= SMALL_BYTES)
		return true;
	switch (wire_demux(data[0])) {
	case WIRE_KIND_STUN:
		return true;
	case WIRE_KIND_DTLS:
		return data[0] == DTLS_HANDSHAKE;
	case WIRE_KIND_RTP:
		// RFC 5761 §4: the second byte of RTCP is 192..223.
		return (data[1] >= 192 && data[1] <= 223) ||
		       (data[1] & 0x7f) <= RTP_STATIC_AUDIO_MAX;
	default:
		return false;
	}
}
