// Attaching, finding and removing the filter and the guard. Cold path, any thread, one at a time.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/filter_private.h"

#define MAPS_PER_PROGRAM_MAX 32
#define GUARD_HANDLE         1
#define GUARD_PRIORITY       100 // before filters that an operator adds without asking for a place

static const char *interface_name(int ifindex, char out[IF_NAMESIZE])
{
	if (!if_indextoname((unsigned int)ifindex, out))
		snprintf(out, IF_NAMESIZE, "#%d", ifindex);
	return out;
}

// Id of the instance's counters, by which its programs are known; 0 when there are none.
static uint32_t counters_id(const char *run_dir)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);
	char path[PATH_MAX + 32], dir[PATH_MAX];
	int fd;

	if (!run_dir || xdp_bpffs_path(run_dir, dir) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/tp_counters", dir);
	fd = bpf_obj_get_opts(path, &opts);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) < 0)
		info.id = 0;
	close(fd);
	return info.id;
}

// Name of a program, and whether it uses a map. -errno when it is gone.
static int program_describe(uint32_t program_id, uint32_t map_id, char name[16], bool *uses_map)
{
	uint32_t map_ids[MAPS_PER_PROGRAM_MAX];
	struct bpf_prog_info info = { .nr_map_ids = MAPS_PER_PROGRAM_MAX,
				      .map_ids = (uintptr_t)map_ids };
	uint32_t info_bytes = sizeof(info);
	int fd, ret;

	fd = bpf_prog_get_fd_by_id(program_id);
	if (fd < 0)
		return fd;
	ret = bpf_obj_get_info_by_fd(fd, &info, &info_bytes);
	close(fd);
	if (ret < 0)
		return ret;
	snprintf(name, 16, "%s", info.name);
	*uses_map = false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_PER_PROGRAM_MAX; i++) {
		if (map_id != 0 && map_ids[i] == map_id)
			*uses_map = true;
	}
	return 0;
}

// The program at the guard's place: 1 ours, 0 none, -EEXIST somebody else's.
static int guard_find(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = GUARD_HANDLE, .priority = GUARD_PRIORITY);
	char name[16];
	bool uses_map;
	int ret;

	xdp_libbpf_quiet();
	ret = bpf_tc_query(&hook, &opts);
	xdp_libbpf_speak();
	if (ret < 0)
		return 0;
	if (program_describe(opts.prog_id, 0, name, &uses_map) < 0)
		return 0;
	return strcmp(name, XDP_GUARD_PROGRAM_NAME) == 0 ? 1 : -EEXIST;
}

int xdp_filter_query(const char *run_dir, int ifindex, struct xdp_filter_attachment *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int ret;

	memset(out, 0, sizeof(*out));
	ret = bpf_xdp_query(ifindex, 0, &opts);
	if (ret < 0)
		return ret;
	switch (opts.attach_mode) {
	case XDP_ATTACHED_DRV:
		out->mode = XDP_FILTER_MODE_NATIVE;
		out->program_id = opts.drv_prog_id;
		break;
	case XDP_ATTACHED_SKB:
		out->mode = XDP_FILTER_MODE_GENERIC;
		out->program_id = opts.skb_prog_id;
		break;
	case XDP_ATTACHED_HW:
		out->mode = XDP_FILTER_MODE_OFFLOADED;
		out->program_id = opts.hw_prog_id;
		break;
	case XDP_ATTACHED_MULTI: // the driver's runs first
		out->mode = XDP_FILTER_MODE_NATIVE;
		out->program_id = opts.drv_prog_id;
		break;
	default:
		break;
	}
	if (out->program_id) {
		ret = program_describe(out->program_id, counters_id(run_dir), out->program_name,
				       &out->is_instances);
		if (ret < 0)
			return ret;
		out->is_ours = strcmp(out->program_name, XDP_FILTER_PROGRAM_NAME) == 0;
		out->is_instances = out->is_instances && out->is_ours;
	}
	out->guard_attached = guard_find(ifindex) > 0;
	return 0;
}

const char *xdp_filter_mode_name(enum xdp_filter_mode mode)
{
	switch (mode) {
	case XDP_FILTER_MODE_NATIVE:
		return "native";
	case XDP_FILTER_MODE_GENERIC:
		return "generic";
	case XDP_FILTER_MODE_OFFLOADED:
		return "offloaded";
	default:
		return "none";
	}
}

