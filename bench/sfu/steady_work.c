// A chain of multiplications, and a walk through memory. One thread; writes that memory.
#include "bench/sfu/steady_work.h"

#include <stdlib.h>

#include <rte_common.h>
#include <rte_cycles.h>

#define WALK_BYTES (UINT64_C(16) << 20)
#define LINE_BYTES 64

static uint64_t *walked;
static uint64_t walked_at; // words

void steady_work(uint64_t n_steps)
{
	uint64_t x = n_steps | 1;

	for (uint64_t i = 0; i < n_steps; i++) {
		x = x * 0x9e3779b97f4a7c15ull + 1;
		__asm__ volatile("" : "+r"(x));
	}
}

double steady_calibrate(void)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < 200; i++) {
		uint64_t begin = rte_rdtsc();

		steady_work(20000);
		least = RTE_MIN(least, rte_rdtsc() - begin);
	}
	return 20000.0 / (double)least;
}

void steady_walk(uint64_t n_lines)
{
	uint64_t at = walked_at;

	for (uint64_t i = 0; i < n_lines; i++) {
		walked[at]++;
		at = (at + LINE_BYTES / sizeof(*walked)) % (WALK_BYTES / sizeof(*walked));
	}
	walked_at = at;
}

double steady_walk_calibrate(void)
{
	uint64_t n_lines = 4 * WALK_BYTES / LINE_BYTES;
	uint64_t begin;

	if (walked == NULL)
		walked = calloc(1, WALK_BYTES);
	if (walked == NULL)
		return -1;
	steady_walk(WALK_BYTES / LINE_BYTES); // its pages are there
	begin = rte_rdtsc();
	steady_walk(n_lines);
	return (double)n_lines / (double)(rte_rdtsc() - begin);
}
