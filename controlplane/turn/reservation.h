// Relayed ports that EVEN-PORT set aside for a RESERVATION-TOKEN (RFC 8656 §7.2, §18.7). They live
// in this process only: a control plane that dies gives them back, and the client allocates anew.
// Control plane's loop thread.
#ifndef TP_TURN_RESERVATION_H
#define TP_TURN_RESERVATION_H

#include <stdbool.h>
#include <stdint.h>

#define TURN_RESERVATION_TOKEN_BYTES 8
#define TURN_RESERVATIONS_MAX        4096 // at once; each holds one port
#define TURN_RESERVATIONS_USER_MAX   512  // of these, for one user
#define TURN_RESERVATION_LIFETIME_S  30

// One reserved port, taken in its port pool.
struct turn_reservation {
	uint8_t token[TURN_RESERVATION_TOKEN_BYTES];
	uint64_t made_at_ns;
	uint64_t user_hash;      // quota.h
	uint32_t allocation_idx; // for which it was made
	uint32_t allocation_serial;
	uint16_t port; // host order
	uint8_t relay_idx;
	bool is_used; // the port is another allocation's; remembered for retransmissions until its time is over
};

// A queue: all live equally long, so the oldest ends first.
struct turn_reservations {
	struct turn_reservation entry[TURN_RESERVATIONS_MAX];
	uint32_t head;
	uint32_t n;
};

// Notes a port that is taken already. The first two bytes of `v->token` are the caller's, the
// others become random. 0; -ENOSPC when there are too many, of all or of this user.
int turn_reservation_add(struct turn_reservations *r, const struct turn_reservation *v,
			 uint64_t now_ns);
// The one with that token, NULL when there is none, it is used or its time is over.
struct turn_reservation *turn_reservation_find(struct turn_reservations *r,
					       const uint8_t token[TURN_RESERVATION_TOKEN_BYTES],
					       uint64_t now_ns);
// The one that was made for an allocation, for a repeated answer.
const struct turn_reservation *turn_reservation_of(const struct turn_reservations *r,
						   uint32_t allocation_idx,
						   uint32_t allocation_serial);
// Takes out one whose time is over and was not used; false when there is none (left).
bool turn_reservation_expire(struct turn_reservations *r, uint64_t now_ns,
			     struct turn_reservation *out);

#endif
