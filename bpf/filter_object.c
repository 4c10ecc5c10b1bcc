// Finds and loads the BPF objects, and turns libbpf's complaints into sentences. Cold path; the
// redirection of libbpf's messages is per process, so one thread at a time.
#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/filter_private.h"

#define LOAD_TRIES 3

static libbpf_print_fn_t previous_print;
static char first_warning[200];

int xdp_error_set(struct xdp_filter_error *err, int ret, const char *format, ...)
{
	va_list args;

	if (!err)
		return ret;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return ret;
}

void xdp_error_clear(struct xdp_filter_error *err)
{
	if (err)
		err->text[0] = '\0';
}

static int __attribute__((format(printf, 2, 0)))
keep_first_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && first_warning[0] == '\0') {
		vsnprintf(first_warning, sizeof(first_warning), format, args);
		first_warning[strcspn(first_warning, "\n")] = '\0';
	}
	return 0;
}

void xdp_libbpf_quiet(void)
{
	first_warning[0] = '\0';
	previous_print = libbpf_set_print(keep_first_warning);
}

const char *xdp_libbpf_speak(void)
{
	libbpf_set_print(previous_print);
	return first_warning;
}

int xdp_filter_object_path(const char *name, char *out, size_t out_bytes,
			   struct xdp_filter_error *err)
{
	const char *override = getenv("TURNPIKE_BPF_DIR");
	char exe[PATH_MAX];
	ssize_t n;

	xdp_error_clear(err);
	if (override && *override) {
		if ((size_t)snprintf(out, out_bytes, "%s/%s", override, name) >= out_bytes)
			return xdp_error_set(err, -ENAMETOOLONG, "TURNPIKE_BPF_DIR is too long");
		if (access(out, R_OK) == 0)
			return 0;
		return xdp_error_set(err, -ENOENT, "TURNPIKE_BPF_DIR=%.128s holds no %s", override,
				     name);
	}
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = '\0';
		for (char *slash = strrchr(exe, '/'); slash; slash = strrchr(exe, '/')) {
			*slash = '\0';
			if ((size_t)snprintf(out, out_bytes, "%s/bpf/%s", exe, name) < out_bytes &&
			    access(out, R_OK) == 0)
				return 0;
		}
	}
	if ((size_t)snprintf(out, out_bytes, "%s/%s", XDP_FILTER_OBJECT_DIR, name) < out_bytes &&
	    access(out, R_OK) == 0)
		return 0;
	return xdp_error_set(err, -ENOENT,
			     "%s is neither beside this program nor in " XDP_FILTER_OBJECT_DIR
			     "; install it there or set TURNPIKE_BPF_DIR",
			     name);
}

// A pin that is there must be the map this object means; libbpf would only say "invalid argument".
static int check_pin(const struct bpf_map *map, struct xdp_filter_error *err)
{
	const char *path = bpf_map__pin_path(map);
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);
	int fd, ret;

	if (!path)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd == -ENOENT ? 0
				     : xdp_error_set(err, fd, "cannot open %s: %s", path,
						     fd == -EPERM ? "run as root (CAP_BPF)"
								  : strerror(-fd));
	ret = bpf_obj_get_info_by_fd(fd, &info, &info_bytes);
	close(fd);
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot read %s: %s", path, strerror(-ret));
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) ||
	    info.max_entries != bpf_map__max_entries(map))
		return xdp_error_set(
			err, -ESTALE,
			"%s belongs to another version of Turnpike; stop both of the instance's "
			"processes, run `umount -l %.*s` and start again",
			path, (int)(strrchr(path, '/') - path), path);
	return 0;
}

static int open_and_load(const char *path, const char *pin_root, bool maps_only,
			 struct bpf_object **out, struct xdp_filter_error *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = pin_root);
	struct bpf_object *object;
	struct bpf_program *program;
	struct bpf_map *map;
	int ret;

	object = bpf_object__open_file(path, &opts);
	if (!object) {
		ret = -errno;
		return xdp_error_set(err, ret, "cannot open BPF object %s: %s", path,
				     strerror(-ret));
	}
	bpf_object__for_each_map(map, object)
	{
		ret = check_pin(map, err);
		if (ret < 0)
			goto fail_close;
	}
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, !maps_only);
	ret = bpf_object__load(object);
	if (ret < 0) {
		xdp_error_set(err, ret, "cannot load BPF object %s: %s (%s)%s", path,
			      strerror(-ret), first_warning,
			      ret == -EPERM ? "; run as root (CAP_BPF, CAP_NET_ADMIN)" : "");
		goto fail_close;
	}
	*out = object;
	return 0;
fail_close:
	bpf_object__close(object);
	return ret;
}

int xdp_object_load(const char *run_dir, const char *name, bool maps_only, struct bpf_object **out,
		    struct xdp_filter_error *err)
{
	char path[PATH_MAX], pin_root[PATH_MAX];
	int ret;

	ret = xdp_bpffs_check(run_dir, err);
	if (ret < 0)
		return ret;
	ret = xdp_bpffs_path(run_dir, pin_root);
	if (ret < 0)
		return ret;
	ret = xdp_filter_object_path(name, path, sizeof(path), err);
	if (ret < 0)
		return ret;
	// Two processes that start together may both find a pin missing; the slower one finds it at
	// its next try.
	for (int i = 0; i < LOAD_TRIES; i++) {
		xdp_libbpf_quiet();
		ret = open_and_load(path, pin_root, maps_only, out, err);
		xdp_libbpf_speak();
		if (ret != -EEXIST)
			break;
	}
	if (ret == 0)
		xdp_error_clear(err);
	return ret;
}
