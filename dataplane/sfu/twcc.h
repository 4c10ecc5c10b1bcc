// When what was sent to one transport, by its transport-wide sequence number: joined with the feedback that comes back.
// Worker thread.
#ifndef TP_DP_SFU_TWCC_H
#define TP_DP_SFU_TWCC_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/shm/ring.h"

// A second of 8 Mb/s. A power of two.
#define DP_SFU_HISTORY_PKTS 1024

// The unit of sending times: 2^32 of them are 274 s.
#define DP_SFU_SENDING_NS 64

struct dp_sfu_sending {
	uint32_t at;         // DP_SFU_SENDING_NS, low bits
	uint16_t size_bytes; // 0: none, or told of before
	uint8_t round;       // of the sequence number, above what is the slot
	uint8_t probe_id;
};
static_assert(sizeof(struct dp_sfu_sending) == 8, "eight to a line");

struct dp_sfu_history {
	struct dp_sfu_sending sending[DP_SFU_HISTORY_PKTS];
};

static inline struct dp_sfu_sending *dp_sfu_history_slot(struct dp_sfu_history *h,
							 uint64_t sequence)
{
	return &h->sending[sequence % DP_SFU_HISTORY_PKTS];
}

static inline struct dp_sfu_sending dp_sfu_sending(uint64_t sequence, uint64_t now_ns,
						   uint32_t size_bytes, uint8_t probe_id)
{
	return (struct dp_sfu_sending){
		.at = (uint32_t)(now_ns / DP_SFU_SENDING_NS),
		.size_bytes = (uint16_t)size_bytes,
		.round = (uint8_t)(sequence / DP_SFU_HISTORY_PKTS),
		.probe_id = probe_id,
	};
}

struct rtcp_twcc;
// What the feedback says of packets that were sent, in the order of sending; `next_sequence` is the one to be sent next. Each
// packet that arrived is told of once. Returns how many, at most n_max.
uint32_t dp_sfu_history_join(struct dp_sfu_history *h, uint64_t next_sequence, uint64_t now_ns,
			     const struct rtcp_twcc *feedback, struct shm_sfu_feedback *out,
			     uint32_t n_max);

#endif
