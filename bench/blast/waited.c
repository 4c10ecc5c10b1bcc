// The kernel's scheduling statistics of the calling thread. Cold; any thread.
#include "bench/blast/waited.h"

#include <stdio.h>

uint64_t waited_ns(void)
{
	FILE *f = fopen("/proc/thread-self/schedstat", "r");
	unsigned long ran;
	unsigned long waited;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu %lu", &ran, &waited) != 2)
		waited = 0;
	fclose(f);
	return waited;
}
