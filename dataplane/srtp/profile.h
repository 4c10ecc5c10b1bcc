// SRTP profiles and their sizes (RFC 3711 §8, RFC 5764 §4.1.2, RFC 6188, RFC 7714 §12). Pure, any thread.
#ifndef TP_SRTP_PROFILE_H
#define TP_SRTP_PROFILE_H

#include <stdint.h>

enum dp_srtp_profile {
	DP_SRTP_PROFILE_NONE = 0,
	DP_SRTP_AEAD_AES_128_GCM,
	DP_SRTP_AEAD_AES_256_GCM,
	DP_SRTP_AES_CM_128_HMAC_SHA1_80,
	DP_SRTP_AES_CM_128_HMAC_SHA1_32,
	DP_SRTP_AES_CM_256_HMAC_SHA1_80,
	DP_SRTP_AES_CM_256_HMAC_SHA1_32,
	DP_SRTP_NULL_HMAC_SHA1_80,
	DP_SRTP_NULL_HMAC_SHA1_32,
	DP_SRTP_PROFILE_COUNT,
};

enum dp_srtp_cipher {
	DP_SRTP_CIPHER_NULL = 0,
	DP_SRTP_CIPHER_AES_CM,
	DP_SRTP_CIPHER_AES_GCM,
	DP_SRTP_CIPHER_COUNT,
};

#define DP_SRTP_KEY_BYTES_MAX      32
#define DP_SRTP_SALT_BYTES_MAX     14
#define DP_SRTP_AUTH_KEY_BYTES_MAX 20
#define DP_SRTP_TAG_BYTES_MAX      16
#define DP_SRTCP_TRAILER_BYTES     4 // E flag and index

struct dp_srtp_profile_info {
	const char *name;
	uint16_t dtls_id; // RFC 5764 §4.1.2 and RFC 7714 §14.2; 0: DTLS cannot agree on it
	uint8_t cipher;   // enum dp_srtp_cipher
	uint8_t key_bytes;
	uint8_t salt_bytes;
	uint8_t auth_key_bytes; // 0 with GCM
	uint8_t rtp_tag_bytes;
	uint8_t rtcp_tag_bytes;
};

// NULL for a value that is no profile.
const struct dp_srtp_profile_info *dp_srtp_profile_info(uint32_t profile);
// By the number in the use_srtp extension; DP_SRTP_PROFILE_NONE if unknown.
enum dp_srtp_profile dp_srtp_profile_by_dtls_id(uint16_t dtls_id);

#endif
