// See state_dir.h. Writes directories only.
#include "controlplane/ops/state_dir.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

int state_dir_make(const char *path)
{
	char partial[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0)
		return -ENOENT;
	if (n >= sizeof(partial))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(partial, path, i);
		partial[i] = '\0';
		if (mkdir(partial, i < n ? 0755 : 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}
