// The files of demo/ as the build embeds them (embed_demo writes demo_files.c). Constant, any thread.
#ifndef TP_SIGNALING_DEMO_FILES_H
#define TP_SIGNALING_DEMO_FILES_H

#include <stddef.h>

struct demo_file {
	const char *name; // behind /demo/; "" is the index
	const char *content_type;
	const unsigned char *bytes;
	size_t n_bytes;
};

extern const struct demo_file demo_files[];
extern const size_t demo_n_files;

#endif
