// A bitmap, searched from a random start. Control plane's loop thread.
#include "controlplane/turn/ports.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

// Random numbers are fetched in blocks: one call per port would cost more than the rest of an
// Allocate.
static uint32_t random_u32(void)
{
	static uint32_t block[256];
	static uint32_t n_left;
	uint32_t v;

	if (n_left == 0) {
		if (RAND_bytes((unsigned char *)block, sizeof(block)) != 1)
			return 0;
		n_left = sizeof(block) / sizeof(block[0]);
	}
	v = block[--n_left];
	block[n_left] = 0;
	return v;
}

void turn_ports_init(struct turn_ports *p, uint16_t min, uint16_t max)
{
	memset(p, 0, sizeof(*p));
	p->min = min;
	p->max = max;
	p->n_free = (uint32_t)max - min + 1;
}

static bool is_taken(const struct turn_ports *p, uint32_t port)
{
	return p->taken[port / 64] >> (port % 64) & 1;
}

bool turn_ports_take_one(struct turn_ports *p, uint16_t port)
{
	if (port < p->min || port > p->max || is_taken(p, port))
		return false;
	p->taken[port / 64] |= 1ull << (port % 64);
	p->n_free--;
	return true;
}

// The first free port in [from, to]; 0 when there is none.
static uint32_t first_free(const struct turn_ports *p, uint32_t from, uint32_t to)
{
	for (uint32_t port = from; port <= to;) {
		uint64_t free_bits = ~p->taken[port / 64] >> (port % 64);

		if (free_bits != 0) {
			port += (uint32_t)__builtin_ctzll(free_bits);
			return port <= to ? port : 0;
		}
		port = (port / 64 + 1) * 64;
	}
	return 0;
}

uint16_t turn_ports_take(struct turn_ports *p)
{
	uint32_t span = (uint32_t)p->max - p->min + 1;
	uint32_t start = p->min;
	uint32_t port;

	if (p->n_free == 0)
		return 0;
	// Some throws first, so that ports behind occupied ones are no likelier than others while
	// there is room.
	for (int i = 0; i < 8; i++) {
		start = p->min + (uint32_t)((uint64_t)random_u32() * span >> 32);
		if (turn_ports_take_one(p, (uint16_t)start))
			return (uint16_t)start;
	}
	port = first_free(p, start, p->max);
	if (port == 0)
		port = first_free(p, p->min, start);
	if (port == 0 || !turn_ports_take_one(p, (uint16_t)port))
		return 0;
	return (uint16_t)port;
}

static bool take_even_one(struct turn_ports *p, uint32_t port, bool with_next)
{
	if (with_next && (port >= p->max || is_taken(p, port + 1)))
		return false;
	if (!turn_ports_take_one(p, (uint16_t)port))
		return false;
	if (with_next)
		turn_ports_take_one(p, (uint16_t)(port + 1));
	return true;
}

uint16_t turn_ports_take_even(struct turn_ports *p, bool with_next)
{
	uint32_t first = ((uint32_t)p->min + 1) & ~1u;
	uint32_t n_even = p->max < first ? 0 : (p->max - first) / 2 + 1;
	uint32_t start = 0;

	if (n_even == 0 || p->n_free == 0)
		return 0;
	for (int i = 0; i < 8; i++) {
		start = (uint32_t)((uint64_t)random_u32() * n_even >> 32);
		if (take_even_one(p, first + 2 * start, with_next))
			return (uint16_t)(first + 2 * start);
	}
	for (uint32_t i = 0; i < n_even; i++) {
		uint32_t port = first + 2 * ((start + i) % n_even);

		if (take_even_one(p, port, with_next))
			return (uint16_t)port;
	}
	return 0;
}

void turn_ports_release(struct turn_ports *p, uint16_t port)
{
	if (port < p->min || port > p->max || !is_taken(p, port))
		return;
	p->taken[port / 64] &= ~(1ull << (port % 64));
	p->n_free++;
}
