// When what was sent to one transport, by its transport-wide sequence number: joined with the feedback that comes back.
// Worker thread.
#ifndef TP_DP_SFU_TWCC_H
#define TP_DP_SFU_TWCC_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/shm/ring.h"

// A second of 8 Mb/s. A power of two.
#define DP_SFU_HISTORY_PKTS 1024

struct dp_sfu_sending {
	uint64_t at_ns;
	uint32_t sequence;
	uint16_t size_bytes; // 0: none, or told of before
	uint8_t probe_id;
	uint8_t reserved;
};
static_assert(sizeof(struct dp_sfu_sending) == 16, "four to a line");

struct dp_sfu_history {
	struct dp_sfu_sending sending[DP_SFU_HISTORY_PKTS];
};

static inline void dp_sfu_history_put(struct dp_sfu_history *h, uint64_t sequence, uint64_t now_ns,
				      uint32_t size_bytes, uint8_t probe_id)
{
	h->sending[sequence % DP_SFU_HISTORY_PKTS] = (struct dp_sfu_sending){
		.at_ns = now_ns,
		.sequence = (uint32_t)sequence,
		.size_bytes = (uint16_t)size_bytes,
		.probe_id = probe_id,
	};
}

struct rtcp_twcc;
// What the feedback says of packets that were sent, in the order of sending; `next_sequence` is the one to be sent next. Each
// packet that arrived is told of once. Returns how many, at most n_max.
uint32_t dp_sfu_history_join(struct dp_sfu_history *h, uint64_t next_sequence,
			     const struct rtcp_twcc *feedback, struct shm_sfu_feedback *out,
			     uint32_t n_max);

#endif
