// A copy of a buffer that ends directly before an unreadable page, so that reading one byte past it kills
// the test in every build, with sanitizers or without.
#ifndef TP_TESTS_GUARDED_H
#define TP_TESTS_GUARDED_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define GUARDED_MAX_BYTES (128u * 1024u)

// The copy is valid until the next call.
static inline uint8_t *guarded_copy(const void *src, size_t len_bytes)
{
	static uint8_t *area;

	cr_assert_leq(len_bytes, GUARDED_MAX_BYTES);
	if (area == NULL) {
		area = mmap(NULL, GUARDED_MAX_BYTES + 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		cr_assert_neq(area, MAP_FAILED);
		cr_assert_eq(mprotect(area + GUARDED_MAX_BYTES, 4096, PROT_NONE), 0);
	}
	if (len_bytes > 0)
		memcpy(area + GUARDED_MAX_BYTES - len_bytes, src, len_bytes);
	return area + GUARDED_MAX_BYTES - len_bytes;
}

#endif
