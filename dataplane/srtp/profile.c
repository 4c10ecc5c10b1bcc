// Sizes of the SRTP profiles. Pure, any thread.
#include "dataplane/srtp/profile.h"

#include <stddef.h>

static const struct dp_srtp_profile_info profiles[DP_SRTP_PROFILE_COUNT] = {
	[DP_SRTP_AEAD_AES_128_GCM] = { "AEAD_AES_128_GCM", 7, DP_SRTP_CIPHER_AES_GCM, 16, 12, 0, 16,
				       16 },
	[DP_SRTP_AEAD_AES_256_GCM] = { "AEAD_AES_256_GCM", 8, DP_SRTP_CIPHER_AES_GCM, 32, 12, 0, 16,
				       16 },
	[DP_SRTP_AES_CM_128_HMAC_SHA1_80] = { "AES_CM_128_HMAC_SHA1_80", 1, DP_SRTP_CIPHER_AES_CM,
					      16, 14, 20, 10, 10 },
	[DP_SRTP_AES_CM_128_HMAC_SHA1_32] = { "AES_CM_128_HMAC_SHA1_32", 2, DP_SRTP_CIPHER_AES_CM,
					      16, 14, 20, 4, 10 },
	[DP_SRTP_AES_CM_256_HMAC_SHA1_80] = { "AES_CM_256_HMAC_SHA1_80", 0, DP_SRTP_CIPHER_AES_CM,
					      32, 14, 20, 10, 10 },
	[DP_SRTP_AES_CM_256_HMAC_SHA1_32] = { "AES_CM_256_HMAC_SHA1_32", 0, DP_SRTP_CIPHER_AES_CM,
					      32, 14, 20, 4, 10 },
	[DP_SRTP_NULL_HMAC_SHA1_80] = { "NULL_HMAC_SHA1_80", 5, DP_SRTP_CIPHER_NULL, 16, 14, 20, 10,
					10 },
	[DP_SRTP_NULL_HMAC_SHA1_32] = { "NULL_HMAC_SHA1_32", 6, DP_SRTP_CIPHER_NULL, 16, 14, 20, 4,
					10 },
};

const struct dp_srtp_profile_info *dp_srtp_profile_info(uint32_t profile)
{
	if (profile == DP_SRTP_PROFILE_NONE || profile >= DP_SRTP_PROFILE_COUNT)
		return NULL;
	return &profiles[profile];
}

enum dp_srtp_profile dp_srtp_profile_by_dtls_id(uint16_t dtls_id)
{
	for (uint32_t i = DP_SRTP_PROFILE_NONE + 1; i < DP_SRTP_PROFILE_COUNT; i++) {
		if (dtls_id != 0 && profiles[i].dtls_id == dtls_id)
			return (enum dp_srtp_profile)i;
	}
	return DP_SRTP_PROFILE_NONE;
}
