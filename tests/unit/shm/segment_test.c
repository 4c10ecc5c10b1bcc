// Segments as files: what creating leaves behind, and each state that attaching can find.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/contract/shm/segment.h"
#include "dataplane/contract/shm/tables.h"

static char dir[64];

static void set_up(void)
{
	strcpy(dir, "/tmp/turnpike-segment-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(setenv("TURNPIKE_SHM_DIR", dir, 1), 0);
}

static void tear_down(void)
{
	shm_instance_remove("one");
	rmdir(dir);
}

TestSuite(segment, .init = set_up, .fini = tear_down);

static const char *path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/one/%s", dir, name);
	return path;
}

static struct shm_segment create(enum shm_segment_kind kind, size_t size_bytes)
{
	struct shm_segment s;

	cr_assert_eq(shm_segment_create("one", kind, size_bytes, &s), 0);
	return s;
}

static enum shm_attach_state attach(enum shm_segment_kind kind)
{
	struct shm_segment s;
	enum shm_attach_state state = shm_segment_attach("one", kind, false, &s);

	cr_assert_eq(s.base != NULL, state == SHM_ATTACH_READY);
	shm_segment_detach(&s);
	return state;
}

// A published segment of 8 KiB whose header the test may spoil.
static struct shm_segment_header *published(struct shm_segment *s)
{
	*s = create(SHM_SEGMENT_RINGS, 8192);
	cr_assert_eq(shm_segment_publish(s, "one"), 0);
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_READY);
	return s->base;
}

Test(segment, names_outside_the_alphabet_are_refused)
{
	static const char *const bad[] = { "",    ".",   "..",
					   "a/b", "a b", "\xc3\xa4",
					   "a.b", "a\n", "12345678901234567890123456789012" };
	char out[128];
	struct shm_segment s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(shm_instance_dir(bad[i], out, sizeof(out)), -EINVAL, "%s", bad[i]);
		cr_assert_eq(shm_segment_create(bad[i], SHM_SEGMENT_TABLES, 4096, &s), -EINVAL);
		cr_assert_eq(shm_segment_attach(bad[i], SHM_SEGMENT_TABLES, false, &s),
			     SHM_ATTACH_DENIED);
		cr_assert_eq(shm_instance_remove(bad[i]), -EINVAL);
		cr_assert_eq(shm_wake_open(bad[i]), -EINVAL);
	}
	cr_assert_eq(shm_instance_dir("Lab_1-x", out, sizeof(out)), 0);
	cr_assert_str_eq(out + strlen(dir), "/Lab_1-x");
	cr_assert_eq(shm_instance_dir("one", out, strlen(dir) + 4), -ENAMETOOLONG);
	unsetenv("TURNPIKE_SHM_DIR");
	cr_assert_eq(shm_instance_dir("one", out, sizeof(out)), 0);
	cr_assert_str_eq(out, "/dev/shm/turnpike/one");
}

