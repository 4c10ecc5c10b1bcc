// A ring whose other side stores what it likes: each end stays inside the slots, and after any nonsense the ring still
// carries a datagram.
#include "dataplane/contract/shm/ring.h"
#include "tests/fuzz/fuzz.h"

static _Alignas(64) uint8_t memory[SHM_RING_BYTES];

static void check_slot(const struct shm_datagram *d)
{
	size_t at = (size_t)((const uint8_t *)d - memory - sizeof(struct shm_ring));

	FUZZ_ASSERT(at % SHM_RING_SLOT_BYTES == 0);
	FUZZ_ASSERT(at / SHM_RING_SLOT_BYTES < SHM_RING_SLOTS);
}

static void step(struct shm_ring *r, uint8_t what, uint64_t value)
{
	const struct shm_datagram *taken;
	struct shm_datagram *d;
	uint16_t length_bytes;

	switch (what % 6) {
	case 0:
		r->produced = value;
		break;
	case 1:
		r->consumed = value;
		break;
	case 2:
		d = shm_ring_reserve(r);
		FUZZ_ASSERT((d != NULL) == (shm_ring_room(r) > 0));
		if (!d)
			break;
		check_slot(d);
		d->length_bytes = (uint16_t)value;
		shm_ring_commit(r);
		shm_ring_needs_wake(r);
		break;
	case 3:
		taken = shm_ring_peek(r, &length_bytes);
		if (!taken)
			break;
		check_slot(taken);
		FUZZ_ASSERT(length_bytes <= SHM_DATAGRAM_BYTES_MAX);
		shm_ring_release(r);
		break;
	case 4:
		r->consumer_sleeping = (uint32_t)value;
		shm_ring_needs_wake(r);
		FUZZ_ASSERT(!shm_ring_needs_wake(r));
		break;
	default:
		shm_ring_prepare_sleep(r);
	}
	FUZZ_ASSERT(shm_ring_room(r) <= SHM_RING_SLOTS);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct shm_ring *r = (void *)memory;
	struct shm_datagram *d;
	uint16_t length_bytes;

	memset(r, 0, sizeof(*r));
	for (; n >= 9; data += 9, n -= 9) {
		uint64_t value;

		memcpy(&value, data + 1, sizeof(value));
		step(r, data[0], value);
	}
	while (shm_ring_peek(r, &length_bytes))
		shm_ring_release(r);
	FUZZ_ASSERT(shm_ring_room(r) == SHM_RING_SLOTS);
	d = shm_ring_reserve(r);
	FUZZ_ASSERT(d != NULL);
	d->length_bytes = 5;
	shm_ring_commit(r);
	FUZZ_ASSERT(shm_ring_peek(r, &length_bytes) == d && length_bytes == 5);
}
