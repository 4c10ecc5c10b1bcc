// Run directory and lock of an instance. Main thread, at start.
#include "dataplane/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int dp_instance_run_dir(const char *instance, char *out, size_t out_bytes)
{
	const char *base = getenv("TURNPIKE_RUN_DIR");
	int ret;

	if (base == NULL || base[0] == 0)
		base = "/run/turnpike";
	if ((size_t)snprintf(out, out_bytes, "%s/%s", base, instance) >= out_bytes)
		return -ENAMETOOLONG;
	ret = make_dir(base);
	if (ret < 0)
		return ret;
	return make_dir(out);
}

int dp_instance_lock(const char *run_dir)
{
	char path[256];
	int ret;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/dataplane.lock", run_dir) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	// CLOEXEC and flock: a process that execs itself anew takes the lock again.
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}
