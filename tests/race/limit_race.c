// Two workers that take from the same buckets while the control plane writes the limits. Built twice: with ThreadSanitizer, and
// as shipped.
//
// Together they get what one would get, in each phase what its limits allow.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/limit.h"

#define N_WORKERS  2
#define N_SLOTS    8
#define SLOT       3
#define USER       5
#define RATE       10000000u
#define PHASES     4
#define PHASE_NS   1000000000ull
#define STEP_NS    2000ull // so that five times the rate is offered
#define DATA_BYTES 100

static struct shm_limit limit[N_SLOTS];
static struct dp_limits limits;
static uint64_t clock_ns;
static uint64_t passed[N_WORKERS];
static uint64_t phase;
static int is_over;

// The allocation's own limit in even phases, the user's in odd ones.
static void limits_write(void)
{
	__atomic_store_n(&limit[SLOT].bytes_per_s, phase % 2 ? 4 * RATE : RATE, __ATOMIC_RELAXED);
	__atomic_store_n(&limit[SLOT].user_idx, USER, __ATOMIC_RELAXED);
	__atomic_store_n(&limit[SLOT].user_bytes_per_s, phase % 2 ? RATE : 0, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	uint32_t worker_idx = (uint32_t)(uintptr_t)arg;
	uint64_t until_ns = (10 + phase + 1) * PHASE_NS;

	for (;;) {
		uint64_t now_ns = __atomic_fetch_add(&clock_ns, STEP_NS, __ATOMIC_RELAXED);

		if (now_ns >= until_ns)
			return NULL;
		if (dp_limit_take(&limits, SLOT, DP_LIMIT_DOWN, DATA_BYTES, now_ns / STEP_NS % 2,
				  now_ns) == DP_LIMIT_PASS)
			passed[worker_idx] += DATA_BYTES;
	}
}

// The control plane says the same again and again.
static void *rule(void *arg)
{
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		limits_write();
		sched_yield();
	}
	return arg;
}

static uint64_t phase_run(void)
{
	pthread_t thread[N_WORKERS];
	pthread_t ruler;

	passed[0] = 0;
	passed[1] = 0;
	limits_write();
	__atomic_store_n(&clock_ns, (10 + phase) * PHASE_NS, __ATOMIC_RELAXED);
	__atomic_store_n(&is_over, 0, __ATOMIC_RELAXED);
	pthread_create(&ruler, NULL, rule, NULL);
	for (uintptr_t i = 0; i < N_WORKERS; i++)
		pthread_create(&thread[i], NULL, work, (void *)i);
	for (uint32_t i = 0; i < N_WORKERS; i++)
		pthread_join(thread[i], NULL);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(ruler, NULL);
	return passed[0] + passed[1];
}

int main(void)
{
	// A second at the rate, and a bucket: full at first, full, filled by what four times the rate left over in a second, full.
	static const uint64_t expected[PHASES] = { 2 * RATE, 2 * RATE, RATE + RATE / 2, 2 * RATE };

	if (dp_limits_create(limit, N_SLOTS, &limits) < 0)
		return EXIT_FAILURE;
	for (phase = 0; phase < PHASES; phase++) {
		uint64_t both = phase_run();

		printf("phase %lu: %lu bytes\n", (unsigned long)phase, (unsigned long)both);
		if (both < expected[phase] / 100 * 97 || both > expected[phase] / 100 * 103) {
			fprintf(stderr, "not %lu\n", (unsigned long)expected[phase]);
			return EXIT_FAILURE;
		}
	}
	dp_limits_destroy(&limits);
	return EXIT_SUCCESS;
}
