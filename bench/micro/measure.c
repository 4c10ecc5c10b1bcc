// Rounds, counters and tables of the micro benches. One thread.
#include "bench/micro/measure.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int counter_open(uint64_t config)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = config,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t counter_read(int fd)
{
	uint64_t v = 0;

	return fd >= 0 && read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

static void round_run(struct measure *m, uint32_t round, uint32_t round_ms, int cycles_fd,
		      int instructions_fd)
{
	uint64_t begin_ns = now_ns();
	uint64_t cycles = counter_read(cycles_fd);
	uint64_t instructions = counter_read(instructions_fd);
	uint64_t end_ns;
	uint64_t n = 0;

	do {
		for (uint32_t i = 0; i < 64; i++)
			n += m->fn(m->arg);
		end_ns = now_ns();
	} while (end_ns - begin_ns < round_ms * 1000000ull);
	m->ns[round] = (double)(end_ns - begin_ns) / (double)n;
	m->cycles[round] = (double)(counter_read(cycles_fd) - cycles) / (double)n;
	m->instructions[round] = (double)(counter_read(instructions_fd) - instructions) / (double)n;
}

int measure_run(struct measure *m, uint32_t n, uint32_t n_rounds, uint32_t round_ms)
{
	int cycles_fd = counter_open(PERF_COUNT_HW_CPU_CYCLES);
	int instructions_fd = counter_open(PERF_COUNT_HW_INSTRUCTIONS);

	if (n_rounds > MEASURE_ROUNDS_MAX)
		n_rounds = MEASURE_ROUNDS_MAX;
	for (uint32_t i = 0; i < n; i++)
		round_run(&m[i], 0, round_ms / 4 + 1, cycles_fd, instructions_fd); // warm up
	for (uint32_t round = 0; round < n_rounds; round++) {
		for (uint32_t i = 0; i < n; i++)
			round_run(&m[i], round, round_ms, cycles_fd, instructions_fd);
	}
	if (cycles_fd >= 0)
		close(cycles_fd);
	if (instructions_fd >= 0)
		close(instructions_fd);
	return cycles_fd >= 0 && instructions_fd >= 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *v, uint32_t n)
{
	double sorted[MEASURE_ROUNDS_MAX];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double least(const double *v, uint32_t n)
{
	double l = v[0];

	for (uint32_t i = 1; i < n; i++)
		l = v[i] < l ? v[i] : l;
	return l;
}

// What is no part of the bench, median by median.
static double deduction(const struct measure *m, uint32_t n, uint32_t i, uint32_t n_rounds)
{
	for (uint32_t k = 0; m[i].less != NULL && k < n; k++) {
		if (strcmp(m[k].name, m[i].less) == 0)
			return median(m[k].ns, n_rounds);
	}
	return 0;
}

int measure_report(const struct measure *m, uint32_t n, uint32_t n_rounds, int has_counters,
		   const char *path)
{
	FILE *f = path == NULL ? NULL : fopen(path, "w");

	if (path != NULL && f == NULL)
		return -errno;
	printf("%-40s %8s %8s%s\n", "ns each", "median", "least",
	       has_counters ? "   cycles   instr." : "");
	if (f != NULL)
		fprintf(f, "{");
	for (uint32_t i = 0; i < n; i++) {
		double less = deduction(m, n, i, n_rounds);
		double ns = median(m[i].ns, n_rounds) - less;

		printf("  %-38s %8.1f %8.1f", m[i].name, ns, least(m[i].ns, n_rounds) - less);
		if (has_counters)
			printf(" %8.0f %8.0f", median(m[i].cycles, n_rounds),
			       median(m[i].instructions, n_rounds));
		printf("\n");
		if (f == NULL)
			continue;
		fprintf(f, "%s\"%s\":{\"ns\":%.2f,\"ns_least\":%.2f,\"rounds\":%u",
			i > 0 ? "," : "", m[i].name, ns, least(m[i].ns, n_rounds) - less, n_rounds);
		if (has_counters)
			fprintf(f, ",\"cycles\":%.1f,\"instructions\":%.1f",
				median(m[i].cycles, n_rounds), median(m[i].instructions, n_rounds));
		fprintf(f, "}");
	}
	if (f == NULL)
		return 0;
	fprintf(f, "}\n");
	return fclose(f) == 0 ? 0 : -errno;
}
