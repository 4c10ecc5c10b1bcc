// CPU time of another process. One thread; reads /proc.
#include "bench/sfu/cpu_time.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t cpu_time_ns(pid_t pid)
{
	char path[64];
	uint64_t total_ns = 0;
	struct dirent *entry;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	if (threads == NULL)
		return 0;
	while ((entry = readdir(threads)) != NULL) {
		char file[400];
		uint64_t ran_ns;
		FILE *f;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s/schedstat", path, entry->d_name);
		f = fopen(file, "r");
		if (f == NULL)
			continue; // the thread has ended
		if (fscanf(f, "%lu", &ran_ns) == 1)
			total_ns += ran_ns;
		fclose(f);
	}
	closedir(threads);
	return total_ns;
}
