// The stateless first answer: nonces, and the 401/438 that carry them (RFC 8489 §9.2). Both processes
// share it, so that a worker can turn an unauthenticated flood away at line rate and only requests with
// a valid nonce reach the control plane. Pure, any thread.
//
// A nonce proves that the client receives at its address; it grants nothing. It is as short as that
// allows, since whoever forges a source address has the answer sent there. Its characters are base64url:
//   without features: the time bucket's low 6 bits, then 11 characters (66 bits) of the MAC
//   with features:    "obMatJos2" and the 24 feature bits of RFC 8489 §9.2.1, then the bucket and 6
//                     characters (36 bits) of the MAC
// MAC = SipHash-2-4-128(secret, bucket as 8 bytes big endian | address | port | features).
#ifndef TP_WIRE_CHALLENGE_H
#define TP_WIRE_CHALLENGE_H

#include "dataplane/contract/wire/stun.h"

#define CHALLENGE_SECRET_BYTES    16
#define CHALLENGE_NONCE_CHARS     12 // without features
#define CHALLENGE_NONCE_CHARS_MAX 20 // with
#define CHALLENGE_REALM_MAX       127
#define CHALLENGE_OAUTH_NAME_MAX  63
#define CHALLENGE_BUCKET_NS       (60ull * 1000000000ull)
// Buckets for which a nonce is accepted: 30 minutes, within RFC 8489 §9.2's hour.
#define CHALLENGE_BUCKETS_VALID 30

// What the first answer may weigh against its request, both as IP packets: 1.9 times. (A request of 28
// bytes is the shortest Allocate that is none of nonsense: a header and REQUESTED-TRANSPORT.)
#define CHALLENGE_GAIN_TENTHS       19
#define CHALLENGE_REQUEST_BYTES_MIN 28

// STUN Security Features (RFC 8489 §18.1): bit 0 is the leftmost of 24.
#define CHALLENGE_F_ALGORITHMS 0x800000u // PASSWORD-ALGORITHMS stands beside the nonce
#define CHALLENGE_F_USERHASH   0x400000u // USERHASH is understood

// One entry of PASSWORD-ALGORITHMS: SHA-256 without parameters (RFC 8489 §14.11, §18.5.1). It is the only
// one listed: a request without PASSWORD-ALGORITHM means MD5 anyway, and each byte here is multiplied by
// whoever forges a source address.
#define CHALLENGE_ALGORITHM_BYTES 4

// What a challenge is made of besides the request.
struct challenge_offer {
	const char *realm;
	size_t realm_bytes;
	uint32_t features;       // CHALLENGE_F_*
	const char *oauth_name;  // THIRD-PARTY-AUTHORIZATION (RFC 7635 §6.1)
	size_t oauth_name_bytes; // 0: none
};

// Fills nonce[CHALLENGE_NONCE_CHARS_MAX], or without features [CHALLENGE_NONCE_CHARS]; returns the length.
size_t challenge_nonce_write(const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
			     const struct ip_endpoint *client, uint32_t features, char *nonce);

enum challenge_verdict {
	CHALLENGE_NONCE_VALID = 0,
	CHALLENGE_NONCE_STALE, // wrong, expired, of another client or other features: answer 438
	CHALLENGE_VERDICT_COUNT
};
// Compares in constant time. Accepts the bucket of `wall_ns`, the CHALLENGE_BUCKETS_VALID - 1 before it,
// and the one after it (another host of the fleet whose clock is ahead).
enum challenge_verdict challenge_nonce_check(const uint8_t secret[CHALLENGE_SECRET_BYTES],
					     uint64_t wall_ns, const struct ip_endpoint *client,
					     uint32_t features, const void *nonce,
					     size_t nonce_bytes);

// Whether a client returned PASSWORD-ALGORITHMS as challenges carry it.
bool challenge_algorithms_match(const uint8_t *value, size_t value_bytes);

// How long the answer to a request of that length may be; CHALLENGE_UNLIMITED where sources cannot be
// forged (streams).
#define CHALLENGE_UNLIMITED SIZE_MAX
size_t challenge_limit_bytes(size_t request_bytes, bool is_v4);

// Builds the answer to a request without integrity (code 401) or with a stale nonce (438): ERROR-CODE with
// empty reason, REALM, NONCE, PASSWORD-ALGORITHMS by the features, THIRD-PARTY-AUTHORIZATION where it fits
// below limit_bytes, and FINGERPRINT if the request had one. Returns its length; 0 when it did not fit, the
// realm is longer than CHALLENGE_REALM_MAX, or the request is shorter than any that a client sends and the
// answer longer than limit_bytes: then there is none. wall_ns: CLOCK_REALTIME.
size_t challenge_build(const struct stun_view *request, uint16_t code,
		       const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
		       const struct ip_endpoint *client, const struct challenge_offer *offer,
		       size_t limit_bytes, void *out, size_t out_bytes);

// Bytes of the answer to an Allocate without FINGERPRINT, for whoever configures it.
size_t challenge_answer_bytes(size_t realm_bytes, uint32_t features);

// SipHash-2-4 with 128-bit output (Aumasson, Bernstein 2012). Verified against the reference vectors.
void siphash128(const uint8_t key[16], const void *msg, size_t len_bytes, uint8_t out[16]);

#endif
