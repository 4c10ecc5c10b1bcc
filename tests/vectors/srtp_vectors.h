// Published vectors of RFC 3711 appendix B and RFC 7714 §16, §17, as the RFCs print them.
#ifndef TP_SRTP_VECTORS_H
#define TP_SRTP_VECTORS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// RFC 3711 B.2: session key, session salt, and key stream blocks 0, 1, 2 and 0xfeff, 0xff00, 0xff01.
#define RFC3711_CM_KEY  "2B7E151628AED2A6ABF7158809CF4F3C"
#define RFC3711_CM_SALT "F0F1F2F3F4F5F6F7F8F9FAFBFCFD"
#define RFC3711_CM_FIRST                                                                           \
	"E03EAD0935C95E80E166B16DD92B4EB4"                                                         \
	"D23513162B02D0F72A43A2FE4A5F97AB"                                                         \
	"41E95B3BB0A2E8DD477901E4FCA894C0"
#define RFC3711_CM_LAST                                                                            \
	"EC8CDF7398607CB0F2D21675EA9EA1E4"                                                         \
	"362B7C3C6773516318A077D7FC5073AE"                                                         \
	"6A2CC3787889374FBEB4C81B17BA6C44"

// RFC 3711 B.3.
#define RFC3711_KDF_KEY    "E1F97A0D3E018BE0D64FA32C06DE4139"
#define RFC3711_KDF_SALT   "0EC675AD498AFEEBB6960B3AABE6"
#define RFC3711_KDF_CIPHER "C61E7A93744F39EE10734AFE3FF7A087"
#define RFC3711_KDF_CSALT  "30CBBC08863D8C85D49DB34A9AE1"
#define RFC3711_KDF_AUTH                                                                           \
	"CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDB"                           \
	"CEE049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDD"                           \
	"DC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2"

// RFC 7714 §16, §17. The keys are session keys: 00 01 02 …
#define RFC7714_SALT "517569642070726f2071756f"
#define RFC7714_RTP                                                                                \
	"8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976"                         \
	"69736120696e207061727465732074726573"
#define RFC7714_RTP_128                                                                            \
	"8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd5"                         \
	"0d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce"
#define RFC7714_RTP_256                                                                            \
	"8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab1801238"                         \
	"9a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13"
#define RFC7714_RTCP_INDEX 0x5d4
#define RFC7714_RTCP                                                                               \
	"81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"                         \
	"deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
#define RFC7714_RTCP_128                                                                           \
	"81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d"                         \
	"c676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf872"                         \
	"45d9eade800005d4"
#define RFC7714_RTCP_256                                                                           \
	"81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50"                         \
	"a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6c"                         \
	"b26ac3be800005d4"
#define RFC7714_RTCP_128_TAGGED RFC7714_RTCP "841dd9683dd78ec92ae58790125f62b3000005d4"
#define RFC7714_RTCP_256_TAGGED RFC7714_RTCP "91db4afbfeee5a978fab4393ed2615fe000005d4"

// Returns the number of bytes.
static inline uint32_t vector_hex(const char *hex, uint8_t *out)
{
	uint32_t n = (uint32_t)strlen(hex) / 2;

	for (uint32_t i = 0; i < n; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

#endif
