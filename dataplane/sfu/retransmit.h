// Packets that a watcher may ask for again: plaintext by reference, per track and layer on this worker, and per watcher what it
// knows them as. Worker thread.
#ifndef TP_DP_SFU_RETRANSMIT_H
#define TP_DP_SFU_RETRANSMIT_H

#include "dataplane/sfu/transmission.h"

// Packets of one watcher that are remembered. A power of two.
#define DP_SFU_SENT_PKTS 512
// Packets of one layer that can be found. A power of two.
#define DP_SFU_CACHE_LAYER_PKTS 1024

// How many changes of the mapping are remembered. A power of two.
#define DP_SFU_SENT_TERMS 64

// In what terms a run of packets was sent: added to the publisher's numbers.
struct dp_sfu_sent_terms {
	uint64_t index_offset;
	uint32_t timestamp_offset;
	uint32_t track_idx;
	uint32_t track_serial;
	uint16_t picture_id_offset;
	uint16_t frame_number_offset;
	uint8_t tl0_offset;
	uint8_t key_idx_offset;
	uint8_t layer;
	uint8_t number; // of these terms; a packet that names another one is too old
};
static_assert(sizeof(struct dp_sfu_sent_terms) == 32, "two to a line");

#define DP_SFU_SENT_F_SET    0x01
#define DP_SFU_SENT_F_MARKER 0x02

// What a watcher was sent.
struct dp_sfu_sent {
	struct dp_sfu_sent_terms terms[DP_SFU_SENT_TERMS];
	// By index. Small, because a thousand watchers have hundreds of them.
	union dp_sfu_sent_packet packet[DP_SFU_SENT_PKTS];
};
static_assert(sizeof(struct dp_sfu_sent) % 64 == 0, "a block");
static_assert(DP_SFU_SENT_PKTS % DP_SFU_RECENT == 0 && 65536 % DP_SFU_RECENT == 0,
	      "groups stay whole");

// The slots of a group of indices.
static inline union dp_sfu_sent_packet *dp_sfu_sent_group(const struct dp_sfu_egress *e,
							  uint64_t group)
{
	return &e->sent->packet[group * DP_SFU_RECENT % DP_SFU_SENT_PKTS];
}

// Remembers a packet that is on its way to the watcher.
void dp_sfu_sent_new_terms(struct dp_sfu_egress *e, uint32_t track_idx,
			   const struct dp_sfu_media *m);
uint32_t dp_sfu_sent_find_terms(const struct dp_sfu_egress *e, const struct dp_sfu_media *m,
				uint64_t index_offset);

static inline void dp_sfu_sent_put(struct dp_sfu_egress *e, uint32_t track_idx,
				   const struct dp_sfu_media *m, uint64_t index, bool has_marker)
{
	uint64_t group = index / DP_SFU_RECENT;
	uint32_t number;
	uint64_t word;

	if (unlikely(e->sent_version != e->rewrite.version))
		dp_sfu_sent_new_terms(e, track_idx, m);
	number = e->sent_number;
	if (unlikely(index + 1 != e->rewrite.next_index)) { // it came late
		number = dp_sfu_sent_find_terms(e, m, index - m->sequence);
		if (number > UINT8_MAX)
			return;
	}
	word = (uint32_t)m->sequence | (uint64_t)number << 48 |
	       (uint64_t)(DP_SFU_SENT_F_SET | (has_marker ? DP_SFU_SENT_F_MARKER : 0)) << 56;
	if (unlikely(group < e->recent_group)) {
		e->sent->packet[index % DP_SFU_SENT_PKTS].word = word;
		return;
	}
	if (group != e->recent_group) {
		memcpy(dp_sfu_sent_group(e, e->recent_group), e->recent, sizeof(e->recent));
		memset(e->recent, 0, sizeof(e->recent)); // what is left out is not found
		e->recent_group = group;
	}
	e->recent[index % DP_SFU_RECENT].word = word;
}

// A large packet of those that the watcher was sent last, for a probe to send again: fills in plain, out and has_marker of the
// job, without a reference. `*back`, 0 at first, makes the next call go on to an older one. False when there is none.
bool dp_sfu_repeat_find(struct dp_sfu_transmission *x, struct dp_sfu_egress *e, uint32_t *back,
			struct dp_sfu_job *job);

struct dp_sfu_cache;

// `n_mbufs`: packets held at once.
struct dp_sfu_cache *dp_sfu_cache_create(uint32_t n_tracks, uint32_t n_mbufs);
void dp_sfu_cache_destroy(struct dp_sfu_cache *c);
// Keeps a reference, for a while.
void dp_sfu_cache_add(struct dp_sfu_cache *c, struct rte_mbuf *m);
// The packet, without a reference for the caller; NULL when it is not held any more.
struct rte_mbuf *dp_sfu_cache_find(const struct dp_sfu_cache *c, uint32_t track_idx,
				   uint32_t track_serial, uint32_t layer, uint32_t in_sequence);
// Gives back what arrived before that, a burst of it at most.
void dp_sfu_cache_expire(struct dp_sfu_cache *c, uint64_t before_ns);
uint32_t dp_sfu_cache_count(const struct dp_sfu_cache *c);

#endif
