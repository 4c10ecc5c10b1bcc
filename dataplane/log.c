// Lines for the operator. Main thread; writes stderr.
#include "dataplane/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void dp_log(enum dp_severity severity, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	// systemd sets the variable and reads the severity off the line (sd-daemon(3)).
	if (getenv("JOURNAL_STREAM") != NULL)
		fprintf(stderr, "<%d>%s\n", (int)severity, line);
	else
		fprintf(stderr, "turnpike-dataplane: %s\n", line);
}
