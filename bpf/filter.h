// The XDP filter seen from user space: its bpffs, pinned maps, programs and counters. The control
// plane mounts, opens and configures; the dataplane binds the default root and replaces programs;
// the CLI opens read-only. Cold path, one thread at a time per handle. Logs nothing: every failure
// is -errno plus, where the caller passes one, a sentence with the remedy.
//
// `run_dir` is the instance's run directory (/run/turnpike/<instance>); the pins are below
// <run_dir>/bpf, which is a bpffs of the instance's own.
#ifndef TP_BPF_FILTER_H
#define TP_BPF_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/filter_maps.h"
#include "dataplane/contract/wire/address.h"

#define XDP_FILTER_PROGRAM_NAME "turnpike_filter"
#define XDP_GUARD_PROGRAM_NAME  "turnpike_guard"

struct xdp_filter_error {
	char text[320]; // what, which, why and what to do; "" after success
};

struct xdp_filter; // open maps

// ---- bpffs

// Creates <run_dir>/bpf and mounts a bpffs there unless one is. Needs CAP_SYS_ADMIN. -EOPNOTSUPP:
// the kernel has no bpffs.
int xdp_filter_mount(const char *run_dir, struct xdp_filter_error *err);
// Undoes it, all pins with it. 0 also when nothing is mounted.
int xdp_filter_unmount(const char *run_dir, struct xdp_filter_error *err);
// Gives the calling thread, and the threads it starts later, a mount namespace in which /sys/fs/bpf
// is <run_dir>/bpf, because DPDK's AF_XDP driver pins below /sys/fs/bpf. Call it before EAL,
// single-threaded.
int xdp_filter_bind_default_root(const char *run_dir, struct xdp_filter_error *err);

// ---- maps

// Opens the pinned maps, creating those that are missing (so before or after the dataplane loaded
// the program, in any order). -ESTALE: pins of another version. The caller closes.
int xdp_filter_open(const char *run_dir, struct xdp_filter **out, struct xdp_filter_error *err);
// Opens existing pins for reading only; -ENOENT when there are none.
int xdp_filter_open_readonly(const char *run_dir, struct xdp_filter **out,
			     struct xdp_filter_error *err);
void xdp_filter_close(struct xdp_filter *f);

struct xdp_filter_config_listener {
	struct ip_endpoint endpoint;
	uint32_t accept;          // XDP_ACCEPT_*
	struct ip_endpoint other; // of NAT behaviour discovery (RFC 5780); port 0: none
};

struct xdp_filter_config_relay {
	struct ip_address address;
	uint16_t port_min; // host order, inclusive
	uint16_t port_max;
};

struct xdp_filter_config {
	const struct xdp_filter_config_listener *listeners;
	uint32_t n_listeners;
	const struct xdp_filter_config_relay *relays; // one entry per address
	uint32_t n_relays;
	bool answer_binding;
	uint64_t rate_per_sec;        // requests per second and source prefix; 0: no limit
	uint64_t rate_burst;          // 0: as rate_per_sec
	uint8_t rate_prefix_v4;       // bits 1..32; 0: 32
	uint8_t rate_prefix_v6;       // bits 1..128; 0: 64
	uint32_t answer_credit_bytes; // that a prefix may get beyond those it sent; 0: no limit
	const char *software; // at most XDP_FILTER_SOFTWARE_MAX bytes; NULL: no SOFTWARE in answers
};

// Replaces the whole configuration under traffic: new entries first, then stale ones are removed,
// so nothing that stays is missing for a moment. -EINVAL with a sentence on what is out of range.
int xdp_filter_configure(struct xdp_filter *f, const struct xdp_filter_config *config,
			 struct xdp_filter_error *err);

// What is configured for an address and a port, for explanations. 0, or -ENOENT: that address is
// not ours.
struct xdp_filter_port {
	uint32_t accept;  // XDP_ACCEPT_* of the listener there; 0: no listener
	bool is_relayed;  // in the relay range
	bool is_answered; // Binding requests are answered by the filter
};
int xdp_filter_lookup(struct xdp_filter *f, const struct ip_endpoint *local,
		      struct xdp_filter_port *out);
int xdp_filter_settings_read(struct xdp_filter *f, struct xdp_filter_settings *out);

// Sums over all CPUs, since the maps were created.
int xdp_filter_counters_read(struct xdp_filter *f, uint64_t out[XDP_COUNTER_COUNT]);
// Static strings; never NULL.
const char *xdp_counter_name(uint32_t counter);
const char *xdp_counter_text(uint32_t counter);

// ---- programs

// Path of an object ("stun_filter.bpf.o", "ingress_guard.bpf.o", …): $TURNPIKE_BPF_DIR, else ../bpf
// beside the running executable's directory and its parents (the build tree), else the install
// path. -ENOENT when it is nowhere.
int xdp_filter_object_path(const char *name, char *out, size_t out_bytes,
			   struct xdp_filter_error *err);

enum xdp_filter_mode {
	XDP_FILTER_MODE_NONE = 0,
	XDP_FILTER_MODE_GENERIC, // on the kernel's skb: works everywhere, slower
	XDP_FILTER_MODE_NATIVE,  // in the driver
	XDP_FILTER_MODE_OFFLOADED,
	XDP_FILTER_MODE_COUNT
};

struct xdp_filter_attachment {
	enum xdp_filter_mode mode;
	uint32_t program_id; // 0: none
	char program_name[16];
	bool is_ours;      // by name
	bool is_instances; // ours, and it uses this run_dir's maps
	bool guard_attached;
};

// What is attached to an interface. run_dir may be NULL: is_instances is then false.
int xdp_filter_query(const char *run_dir, int ifindex, struct xdp_filter_attachment *out);
// Static: "none", "generic", "native", "offloaded".
const char *xdp_filter_mode_name(enum xdp_filter_mode mode);

// Attaches the filter from its object, native where the driver can and generic otherwise, for ports
// whose driver does not do it (net_af_xdp does, through xdp_prog=). -EEXIST: there is a program
// already.
int xdp_filter_attach(const char *run_dir, int ifindex, struct xdp_filter_error *err);
// Removes a filter of ours. 0 also when none is attached; -EEXIST: the program there is not ours or
// serves another instance, and stays. With run_dir NULL a filter of any instance goes.
int xdp_filter_detach(const char *run_dir, int ifindex, struct xdp_filter_error *err);

// The guard drops our UDP traffic at tc ingress while no filter is attached, so that the kernel
// never answers it with ICMP port unreachable. Attaching replaces an older one of ours.
// -EOPNOTSUPP: kernel without clsact.
int xdp_guard_attach(const char *run_dir, int ifindex, struct xdp_filter_error *err);
int xdp_guard_detach(int ifindex, struct xdp_filter_error *err);

#endif
