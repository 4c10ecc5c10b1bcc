// The directory of what outlives a restart of the host: made where it is missing. Control plane's loop thread.
#ifndef TP_OPS_STATE_DIR_H
#define TP_OPS_STATE_DIR_H

// Makes the directory, which others cannot read, and those above it; what is there keeps its mode. 0 or -errno.
int state_dir_make(const char *path);

#endif
