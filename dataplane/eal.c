// DPDK's environment. Main thread, once.
#include "dataplane/eal.h"

#include <dirent.h>
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define HUGEPAGES_DIR "/sys/kernel/mm/hugepages"
#define ARGS_MAX      (16 + 2 * SHM_PORTS_MAX)
// Beside packet buffers: per worker its struct, tables of fragments and jumbo buffers.
#define WORKER_MB 16
#define BASE_MB   32

static uint64_t memory_mb_of(const struct shm_settings *s, uint32_t n_entries)
{
	uint64_t verdicts_mb = ((uint64_t)n_entries * 8 >> 20) + 1;

	return s->memory_mb + BASE_MB + s->n_workers * (WORKER_MB + verdicts_mb);
}

static uint64_t free_hugepages(const char *size_dir)
{
	char path[320];
	uint64_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), HUGEPAGES_DIR "/%s/free_hugepages", size_dir);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

bool dp_eal_hugepages_suffice(const struct shm_settings *s, uint32_t n_entries, uint32_t more_mb)
{
	DIR *dir = opendir(HUGEPAGES_DIR);
	uint64_t free_kb = 0;
	struct dirent *e;

	if (dir == NULL)
		return false;
	while ((e = readdir(dir)) != NULL) {
		uint64_t page_kb;

		if (sscanf(e->d_name, "hugepages-%lukB", &page_kb) == 1)
			free_kb += page_kb * free_hugepages(e->d_name);
	}
	closedir(dir);
	return free_kb >> 10 >= memory_mb_of(s, n_entries) + more_mb;
}

// "(0,1,5)" of the CPUs that this process may use; how many there are.
static uint32_t cpu_list(const cpu_set_t *allowed, char *out, size_t out_bytes)
{
	size_t at = 0;
	uint32_t n = 0;

	out[0] = 0;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && at < out_bytes - 8; cpu++) {
		if (!CPU_ISSET(cpu, allowed))
			continue;
		at += (size_t)snprintf(out + at, out_bytes - at, "%s%u", n > 0 ? "," : "(", cpu);
		n++;
	}
	if (n > 0)
		snprintf(out + at, out_bytes - at, ")");
	return n;
}

// The n-th allowed CPU from the end, round and round: the first ones are where a kernel likes to
// put its interrupts.
static uint32_t nth_cpu(const cpu_set_t *allowed, uint32_t n_allowed, uint32_t n)
{
	uint32_t skip = n % n_allowed;

	for (uint32_t cpu = CPU_SETSIZE; cpu-- > 0;) {
		if (CPU_ISSET(cpu, allowed) && skip-- == 0)
			return cpu;
	}
	return 0;
}

// "0@(0,1),1@1": the main thread anywhere; a worker on its CPU, or anywhere if it may sleep and
// none was asked for.
static int lcore_map(const struct shm_settings *s, char *out, size_t out_bytes,
		     struct dp_port_error *err)
{
	char any[1024];
	cpu_set_t allowed;
	uint32_t n_allowed;
	size_t at;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	n_allowed = cpu_list(&allowed, any, sizeof(any));
	if (n_allowed == 0)
		return -EINVAL;
	at = (size_t)snprintf(out, out_bytes, "0@%s", any);
	for (uint32_t i = 0; i < s->n_workers; i++) {
		uint32_t cpu = s->worker_cpu[i];

		if (cpu != UINT32_MAX && (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed))) {
			snprintf(err->text, sizeof(err->text),
				 "workers.cpus names CPU %u, which this process may not use; "
				 "allowed are %s",
				 cpu, any);
			return -EINVAL;
		}
		if (cpu == UINT32_MAX && s->idle == SHM_IDLE_ADAPTIVE) {
			at += (size_t)snprintf(out + at, out_bytes - at, ",%u@%s", i + 1, any);
			continue;
		}
		if (cpu == UINT32_MAX)
			cpu = nth_cpu(&allowed, n_allowed, i);
		at += (size_t)snprintf(out + at, out_bytes - at, ",%u@%u", i + 1, cpu);
	}
	return at < out_bytes ? 0 : -ENOSPC;
}

static bool is_pci(const char *device)
{
	return strncmp(device, "net_", 4) != 0 && strchr(device, ':') != NULL;
}

int dp_eal_init(const struct shm_settings *s, uint32_t n_entries, uint32_t more_mb, bool hugepages,
		struct dp_port_error *err)
{
	char *argv[ARGS_MAX + 1];
	static char lcores[16384];
	char memory[24];
	bool any_pci = false;
	int argc = 0;
	int ret;

	ret = lcore_map(s, lcores, sizeof(lcores), err);
	if (ret < 0)
		return ret;
	argv[argc++] = (char *)"turnpike-dataplane";
	argv[argc++] = (char *)"--lcores";
	argv[argc++] = lcores;
	argv[argc++] = (char *)"--main-lcore=0";
	argv[argc++] = (char *)"--iova-mode=va";
	argv[argc++] = (char *)"--no-telemetry";
	// It complains about a queueing discipline that the twin does not use. Of two patterns that
	// match the first one counts.
	argv[argc++] = (char *)"--log-level=pmd.net.tap:critical";
	argv[argc++] = (char *)"--log-level=*:error";
	if (hugepages) {
		argv[argc++] = (char *)"--in-memory";
	} else {
		snprintf(memory, sizeof(memory), "%lu",
			 (unsigned long)memory_mb_of(s, n_entries) + more_mb);
		argv[argc++] = (char *)"--no-huge";
		argv[argc++] = (char *)"--no-shconf";
		argv[argc++] = (char *)"-m";
		argv[argc++] = memory;
	}
	for (uint32_t i = 0; i < s->n_ports; i++) {
		if (!is_pci(s->port[i].device))
			continue;
		argv[argc++] = (char *)"-a";
		argv[argc++] = (char *)s->port[i].device;
		any_pci = true;
	}
	if (!any_pci)
		argv[argc++] = (char *)"--no-pci";
	argv[argc] = NULL;
	if (rte_eal_init(argc, argv) < 0) {
		snprintf(err->text, sizeof(err->text), "DPDK does not start%s: %s",
			 hugepages ? " on hugepages" : "", rte_strerror(rte_errno));
		return -EIO;
	}
	return 0;
}