Test(segment, appears_only_when_published)
{
	struct shm_segment s;
	struct stat st;

	cr_assert_eq(attach(SHM_SEGMENT_KEYS), SHM_ATTACH_ABSENT);
	s = create(SHM_SEGMENT_KEYS, 8192);
	cr_assert_eq(attach(SHM_SEGMENT_KEYS), SHM_ATTACH_ABSENT);
	cr_assert_eq(shm_segment_publish(&s, "one"), 0);
	cr_assert_eq(attach(SHM_SEGMENT_KEYS), SHM_ATTACH_READY);
	cr_assert_str_eq(s.path, path_of("keys"));
	cr_assert_eq(stat(path_of("keys"), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(stat(path_of(""), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	shm_segment_detach(&s);
}

Test(segment, carries_a_filled_header_and_zeros)
{
	struct shm_segment s = create(SHM_SEGMENT_TABLES, 3 << 20), seen;
	const struct shm_segment_header *h = s.base;

	cr_assert_eq(s.size_bytes, 4 << 20, "whole large pages");
	cr_assert_eq((uintptr_t)s.base % (2 << 20), 0);
	cr_assert_eq(h->magic, 0);
	cr_assert_eq(h->cp_pid, (uint32_t)getpid());
	cr_assert_neq(h->created_at_ns, 0);
	for (size_t i = sizeof(*h); i < s.size_bytes; i++)
		cr_assert_eq(((uint8_t *)s.base)[i], 0);
	((uint8_t *)s.base)[s.size_bytes - 1] = 77;
	cr_assert_eq(shm_segment_publish(&s, "one"), 0);
	cr_assert_eq(shm_segment_attach("one", SHM_SEGMENT_TABLES, true, &seen), SHM_ATTACH_READY);
	cr_assert_neq(seen.base, s.base);
	cr_assert_eq(seen.size_bytes, s.size_bytes);
	cr_assert_eq(((uint8_t *)seen.base)[s.size_bytes - 1], 77);
	((uint8_t *)seen.base)[5000] = 78;
	cr_assert_eq(((uint8_t *)s.base)[5000], 78, "shared");
	shm_segment_detach(&seen);
	shm_segment_detach(&seen);
	shm_segment_detach(&s);
}

Test(segment, publishing_replaces_what_was_there)
{
	struct shm_segment old = create(SHM_SEGMENT_RINGS, 4096), new, seen;

	cr_assert_eq(shm_segment_publish(&old, "one"), 0);
	// A leftover of a creator that died does not stand in the way.
	create(SHM_SEGMENT_RINGS, 4096);
	new = create(SHM_SEGMENT_RINGS, 12288);
	cr_assert_eq(shm_segment_publish(&new, "one"), 0);
	cr_assert_eq(shm_segment_attach("one", SHM_SEGMENT_RINGS, false, &seen), SHM_ATTACH_READY);
	cr_assert_eq(seen.size_bytes, 12288);
	cr_assert_eq(((struct shm_segment_header *)old.base)->magic, SHM_MAGIC,
		     "old mappings stay valid");
}

Test(segment, attach_tells_not_ready_from_wrong)
{
	struct shm_segment s;
	struct shm_segment_header *h = published(&s);
	struct shm_segment_header good = *h;

	h->magic = 0;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_NOT_READY);
	h->magic = SHM_MAGIC + 1;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_MAGIC);
	*h = good;
	h->layout_version++;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_LAYOUT);
	*h = good;
	h->fingerprint ^= 1;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_LAYOUT);
	*h = good;
	h->kind = SHM_SEGMENT_KEYS;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_LAYOUT);
	*h = good;
	h->size_bytes--;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_SIZE);
	*h = good;
	h->boot_id[15] ^= 1;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_OTHER_BOOT);
	*h = good;
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_READY);
}

Test(segment, attach_refuses_files_of_another_size)
{
	struct shm_segment s;

	published(&s);
	cr_assert_eq(truncate(path_of("rings"), 12288), 0);
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_SIZE);
	cr_assert_eq(truncate(path_of("rings"), 4096), 0);
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_SIZE);
	cr_assert_eq(truncate(path_of("rings"), 127), 0);
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_WRONG_SIZE);
	cr_assert_eq(truncate(path_of("rings"), 0), 0);
	cr_assert_eq(attach(SHM_SEGMENT_RINGS), SHM_ATTACH_NOT_READY);
}

Test(segment, attach_refuses_what_is_no_regular_file)
{
	struct shm_segment s;

	published(&s);
	cr_assert_eq(symlink("rings", path_of("tables")), 0);
	cr_assert_eq(attach(SHM_SEGMENT_TABLES), SHM_ATTACH_DENIED);
	cr_assert_eq(mkfifo(path_of("keys"), 0600), 0);
	cr_assert_eq(attach(SHM_SEGMENT_KEYS), SHM_ATTACH_WRONG_MAGIC);
}

Test(segment, directory_that_all_may_write_to_is_refused)
{
	struct shm_segment s;

	cr_assert_eq(mkdir(path_of(""), 0700), 0);
	cr_assert_eq(chmod(path_of(""), 0777), 0);
	cr_assert_eq(shm_segment_create("one", SHM_SEGMENT_RINGS, 4096, &s), -EPERM);
	cr_assert_null(s.base);
	cr_assert_eq(chmod(path_of(""), 0700), 0);
	cr_assert_eq(shm_segment_create("one", SHM_SEGMENT_RINGS, 4096, &s), 0);
}

