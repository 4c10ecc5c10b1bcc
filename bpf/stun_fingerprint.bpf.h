// STUN's FINGERPRINT (RFC 8489 §14.7) of a message in the frame: CRC-32 (IEEE 802.3) over whole
// 32-bit words, eight table steps at once, because each waits for the one before; a message is
// always a multiple of four bytes. Little-endian hosts.
#ifndef TP_BPF_STUN_FINGERPRINT_BPF_H
#define TP_BPF_STUN_FINGERPRINT_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "dataplane/contract/wire/stun_numbers.h"

#define FINGERPRINT_BYTES      8  // the attribute, header included
#define FINGERPRINT_WORDS_MAX  32 // longest message before the attribute
#define FINGERPRINT_OFFSET_MAX 255

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the CRC works on little-endian words"
#endif

// The tables are linear over XOR: eight constants, one per bit of the index, give all 256 entries.
#define CRC_1(b, i, v) ((((i) >> (b)) & 1) ? (v) : 0)
#define CRC_T0(i)                                                                                  \
	(CRC_1(0, i, 0x77073096u) ^ CRC_1(1, i, 0xee0e612cu) ^ CRC_1(2, i, 0x076dc419u) ^          \
	 CRC_1(3, i, 0x0edb8832u) ^ CRC_1(4, i, 0x1db71064u) ^ CRC_1(5, i, 0x3b6e20c8u) ^          \
	 CRC_1(6, i, 0x76dc4190u) ^ CRC_1(7, i, 0xedb88320u))
#define CRC_T1(i)                                                                                  \
	(CRC_1(0, i, 0x191b3141u) ^ CRC_1(1, i, 0x32366282u) ^ CRC_1(2, i, 0x646cc504u) ^          \
	 CRC_1(3, i, 0xc8d98a08u) ^ CRC_1(4, i, 0x4ac21251u) ^ CRC_1(5, i, 0x958424a2u) ^          \
	 CRC_1(6, i, 0xf0794f05u) ^ CRC_1(7, i, 0x3b83984bu))
#define CRC_T2(i)                                                                                  \
	(CRC_1(0, i, 0x01c26a37u) ^ CRC_1(1, i, 0x0384d46eu) ^ CRC_1(2, i, 0x0709a8dcu) ^          \
	 CRC_1(3, i, 0x0e1351b8u) ^ CRC_1(4, i, 0x1c26a370u) ^ CRC_1(5, i, 0x384d46e0u) ^          \
	 CRC_1(6, i, 0x709a8dc0u) ^ CRC_1(7, i, 0xe1351b80u))
#define CRC_T3(i)                                                                                  \
	(CRC_1(0, i, 0xb8bc6765u) ^ CRC_1(1, i, 0xaa09c88bu) ^ CRC_1(2, i, 0x8f629757u) ^          \
	 CRC_1(3, i, 0xc5b428efu) ^ CRC_1(4, i, 0x5019579fu) ^ CRC_1(5, i, 0xa032af3eu) ^          \
	 CRC_1(6, i, 0x9b14583du) ^ CRC_1(7, i, 0xed59b63bu))
#define CRC_T4(i)                                                                                  \
	(CRC_1(0, i, 0x3d6029b0u) ^ CRC_1(1, i, 0x7ac05360u) ^ CRC_1(2, i, 0xf580a6c0u) ^          \
	 CRC_1(3, i, 0x30704bc1u) ^ CRC_1(4, i, 0x60e09782u) ^ CRC_1(5, i, 0xc1c12f04u) ^          \
	 CRC_1(6, i, 0x58f35849u) ^ CRC_1(7, i, 0xb1e6b092u))
#define CRC_T5(i)                                                                                  \
	(CRC_1(0, i, 0xcb5cd3a5u) ^ CRC_1(1, i, 0x4dc8a10bu) ^ CRC_1(2, i, 0x9b914216u) ^          \
	 CRC_1(3, i, 0xec53826du) ^ CRC_1(4, i, 0x03d6029bu) ^ CRC_1(5, i, 0x07ac0536u) ^          \
	 CRC_1(6, i, 0x0f580a6cu) ^ CRC_1(7, i, 0x1eb014d8u))
