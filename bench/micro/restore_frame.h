// The frame that every run of a measured XDP program gets. Shared by the BPF program and user space.
#ifndef TP_BENCH_RESTORE_FRAME_H
#define TP_BENCH_RESTORE_FRAME_H

#include <linux/types.h>

#define RESTORE_FRAME_BYTES_MAX 512

struct restore_frame {
	__u32 n_bytes;
	__u8 bytes[RESTORE_FRAME_BYTES_MAX];
};

#endif
