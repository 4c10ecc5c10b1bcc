// What DPDK's drivers say while a port is opened, caught so that a failure is one line with its
// cause.
#ifndef TP_DP_DRIVER_LOG_H
#define TP_DP_DRIVER_LOG_H

#include <stddef.h>

// From here on DPDK logs into memory. Main thread, not nested.
void dp_driver_log_begin(void);
// Back to stderr. `cause` gets the first line that was caught, "" if there was none; the others are
// forgotten.
void dp_driver_log_end(char *cause, size_t cause_bytes);

#endif