Test(segment, create_checks_its_arguments)
{
	struct shm_segment s;

	cr_assert_eq(shm_segment_create("one", SHM_SEGMENT_COUNT, 4096, &s), -EINVAL);
	cr_assert_eq(shm_segment_create("one", SHM_SEGMENT_RINGS, 127, &s), -EINVAL);
}

// The kernel's own account of the mapping: "dd" in VmFlags is MADV_DONTDUMP.
static bool mapped_dontdump(const void *base)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512], start[32];
	bool inside = false, dontdump = false;

	cr_assert_not_null(f);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)base);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = true;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			dontdump = strstr(line, " dd") != NULL;
			break;
		}
	}
	fclose(f);
	cr_assert(inside);
	return dontdump;
}

Test(segment, keys_are_never_dumped)
{
	struct shm_segment s = create(SHM_SEGMENT_KEYS, 8192), seen, other;

	cr_assert(mapped_dontdump(s.base));
	cr_assert_eq(shm_segment_publish(&s, "one"), 0);
	cr_assert_eq(shm_segment_attach("one", SHM_SEGMENT_KEYS, true, &seen), SHM_ATTACH_READY);
	cr_assert(mapped_dontdump(seen.base));
	other = create(SHM_SEGMENT_RINGS, 8192);
	cr_assert_not(mapped_dontdump(other.base));
}

Test(segment, remove_leaves_nothing)
{
	struct shm_segment s;
	struct stat st;
	int fd;

	for (uint32_t kind = 0; kind < SHM_SEGMENT_COUNT; kind++) {
		s = create((enum shm_segment_kind)kind, 4096);
		cr_assert_eq(shm_segment_publish(&s, "one"), 0);
		create((enum shm_segment_kind)kind, 4096);
	}
	fd = shm_wake_open("one");
	cr_assert_geq(fd, 0);
	cr_assert_eq(shm_instance_remove("one"), 0);
	cr_assert_eq(stat(path_of(""), &st), -1);
	cr_assert_eq(errno, ENOENT);
	cr_assert_eq(shm_instance_remove("one"), 0, "what is not there is removed");
}

Test(segment, wake_fifo_needs_no_other_side)
{
	int a = shm_wake_open("one"), b = shm_wake_open("one");
	char byte = 1;

	cr_assert(a >= 0 && b >= 0);
	cr_assert_eq(read(a, &byte, 1), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(write(b, &byte, 1), 1);
	cr_assert_eq(read(a, &byte, 1), 1);
	close(a);
	cr_assert_eq(write(b, &byte, 1), 1, "no SIGPIPE when the reader is gone");
	close(b);
	cr_assert_eq(unlink(path_of("punt.wake")), 0);
	a = open(path_of("punt.wake"), O_CREAT | O_RDWR, 0600);
	cr_assert_geq(a, 0);
	cr_assert_eq(shm_wake_open("one"), -EEXIST, "a file is no FIFO");
	close(a);
}

Test(segment, every_state_and_kind_has_words)
{
	for (uint32_t i = 0; i < SHM_ATTACH_STATE_COUNT; i++)
		for (uint32_t j = 0; j < i; j++)
			cr_assert_str_neq(shm_attach_state_text((enum shm_attach_state)i),
					  shm_attach_state_text((enum shm_attach_state)j));
	cr_assert_not_null(shm_attach_state_text((enum shm_attach_state)99));
	cr_assert_str_eq(shm_segment_kind_name(SHM_SEGMENT_TABLES), "tables");
	cr_assert_str_eq(shm_segment_kind_name(SHM_SEGMENT_WORKERS), "workers");
	cr_assert_str_eq(shm_segment_kind_name(SHM_SEGMENT_RINGS), "rings");
	cr_assert_str_eq(shm_segment_kind_name(SHM_SEGMENT_KEYS), "keys");
	cr_assert_str_eq(shm_segment_kind_name((enum shm_segment_kind)99), "unknown");
}
