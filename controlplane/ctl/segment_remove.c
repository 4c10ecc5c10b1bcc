// segment remove: takes away the shared tables of an instance that does not run, for another layout
// or other table sizes.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/ctl/command.h"
#include "controlplane/ctl/connection.h"
#include "dataplane/contract/shm/segment.h"

// Takes the lock that a process holds while it runs, so that it cannot start in between. -1: there
// is no such file, so no such process; else the fd, or -errno (-EWOULDBLOCK: it runs).
static int take_lock(const char *instance, const char *file, int *out_fd)
{
	char path[CTL_PATH_BYTES];
	int fd;

	*out_fd = -1;
	if (ctl_path(instance, file, path) < 0)
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	*out_fd = fd;
	return 0;
}

int run_segment_remove(const struct command *c)
{
	static const char *const process[] = { "controlplane", "dataplane" };
	int lock[2] = { -1, -1 }, code = EXIT_VERB_FAILED, ret;
	char dir[128];
	struct stat st;

	ret = shm_instance_dir(c->instance, dir, sizeof(dir));
	if (ret < 0)
		return fail(EXIT_WRONG_USE,
			    "%s is no instance's name; use letters, digits, '-' and '_'",
			    c->instance);
	for (int i = 0; i < 2; i++) {
		char file[32];

		snprintf(file, sizeof(file), "%s.lock", process[i]);
		ret = take_lock(c->instance, file, &lock[i]);
		if (ret == -EWOULDBLOCK) {
			fail(0,
			     "turnpike-%s of instance %s is running; stop it first: systemctl stop "
			     "turnpike-%s",
			     process[i], c->instance, process[i]);
			goto out;
		}
		if (ret < 0) {
			fail(0, "cannot take the lock of turnpike-%s: %s; run as root", process[i],
			     strerror(-ret));
			goto out;
		}
	}
	if (stat(dir, &st) < 0) {
		fail(0, "instance %s has no segments: %s does not exist", c->instance, dir);
		goto out;
	}
	ret = shm_instance_remove(c->instance);
	if (ret < 0) {
		fail(0, "%s cannot be removed: %s; run as root", dir, strerror(-ret));
		goto out;
	}
	printf(c->is_json ? "{\"removed\":\"%s\"}\n" : "removed %s\n", dir);
	code = 0;
out:
	for (int i = 0; i < 2; i++)
		if (lock[i] >= 0)
			close(lock[i]);
	return code;
}
