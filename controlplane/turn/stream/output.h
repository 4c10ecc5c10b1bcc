// Messages that wait to be sent on a connection, bounded by bytes and by age. When there is no room the oldest data goes first:
// what is played live is worth less the older it is, and a decoder that lost a frame wants the next key frame, which stands at
// the end. Answers are never dropped and overtake data, so a client that is behind still hears of its refreshes.
// Control plane's loop thread; no I/O.
#ifndef TP_TURN_STREAM_OUTPUT_H
#define TP_TURN_STREAM_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

struct turn_output_message {
	struct turn_output_message *next;
	uint64_t at_ns; // 0 = an answer
	size_t n_bytes;
	uint8_t bytes[];
};

struct turn_output_queue {
	struct turn_output_message *head, **tail;
	size_t n_bytes;
};

struct turn_output_limits {
	size_t bytes; // of data
	uint64_t age_ns;
	uint64_t total_bytes; // of data, of all outputs that count in *total
};

struct turn_output {
	struct turn_output_queue answers;
	struct turn_output_queue data;
	uint64_t *total; // bytes of data that wait in all outputs
};

struct turn_output_drops {
	uint32_t n_age;
	uint32_t n_bytes;
	uint32_t n_total;
};

void turn_output_init(struct turn_output *o, uint64_t *total);
void turn_output_clear(struct turn_output *o);
// Copies a message to the end. at_ns 0: an answer. 0, or -ENOMEM; what had to go for it is added to *drops. Data that does not
// fit even then is dropped itself.
int turn_output_push(struct turn_output *o, const struct turn_output_limits *limits,
		     const uint8_t *bytes, size_t n_bytes, uint64_t at_ns,
		     struct turn_output_drops *drops);
// Drops data older than limits->age_ns.
void turn_output_expire(struct turn_output *o, const struct turn_output_limits *limits,
			uint64_t now_ns, struct turn_output_drops *drops);
// Takes out the next to send, for the caller to free; NULL when nothing waits.
struct turn_output_message *turn_output_pop(struct turn_output *o);

#endif
