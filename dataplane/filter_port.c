// The XDP filter around an AF_XDP port's start. Main thread; changes what is attached to the
// interface.
#include "dataplane/filter_port.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "bpf/filter.h"
#include "dataplane/log.h"

// A control plane that starts beside us publishes its tables a moment before it mounts the filter's
// maps.
#define BIND_ATTEMPTS 100
#define BIND_PAUSE_NS 50000000L

int dp_filter_port_bind_root(const char *run_dir, struct dp_port_error *err)
{
	const struct timespec pause = { .tv_nsec = BIND_PAUSE_NS };
	struct xdp_filter_error filter_err;
	int ret = xdp_filter_bind_default_root(run_dir, &filter_err);

	for (int i = 1; i < BIND_ATTEMPTS && ret == -EOPNOTSUPP; i++) {
		nanosleep(&pause, NULL);
		ret = xdp_filter_bind_default_root(run_dir, &filter_err);
	}
	if (ret < 0)
		snprintf(err->text, sizeof(err->text), "%s", filter_err.text);
	return ret;
}

int dp_filter_port_prepare(const char *run_dir, int ifindex, struct dp_port_error *err)
{
	struct xdp_filter_error filter_err;
	int ret;

	// First the guard, then the gap.
	ret = xdp_guard_attach(run_dir, ifindex, &filter_err);
	if (ret < 0)
		dp_log(DP_LOG_WARNING,
		       "%s; while the filter is exchanged the kernel may answer clients with ICMP "
		       "port unreachable",
		       filter_err.text);
	ret = xdp_filter_detach(run_dir, ifindex, &filter_err);
	if (ret < 0)
		snprintf(err->text, sizeof(err->text), "%s", filter_err.text);
	return ret;
}

uint8_t dp_filter_port_mode(const char *run_dir, int ifindex)
{
	struct xdp_filter_attachment attachment;

	if (xdp_filter_query(run_dir, ifindex, &attachment) < 0)
		return SHM_XDP_NONE;
	switch (attachment.mode) {
	case XDP_FILTER_MODE_GENERIC:
		return SHM_XDP_GENERIC;
	case XDP_FILTER_MODE_NATIVE:
	case XDP_FILTER_MODE_OFFLOADED:
		return SHM_XDP_NATIVE;
	default:
		return SHM_XDP_NONE;
	}
}
