// DPDK's log, diverted for a while. Main thread.
#include "dataplane/driver_log.h"

#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *stream;
static char *caught;
static size_t caught_bytes;

void dp_driver_log_begin(void)
{
	caught = NULL;
	stream = open_memstream(&caught, &caught_bytes);
	if (stream != NULL)
		rte_openlog_stream(stream);
}

void dp_driver_log_end(char *cause, size_t cause_bytes)
{
	cause[0] = 0;
	if (stream == NULL)
		return;
	rte_openlog_stream(NULL);
	fclose(stream);
	stream = NULL;
	if (caught != NULL)
		snprintf(cause, cause_bytes, "%.*s", (int)strcspn(caught, "\n"), caught);
	free(caught);
}
