// Where keys stand: blocks are zeroed, wiped when given back, and never overlap.
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/srtp/key_room.h"

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

Test(key_room, blocks_are_zeroed_aligned_and_apart)
{
	struct srtp_key_room *r = srtp_key_room_create(BLOCK_BYTES);
	static uint8_t *block[BLOCKS];

	cr_assert_not_null(r);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		block[i] = srtp_key_room_take(r);
		cr_assert_not_null(block[i]);
		cr_assert_eq((uintptr_t)block[i] % 64, 0);
		cr_assert(is_zero(block[i], BLOCK_BYTES));
		memset(block[i], (int)(i % 255) + 1, BLOCK_BYTES);
	}
	for (uint32_t i = 0; i < BLOCKS; i++) {
		for (uint32_t at = 0; at < BLOCK_BYTES; at++)
			cr_assert_eq(block[i][at], i % 255 + 1);
	}
	srtp_key_room_destroy(r);
}

Test(key_room, what_is_given_back_is_wiped)
{
	struct srtp_key_room *r = srtp_key_room_create(BLOCK_BYTES);
	uint8_t *a;
	uint8_t *b;

	cr_assert_not_null(r);
	a = srtp_key_room_take(r);
	b = srtp_key_room_take(r);
	cr_assert_not_null(a);
	cr_assert_not_null(b);
	memset(a, 0x5a, BLOCK_BYTES);
	memset(b, 0xa5, BLOCK_BYTES);
	srtp_key_room_give(r, a);
	// A pointer to the next free block may stand at its head.
	cr_assert(is_zero(a + sizeof(void *), BLOCK_BYTES - sizeof(void *)));
	cr_assert_eq(b[0], 0xa5);
	srtp_key_room_give(r, b);
	srtp_key_room_give(r, NULL);
	cr_assert_eq(srtp_key_room_take(r), b);
	cr_assert_eq(srtp_key_room_take(r), a);
	cr_assert(is_zero(a, BLOCK_BYTES));
	cr_assert(is_zero(b, BLOCK_BYTES));
	srtp_key_room_destroy(r);
}
