// The instance's own bpffs below its run directory. Each instance has one, so that the maps of two
// instances, which are pinned by the same names, never meet. Start-up only, single-threaded.
#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "bpf/filter_private.h"

#define DEFAULT_PIN_ROOT "/sys/fs/bpf"

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (uint32_t)fs.f_type == (uint32_t)BPF_FS_MAGIC;
}

int xdp_bpffs_path(const char *run_dir, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/bpf", run_dir);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int xdp_bpffs_check(const char *run_dir, struct xdp_filter_error *err)
{
	char path[PATH_MAX];
	int ret;

	ret = xdp_bpffs_path(run_dir, path);
	if (ret < 0)
		return xdp_error_set(err, ret, "run directory %.64s…: path is too long", run_dir);
	if (!is_bpffs(path))
		return xdp_error_set(
			err, -EOPNOTSUPP,
			"%s is not a mounted bpffs; start the control plane, which mounts it, in "
			"the same mount namespace (nsenter --net, not ip netns exec)",
			path);
	return 0;
}

static int make_directories(const char *path)
{
	char part[PATH_MAX];
	size_t length = strlen(path);

	if (length >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, length + 1);
	for (char *at = part + 1;; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char was = *at;

		*at = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*at = was;
		if (was == '\0')
			return 0;
	}
}

int xdp_filter_mount(const char *run_dir, struct xdp_filter_error *err)
{
	char path[PATH_MAX];
	int ret;

	xdp_error_clear(err);
	ret = xdp_bpffs_path(run_dir, path);
	if (ret < 0)
		return xdp_error_set(err, ret, "run directory %.64s…: path is too long", run_dir);
	ret = make_directories(path);
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot create %s: %s", path, strerror(-ret));
	if (is_bpffs(path))
		return 0;
	if (mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0)
		return 0;
	ret = -errno;
	if (ret == -ENODEV)
		return xdp_error_set(
			err, -EOPNOTSUPP,
			"this kernel has no bpffs (CONFIG_BPF_SYSCALL); use a DPDK port "
			"other than AF_XDP, which needs no filter");
	if (ret == -EPERM)
		return xdp_error_set(
			err, ret, "cannot mount a bpffs on %s: run as root (CAP_SYS_ADMIN)", path);
	return xdp_error_set(err, ret, "cannot mount a bpffs on %s: %s", path, strerror(-ret));
}

int xdp_filter_unmount(const char *run_dir, struct xdp_filter_error *err)
{
	char path[PATH_MAX];
	int ret;

	xdp_error_clear(err);
	ret = xdp_bpffs_path(run_dir, path);
	if (ret < 0)
		return xdp_error_set(err, ret, "run directory %.64s…: path is too long", run_dir);
	if (!is_bpffs(path))
		return 0;
	// Lazily: a dataplane's namespace or an open map must not keep the name.
	if (umount2(path, MNT_DETACH) < 0) {
		ret = -errno;
		return xdp_error_set(err, ret, "cannot unmount %s: %s", path, strerror(-ret));
	}
	return 0;
}

int xdp_filter_bind_default_root(const char *run_dir, struct xdp_filter_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int ret;

	xdp_error_clear(err);
	ret = xdp_bpffs_check(run_dir, err);
	if (ret < 0)
		return ret;
	ret = xdp_bpffs_path(run_dir, path);
	if (ret < 0)
		return ret;
	if (stat(DEFAULT_PIN_ROOT, &st) < 0)
		return xdp_error_set(err, -ENOENT,
				     DEFAULT_PIN_ROOT " does not exist; mount sysfs on /sys");
	if (unshare(CLONE_NEWNS) < 0) {
		ret = -errno;
		return xdp_error_set(err, ret,
				     "cannot enter a mount namespace of its own: %s; run as root "
				     "(CAP_SYS_ADMIN)",
				     strerror(-ret));
	}
	// What is mounted here stays here, while unmounts outside still arrive, so that this
	// process holds no file system.
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
		ret = -errno;
		return xdp_error_set(err, ret, "cannot detach the mount namespace: %s",
				     strerror(-ret));
	}
	if (mount(path, DEFAULT_PIN_ROOT, NULL, MS_BIND, NULL) < 0) {
		ret = -errno;
		return xdp_error_set(err, ret, "cannot bind %s onto " DEFAULT_PIN_ROOT ": %s", path,
				     strerror(-ret));
	}
	return 0;
}
