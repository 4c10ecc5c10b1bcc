// A short queue, searched from end to end: reservations are rare and end after 30 s. Control plane's loop thread.
#include "controlplane/turn/reservation.h"

#include <openssl/rand.h>
#include <stddef.h>
#include <string.h>

#define LIFETIME_NS (TURN_RESERVATION_LIFETIME_S * 1000000000ull)

static struct turn_reservation *at(const struct turn_reservations *r, uint32_t i)
{
	return (struct turn_reservation *)&r->entry[(r->head + i) % TURN_RESERVATIONS_MAX];
}

const struct turn_reservation *turn_reservation_add(struct turn_reservations *r, uint16_t node_id,
						    uint8_t relay_idx, uint16_t port,
						    uint32_t allocation_idx, uint64_t now_ns)
{
	struct turn_reservation *v;

	if (r->n == TURN_RESERVATIONS_MAX)
		return NULL;
	v = at(r, r->n);
	if (RAND_bytes(v->token, sizeof(v->token)) != 1)
		return NULL;
	v->token[0] = (uint8_t)(node_id >> 8);
	v->token[1] = (uint8_t)node_id;
	v->made_at_ns = now_ns;
	v->allocation_idx = allocation_idx;
	v->port = port;
	v->relay_idx = relay_idx;
	r->n++;
	return v;
}

struct turn_reservation *turn_reservation_find(struct turn_reservations *r,
					       const uint8_t token[TURN_RESERVATION_TOKEN_BYTES],
					       uint64_t now_ns)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct turn_reservation *v = at(r, i);

		if (v->made_at_ns != 0 && now_ns < v->made_at_ns + LIFETIME_NS &&
		    memcmp(v->token, token, sizeof(v->token)) == 0)
			return v;
	}
	return NULL;
}

const struct turn_reservation *turn_reservation_of(const struct turn_reservations *r,
						   uint32_t allocation_idx, uint64_t created_at_ns)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct turn_reservation *v = at(r, i);

		if (v->allocation_idx == allocation_idx && v->made_at_ns == created_at_ns)
			return v;
	}
	return NULL;
}

void turn_reservation_use(struct turn_reservation *v)
{
	v->made_at_ns = 0;
}

bool turn_reservation_expire(struct turn_reservations *r, uint64_t now_ns,
			     struct turn_reservation *out)
{
	while (r->n > 0) {
		struct turn_reservation *v = at(r, 0);

		if (v->made_at_ns != 0 && now_ns < v->made_at_ns + LIFETIME_NS)
			return false;
		*out = *v;
		r->head = (r->head + 1) % TURN_RESERVATIONS_MAX;
		r->n--;
		if (out->made_at_ns != 0)
			return true;
	}
	return false;
}
