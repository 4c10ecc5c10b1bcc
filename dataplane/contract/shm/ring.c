// Rings between a worker and the control plane. One producer thread and one consumer thread; each stores into its own line,
// but for the sleep mark, which the producer takes back. Positions and lengths from the other side are untrusted.
#include "dataplane/contract/shm/ring.h"

static_assert((SHM_RING_SLOTS & (SHM_RING_SLOTS - 1)) == 0 &&
		      (SHM_STREAM_RING_SLOTS & (SHM_STREAM_RING_SLOTS - 1)) == 0,
	      "slots are a power of two");

// A datagram's head and a STUN message.
#define PREFETCH_BYTES 256u
static_assert(PREFETCH_BYTES > sizeof(struct shm_datagram) && PREFETCH_BYTES <= SHM_RING_SLOT_BYTES,
	      "prefetched within the slot");

// The number of slots is a constant of the caller's everywhere, never one that the other side could have stored.
static inline struct shm_datagram *slot_at(struct shm_ring *r, uint32_t n_slots, uint64_t position)
{
	return (void *)(r->slots + (position & (n_slots - 1)) * SHM_RING_SLOT_BYTES);
}

static inline uint32_t room(const struct shm_ring *r, uint32_t n_slots)
{
	uint64_t used = __atomic_load_n(&r->produced, __ATOMIC_RELAXED) -
			__atomic_load_n(&r->consumed, __ATOMIC_ACQUIRE);

	return used >= n_slots ? 0 : n_slots - (uint32_t)used;
}

static inline struct shm_datagram *reserve(struct shm_ring *r, uint32_t n_slots)
{
	if (room(r, n_slots) == 0)
		return NULL;
	return slot_at(r, n_slots, __atomic_load_n(&r->produced, __ATOMIC_RELAXED));
}

uint32_t shm_ring_room(const struct shm_ring *r)
{
	return room(r, SHM_RING_SLOTS);
}

struct shm_datagram *shm_ring_reserve(struct shm_ring *r)
{
	return reserve(r, SHM_RING_SLOTS);
}

struct shm_datagram *shm_stream_ring_reserve(struct shm_ring *r)
{
	return reserve(r, SHM_STREAM_RING_SLOTS);
}

void shm_ring_prefetch_reserve(const struct shm_ring *r)
{
	uint64_t position = __atomic_load_n(&r->produced, __ATOMIC_RELAXED);
	const uint8_t *slot = r->slots + (position & (SHM_RING_SLOTS - 1)) * SHM_RING_SLOT_BYTES;

	__builtin_prefetch(&r->consumed);
	for (uint32_t i = 0; i < PREFETCH_BYTES; i += 64)
		__builtin_prefetch(slot + i, 1);
}

void shm_ring_commit(struct shm_ring *r)
{
	uint64_t produced = __atomic_load_n(&r->produced, __ATOMIC_RELAXED);

	__atomic_store_n(&r->produced, produced + 1, __ATOMIC_RELEASE);
}

bool shm_ring_needs_wake(struct shm_ring *r)
{
	// Pairs with the fence of shm_ring_prepare_sleep: either the mark is seen here or the datagram there.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&r->consumer_sleeping, __ATOMIC_RELAXED))
		return false;
	return __atomic_exchange_n(&r->consumer_sleeping, 0, __ATOMIC_ACQ_REL) != 0;
}

// Datagrams that wait. Positions that make no sense (more than the ring holds) are given up: the consumer goes on at the
// producer's, so that one bad store does not end the ring.
static inline uint32_t waiting(struct shm_ring *r, uint32_t n_slots)
{
	uint64_t produced = __atomic_load_n(&r->produced, __ATOMIC_ACQUIRE);
	uint64_t n = produced - __atomic_load_n(&r->consumed, __ATOMIC_RELAXED);

	if (n <= n_slots)
		return (uint32_t)n;
	__atomic_store_n(&r->consumed, produced, __ATOMIC_RELEASE);
	return 0;
}

static inline const struct shm_datagram *peek(struct shm_ring *r, uint32_t n_slots,
					      uint16_t *length_bytes)
{
	for (uint32_t n = waiting(r, n_slots); n; n--) {
		const struct shm_datagram *d =
			slot_at(r, n_slots, __atomic_load_n(&r->consumed, __ATOMIC_RELAXED));
		uint16_t length = __atomic_load_n(&d->length_bytes, __ATOMIC_RELAXED);

		if (length <= SHM_DATAGRAM_BYTES_MAX) {
			// The next one was written by another core: it comes while this one is worked on.
			if (n > 1) {
				const uint8_t *next = (const uint8_t *)slot_at(
					r, n_slots,
					__atomic_load_n(&r->consumed, __ATOMIC_RELAXED) + 1);

				for (uint32_t i = 0; i < PREFETCH_BYTES; i += 64)
					__builtin_prefetch(next + i);
			}
			*length_bytes = length;
			return d;
		}
		shm_ring_release(r);
	}
	return NULL;
}

const struct shm_datagram *shm_ring_peek(struct shm_ring *r, uint16_t *length_bytes)
{
	return peek(r, SHM_RING_SLOTS, length_bytes);
}

const struct shm_datagram *shm_stream_ring_peek(struct shm_ring *r, uint16_t *length_bytes)
{
	return peek(r, SHM_STREAM_RING_SLOTS, length_bytes);
}

void shm_ring_release(struct shm_ring *r)
{
	uint64_t consumed = __atomic_load_n(&r->consumed, __ATOMIC_RELAXED);

	// The release keeps the reads of the slot before the producer's next use of it.
	__atomic_store_n(&r->consumed, consumed + 1, __ATOMIC_RELEASE);
}

static inline bool prepare_sleep(struct shm_ring *r, uint32_t n_slots)
{
	__atomic_store_n(&r->consumer_sleeping, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (waiting(r, n_slots) == 0)
		return true;
	__atomic_store_n(&r->consumer_sleeping, 0, __ATOMIC_RELAXED);
	return false;
}

bool shm_ring_prepare_sleep(struct shm_ring *r)
{
	return prepare_sleep(r, SHM_RING_SLOTS);
}

bool shm_stream_ring_prepare_sleep(struct shm_ring *r)
{
	return prepare_sleep(r, SHM_STREAM_RING_SLOTS);
}
