// What the files of the filter's library share among themselves. Nobody else includes this.
#ifndef TP_BPF_FILTER_PRIVATE_H
#define TP_BPF_FILTER_PRIVATE_H

#include <bpf/libbpf.h>
#include <limits.h>

#include "bpf/filter.h"

#define XDP_FILTER_OBJECT "stun_filter.bpf.o"
#define XDP_GUARD_OBJECT  "ingress_guard.bpf.o"

// Writes the sentence, if the caller wants one, and returns `ret`.
int xdp_error_set(struct xdp_filter_error *err, int ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void xdp_error_clear(struct xdp_filter_error *err);

// <run_dir>/bpf into out. -ENAMETOOLONG.
int xdp_bpffs_path(const char *run_dir, char out[PATH_MAX]);
// 0, or -EOPNOTSUPP with a sentence when <run_dir>/bpf is no bpffs.
int xdp_bpffs_check(const char *run_dir, struct xdp_filter_error *err);

// libbpf prints on stderr; between these its first warning is kept instead, for the caller's
// sentence. Not nested.
void xdp_libbpf_quiet(void);
const char *xdp_libbpf_speak(void); // "" when there was no warning

// Opens and loads an object with its maps pinned below <run_dir>/bpf; with maps_only no program is
// loaded. The caller closes. Retries when another process pins at the same moment.
int xdp_object_load(const char *run_dir, const char *name, bool maps_only, struct bpf_object **out,
		    struct xdp_filter_error *err);

#endif
