// What an AF_XDP port needs from the XDP filter: an interface that is free for it, and no packet of
// ours to the kernel meanwhile.
#ifndef TP_DP_FILTER_PORT_H
#define TP_DP_FILTER_PORT_H

#include "dataplane/port.h"

// Before EAL, single-threaded: DPDK's driver pins the filter's maps below /sys/fs/bpf, which
// becomes the instance's own. 0 or -errno.
int dp_filter_port_bind_root(const char *run_dir, struct dp_port_error *err);
// Puts the ingress guard on the interface and takes the filter of a predecessor off. 0; -EEXIST
// when a program stands there that is not ours.
int dp_filter_port_prepare(const char *run_dir, int ifindex, struct dp_port_error *err);
// enum shm_xdp_mode of what is attached now.
uint8_t dp_filter_port_mode(const char *run_dir, int ifindex);

#endif
