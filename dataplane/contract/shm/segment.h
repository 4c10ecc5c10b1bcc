// Creating, attaching and checking segments: named files that outlive both processes.
#ifndef TP_SHM_SEGMENT_H
#define TP_SHM_SEGMENT_H

#include <stdbool.h>

#include "dataplane/contract/shm/layout.h"

struct shm_segment {
	void *base;
	size_t size_bytes;
	uint64_t device; // of the file that is mapped
	uint64_t inode;
	char path[128];
};

enum shm_attach_state {
	SHM_ATTACH_READY = 0,
	SHM_ATTACH_ABSENT,       // no such file: the control plane has not started yet
	SHM_ATTACH_NOT_READY,    // being created: wait
	SHM_ATTACH_WRONG_MAGIC,  // no segment of ours
	SHM_ATTACH_WRONG_LAYOUT, // another version or fingerprint: another build wrote it
	SHM_ATTACH_WRONG_SIZE,   // file and header disagree
	SHM_ATTACH_OTHER_BOOT,   // written before the last reboot
	SHM_ATTACH_DENIED,       // permissions, or no memory: see errno
	SHM_ATTACH_STATE_COUNT
};
// One sentence with the remedy. Never NULL.
const char *shm_attach_state_text(enum shm_attach_state s);

// Directory of an instance: $TURNPIKE_SHM_DIR or /dev/shm/turnpike, then its name. -EINVAL when the name has characters other than
// [A-Za-z0-9_-] or is too long.
int shm_instance_dir(const char *instance, char *out, size_t out_bytes);

// Folded from version, sizes and offsets of every shared struct.
uint64_t shm_layout_fingerprint(void);

// Control plane: creates the file (and its directory, mode 0700) under a temporary name with mode 0600, sizes and maps it, fills
// the header but for its magic. The content is zero and its memory is there, so that no later store fails; segments that are read with
// each packet are rounded up to large pages (out->size_bytes says) and backed by them where the kernel can. shm_segment_publish stores the magic and renames it into place, replacing what was there.
int shm_segment_create(const char *instance, enum shm_segment_kind kind, size_t size_bytes,
		       struct shm_segment *out);
int shm_segment_publish(struct shm_segment *s, const char *instance);

// Maps an existing segment. `writable` false maps it read-only. Header and size are checked; what stands behind is not.
enum shm_attach_state shm_segment_attach(const char *instance, enum shm_segment_kind kind,
					 bool writable, struct shm_segment *out);
void shm_segment_detach(struct shm_segment *s);
// Removes the instance's files (a clean stop of both, or on an operator's word).
int shm_instance_remove(const char *instance);
// File name of the kind: "tables", "workers", "rings", "keys".
const char *shm_segment_kind_name(enum shm_segment_kind kind);

// The wake-up of the control plane: a FIFO beside the segments. Opened read-write and non-blocking, so that neither
// side's death matters to the other. Returns an fd or -errno.
int shm_wake_open(const char *instance);

#endif
