// SipHash-2-4 with 128-bit output (Aumasson, Bernstein 2012). Pure, any thread.
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/challenge.h"

struct sip_state {
	uint64_t v0, v1, v2, v3;
};

// The algorithm is little-endian throughout.
static uint64_t load_le64(const uint8_t *p)
{
	return __builtin_bswap64(bytes_get_be64(p));
}

static void store_le64(uint8_t *p, uint64_t v)
{
	bytes_put_be64(p, __builtin_bswap64(v));
}

static uint64_t rotl(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static void sip_rounds(struct sip_state *s, int n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v2 = rotl(s->v2, 32);
	}
}

static void sip_word(struct sip_state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_rounds(s, 2);
	s->v0 ^= word;
}

void siphash128(const uint8_t key[16], const void *msg, size_t len_bytes, uint8_t out[16])
{
	uint64_t k0 = load_le64(key);
	uint64_t k1 = load_le64(key + 8);
	struct sip_state s = {
		.v0 = 0x736f6d6570736575 ^ k0,
		.v1 = 0x646f72616e646f6d ^ k1 ^ 0xee,
		.v2 = 0x6c7967656e657261 ^ k0,
		.v3 = 0x7465646279746573 ^ k1,
	};
	uint64_t last = (uint64_t)len_bytes << 56;
	const uint8_t *p = msg;
	size_t left = len_bytes;

	for (; left >= 8; left -= 8, p += 8)
		sip_word(&s, load_le64(p));
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)p[i] << 8 * i;
	sip_word(&s, last);
	s.v2 ^= 0xee;
	sip_rounds(&s, 4);
	store_le64(out, s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
	s.v1 ^= 0xdd;
	sip_rounds(&s, 4);
	store_le64(out + 8, s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
}
