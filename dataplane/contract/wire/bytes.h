// Bounds-checked cursor over bytes from the network, and big-endian loads and stores that are
// safe at any alignment. Pure: no allocation, no globals, any thread.
#ifndef TP_WIRE_BYTES_H
#define TP_WIRE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t bytes_get_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t bytes_get_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t bytes_get_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void bytes_put_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void bytes_put_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void bytes_put_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

// A reading position in a buffer that the caller owns and keeps alive.
struct bytes_reader {
	const uint8_t *at;
	const uint8_t *end;
};

static inline struct bytes_reader bytes_reader_init(const void *buf, size_t len_bytes)
{
	const uint8_t *p = buf;

	return (struct bytes_reader){ .at = p, .end = p + len_bytes };
}

static inline size_t bytes_left(const struct bytes_reader *r)
{
	return (size_t)(r->end - r->at);
}

// Takes the next n bytes; NULL, with the position unchanged, when fewer are left.
static inline const uint8_t *bytes_take(struct bytes_reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if (bytes_left(r) < n)
		return NULL;
	r->at += n;
	return p;
}

// A writing position in a buffer that the caller owns. Once something did not fit, `overflow` stays
// set and nothing more is written, so a builder checks once at its end.
struct bytes_writer {
	uint8_t *base;
	size_t len_bytes;
	size_t capacity_bytes;
	bool overflow;
};

static inline struct bytes_writer bytes_writer_init(void *buf, size_t capacity_bytes)
{
	return (struct bytes_writer){ .base = buf, .capacity_bytes = capacity_bytes };
}

// Reserves n bytes and returns them uninitialised; NULL when they do not fit.
static inline uint8_t *bytes_grow(struct bytes_writer *w, size_t n)
{
	uint8_t *p;

	if (w->overflow || w->capacity_bytes - w->len_bytes < n) {
		w->overflow = true;
		return NULL;
	}
	p = w->base + w->len_bytes;
	w->len_bytes += n;
	return p;
}

#endif
