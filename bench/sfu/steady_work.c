// A chain of multiplications. Any thread; writes nothing.
#include "bench/sfu/steady_work.h"

#include <rte_common.h>
#include <rte_cycles.h>

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
