// Timing of small functions: rounds in which the benches take turns, medians, nanoseconds, and cycles and instructions
// where the machine's counters can be read. One thread.
#ifndef TP_BENCH_MEASURE_H
#define TP_BENCH_MEASURE_H

#include <stdint.h>

#define MEASURE_ROUNDS_MAX 64

struct measure {
	const char *name;
	// Does the work once and returns for how many units (packets, checksums).
	uint32_t (*fn)(void *arg);
	void *arg;
	const char *less; // name of the bench whose cost is no part of this one's, or NULL

	double ns[MEASURE_ROUNDS_MAX]; // per unit, by round
	double cycles[MEASURE_ROUNDS_MAX];
	double instructions[MEASURE_ROUNDS_MAX];
};

// Runs all, `n_rounds` rounds of `round_ms` each. Returns whether cycles and instructions could be counted.
int measure_run(struct measure *m, uint32_t n, uint32_t n_rounds, uint32_t round_ms);
// A table on stdout, and JSON into `path` if it is not NULL. 0 or -errno.
int measure_report(const struct measure *m, uint32_t n, uint32_t n_rounds, int has_counters,
		   const char *path);

// Keeps a result alive without costing anything.
static inline void measure_use(uint64_t v)
{
	__asm__ volatile("" : : "r"(v) : "memory");
}

#endif
