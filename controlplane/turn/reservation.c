// A short queue, searched from end to end: reservations are rare and end after 30 s. Control
// plane's loop thread.
#include "controlplane/turn/reservation.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stddef.h>
#include <string.h>

#define LIFETIME_NS (TURN_RESERVATION_LIFETIME_S * 1000000000ull)

static struct turn_reservation *at(const struct turn_reservations *r, uint32_t i)
{
	return (struct turn_reservation *)&r->entry[(r->head + i) % TURN_RESERVATIONS_MAX];
}

int turn_reservation_add(struct turn_reservations *r, const struct turn_reservation *v,
			 uint64_t now_ns)
{
	struct turn_reservation *to = at(r, r->n);
	uint32_t n_of_user = 0;

	for (uint32_t i = 0; i < r->n; i++)
		n_of_user += at(r, i)->user_hash == v->user_hash;
	if (r->n == TURN_RESERVATIONS_MAX || n_of_user >= TURN_RESERVATIONS_USER_MAX)
		return -ENOSPC;
	*to = *v;
	to->made_at_ns = now_ns;
	if (RAND_bytes(to->token + 2, sizeof(to->token) - 2) != 1)
		return -ENOSPC;
	r->n++;
	return 0;
}

struct turn_reservation *turn_reservation_find(struct turn_reservations *r,
					       const uint8_t token[TURN_RESERVATION_TOKEN_BYTES],
					       uint64_t now_ns)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct turn_reservation *v = at(r, i);

		if (!v->is_used && now_ns < v->made_at_ns + LIFETIME_NS &&
		    memcmp(v->token, token, sizeof(v->token)) == 0)
			return v;
	}
	return NULL;
}

const struct turn_reservation *turn_reservation_of(const struct turn_reservations *r,
						   uint32_t allocation_idx,
						   uint32_t allocation_serial)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct turn_reservation *v = at(r, i);

		if (v->allocation_idx == allocation_idx &&
		    v->allocation_serial == allocation_serial)
			return v;
	}
	return NULL;
}

bool turn_reservation_expire(struct turn_reservations *r, uint64_t now_ns,
			     struct turn_reservation *out)
{
	while (r->n > 0) {
		*out = *at(r, 0);
		if (now_ns < out->made_at_ns + LIFETIME_NS)
			return false;
		r->head = (r->head + 1) % TURN_RESERVATIONS_MAX;
		r->n--;
		if (!out->is_used)
			return true;
	}
	return false;
}
