// The rings between a worker and the control plane, from one thread; tests/race has both ends at once.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/shm/ring.h"

static struct shm_ring *ring;

static void set_up(void)
{
	ring = aligned_alloc(64, SHM_RING_BYTES);
	cr_assert_not_null(ring);
	memset(ring, 0, SHM_RING_BYTES);
}

static void tear_down(void)
{
	free(ring);
}

TestSuite(ring, .init = set_up, .fini = tear_down);

static bool put(uint64_t number, uint16_t length_bytes)
{
	struct shm_datagram *d = shm_ring_reserve(ring);

	if (!d)
		return false;
	d->at_ns = number;
	d->length_bytes = length_bytes;
	memset(d->data, (int)number, length_bytes <= SHM_DATAGRAM_BYTES_MAX ? length_bytes : 0);
	shm_ring_commit(ring);
	return true;
}

static void take(uint64_t number, uint16_t length_bytes)
{
	uint16_t length;
	const struct shm_datagram *d = shm_ring_peek(ring, &length);

	cr_assert_not_null(d);
	cr_assert_eq(d->at_ns, number);
	cr_assert_eq(length, length_bytes);
	for (uint32_t i = 0; i < length; i++)
		cr_assert_eq(d->data[i], (uint8_t)number);
	shm_ring_release(ring);
}

Test(ring, keeps_order_around_the_end)
{
	uint64_t in = 0, out = 0;
	uint16_t length;

	cr_assert_null(shm_ring_peek(ring, &length));
	while (out < 5000) {
		for (uint32_t i = 0; i < 700 && in - out < SHM_RING_SLOTS; i++, in++)
			cr_assert(put(in, (uint16_t)(in % (SHM_DATAGRAM_BYTES_MAX + 1))));
		for (uint32_t i = 0; i < 500 && out < in; i++, out++)
			take(out, (uint16_t)(out % (SHM_DATAGRAM_BYTES_MAX + 1)));
	}
}

Test(ring, refuses_when_full_and_takes_again_after_one)
{
	for (uint32_t i = 0; i < SHM_RING_SLOTS; i++) {
		cr_assert_eq(shm_ring_room(ring), SHM_RING_SLOTS - i);
		cr_assert(put(i, 1));
	}
	cr_assert_eq(shm_ring_room(ring), 0);
	cr_assert_not(put(0, 1));
	take(0, 1);
	cr_assert_eq(shm_ring_room(ring), 1);
	cr_assert(put(SHM_RING_SLOTS, 1));
	cr_assert_not(put(0, 1));
	for (uint32_t i = 1; i <= SHM_RING_SLOTS; i++)
		take(i, 1);
}

Test(ring, shows_nothing_before_the_commit)
{
	uint16_t length;

	cr_assert_not_null(shm_ring_reserve(ring));
	cr_assert_null(shm_ring_peek(ring, &length));
	cr_assert_eq(shm_ring_reserve(ring), shm_ring_reserve(ring));
}

Test(ring, peek_without_release_stays_at_the_same_one)
{
	uint16_t length;

	put(1, 10);
	put(2, 20);
	cr_assert_eq(shm_ring_peek(ring, &length), shm_ring_peek(ring, &length));
	take(1, 10);
	take(2, 20);
}

Test(ring, skips_a_length_that_no_slot_holds)
{
	uint16_t length;

	put(1, SHM_DATAGRAM_BYTES_MAX + 1);
	put(2, UINT16_MAX);
	put(3, SHM_DATAGRAM_BYTES_MAX);
	take(3, SHM_DATAGRAM_BYTES_MAX);
	put(4, UINT16_MAX);
	cr_assert_null(shm_ring_peek(ring, &length));
	cr_assert_eq(shm_ring_room(ring), SHM_RING_SLOTS);
}

Test(ring, positions_without_sense_neither_crash_nor_end_it)
{
	static const uint64_t position[][2] = {
		{ 0, 1 },
		{ SHM_RING_SLOTS + 1, 0 },
		{ UINT64_MAX, 0 },
		{ 5, UINT64_MAX - 5000 },
		{ UINT64_MAX / 2, UINT64_MAX },
	};
	uint16_t length;

	for (uint32_t i = 0; i < sizeof(position) / sizeof(position[0]); i++) {
		ring->produced = position[i][0];
		ring->consumed = position[i][1];
		cr_assert_null(shm_ring_reserve(ring));
		cr_assert_eq(shm_ring_room(ring), 0);
		cr_assert_null(shm_ring_peek(ring, &length));
		cr_assert(put(7, 3), "goes on after the consumer gave up what was senseless");
		take(7, 3);
	}
}

