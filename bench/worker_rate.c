// Watches the workers of an instance for a while, from outside: what they received, sent and dropped per second, how
// busy they were, and how long a burst took. Maps the `workers` segment read-only; writes JSON. One thread.
//
//   worker_rate --instance NAME [--seconds S] [--wait S]
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/contract/shm/segment.h"
#include "dataplane/contract/shm/tables.h"
#include "dataplane/drop_reason.h"

struct snapshot {
	uint64_t at_ns;
	uint64_t counter[DP_COUNTER_COUNT];
	uint64_t latency[SHM_LATENCY_BUCKETS];
	uint64_t busy_tsc;
	uint64_t total_tsc;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void pause_s(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds,
			      .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };

	nanosleep(&t, NULL);
}

static void snapshot_take(const struct shm_worker *w, struct snapshot *out)
{
	out->at_ns = now_ns();
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++)
		out->counter[i] = __atomic_load_n(&w->counter[i], __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		out->latency[i] = __atomic_load_n(&w->latency[i], __ATOMIC_RELAXED);
	out->busy_tsc = __atomic_load_n(&w->busy_tsc, __ATOMIC_RELAXED);
	out->total_tsc = __atomic_load_n(&w->total_tsc, __ATOMIC_RELAXED);
}

// Upper end of the bucket below which that share of the sampled bursts lies, in ns.
static double latency_quantile(const uint64_t *n, double share)
{
	uint64_t total = 0;
	uint64_t seen = 0;

	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		total += n[i];
	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++) {
		seen += n[i];
		if (total > 0 && (double)seen > share * (double)total)
			return (double)(1ull << ((i + 1) / 4)) * (1 + (double)((i + 1) % 4) / 4);
	}
	return 0;
}

static void worker_print(uint32_t idx, const struct snapshot *a, const struct snapshot *b)
{
	double seconds = (double)(b->at_ns - a->at_ns) / 1e9;
	uint64_t latency[SHM_LATENCY_BUCKETS];
	uint64_t total_tsc = b->total_tsc - a->total_tsc;
	const char *comma = "";

	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		latency[i] = b->latency[i] - a->latency[i];
	printf("%s{\"worker\":%u,\"busy_share\":%.4f,\"latency_ns\":{\"p50\":%.0f,\"p99\":%.0f,"
	       "\"p99_9\":%.0f},\"per_sec\":{",
	       idx > 0 ? "," : "", idx,
	       total_tsc == 0 ? 0 : (double)(b->busy_tsc - a->busy_tsc) / (double)total_tsc,
	       latency_quantile(latency, 0.5), latency_quantile(latency, 0.99),
	       latency_quantile(latency, 0.999));
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++) {
		uint64_t n = b->counter[i] - a->counter[i];

		if (n == 0)
			continue;
		printf("%s\"%s\":%.0f", comma, dp_counter_info[i].name, (double)n / seconds);
		comma = ",";
	}
	printf("}}");
}

static int rate_run(const char *instance, double seconds, double wait_seconds)
{
	static struct snapshot before[SHM_WORKERS_MAX];
	static struct snapshot after[SHM_WORKERS_MAX];
	struct shm_segment segment;
	const struct shm_workers *ws;
	enum shm_attach_state state;
	uint64_t end_ns = now_ns() + (uint64_t)(wait_seconds * 1e9);
	uint32_t n;

	state = shm_segment_attach(instance, SHM_SEGMENT_WORKERS, false, &segment);
	if (state != SHM_ATTACH_READY) {
		fprintf(stderr, "worker_rate: %s\n", shm_attach_state_text(state));
		return -ENOENT;
	}
	ws = segment.base;
	while (__atomic_load_n(&ws->dataplane.phase, __ATOMIC_ACQUIRE) != SHM_DATAPLANE_RUNNING) {
		if (now_ns() > end_ns) {
			fprintf(stderr, "worker_rate: no dataplane of instance %s runs\n",
				instance);
			shm_segment_detach(&segment);
			return -ETIMEDOUT;
		}
		pause_s(0.01);
	}
	pause_s(0.2); // caches and mempools settle
	n = ws->dataplane.n_workers;
	if (n > SHM_WORKERS_MAX)
		n = SHM_WORKERS_MAX;
	for (uint32_t i = 0; i < n; i++)
		snapshot_take(&ws->worker[i], &before[i]);
	pause_s(seconds);
	for (uint32_t i = 0; i < n; i++)
		snapshot_take(&ws->worker[i], &after[i]);
	printf("{\"workers\":[");
	for (uint32_t i = 0; i < n; i++)
		worker_print(i, &before[i], &after[i]);
	printf("]}\n");
	shm_segment_detach(&segment);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "instance", required_argument, NULL, 'i' },
		{ "seconds", required_argument, NULL, 's' },
		{ "wait", required_argument, NULL, 'w' },
		{ 0 },
	};
	const char *instance = NULL;
	double seconds = 1;
	double wait_seconds = 20;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'i')
			instance = optarg;
		else if (opt == 's')
			seconds = atof(optarg);
		else if (opt == 'w')
			wait_seconds = atof(optarg);
		else
			instance = NULL;
	}
	if (instance == NULL || seconds <= 0) {
		fprintf(stderr, "usage: worker_rate --instance NAME [--seconds S] [--wait S]\n");
		return 2;
	}
	return rate_run(instance, seconds, wait_seconds) < 0 ? 1 : 0;
}
