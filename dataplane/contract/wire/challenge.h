// The stateless first answer: nonces, and the 401/438 that carry them (RFC 8489 §9.2). Both processes
// share it, so that a worker can turn an unauthenticated flood away at line rate and only requests with
// a valid nonce reach the control plane. Pure, any thread.
//
// nonce = 16 base64url characters over 12 bytes: the low 16 bits of the time bucket (big endian) and the
// first 10 bytes of SipHash-2-4-128(secret, bucket as 8 bytes big endian | client address | client port).
// It proves that the client receives at that address; it grants nothing.
#ifndef TP_WIRE_CHALLENGE_H
#define TP_WIRE_CHALLENGE_H

#include "dataplane/contract/wire/stun.h"

#define CHALLENGE_SECRET_BYTES 16
#define CHALLENGE_NONCE_CHARS  16
#define CHALLENGE_REALM_MAX    127
#define CHALLENGE_BUCKET_NS    (60ull * 1000000000ull)
// Buckets for which a nonce is accepted: 30 minutes, within RFC 8489 §9.2's hour.
#define CHALLENGE_BUCKETS_VALID 30

void challenge_nonce_write(const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
			   const struct ip_endpoint *client, char nonce[CHALLENGE_NONCE_CHARS]);

enum challenge_verdict {
	CHALLENGE_NONCE_VALID = 0,
	CHALLENGE_NONCE_STALE, // wrong, expired or of another client: answer 438
	CHALLENGE_VERDICT_COUNT
};
// Compares in constant time. Accepts the bucket of `wall_ns`, the CHALLENGE_BUCKETS_VALID - 1 before it,
// and the one after it (another host of the fleet whose clock is ahead).
enum challenge_verdict challenge_nonce_check(const uint8_t secret[CHALLENGE_SECRET_BYTES],
					     uint64_t wall_ns, const struct ip_endpoint *client,
					     const void *nonce, size_t nonce_bytes);

// Builds the answer to a request without integrity (code 401) or with a stale nonce (438): ERROR-CODE with
// empty reason, REALM, NONCE, and FINGERPRINT if the request had one. Returns its length, 0 when it did
// not fit or the realm is longer than CHALLENGE_REALM_MAX. wall_ns: CLOCK_REALTIME.
size_t challenge_build(const struct stun_view *request, uint16_t code,
		       const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
		       const struct ip_endpoint *client, const char *realm, size_t realm_bytes,
		       void *out, size_t out_bytes);

// SipHash-2-4 with 128-bit output (Aumasson, Bernstein 2012). Verified against the reference vectors.
void siphash128(const uint8_t key[16], const void *msg, size_t len_bytes, uint8_t out[16]);

#endif
