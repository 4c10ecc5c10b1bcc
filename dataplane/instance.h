// One dataplane per instance: its run directory and its lock.
#ifndef TP_DP_INSTANCE_H
#define TP_DP_INSTANCE_H

#include <stddef.h>

// $TURNPIKE_RUN_DIR or /run/turnpike, then the name; created when missing. 0, -ENAMETOOLONG, or
// -errno of mkdir.
int dp_instance_run_dir(const char *instance, char *out, size_t out_bytes);
// Takes <run_dir>/dataplane.lock for the life of the process. The fd; -EWOULDBLOCK when another
// process holds it; -errno.
int dp_instance_lock(const char *run_dir);

#endif
