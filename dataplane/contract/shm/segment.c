// Named segments in shared memory: creating, attaching, checking, removing. Cold code of either process, any one thread;
// the only file of the contract with system calls. Segments outlive both processes; nothing here ever waits.
#include "dataplane/contract/shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> // rename
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define SEGMENT_DIR_DEFAULT "/dev/shm/turnpike"
#define SEGMENT_LARGE_BYTES                                                                        \
	((size_t)2 << 20) // a large page of x86-64 and of arm64 with 4 KiB pages

static const char *const kind_name[SHM_SEGMENT_COUNT] = {
	[SHM_SEGMENT_TABLES] = "tables",
	[SHM_SEGMENT_WORKERS] = "workers",
	[SHM_SEGMENT_RINGS] = "rings",
	[SHM_SEGMENT_KEYS] = "keys",
	[SHM_SEGMENT_SFU] = "sfu",
	[SHM_SEGMENT_SRTP] = "srtp",
	[SHM_SEGMENT_SFU_STATE] = "sfu_state",
	[SHM_SEGMENT_SESSIONS] = "sessions",
};

const char *shm_segment_kind_name(enum shm_segment_kind kind)
{
	return (unsigned)kind < SHM_SEGMENT_COUNT ? kind_name[kind] : "unknown";
}

const char *shm_attach_state_text(enum shm_attach_state s)
{
	switch (s) {
	case SHM_ATTACH_READY:
		return "the segment is ready";
	case SHM_ATTACH_ABSENT:
		return "the segment does not exist: start the control plane of this instance";
	case SHM_ATTACH_NOT_READY:
		return "the segment is being created: wait for the control plane";
	case SHM_ATTACH_WRONG_MAGIC:
		return "the file is no segment of Turnpike: remove it and restart the control "
		       "plane";
	case SHM_ATTACH_WRONG_LAYOUT:
		return "another build of Turnpike wrote the segment: run both processes from one "
		       "build, or stop both and "
		       "remove the instance's segments (turnpikectl segment remove)";
	case SHM_ATTACH_WRONG_SIZE:
		return "the segment is cut off or has grown: stop both processes and remove the "
		       "instance's segments "
		       "(turnpikectl segment remove)";
	case SHM_ATTACH_OTHER_BOOT:
		return "the segment is from before the last boot: restart the control plane, which "
		       "replaces it";
	case SHM_ATTACH_DENIED:
		return "the segment cannot be opened or mapped: check the user, the permissions "
		       "and the free memory";
	case SHM_ATTACH_STATE_COUNT:
		break;
	}
	return "unknown state of a segment";
}

// Appends text at *at; false when it does not fit with its NUL.
static bool append(char *out, size_t out_bytes, size_t *at, const char *text)
{
	size_t n = strlen(text);

	if (*at + n >= out_bytes)
		return false;
	memcpy(out + *at, text, n + 1);
	*at += n;
	return true;
}

static const char *base_dir(void)
{
	const char *dir = getenv("TURNPIKE_SHM_DIR");

	return dir && dir[0] ? dir : SEGMENT_DIR_DEFAULT;
}

int shm_instance_dir(const char *instance, char *out, size_t out_bytes)
{
	size_t n = strlen(instance), at = 0;

	if (n == 0 || n >= SHM_INSTANCE_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		char c = instance[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-'))
			return -EINVAL;
	}
	if (!append(out, out_bytes, &at, base_dir()) || !append(out, out_bytes, &at, "/") ||
	    !append(out, out_bytes, &at, instance))
		return -ENAMETOOLONG;
	return 0;
}

static int instance_path(const char *instance, const char *name, const char *suffix, char *out,
			 size_t out_bytes)
{
	int ret = shm_instance_dir(instance, out, out_bytes);
	size_t at;

	if (ret < 0)
		return ret;
	at = strlen(out);
	if (!append(out, out_bytes, &at, "/") || !append(out, out_bytes, &at, name) ||
	    !append(out, out_bytes, &at, suffix))
		return -ENAMETOOLONG;
	return 0;
}

// /dev/shm is open to all: a directory that somebody else made there, or may write to, is refused.
static int make_own_dir(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST || lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if ((st.st_uid != geteuid() && st.st_uid != 0) ||
	    ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)))
		return -EPERM;
	return 0;
}

