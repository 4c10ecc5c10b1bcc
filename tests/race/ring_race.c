// Both ends of a ring at once, the consumer asleep whenever it may be. Built twice: with ThreadSanitizer, and as shipped.
//
// Nothing is lost, doubled, reordered or torn, and the consumer never sleeps over a datagram.
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/contract/shm/ring.h"

#define N_DATAGRAMS     200000
#define WAKE_TIMEOUT_MS 5000

static struct shm_ring *ring;
static int wake[2];
static uint64_t n_full, n_wakes;

static uint32_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(x >> 32);
}

static uint16_t length_of(uint64_t number)
{
	return (uint16_t)(mix(number) % 200);
}

static void *produce(void *arg)
{
	for (uint64_t number = 0; number < N_DATAGRAMS; number++) {
		struct shm_datagram *d;

		while (!(d = shm_ring_reserve(ring))) {
			n_full++;
			sched_yield();
		}
		d->at_ns = number;
		d->length_bytes = length_of(number);
		for (uint32_t i = 0; i < d->length_bytes; i++)
			d->data[i] = (uint8_t)(mix(number) + i);
		shm_ring_commit(ring);
		if (shm_ring_needs_wake(ring)) {
			n_wakes++;
			if (write(wake[1], "", 1) != 1)
				abort();
		}
		// First as fast as it can, so that the ring is full often; then so that the consumer falls asleep often.
		if (number > N_DATAGRAMS / 2 && mix(number) % 64 == 0)
			while (shm_ring_room(ring) < SHM_RING_SLOTS)
				sched_yield();
	}
	return arg;
}

static const char *check(const struct shm_datagram *d, uint16_t length_bytes, uint64_t number)
{
	if (d->at_ns != number)
		return "lost, doubled or out of order";
	if (length_bytes != length_of(number))
		return "wrong length";
	for (uint32_t i = 0; i < length_bytes; i++)
		if (d->data[i] != (uint8_t)(mix(number) + i))
			return "torn";
	return NULL;
}

static const char *consume(uint64_t *n_sleeps)
{
	struct pollfd p = { .fd = wake[0], .events = POLLIN };
	uint64_t number = 0;

	while (number < N_DATAGRAMS) {
		uint16_t length;
		const struct shm_datagram *d = shm_ring_peek(ring, &length);
		char bytes[64];

		if (d) {
			const char *failure = check(d, length, number++);

			if (failure)
				return failure;
			shm_ring_release(ring);
			continue;
		}
		if (!shm_ring_prepare_sleep(ring))
			continue;
		(*n_sleeps)++;
		if (poll(&p, 1, WAKE_TIMEOUT_MS) == 0)
			return "nobody woke the consumer";
		if (read(wake[0], bytes, sizeof(bytes)) < 0)
			return "no wake-up to read";
	}
	return NULL;
}

int main(void)
{
	const char *failure;
	pthread_t producer;
	uint64_t n_sleeps = 0;

	ring = aligned_alloc(64, SHM_RING_BYTES);
	if (!ring || pipe(wake) < 0)
		return 1;
	memset(ring, 0, SHM_RING_BYTES);
	// The positions pass the end of 64 bits on the way.
	ring->produced = ring->consumed = UINT64_MAX - N_DATAGRAMS / 2;
	if (pthread_create(&producer, NULL, produce, NULL) != 0)
		return 1;
	while (shm_ring_room(ring) > 0)
		sched_yield();
	failure = consume(&n_sleeps);
	if (failure) {
		printf("%s\n", failure);
		_exit(1); // the producer may wait for room for ever
	}
	pthread_join(producer, NULL);
	printf("%lu sleeps, %lu wake-ups, %lu times full\n", (unsigned long)n_sleeps,
	       (unsigned long)n_wakes, (unsigned long)n_full);
	free(ring);
	if (n_sleeps < 10 || n_wakes < 10 || n_full < 1) {
		printf("too little happened\n");
		return 1;
	}
	return 0;
}
