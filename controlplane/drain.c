// See drain.h. Writes state_dir/draining, which is there or not.
#include "controlplane/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "controlplane/engine.h"
#include "controlplane/ops/log.h"
#include "controlplane/ops/state_dir.h"
#include "controlplane/sfu/sfu.h"

static int path_of(const struct engine *e, char *out, size_t out_bytes)
{
	int n = snprintf(out, out_bytes, "%s/draining", e->state_dir);

	if (e->state_dir[0] == '\0')
		return -ENOENT;
	return n < 0 || (size_t)n >= out_bytes ? -ENAMETOOLONG : 0;
}

// The file's name is what is kept: it must have reached the disk.
static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int keep(const struct engine *e, bool is_draining)
{
	char path[sizeof(e->state_dir) + sizeof("/draining")];
	int ret = path_of(e, path, sizeof(path));
	int fd;

	if (ret < 0)
		return ret;
	if (!is_draining) {
		if (unlink(path) == 0)
			return sync_directory(e->state_dir);
		return errno == ENOENT ? 0 : -errno;
	}
	ret = state_dir_make(e->state_dir);
	if (ret < 0)
		return ret;
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return sync_directory(e->state_dir);
}

static void apply(struct engine *e, bool is_draining)
{
	turn_server_drain(e->turn, is_draining);
	if (e->sfu != NULL)
		sfu_drain(e->sfu, is_draining);
}

int drain_set(struct engine *e, bool is_draining)
{
	apply(e, is_draining);
	return keep(e, is_draining);
}

void drain_restore(struct engine *e)
{
	char path[sizeof(e->state_dir) + sizeof("/draining")];

	if (path_of(e, path, sizeof(path)) < 0 || access(path, F_OK) < 0)
		return;
	apply(e, true);
	log_warning("draining, as before the restart: new clients are not taken until "
		    "turnpikectl drain off");
}
