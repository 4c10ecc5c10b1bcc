// Either end of a ring dies by SIGKILL at any moment, hundreds of times; whoever comes next goes on from the stored
// positions: nothing committed is lost, nothing half written is seen, order stays.
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/contract/shm/ring.h"

#define N_CRASHES 300

// Where a consumer stands; its own memory, in a place that outlives it.
struct progress {
	uint64_t next;   // number of the datagram expected
	uint64_t failed; // 0, or the line of the check that failed
};

static struct shm_ring *ring;
static struct progress *progress;

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			printf("line %d: %s\n", __LINE__, #what);                                  \
			return false;                                                              \
		}                                                                                  \
	} while (0)

// The number of a datagram is its position, so a producer that comes new knows where to go on.
static void produce(void)
{
	for (;;) {
		struct shm_datagram *d = shm_ring_reserve(ring);

		if (!d)
			continue;
		d->at_ns = ring->produced;
		d->length_bytes = (uint16_t)(ring->produced % 500);
		memset(d->data, (int)ring->produced, d->length_bytes);
		shm_ring_commit(ring);
		shm_ring_needs_wake(ring);
	}
}

static uint64_t check(const struct shm_datagram *d, uint16_t length_bytes)
{
	// Killed between the two stores, the consumer before had taken it but not written that down.
	if (ring->consumed != progress->next && ring->consumed != progress->next + 1)
		return __LINE__;
	if (d->at_ns != ring->consumed)
		return __LINE__;
	if (length_bytes != d->at_ns % 500)
		return __LINE__;
	for (uint32_t i = 0; i < length_bytes; i++)
		if (d->data[i] != (uint8_t)d->at_ns)
			return __LINE__;
	return 0;
}

static void consume(void)
{
	for (;;) {
		uint16_t length;
		const struct shm_datagram *d = shm_ring_peek(ring, &length);

		if (!d) {
			shm_ring_prepare_sleep(ring);
			continue;
		}
		progress->failed = check(d, length);
		if (progress->failed)
			_exit(1);
		shm_ring_release(ring);
		__atomic_store_n(&progress->next, ring->consumed, __ATOMIC_RELEASE);
	}
}

static pid_t start(void (*role)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		role();
	}
	return pid;
}

static bool end(pid_t pid)
{
	int status;

	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (progress->failed)
		printf("the consumer's check in line %lu\n", (unsigned long)progress->failed);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return true;
}

static bool crash_often(void)
{
	pid_t producer = start(produce), consumer = start(consume);

	CHECK(producer > 0 && consumer > 0);
	for (uint32_t round = 0; round < N_CRASHES; round++) {
		struct timespec pause = { .tv_nsec = 500000 + (round * 7919 % 3000) * 1000 };
		uint64_t before = __atomic_load_n(&ring->consumed, __ATOMIC_ACQUIRE);
		uint64_t used;

		nanosleep(&pause, NULL);
		if (round % 2) {
			CHECK(end(producer));
			producer = start(produce);
		} else {
			CHECK(end(consumer));
			consumer = start(consume);
		}
		CHECK(producer > 0 && consumer > 0);
		used = __atomic_load_n(&ring->produced, __ATOMIC_ACQUIRE) - before;
		CHECK(used <= UINT64_MAX / 2);
		// Both sides make progress again.
		for (uint32_t waited_ms = 0;
		     __atomic_load_n(&ring->consumed, __ATOMIC_ACQUIRE) < before + 10;
		     waited_ms++) {
			CHECK(waited_ms < 10000);
			CHECK(progress->failed == 0);
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		}
	}
	CHECK(end(producer));
	CHECK(end(consumer));
	return true;
}

int main(void)
{
	ring = mmap(NULL, SHM_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED || progress == MAP_FAILED)
		return 1;
	if (!crash_often())
		return 1;
	printf("%u crashes over %lu datagrams\n", N_CRASHES, (unsigned long)ring->consumed);
	return 0;
}
