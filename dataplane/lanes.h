// Eight packets side by side: one 32-bit word of each in one vector, so that what is done to one is
// done to eight. The compiler's own vectors, so every CPU has them; with AVX2 each is a register.
#ifndef TP_DP_LANES_H
#define TP_DP_LANES_H

#include <stdint.h>
#include <string.h>

#define LANES 8

typedef uint32_t lanes __attribute__((vector_size(32)));
typedef int32_t lanes_signed __attribute__((vector_size(32))); // comparisons: 0 or -1 each
typedef uint8_t lanes_bytes __attribute__((vector_size(32)));
typedef uint32_t lanes_row __attribute__((vector_size(16))); // four words of one packet

static inline lanes lanes_load(const void *at)
{
	lanes v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline void lanes_store(void *at, lanes v)
{
	memcpy(at, &v, sizeof(v));
}

// For words that are read back one by one: by way of registers each would take two steps, one of them on the port
// that shuffles.
static inline void lanes_spill(uint32_t at[LANES], lanes v)
{
	lanes_store(at, v);
	__asm__("" : "+m"(*(uint32_t(*)[LANES])at));
}

static inline lanes lanes_of(uint32_t value)
{
	return (lanes){ 0 } + value;
}

// Each half of each word to or from network order.
static inline lanes lanes_swap16(lanes v)
{
	static const lanes_bytes order = { 1,  0,  3,  2,  5,  4,  7,  6,  9,  8,  11,
					   10, 13, 12, 15, 14, 17, 16, 19, 18, 21, 20,
					   23, 22, 25, 24, 27, 26, 29, 28, 31, 30 };

	return (lanes)__builtin_shuffle((lanes_bytes)v, order);
}

// Both halves of each word, for a checksum.
static inline lanes lanes_sum16(lanes v)
{
	return (v & 0xffff) + (v >> 16);
}

// A sum of halves down to 16 bits, not complemented; as checksum_fold.
static inline lanes lanes_fold(lanes sum)
{
	return lanes_sum16(lanes_sum16(sum));
}

// Word i of row k becomes word k of column i, where r[k] holds rows k and k + 4 one behind the other; or columns
// become rows.
static inline void lanes_transpose4(lanes r[4])
{
	static const lanes low1 = { 0, 8, 1, 9, 4, 12, 5, 13 };
	static const lanes high1 = { 2, 10, 3, 11, 6, 14, 7, 15 };
	static const lanes low2 = { 0, 1, 8, 9, 4, 5, 12, 13 };
	static const lanes high2 = { 2, 3, 10, 11, 6, 7, 14, 15 };
	lanes a = __builtin_shuffle(r[0], r[1], low1);
	lanes b = __builtin_shuffle(r[0], r[1], high1);
	lanes c = __builtin_shuffle(r[2], r[3], low1);
	lanes d = __builtin_shuffle(r[2], r[3], high1);

	r[0] = __builtin_shuffle(a, c, low2);
	r[1] = __builtin_shuffle(a, c, high2);
	r[2] = __builtin_shuffle(b, d, low2);
	r[3] = __builtin_shuffle(b, d, high2);
}

static inline lanes lanes_rows_load(const void *low, const void *high)
{
	lanes_row a;
	lanes_row b;

	memcpy(&a, low, sizeof(a));
	memcpy(&b, high, sizeof(b));
	return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}

static inline void lanes_rows_store(void *low, void *high, lanes v)
{
	lanes_row a = __builtin_shufflevector(v, v, 0, 1, 2, 3);
	lanes_row b = __builtin_shufflevector(v, v, 4, 5, 6, 7);

	memcpy(low, &a, sizeof(a));
	memcpy(high, &b, sizeof(b));
}

// Rows become columns: word i of row k becomes word k of row i.
static inline void lanes_transpose(lanes r[LANES])
{
	static const lanes low1 = { 0, 8, 1, 9, 4, 12, 5, 13 };
	static const lanes high1 = { 2, 10, 3, 11, 6, 14, 7, 15 };
	static const lanes low2 = { 0, 1, 8, 9, 4, 5, 12, 13 };
	static const lanes high2 = { 2, 3, 10, 11, 6, 7, 14, 15 };
	static const lanes low4 = { 0, 1, 2, 3, 8, 9, 10, 11 };
	static const lanes high4 = { 4, 5, 6, 7, 12, 13, 14, 15 };
	lanes a[LANES];
	lanes b[LANES];

	for (uint32_t i = 0; i < LANES; i += 2) {
		a[i] = __builtin_shuffle(r[i], r[i + 1], low1);
		a[i + 1] = __builtin_shuffle(r[i], r[i + 1], high1);
	}
	for (uint32_t i = 0; i < LANES; i += 4) {
		b[i] = __builtin_shuffle(a[i], a[i + 2], low2);
		b[i + 1] = __builtin_shuffle(a[i], a[i + 2], high2);
		b[i + 2] = __builtin_shuffle(a[i + 1], a[i + 3], low2);
		b[i + 3] = __builtin_shuffle(a[i + 1], a[i + 3], high2);
	}
	for (uint32_t i = 0; i < LANES / 2; i++) {
		r[i] = __builtin_shuffle(b[i], b[i + 4], low4);
		r[i + 4] = __builtin_shuffle(b[i], b[i + 4], high4);
	}
}

#endif
