// Packets that a watcher may ask for again: plaintext by reference, per track and layer on this worker, and per watcher what it
// knows them as. Worker thread.
#ifndef TP_DP_SFU_RETRANSMIT_H
#define TP_DP_SFU_RETRANSMIT_H

#include "dataplane/sfu/transmission.h"

// Packets of one watcher that are remembered. A power of two.
#define DP_SFU_SENT_PKTS 512
// Packets of one layer that can be found. A power of two.
#define DP_SFU_CACHE_LAYER_PKTS 1024

// What a watcher knows a packet as. Half a line.
struct dp_sfu_sent {
	uint32_t index;       // low bits of the SRTP index; of the slot that it is found in
	uint32_t in_sequence; // low bits of the publisher's
	uint32_t track_serial;
	uint32_t timestamp;
	uint32_t resent_at_ms;    // 0: not yet
	uint32_t track_idx;       // and the marker in its highest bit
	union dp_sfu_small small; // with the layer
};
static_assert(sizeof(struct dp_sfu_sent) == 32, "two to a line");

#define DP_SFU_SENT_MARKER UINT32_C(0x80000000)

struct dp_sfu_cache;

// `n_mbufs`: packets held at once.
struct dp_sfu_cache *dp_sfu_cache_create(uint32_t n_tracks, uint32_t n_mbufs);
void dp_sfu_cache_destroy(struct dp_sfu_cache *c);
// Keeps a reference, for a while.
void dp_sfu_cache_add(struct dp_sfu_cache *c, struct rte_mbuf *m);
// The packet, without a reference for the caller; NULL when it is not held any more.
struct rte_mbuf *dp_sfu_cache_find(const struct dp_sfu_cache *c, uint32_t track_idx,
				   uint32_t track_serial, uint32_t layer, uint32_t in_sequence);
// Gives back what arrived before that.
void dp_sfu_cache_expire(struct dp_sfu_cache *c, uint64_t before_ns);
uint32_t dp_sfu_cache_count(const struct dp_sfu_cache *c);

#endif
