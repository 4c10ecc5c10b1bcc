// Relayed ports that EVEN-PORT set aside for a RESERVATION-TOKEN (RFC 8656 §7.2, §18.7). They live in this process only: a
// control plane that dies gives them back, and the client allocates anew. Control plane's loop thread.
#ifndef TP_TURN_RESERVATION_H
#define TP_TURN_RESERVATION_H

#include <stdbool.h>
#include <stdint.h>

#define TURN_RESERVATION_TOKEN_BYTES 8
#define TURN_RESERVATIONS_MAX        1024 // at once; each holds one port
#define TURN_RESERVATION_LIFETIME_S  30

// One reserved port, taken in its port pool.
struct turn_reservation {
	uint8_t token[TURN_RESERVATION_TOKEN_BYTES];
	uint64_t made_at_ns;     // 0: used up
	uint32_t allocation_idx; // for which it was made; its created_at_ns is made_at_ns
	uint16_t port;           // host order
	uint8_t relay_idx;
};

// A queue: all live equally long, so the oldest ends first.
struct turn_reservations {
	struct turn_reservation entry[TURN_RESERVATIONS_MAX];
	uint32_t head;
	uint32_t n;
};

// Notes a port that is taken already, under a random token that begins with the node's id. NULL when there are too many.
const struct turn_reservation *turn_reservation_add(struct turn_reservations *r, uint16_t node_id,
						    uint8_t relay_idx, uint16_t port,
						    uint32_t allocation_idx, uint64_t now_ns);
// The one with that token, NULL when there is none or its time is over.
struct turn_reservation *turn_reservation_find(struct turn_reservations *r,
					       const uint8_t token[TURN_RESERVATION_TOKEN_BYTES],
					       uint64_t now_ns);
// The one that was made for an allocation created then, for a repeated answer.
const struct turn_reservation *turn_reservation_of(const struct turn_reservations *r,
						   uint32_t allocation_idx, uint64_t created_at_ns);
// Uses it up: the port is the caller's.
void turn_reservation_use(struct turn_reservation *v);
// Takes out one whose time is over and was not used; false when there is none (left).
bool turn_reservation_expire(struct turn_reservations *r, uint64_t now_ns,
			     struct turn_reservation *out);

#endif
