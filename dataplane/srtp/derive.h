// Session keys from a master key (RFC 3711 §4.3, RFC 6188 §2, RFC 7714 §11). Any thread; wipes its own scratch.
#ifndef TP_SRTP_DERIVE_H
#define TP_SRTP_DERIVE_H

#include "dataplane/srtp/profile.h"

// What protects RTP, or RTCP, in one direction.
struct dp_srtp_session_keys {
	uint8_t key[DP_SRTP_KEY_BYTES_MAX];
	uint8_t auth_key[DP_SRTP_AUTH_KEY_BYTES_MAX];
	uint8_t salt[DP_SRTP_SALT_BYTES_MAX]; // with zeros behind it when the profile's is shorter
};

// `n_bytes` of key material for one label, with a key derivation rate of 0. Salts shorter than 14 bytes are
// filled with zeros at their end (RFC 7714 §11). 0, -EINVAL for a length that is no AES key, -EIO from OpenSSL.
int dp_srtp_derive(const uint8_t *master_key, uint32_t key_bytes, const uint8_t *master_salt,
		   uint32_t salt_bytes, uint8_t label, uint8_t *out, uint32_t n_bytes);
// Both sets for a profile. `master_key` and `master_salt` have the profile's sizes. 0 or as above.
int dp_srtp_derive_session(uint32_t profile, const uint8_t *master_key, const uint8_t *master_salt,
			   struct dp_srtp_session_keys *rtp, struct dp_srtp_session_keys *rtcp);

#endif