int xdp_filter_attach(const char *run_dir, int ifindex, struct xdp_filter_error *err)
{
	struct xdp_filter_attachment now;
	struct bpf_object *object;
	char name[IF_NAMESIZE];
	int fd, ret;

	xdp_error_clear(err);
	interface_name(ifindex, name);
	ret = xdp_filter_query(run_dir, ifindex, &now);
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot ask %s for its XDP program: %s", name,
				     strerror(-ret));
	if (now.program_id)
		return xdp_error_set(err, -EEXIST,
				     "%s has XDP program %s already; remove it with `ip link set "
				     "dev %s xdp off`",
				     name, now.program_name, name);
	ret = xdp_object_load(run_dir, XDP_FILTER_OBJECT, false, &object, err);
	if (ret < 0)
		return ret;
	fd = bpf_program__fd(bpf_object__find_program_by_name(object, XDP_FILTER_PROGRAM_NAME));
	xdp_libbpf_quiet();
	ret = bpf_xdp_attach(ifindex, fd, XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_DRV_MODE, NULL);
	if (ret < 0 && ret != -EEXIST && ret != -EBUSY)
		ret = bpf_xdp_attach(ifindex, fd, XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_SKB_MODE,
				     NULL);
	xdp_libbpf_speak();
	bpf_object__close(object); // the interface holds the program
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot attach the filter to %s: %s", name,
				     strerror(-ret));
	return 0;
}

int xdp_filter_detach(const char *run_dir, int ifindex, struct xdp_filter_error *err)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	struct xdp_filter_attachment now;
	char name[IF_NAMESIZE];
	uint32_t flags = 0;
	int ret;

	xdp_error_clear(err);
	interface_name(ifindex, name);
	ret = xdp_filter_query(run_dir, ifindex, &now);
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot ask %s for its XDP program: %s", name,
				     strerror(-ret));
	if (!now.program_id)
		return 0;
	if (!now.is_ours)
		return xdp_error_set(
			err, -EEXIST,
			"%s has XDP program %s, which is not Turnpike's; remove it with "
			"`ip link set dev %s xdp off` if it is not needed",
			name, now.program_name, name);
	if (run_dir && !now.is_instances)
		return xdp_error_set(err, -EEXIST,
				     "%s carries the filter of another Turnpike instance; stop "
				     "that one, or remove "
				     "what it left with `ip link set dev %s xdp off`",
				     name, name);
	if (now.mode == XDP_FILTER_MODE_NATIVE)
		flags = XDP_FLAGS_DRV_MODE;
	else if (now.mode == XDP_FILTER_MODE_GENERIC)
		flags = XDP_FLAGS_SKB_MODE;
	else
		flags = XDP_FLAGS_HW_MODE;
	// By its file descriptor, so that a program that came in between is not the one that goes.
	opts.old_prog_fd = bpf_prog_get_fd_by_id(now.program_id);
	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd == -ENOENT ? 0 : opts.old_prog_fd;
	xdp_libbpf_quiet();
	ret = bpf_xdp_detach(ifindex, flags, &opts);
	xdp_libbpf_speak();
	close(opts.old_prog_fd);
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot detach the filter from %s: %s", name,
				     strerror(-ret));
	return 0;
}

int xdp_guard_attach(const char *run_dir, int ifindex, struct xdp_filter_error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = GUARD_HANDLE, .priority = GUARD_PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	struct bpf_object *object;
	char name[IF_NAMESIZE];
	int ret;

	xdp_error_clear(err);
	interface_name(ifindex, name);
	ret = xdp_object_load(run_dir, XDP_GUARD_OBJECT, false, &object, err);
	if (ret < 0)
		return ret;
	xdp_libbpf_quiet();
	ret = bpf_tc_hook_create(&hook);
	xdp_libbpf_speak();
	if (ret < 0 && ret != -EEXIST) {
		xdp_error_set(err, ret,
			      "cannot give %s a clsact qdisc: %s; without CONFIG_NET_SCH_INGRESS "
			      "the kernel may "
			      "answer our ports while the dataplane restarts",
			      name, strerror(-ret));
		goto out_close;
	}
	ret = guard_find(ifindex);
	if (ret < 0) {
		xdp_error_set(err, ret,
			      "%s has another tc filter at priority %u, handle %u; move it", name,
			      GUARD_PRIORITY, GUARD_HANDLE);
		goto out_close;
	}
	opts.prog_fd =
		bpf_program__fd(bpf_object__find_program_by_name(object, XDP_GUARD_PROGRAM_NAME));
	xdp_libbpf_quiet();
	ret = bpf_tc_attach(&hook, &opts);
	xdp_libbpf_speak();
	if (ret < 0)
		xdp_error_set(err, ret, "cannot attach the ingress guard to %s: %s", name,
			      strerror(-ret));
out_close:
	bpf_object__close(object);
	return ret;
}

int xdp_guard_detach(int ifindex, struct xdp_filter_error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = GUARD_HANDLE, .priority = GUARD_PRIORITY);
	char name[IF_NAMESIZE];
	int ret;

	xdp_error_clear(err);
	ret = guard_find(ifindex);
	if (ret <= 0)
		return 0;
	xdp_libbpf_quiet();
	ret = bpf_tc_detach(&hook, &opts);
	xdp_libbpf_speak();
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot detach the ingress guard from %s: %s",
				     interface_name(ifindex, name), strerror(-ret));
	return 0;
}
