// What the parts of the fast path share: fast_arrivals.c sees what each packet is, fast_path.c looks the
// flows up and forwards over IPv6, fast_eight.c and fast_v4.c forward over IPv4. Worker thread.
#ifndef TP_DP_FAST_PATH_H
#define TP_DP_FAST_PATH_H

#include "dataplane/contract/shm/turn_bucket.h"
#include "dataplane/worker.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

// What is left of a packet for the passes behind the first. One cache line.
struct fast_packet {
	uint64_t key[3]; // struct shm_flow_key
	uint64_t hash;
	struct rte_mbuf *mbuf;
	uint8_t *ip; // its IP header
	uint32_t udp_bytes;
	uint32_t entry_idx;
	uint32_t burst_idx;
	uint32_t up_entry_idx; // of a second lookup: the entry that the first one found
} __attribute__((aligned(64)));

// Packets of one kind each, so that no branch of the passes depends on it. Those from FAST_HAIRPIN on are
// found by a second lookup.
enum fast_kind {
	FAST_UP_V4 = 0, // ChannelData of a client
	FAST_DOWN_V4,   // data of a peer
	FAST_UP_V6,     // the same over IPv6
	FAST_DOWN_V6,
	FAST_ASKED_V4,   // Send indication: its allocation
	FAST_HAIRPIN_V4, // ChannelData for another allocation of ours: that one's channel
	FAST_SEND_V4,    // Send indication: its permission
	FAST_DATA_V4,    // data of a peer without a channel: its permission
	FAST_LEFT,       // for the stages
	FAST_KIND_COUNT
};

struct fast_burst {
	uint32_t n[FAST_KIND_COUNT];
	struct fast_packet packet[FAST_KIND_COUNT][DP_BURST];
};

ALWAYS_INLINE uint32_t load32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

ALWAYS_INLINE uint64_t load64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

// The third word of a key.
ALWAYS_INLINE uint64_t dp_fast_key_end(uint32_t ports_be, uint32_t local_idx,
				       enum shm_flow_kind kind, uint32_t channel_be)
{
	return ports_be | (uint64_t)local_idx << 32 | (uint64_t)kind << 40 |
	       (uint64_t)channel_be << 48;
}

// The first two words of one for an IPv4 address, as it lies in a packet.
ALWAYS_INLINE void dp_fast_key_v4(uint64_t key[3], uint32_t v4)
{
	key[0] = 0;
	key[1] = (uint64_t)v4 << 32 | __builtin_bswap32(0xffff);
}

// The address again.
ALWAYS_INLINE uint32_t dp_fast_key_address(const uint64_t key[3])
{
	return (uint32_t)(key[1] >> 32);
}

// Where the first match of the tag did not lead: a full bucket, or no such flow.
uint32_t dp_fast_entry_search(const struct dp_worker *w, const struct fast_packet *p);

ALWAYS_INLINE bool dp_fast_key_is(const struct shm_flow *f, const struct fast_packet *p)
{
	const uint8_t *key = (const uint8_t *)&f->key;

	return ((load64(key) ^ p->key[0]) | (load64(key + 8) ^ p->key[1]) |
		(load64(key + 16) ^ p->key[2])) == 0;
}

// The index of the flow's source among our addresses, or, of a flow that is the stages' alone, a number
// that is none: one with limits, or of a client on a socket of the control plane's.
ALWAYS_INLINE uint32_t dp_fast_source_of(const struct shm_flow *f)
{
	const uint32_t mask = 0xff | (SHM_FLOW_F_LIMITED | SHM_FLOW_F_STREAM) << 8;

	static_assert(offsetof(struct shm_flow, from_local_idx) % 2 == 0 &&
			      offsetof(struct shm_flow, flags) ==
				      offsetof(struct shm_flow, from_local_idx) + 1,
		      "read as one word");
	// Once: what was checked is what is used.
	return __atomic_load_n((const uint16_t *)(const void *)&f->from_local_idx,
			       __ATOMIC_RELAXED) &
	       mask;
}

// Sorts the frames of a burst into `b`; what it leaves out is for the stages.
void dp_fast_arrivals(const struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n,
		      struct fast_burst *b);

// Each decides for the packets of one kind and queues those that may go, NULL in their place in `mbuf`; the others it leaves
// untouched, or adds to a kind that is looked up again. Returns how many are on their way.
uint32_t dp_fast_up_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf);
uint32_t dp_fast_down_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf);
uint32_t dp_fast_hairpin_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf);
uint32_t dp_fast_send_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf);
uint32_t dp_fast_data_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf);
// The same of FAST_UP_V4 and FAST_DOWN_V4 from the `first` on, where eight cannot be decided on at once.
uint32_t dp_fast_one_by_one_v4(struct dp_worker *w, struct fast_burst *b, enum fast_kind kind,
			       uint32_t first, struct rte_mbuf **mbuf);
// Of Send indications whose allocations were looked up: which permissions to look up.
void dp_fast_asked_v4(struct dp_worker *w, struct fast_burst *b);

// One packet from IPv4 to IPv6. True: it is on its way. False: nothing was touched.
bool dp_fast_forward_v4_to_v6(struct dp_worker *w, const struct fast_packet *p, bool is_up);

#endif
