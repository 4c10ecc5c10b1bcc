// A ring whose other side stores what it likes: each end stays inside the slots, and after any nonsense the ring still
// carries a datagram.
#include "dataplane/contract/shm/ring.h"
#include "tests/fuzz/fuzz.h"

// Both sizes of ring. What stands behind the slots of the small one is none of its.
static const struct ring_size {
	uint32_t n_slots;
	struct shm_datagram *(*reserve)(struct shm_ring *r);
	const struct shm_datagram *(*peek)(struct shm_ring *r, uint16_t *length_bytes);
	bool (*prepare_sleep)(struct shm_ring *r);
} sizes[] = {
	{ SHM_RING_SLOTS, shm_ring_reserve, shm_ring_peek, shm_ring_prepare_sleep },
	{ SHM_STREAM_RING_SLOTS, shm_stream_ring_reserve, shm_stream_ring_peek,
	  shm_stream_ring_prepare_sleep },
};

static _Alignas(64) uint8_t memory[SHM_STREAM_RING_BYTES];

static void check_slot(const struct ring_size *size, const struct shm_datagram *d)
{
	size_t at = (size_t)((const uint8_t *)d - memory - sizeof(struct shm_ring));

	FUZZ_ASSERT(at % SHM_RING_SLOT_BYTES == 0);
	FUZZ_ASSERT(at / SHM_RING_SLOT_BYTES < size->n_slots);
}

// Positions that make no sense leave no room.
static uint32_t room(const struct ring_size *size, const struct shm_ring *r)
{
	uint64_t n_used = r->produced - r->consumed;

	return n_used < size->n_slots ? size->n_slots - (uint32_t)n_used : 0;
}

static void step(const struct ring_size *size, struct shm_ring *r, uint8_t what, uint64_t value)
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
		d = size->reserve(r);
		FUZZ_ASSERT((d != NULL) == (room(size, r) > 0));
		if (!d)
			break;
		check_slot(size, d);
		d->length_bytes = (uint16_t)value;
		shm_ring_commit(r);
		shm_ring_needs_wake(r);
		break;
	case 3:
		taken = size->peek(r, &length_bytes);
		if (!taken)
			break;
		check_slot(size, taken);
		FUZZ_ASSERT(length_bytes <= SHM_DATAGRAM_BYTES_MAX);
		shm_ring_release(r);
		break;
	case 4:
		r->consumer_sleeping = (uint32_t)value;
		shm_ring_needs_wake(r);
		FUZZ_ASSERT(!shm_ring_needs_wake(r));
		break;
	default:
		size->prepare_sleep(r);
	}
	FUZZ_ASSERT(size->n_slots != SHM_RING_SLOTS || shm_ring_room(r) == room(size, r));
}

static void run(const struct ring_size *size, const uint8_t *data, size_t n)
{
	struct shm_ring *r = (void *)memory;
	struct shm_datagram *d;
	uint16_t length_bytes;

	memset(r, 0, sizeof(*r));
	for (; n >= 9; data += 9, n -= 9) {
		uint64_t value;

		memcpy(&value, data + 1, sizeof(value));
		step(size, r, data[0], value);
	}
	while (size->peek(r, &length_bytes))
		shm_ring_release(r);
	FUZZ_ASSERT(room(size, r) == size->n_slots);
	d = size->reserve(r);
	FUZZ_ASSERT(d != NULL);
	d->length_bytes = 5;
	shm_ring_commit(r);
	FUZZ_ASSERT(size->peek(r, &length_bytes) == d && length_bytes == 5);
	shm_ring_release(r);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run(&sizes[i], data, n);
}