#define CRC_T6(i)                                                                                  \
	(CRC_1(0, i, 0xa6770bb4u) ^ CRC_1(1, i, 0x979f1129u) ^ CRC_1(2, i, 0xf44f2413u) ^          \
	 CRC_1(3, i, 0x33ef4e67u) ^ CRC_1(4, i, 0x67de9cceu) ^ CRC_1(5, i, 0xcfbd399cu) ^          \
	 CRC_1(6, i, 0x440b7579u) ^ CRC_1(7, i, 0x8816eaf2u))
#define CRC_T7(i)                                                                                  \
	(CRC_1(0, i, 0xccaa009eu) ^ CRC_1(1, i, 0x4225077du) ^ CRC_1(2, i, 0x844a0efau) ^          \
	 CRC_1(3, i, 0xd3e51bb5u) ^ CRC_1(4, i, 0x7cbb312bu) ^ CRC_1(5, i, 0xf9766256u) ^          \
	 CRC_1(6, i, 0x299dc2edu) ^ CRC_1(7, i, 0x533b85dau))
#define CRC_4(t, i)  t(i), t((i) + 1), t((i) + 2), t((i) + 3)
#define CRC_16(t, i) CRC_4(t, i), CRC_4(t, (i) + 4), CRC_4(t, (i) + 8), CRC_4(t, (i) + 12)
#define CRC_64(t, i) CRC_16(t, i), CRC_16(t, (i) + 16), CRC_16(t, (i) + 32), CRC_16(t, (i) + 48)
#define CRC_256(t)   CRC_64(t, 0), CRC_64(t, 64), CRC_64(t, 128), CRC_64(t, 192)

static const __u32 crc32_table[8][256] = {
	{ CRC_256(CRC_T0) }, { CRC_256(CRC_T1) }, { CRC_256(CRC_T2) }, { CRC_256(CRC_T3) },
	{ CRC_256(CRC_T4) }, { CRC_256(CRC_T5) }, { CRC_256(CRC_T6) }, { CRC_256(CRC_T7) },
};

// Starts at ~0, ends by complementing.
static __always_inline __u32 crc32_word(__u32 crc, __u32 word_in_memory_order)
{
	__u32 x = crc ^ word_in_memory_order;

	return crc32_table[3][x & 0xff] ^ crc32_table[2][(x >> 8) & 0xff] ^
	       crc32_table[1][(x >> 16) & 0xff] ^ crc32_table[0][x >> 24];
}

// The same over two words.
static __always_inline __u32 crc32_two_words(__u32 crc, __u32 first, __u32 second)
{
	__u32 x = crc ^ first;

	return crc32_table[7][x & 0xff] ^ crc32_table[6][(x >> 8) & 0xff] ^
	       crc32_table[5][(x >> 16) & 0xff] ^ crc32_table[4][x >> 24] ^
	       crc32_table[3][second & 0xff] ^ crc32_table[2][(second >> 8) & 0xff] ^
	       crc32_table[1][(second >> 16) & 0xff] ^ crc32_table[0][second >> 24];
}

// The attribute's value, in network order, for the message of n_words at an offset from the frame's
// start; messages beyond the bounds above give a wrong one. A function of its own, so that the
// verifier walks the loop once.
__attribute__((noinline)) __u32 stun_fingerprint(struct xdp_md *ctx, __u32 offset_bytes,
						 __u32 n_words)
{
	void *data_end = (void *)(long)ctx->data_end;
	__u32 *word = (void *)(long)ctx->data + (offset_bytes & FINGERPRINT_OFFSET_MAX);
	__u32 crc = ~0u;

	if ((n_words & 1) && (void *)(word + 1) <= data_end)
		crc = crc32_word(crc, *word++);
	for (__u32 i = 0; i < FINGERPRINT_WORDS_MAX / 2 && i < n_words / 2; i++) {
		barrier_var(word); // the pointer that is checked is the one that is read
		if ((void *)(word + 2) > data_end)
			break;
		crc = crc32_two_words(crc, word[0], word[1]);
		word += 2;
	}
	return bpf_htonl(~crc ^ STUN_FINGERPRINT_XOR);
}

#endif
