// What of the configuration only the host can answer: do interfaces and CPUs exist, where is the
// filter's object. Main thread.
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/filter.h"
#include "controlplane/config/config.h"

#define FILTER_OBJECT "stun_filter.bpf.o"

static int resolve_port(struct config *c, uint32_t i, const char *path, char *error,
			size_t error_bytes)
{
	struct config_port *p = &c->ports[i];
	struct xdp_filter_error filter_error;
	char object[200];
	size_t n;

	if (p->settings.kernel_path != SHM_KERNEL_PATH_BESIDE)
		return 0;
	if (if_nametoindex(p->settings.interface) == 0) {
		snprintf(error, error_bytes,
			 "%s:%u: ports[%u].interface: '%s' does not exist in this network "
			 "namespace; see: ip link",
			 path, p->line, i, p->settings.interface);
		return -ENODEV;
	}
	if (strstr(p->settings.device, "xdp_prog="))
		return 0;
	if (xdp_filter_object_path(FILTER_OBJECT, object, sizeof(object), &filter_error) < 0) {
		snprintf(error, error_bytes, "%s:%u: ports[%u].device: %s", path, p->line, i,
			 filter_error.text);
		return -ENOENT;
	}
	// DPDK splits device arguments at commas and has no way to quote them.
	n = strlen(p->settings.device);
	if (strchr(object, ',') ||
	    n + strlen(object) + sizeof(",xdp_prog=") > sizeof(p->settings.device)) {
		snprintf(error, error_bytes,
			 "%s:%u: ports[%u].device: the path %s has a comma or is too long for "
			 "DPDK; name a shorter one in TURNPIKE_BPF_DIR",
			 path, p->line, i, object);
		return -EINVAL;
	}
	snprintf(p->settings.device + n, sizeof(p->settings.device) - n, ",xdp_prog=%s", object);
	return 0;
}

int config_resolve_host(struct config *c, const char *path, char *error, size_t error_bytes)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (uint32_t i = 0; i < c->n_workers; i++) {
		if (c->worker_cpu[i] == UINT32_MAX || (long)c->worker_cpu[i] < n_cpus)
			continue;
		snprintf(error, error_bytes,
			 "%s: workers.cpus[%u]: CPU %u does not exist; this machine has 0 to %ld",
			 path, i, c->worker_cpu[i], n_cpus - 1);
		return -ENODEV;
	}
	for (uint32_t i = 0; i < c->n_ports; i++) {
		int ret = resolve_port(c, i, path, error, error_bytes);

		if (ret < 0)
			return ret;
	}
	return 0;
}
