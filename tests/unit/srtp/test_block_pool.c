// Where keys and histories stand: blocks are zeroed, wiped when given back, and never overlap.
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/block_pool.h"

#define BLOCK_BYTES 2176
#define BLOCKS      2500 // more than a region holds

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

Test(block_pool, blocks_are_zeroed_aligned_and_apart)
{
	struct dp_block_pool *p = dp_block_pool_create(BLOCK_BYTES);
	static uint8_t *block[BLOCKS];

	cr_assert_not_null(p);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		block[i] = dp_block_pool_take(p);
		cr_assert_not_null(block[i]);
		cr_assert_eq((uintptr_t)block[i] % 64, 0);
		cr_assert(is_zero(block[i], BLOCK_BYTES));
		memset(block[i], (int)(i % 255) + 1, BLOCK_BYTES);
	}
	for (uint32_t i = 0; i < BLOCKS; i++) {
		for (uint32_t at = 0; at < BLOCK_BYTES; at++)
			cr_assert_eq(block[i][at], i % 255 + 1);
	}
	dp_block_pool_destroy(p);
}

Test(block_pool, what_is_given_back_is_wiped)
{
	struct dp_block_pool *p = dp_block_pool_create(BLOCK_BYTES);
	uint8_t *a;
	uint8_t *b;

	cr_assert_not_null(p);
	a = dp_block_pool_take(p);
	b = dp_block_pool_take(p);
	cr_assert_not_null(a);
	cr_assert_not_null(b);
	memset(a, 0x5a, BLOCK_BYTES);
	memset(b, 0xa5, BLOCK_BYTES);
	dp_block_pool_give(p, a);
	// A pointer to the next free block may stand at its head.
	cr_assert(is_zero(a + sizeof(void *), BLOCK_BYTES - sizeof(void *)));
	cr_assert_eq(b[0], 0xa5);
	dp_block_pool_give(p, b);
	dp_block_pool_give(p, NULL);
	cr_assert_eq(dp_block_pool_take(p), b);
	cr_assert_eq(dp_block_pool_take(p), a);
	cr_assert(is_zero(a, BLOCK_BYTES));
	cr_assert(is_zero(b, BLOCK_BYTES));
	dp_block_pool_destroy(p);
}