static int make_instance_dir(const char *instance)
{
	char path[128];
	int ret = shm_instance_dir(instance, path, sizeof(path));

	if (ret < 0)
		return ret;
	ret = make_own_dir(base_dir(), 0755);
	if (ret < 0)
		return ret;
	return make_own_dir(path, 0700);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int read_boot_id(uint8_t out[16])
{
	char text[40];
	ssize_t n;
	size_t n_digits = 0;
	int fd, err;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	err = errno;
	close(fd);
	if (n < 0)
		return -err;
	memset(out, 0, 16);
	for (ssize_t i = 0; i < n && n_digits < 32; i++) {
		int d = hex_digit(text[i]);

		if (d < 0)
			continue;
		out[n_digits / 2] = (uint8_t)(out[n_digits / 2] << 4 | d);
		n_digits++;
	}
	return n_digits == 32 ? 0 : -EIO;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

// Maps the file at an address where large pages can back it. NULL and errno on failure.
static void *map_file(int fd, size_t size_bytes, int protection)
{
	uint8_t *space, *base;
	size_t slack;

	if (size_bytes < SEGMENT_LARGE_BYTES) {
		base = mmap(NULL, size_bytes, protection, MAP_SHARED, fd, 0);
		return base == MAP_FAILED ? NULL : base;
	}
	space = mmap(NULL, size_bytes + SEGMENT_LARGE_BYTES, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED)
		return NULL;
	slack = -(uintptr_t)space & (SEGMENT_LARGE_BYTES - 1);
	base = mmap(space + slack, size_bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0);
	if (base == MAP_FAILED) {
		int err = errno;

		munmap(space, size_bytes + SEGMENT_LARGE_BYTES);
		errno = err;
		return NULL;
	}
	if (slack)
		munmap(space, slack);
	size_bytes = (size_bytes + 4095) & ~(size_t)4095;
	munmap(base + size_bytes, SEGMENT_LARGE_BYTES - slack);
	return base;
}

// The tables and the counters are read at random with each packet: large pages save a TLB miss per access.
static bool wants_large_pages(enum shm_segment_kind kind)
{
	return kind == SHM_SEGMENT_TABLES || kind == SHM_SEGMENT_WORKERS;
}

// Credentials and keys: in no core dump.
static bool is_secret(enum shm_segment_kind kind)
{
	return kind == SHM_SEGMENT_KEYS || kind == SHM_SEGMENT_SRTP || kind == SHM_SEGMENT_SESSIONS;
}

// What only control planes map.
static bool is_private(enum shm_segment_kind kind)
{
	return kind == SHM_SEGMENT_KEYS || kind == SHM_SEGMENT_SESSIONS;
}

int shm_segment_create(const char *instance, enum shm_segment_kind kind, size_t size_bytes,
		       struct shm_segment *out)
{
	struct shm_segment_header *h;
	int fd, ret;

	memset(out, 0, sizeof(*out));
	if ((unsigned)kind >= SHM_SEGMENT_COUNT || size_bytes < sizeof(*h))
		return -EINVAL;
	ret = make_instance_dir(instance);
	if (ret < 0)
		return ret;
	ret = instance_path(instance, kind_name[kind], ".new", out->path, sizeof(out->path));
	if (ret < 0)
		return ret;
	// Only whole large pages of the file can be backed by one.
	if (wants_large_pages(kind) && size_bytes >= SEGMENT_LARGE_BYTES)
		size_bytes = (size_bytes + SEGMENT_LARGE_BYTES - 1) & ~(SEGMENT_LARGE_BYTES - 1);
	// What a creator that died left there; there is one creator per instance.
	unlink(out->path);
	fd = open(out->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size_bytes) < 0) {
		ret = -errno;
		goto fail_unlink;
	}
	out->base = map_file(fd, size_bytes, PROT_READ | PROT_WRITE);
	if (!out->base) {
		ret = -errno;
		goto fail_unlink;
	}
	out->size_bytes = size_bytes;
	if (is_secret(kind) && madvise(out->base, size_bytes, MADV_DONTDUMP) < 0) {
		ret = -errno;
		goto fail_unmap;
	}
	// Memory that is short shows here as an error and not later as SIGBUS.
	ret = fallocate(fd, 0, 0, (off_t)size_bytes);
	if (ret < 0 && errno != EOPNOTSUPP) {
		ret = -errno;
		goto fail_unmap;
	}
	// Best effort: an older kernel, or one short of contiguous memory, serves small pages. Collapsing asks for no setting of
	// the machine (shmem_enabled is `never` on most), but for pages that exist.
	if (wants_large_pages(kind)) {
		madvise(out->base, size_bytes, MADV_HUGEPAGE);
		madvise(out->base, size_bytes, MADV_POPULATE_WRITE);
		madvise(out->base, size_bytes, MADV_COLLAPSE);
	}
	h = out->base;
	h->layout_version = SHM_LAYOUT_VERSION;
	h->kind = (uint32_t)kind;
	h->fingerprint = shm_layout_fingerprint();
	h->size_bytes = size_bytes;
	ret = read_boot_id(h->boot_id);
	if (ret < 0)
		goto fail_unmap;
	h->created_at_ns = monotonic_ns();
	h->cp_pid = (uint32_t)getpid();
	__atomic_store_n(&h->cp_heartbeat_ns, h->created_at_ns, __ATOMIC_RELAXED);
	close(fd);
	return 0;

fail_unmap:
	munmap(out->base, out->size_bytes);
fail_unlink:
	unlink(out->path);
	close(fd);
	memset(out, 0, sizeof(*out));
	return ret;
}

int shm_segment_publish(struct shm_segment *s, const char *instance)
{
	struct shm_segment_header *h = s->base;
	char path[sizeof(s->path)];
	int ret;

	if (h->kind >= SHM_SEGMENT_COUNT)
		return -EINVAL;
	ret = instance_path(instance, kind_name[h->kind], "", path, sizeof(path));
	if (ret < 0)
		return ret;
	__atomic_store_n(&h->magic, SHM_MAGIC, __ATOMIC_RELEASE);
	if (rename(s->path, path) < 0)
		return -errno;
	memcpy(s->path, path, sizeof(path));
	return 0;
}

static enum shm_attach_state check_header(const struct shm_segment_header *h,
					  enum shm_segment_kind kind, size_t size_bytes)
{
	uint64_t magic = __atomic_load_n(&h->magic, __ATOMIC_ACQUIRE);
	uint8_t boot_id[16];
	int ret;

	if (magic == 0)
		return SHM_ATTACH_NOT_READY;
	if (magic != SHM_MAGIC)
		return SHM_ATTACH_WRONG_MAGIC;
	if (h->layout_version != SHM_LAYOUT_VERSION || h->kind != (uint32_t)kind ||
	    h->fingerprint != shm_layout_fingerprint())
		return SHM_ATTACH_WRONG_LAYOUT;
	if (h->size_bytes != size_bytes)
		return SHM_ATTACH_WRONG_SIZE;
	ret = read_boot_id(boot_id);
	if (ret < 0) {
		errno = -ret;
		return SHM_ATTACH_DENIED;
	}
	if (memcmp(h->boot_id, boot_id, sizeof(boot_id)) != 0)
		return SHM_ATTACH_OTHER_BOOT;
	return SHM_ATTACH_READY;
}

enum shm_attach_state shm_segment_attach(const char *instance, enum shm_segment_kind kind,
					 bool writable, struct shm_segment *out)
{
	enum shm_attach_state state = SHM_ATTACH_DENIED;
	struct stat st;
	int fd, ret;

	memset(out, 0, sizeof(*out));
	if ((unsigned)kind >= SHM_SEGMENT_COUNT) {
		errno = EINVAL;
		return SHM_ATTACH_DENIED;
	}
	ret = instance_path(instance, kind_name[kind], "", out->path, sizeof(out->path));
	if (ret < 0) {
		errno = -ret;
		return SHM_ATTACH_DENIED;
	}
	fd = open(out->path, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? SHM_ATTACH_ABSENT : SHM_ATTACH_DENIED;
	if (fstat(fd, &st) < 0)
		goto out_close;
	if (!S_ISREG(st.st_mode)) {
		state = SHM_ATTACH_WRONG_MAGIC;
		goto out_close;
	}
	if (st.st_size < (off_t)sizeof(struct shm_segment_header)) {
		state = st.st_size == 0 ? SHM_ATTACH_NOT_READY : SHM_ATTACH_WRONG_SIZE;
		goto out_close;
	}
	out->size_bytes = (size_t)st.st_size;
	out->device = st.st_dev;
	out->inode = st.st_ino;
	out->base = map_file(fd, out->size_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ);
	if (!out->base)
		goto out_close;
	if (is_secret(kind) && madvise(out->base, out->size_bytes, MADV_DONTDUMP) < 0)
		goto out_close;
	state = check_header(out->base, kind, out->size_bytes);
	if (state != SHM_ATTACH_READY)
		goto out_close;
	// Page faults now rather than with the first packets; the pages are there since the segment was created.
	if (wants_large_pages(kind))
		madvise(out->base, out->size_bytes, MADV_HUGEPAGE);
	if (!is_private(kind))
		madvise(out->base, out->size_bytes,
			writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
out_close:
	ret = errno;
	close(fd);
	if (state != SHM_ATTACH_READY) {
		if (out->base)
			munmap(out->base, out->size_bytes);
		out->base = NULL;
		out->size_bytes = 0;
	}
	errno = ret;
	return state;
}

void shm_segment_detach(struct shm_segment *s)
{
	if (s->base)
		munmap(s->base, s->size_bytes);
	s->base = NULL;
	s->size_bytes = 0;
}

int shm_instance_remove(const char *instance)
{
	static const char *const suffix[] = { "", ".new" };
	char path[128];
	int ret = 0;

	for (uint32_t kind = 0; kind < SHM_SEGMENT_COUNT; kind++) {
		for (uint32_t i = 0; i < 2; i++) {
			ret = instance_path(instance, kind_name[kind], suffix[i], path,
					    sizeof(path));
			if (ret < 0)
				return ret;
			if (unlink(path) < 0 && errno != ENOENT)
				return -errno;
		}
	}
	ret = instance_path(instance, "punt.wake", "", path, sizeof(path));
	if (ret < 0)
		return ret;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	ret = shm_instance_dir(instance, path, sizeof(path));
	if (ret < 0)
		return ret;
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int shm_wake_open(const char *instance)
{
	char path[128];
	struct stat st;
	int fd, ret;

	ret = make_instance_dir(instance);
	if (ret < 0)
		return ret;
	ret = instance_path(instance, "punt.wake", "", path, sizeof(path));
	if (ret < 0)
		return ret;
	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
		close(fd);
		return -EEXIST;
	}
	return fd;
}
