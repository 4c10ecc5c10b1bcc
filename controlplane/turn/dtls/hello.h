// The first flight of DTLS without any state of ours (RFC 6347 §4.2.1): what a ClientHello says at its
// beginning, and the HelloVerifyRequest that answers it. Pure; any thread.
//
// A ClientHello with extensions may come in fragments. Random and cookie stand at its beginning, so its first
// fragment alone is judged.
#ifndef TP_TURN_DTLS_HELLO_H
#define TP_TURN_DTLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/wire/address.h"

#define TURN_DTLS_RECORD_BYTES 13 // a record's header
#define TURN_DTLS_RANDOM_BYTES 32
#define TURN_DTLS_COOKIE_BYTES 16
#define TURN_DTLS_SECRET_BYTES 16
// Record and handshake header, version, length of the cookie, cookie: less than any ClientHello has.
#define TURN_DTLS_VERIFY_BYTES (TURN_DTLS_RECORD_BYTES + 12 + 2 + 1 + TURN_DTLS_COOKIE_BYTES)
// A cookie is accepted in the period in which it was made and in the next one.
#define TURN_DTLS_COOKIE_NS (30ull * 1000000000ull)

struct turn_dtls_hello {
	uint16_t message_seq;
	const uint8_t *random; // TURN_DTLS_RANDOM_BYTES, in the datagram
	const uint8_t *cookie; // in the datagram
	uint8_t cookie_bytes;
};

// Whom a cookie is for: both ends, so that it is worth nothing at another listener.
struct turn_dtls_ends {
	struct ip_endpoint client;
	uint16_t local_port_be;
	uint8_t local_idx;
};

// Whether the datagram begins with a record of the first epoch that holds a ClientHello, or its first
// fragment up to the cookie.
bool turn_dtls_hello_parse(const uint8_t *datagram, size_t n_bytes, struct turn_dtls_hello *out);

void turn_dtls_cookie_make(const uint8_t secret[TURN_DTLS_SECRET_BYTES],
			   const struct turn_dtls_ends *ends, uint64_t now_ns,
			   uint8_t out[TURN_DTLS_COOKIE_BYTES]);
// Compares in constant time.
bool turn_dtls_cookie_is_good(const uint8_t secret[TURN_DTLS_SECRET_BYTES],
			      const struct turn_dtls_ends *ends, uint64_t now_ns,
			      const uint8_t *cookie, size_t cookie_bytes);

void turn_dtls_verify_build(const uint8_t cookie[TURN_DTLS_COOKIE_BYTES],
			    uint8_t out[TURN_DTLS_VERIFY_BYTES]);

#endif
