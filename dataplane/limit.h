// Bytes per second of allocations and users, each direction for itself (struct shm_limit). Buckets are shared by all workers: one
// 64-bit word each, the time at which all that was let through would have left at the allowed rate (GCRA, ITU-T I.371). No packet
// of a flow without SHM_FLOW_F_LIMITED comes here.
//
// A bucket holds one second: a key frame passes at once, and any longer window is exact. The last quarter is kept for what must not
// wait for video (dp_limit_is_urgent). Video in excess holds the level at three quarters, so what is urgent always finds room as
// long as it alone keeps to the limit: an overloaded call loses picture before sound, and neither its ICE checks nor the feedback by
// which its sender would learn to send less.
#ifndef TP_DP_LIMIT_H
#define TP_DP_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/shm/limit_table.h"

#define DP_LIMIT_BUCKET_NS 1000000000ull
#define DP_LIMIT_VIDEO_NS  (DP_LIMIT_BUCKET_NS / 4 * 3)
// A datagram may be larger than what is left, or than the bucket: the debt is paid before the next one passes. It is bounded, so that
// whoever gets the slot next does not pay for long.
#define DP_LIMIT_DEBT_NS (4 * DP_LIMIT_BUCKET_NS)

enum dp_limit_direction { DP_LIMIT_UP = 0, DP_LIMIT_DOWN, DP_LIMIT_DIRECTION_COUNT };

// Of an allocation slot, and of a user whose user_idx is the same number. Half a cache line.
// off size field      writer   meaning
//   0   16 allocation worker   CLOCK_MONOTONIC ns by direction, atomic; in the past: the bucket is full
//  16   16 user       worker   the same
struct dp_limit_bucket {
	uint64_t allocation[DP_LIMIT_DIRECTION_COUNT];
	uint64_t user[DP_LIMIT_DIRECTION_COUNT];
};

// What the control plane wrote and what the dataplane keeps beside it. Shared by all workers.
struct dp_limits {
	const struct shm_limit *limit;  // n of them, read-only and untrusted
	struct dp_limit_bucket *bucket; // n of them
	uint32_t n;
};

enum dp_limit_verdict {
	DP_LIMIT_PASS = 0,
	DP_LIMIT_ALLOCATION_USED_UP,
	DP_LIMIT_USER_USED_UP,
	DP_LIMIT_VERDICT_COUNT
};

// Buckets for n slots, all full; pages are touched with the first packet that needs them. 0 or -ENOMEM.
int dp_limits_create(const struct shm_limit *limit, uint32_t n, struct dp_limits *out);
void dp_limits_destroy(struct dp_limits *l);

// Takes a datagram's application data out of the buckets of its allocation and user; out of neither when one of them refuses. Any
// worker, at its own `now_ns`.
enum dp_limit_verdict dp_limit_take(const struct dp_limits *l, uint32_t allocation_idx,
				    enum dp_limit_direction direction, uint32_t data_bytes,
				    bool is_urgent, uint64_t now_ns);

// Whether application data may use the last quarter. RTCP, STUN and DTLS handshakes; RTP of the payload types that are audio by number
// (RFC 3551); and whatever is small, which nearly all audio is: payload types are known to the two ends alone, and 400 bytes hold
// 20 ms of Opus at 150 kb/s where video fills its packets.
bool dp_limit_is_urgent(const uint8_t *data, uint32_t data_bytes);

#endif
