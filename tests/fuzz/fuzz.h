// What every fuzz target shares: the entry that libFuzzer calls, and an assertion that says what broke.
#ifndef TP_TESTS_FUZZ_H
#define TP_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_ASSERT(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,           \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

// The target: takes one input, asserts its properties. Called with exactly `n` readable bytes.
static void fuzz_one(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

// Runs the input as it is, and once more one byte off any alignment.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n + 1);

	fuzz_one(data, n);
	FUZZ_ASSERT(copy != NULL);
	if (n > 0)
		memcpy(copy + 1, data, n);
	fuzz_one(copy + 1, n);
	free(copy);
	return 0;
}

#endif