Test(ring, positions_wrap_at_the_end_of_64_bits)
{
	ring->produced = ring->consumed = UINT64_MAX - 3;
	for (uint32_t i = 0; i < 10; i++)
		cr_assert(put(i, 5));
	for (uint32_t i = 0; i < 10; i++)
		take(i, 5);
}

Test(ring, wakes_a_sleeper_once)
{
	cr_assert(shm_ring_prepare_sleep(ring));
	put(1, 1);
	cr_assert(shm_ring_needs_wake(ring));
	cr_assert_not(shm_ring_needs_wake(ring));
	put(2, 1);
	cr_assert_not(shm_ring_needs_wake(ring));
	cr_assert_not(shm_ring_prepare_sleep(ring), "two wait");
	put(3, 1);
	cr_assert_not(shm_ring_needs_wake(ring), "it did not go to sleep");
	take(1, 1);
	take(2, 1);
	take(3, 1);
	cr_assert(shm_ring_prepare_sleep(ring));
}

// ---- a stream ring

static struct shm_ring *stream_ring_new(void)
{
	struct shm_ring *r = aligned_alloc(64, SHM_STREAM_RING_BYTES);

	cr_assert_not_null(r);
	memset(r, 0, SHM_STREAM_RING_BYTES);
	return r;
}

// A second of 4000 messages, which is how long a control plane may wait for a CPU before data is too old to be sent.
Test(stream_ring, holds_what_streams_may_buffer_and_keeps_its_order_around_the_end)
{
	struct shm_ring *r = stream_ring_new();
	uint16_t length;
	uint64_t out = 0;

	cr_assert_geq(SHM_STREAM_RING_SLOTS, 4000);
	for (uint64_t round = 0, in = 0; round < 3; round++) {
		for (uint32_t i = 0; i < SHM_STREAM_RING_SLOTS; i++, in++) {
			struct shm_datagram *d = shm_stream_ring_reserve(r);

			cr_assert_not_null(d);
			d->at_ns = in;
			d->length_bytes = 1;
			shm_ring_commit(r);
		}
		cr_assert_null(shm_stream_ring_reserve(r));
		cr_assert_not(shm_stream_ring_prepare_sleep(r));
		for (; out < in; out++) {
			const struct shm_datagram *d = shm_stream_ring_peek(r, &length);

			cr_assert_not_null(d);
			cr_assert_eq(d->at_ns, out);
			shm_ring_release(r);
		}
		cr_assert_null(shm_stream_ring_peek(r, &length));
		cr_assert(shm_stream_ring_prepare_sleep(r));
		cr_assert(shm_ring_needs_wake(r));
		// The next round begins elsewhere in the ring.
		r->produced = r->consumed = r->produced + 1000;
	}
	free(r);
}

Test(stream_ring, positions_without_sense_name_no_slot_beyond_its_end)
{
	static const uint64_t position[][2] = {
		{ 0, 1 },
		{ SHM_STREAM_RING_SLOTS + 1, 0 },
		{ UINT64_MAX, 0 },
		{ UINT64_MAX / 2, UINT64_MAX },
	};
	struct shm_ring *r = stream_ring_new();
	uint16_t length;

	for (uint32_t i = 0; i < sizeof(position) / sizeof(position[0]); i++) {
		r->produced = position[i][0];
		r->consumed = position[i][1];
		cr_assert_null(shm_stream_ring_reserve(r));
		cr_assert_null(shm_stream_ring_peek(r, &length));
		cr_assert_eq(r->consumed, r->produced);
		cr_assert_eq(
			(uint8_t *)shm_stream_ring_reserve(r) - r->slots,
			(ptrdiff_t)(position[i][0] % SHM_STREAM_RING_SLOTS * SHM_RING_SLOT_BYTES));
	}
	free(r);
}
