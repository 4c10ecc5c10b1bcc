// A path to a subscriber, simulated: a bottleneck with a queue, delay, jitter, and loss both ways.
// Deterministic.
#ifndef TP_TEST_LINK_H
#define TP_TEST_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/sfu/bwe/packet.h"

#define MS             1000000ULL
#define S              1000000000ULL
#define LINK_KEPT_PKTS 8192

struct link_packet {
	uint64_t send_ns;
	uint64_t arrival_ns; // 0: lost
	uint16_t size_bytes;
	uint8_t flags;
};

struct link {
	uint64_t capacity_bps;
	uint64_t queue_ns_max; // of delay, at the capacity; what would wait longer is dropped
	uint64_t delay_ns;     // one way
	uint64_t jitter_ns;    // up to this, added to each packet; order is kept
	double loss;
	double reverse_loss;  // of feedback messages
	bool is_mute;         // no feedback at all
	uint64_t feedback_ns; // between two messages

	uint64_t idle_ns; // when the bottleneck is free again
	uint64_t last_arrival_ns;
	uint64_t next_feedback_ns;
	uint64_t random;
	struct link_packet sent[LINK_KEPT_PKTS]; // a ring
	uint64_t n_sent;
	uint64_t n_reported;
	uint64_t n_lost;
};

// 20 ms each way, a queue of 400 ms, feedback every 50 ms.
void link_init(struct link *l, uint64_t capacity_bps);
void link_send(struct link *l, uint64_t now_ns, uint16_t size_bytes, uint8_t flags);
// The records of a feedback message that arrives now; 0 if none does.
uint32_t link_feedback(struct link *l, uint64_t now_ns, struct bwe_packet *out, uint32_t max);
double link_random(struct link *l);

#endif
