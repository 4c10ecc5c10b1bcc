// The CRC-32 of FINGERPRINT (IEEE 802.3, RFC 8489 §14.7), eight bytes a step ("slicing by 8"): anyone may send
// a full-size message with a FINGERPRINT, so the check must not be dearer than the relaying.
// Pure, any thread; the tables are constants that the preprocessor folds out of 64 numbers.
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/stun.h"

// A table entry is linear in its index: the XOR of one constant per bit set in it.
#define BIT(i, bit, c) (((i) >> (bit)&1) != 0 ? (c) : 0u)
#define E1(i, a, b, c, d, e, f, g, h)                                                              \
	(BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^ \
	 BIT(i, 6, g) ^ BIT(i, 7, h))
#define E4(i, ...)                                                                                 \
	E1((i), __VA_ARGS__), E1((i) + 1, __VA_ARGS__), E1((i) + 2, __VA_ARGS__),                  \
		E1((i) + 3, __VA_ARGS__)
#define E16(i, ...)                                                                                \
	E4((i), __VA_ARGS__), E4((i) + 4, __VA_ARGS__), E4((i) + 8, __VA_ARGS__),                  \
		E4((i) + 12, __VA_ARGS__)
#define E64(i, ...)                                                                                \
	E16((i), __VA_ARGS__), E16((i) + 16, __VA_ARGS__), E16((i) + 32, __VA_ARGS__),             \
		E16((i) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
	{                                                                                          \
		E64(0, __VA_ARGS__), E64(64, __VA_ARGS__), E64(128, __VA_ARGS__),                  \
			E64(192, __VA_ARGS__)                                                      \
	}

// crc32_tables[k][i]: the remainder of byte i followed by k zero bytes.
static const uint32_t crc32_tables[8][256] = {
	TABLE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8, 0x76dc4190,
	      0xedb88320),
	TABLE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2, 0xf0794f05,
	      0x3b83984b),
	TABLE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0, 0x709a8dc0,
	      0xe1351b80),
	TABLE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e, 0x9b14583d,
	      0xed59b63b),
	TABLE(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1, 0x60e09782, 0xc1c12f04, 0x58f35849,
	      0xb1e6b092),
	TABLE(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d, 0x03d6029b, 0x07ac0536, 0x0f580a6c,
	      0x1eb014d8),
	TABLE(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67, 0x67de9cce, 0xcfbd399c, 0x440b7579,
	      0x8816eaf2),
	TABLE(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5, 0x7cbb312b, 0xf9766256, 0x299dc2ed,
	      0x533b85da),
};

static uint32_t load_le32(const uint8_t *p)
{
	return __builtin_bswap32(bytes_get_be32(p));
}

uint32_t stun_crc32(const void *buf, size_t len_bytes)
{
	const uint8_t *p = buf;
	uint32_t crc = 0xffffffff;

	for (; len_bytes >= 8; len_bytes -= 8, p += 8) {
		uint32_t a = crc ^ load_le32(p);
		uint32_t b = load_le32(p + 4);

		crc = crc32_tables[7][a & 255] ^ crc32_tables[6][a >> 8 & 255] ^
		      crc32_tables[5][a >> 16 & 255] ^ crc32_tables[4][a >> 24] ^
		      crc32_tables[3][b & 255] ^ crc32_tables[2][b >> 8 & 255] ^
		      crc32_tables[1][b >> 16 & 255] ^ crc32_tables[0][b >> 24];
	}
	for (; len_bytes > 0; len_bytes--, p++)
		crc = crc32_tables[0][(crc ^ *p) & 255] ^ crc >> 8;
	return ~crc;
}
