// Signed payloads. Pure.
#include "bench/sfu/payload.h"

#include <string.h>

#include "dataplane/contract/wire/bytes.h"

#define MAGIC 0x5450u

// Layout: magic 2, kind 1, layer 1, source 4, counter 8, send_ns 8, frame 4, length 4, hash 8,
// filling.
#define HASH_OFFSET 32

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9fb21c651e98df25ULL;
	return h ^ h >> 32;
}

static uint64_t hash(const uint8_t *bytes, size_t n_bytes)
{
	uint64_t h = n_bytes;
	uint64_t word;

	for (size_t i = 0; i < HASH_OFFSET; i += 8) {
		memcpy(&word, bytes + i, 8);
		h = mix(h, word);
	}
	for (size_t i = PAYLOAD_BYTES_MIN; i < n_bytes; i += 8) {
		word = 0;
		memcpy(&word, bytes + i, n_bytes - i < 8 ? n_bytes - i : 8);
		h = mix(h, word);
	}
	return h;
}

void payload_write(const struct payload *p, uint8_t *out, size_t n_bytes)
{
	uint64_t word = p->counter * 0x9e3779b97f4a7c15ULL | 1;

	bytes_put_be16(out, MAGIC);
	out[2] = p->kind;
	out[3] = p->layer;
	bytes_put_be32(out + 4, p->source);
	bytes_put_be64(out + 8, p->counter);
	bytes_put_be64(out + 16, p->send_ns);
	bytes_put_be32(out + 24, p->frame);
	bytes_put_be32(out + 28, (uint32_t)n_bytes);
	for (size_t i = PAYLOAD_BYTES_MIN; i < n_bytes; i += 8) {
		word ^= word << 13;
		word ^= word >> 7;
		word ^= word << 17;
		memcpy(out + i, &word, n_bytes - i < 8 ? n_bytes - i : 8);
	}
	bytes_put_be64(out + HASH_OFFSET, hash(out, n_bytes));
}

bool payload_read(const uint8_t *in, size_t n_bytes, struct payload *out)
{
	if (n_bytes < PAYLOAD_BYTES_MIN || bytes_get_be16(in) != MAGIC ||
	    bytes_get_be32(in + 28) != n_bytes ||
	    bytes_get_be64(in + HASH_OFFSET) != hash(in, n_bytes))
		return false;
	*out = (struct payload){
		.counter = bytes_get_be64(in + 8),
		.send_ns = bytes_get_be64(in + 16),
		.source = bytes_get_be32(in + 4),
		.frame = bytes_get_be32(in + 24),
		.kind = in[2],
		.layer = in[3],
	};
	return true;
}
