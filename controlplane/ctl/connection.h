// The command's side of the operators' protocol: one request, one answer, over the instance's unix
// socket.
#ifndef TP_CTL_CONNECTION_H
#define TP_CTL_CONNECTION_H

#include <jansson.h>
#include <stddef.h>

#define CTL_PATH_BYTES 108 // of a socket's name

// $TURNPIKE_RUN_DIR or /run/turnpike, then the instance and `file`. 0, or -ENAMETOOLONG.
int ctl_path(const char *instance, const char *file, char out[CTL_PATH_BYTES]);

// Connects. The fd, or -errno with the sentence for the operator in error.
int ctl_connect(const char *path, const char *instance, char *error, size_t error_bytes);

// Sends {"version":1,"verb":verb,"args":args} (args is borrowed) and reads the answer: an object
// with "ok" and "result" or "error". 0, or -errno with the sentence in error.
int ctl_request(int fd, const char *verb, json_t *args, json_t **answer, char *error,
		size_t error_bytes);

#endif
