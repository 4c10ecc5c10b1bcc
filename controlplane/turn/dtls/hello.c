// ClientHello, cookie and HelloVerifyRequest. Pure.
#include "controlplane/turn/dtls/hello.h"

#include <string.h>

#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/challenge.h"

#define HANDSHAKE_BYTES      12
#define CONTENT_HANDSHAKE    22
#define CLIENT_HELLO         1
#define HELLO_VERIFY_REQUEST 3
#define SESSION_BYTES_MAX    32

bool turn_dtls_hello_parse(const uint8_t *datagram, size_t n_bytes, struct turn_dtls_hello *out)
{
	struct bytes_reader r = bytes_reader_init(datagram, n_bytes);
	const uint8_t *record = bytes_take(&r, TURN_DTLS_RECORD_BYTES);
	const uint8_t *handshake, *field;

	// DTLS 1.0 stands in the record of a first ClientHello, for old servers.
	if (record == NULL || record[0] != CONTENT_HANDSHAKE || record[1] != 0xfe ||
	    (record[2] != 0xff && record[2] != 0xfd) || bytes_get_be16(record + 3) != 0 ||
	    bytes_get_be16(record + 11) > n_bytes - TURN_DTLS_RECORD_BYTES)
		return false;
	r = bytes_reader_init(record + TURN_DTLS_RECORD_BYTES, bytes_get_be16(record + 11));
	handshake = bytes_take(&r, HANDSHAKE_BYTES);
	// fragment_offset is 0.
	if (handshake == NULL || handshake[0] != CLIENT_HELLO || handshake[6] != 0 ||
	    handshake[7] != 0 || handshake[8] != 0)
		return false;
	out->message_seq = bytes_get_be16(handshake + 4);
	field = bytes_take(&r, 2 + TURN_DTLS_RANDOM_BYTES + 1);
	if (field == NULL || field[0] != 0xfe ||
	    field[2 + TURN_DTLS_RANDOM_BYTES] > SESSION_BYTES_MAX)
		return false;
	out->random = field + 2;
	if (bytes_take(&r, field[2 + TURN_DTLS_RANDOM_BYTES]) == NULL)
		return false;
	field = bytes_take(&r, 1);
	if (field == NULL)
		return false;
	out->cookie_bytes = field[0];
	out->cookie = bytes_take(&r, field[0]);
	return out->cookie != NULL;
}

static void cookie_of(const uint8_t secret[TURN_DTLS_SECRET_BYTES],
		      const struct turn_dtls_ends *ends, uint64_t period,
		      uint8_t out[TURN_DTLS_COOKIE_BYTES])
{
	uint8_t message[8 + 16 + 2 + 2 + 1];

	memcpy(message, &period, 8);
	memcpy(message + 8, ends->client.address.bytes, 16);
	memcpy(message + 24, &ends->client.port_be, 2);
	memcpy(message + 26, &ends->local_port_be, 2);
	message[28] = ends->local_idx;
	siphash128(secret, message, sizeof(message), out);
}

void turn_dtls_cookie_make(const uint8_t secret[TURN_DTLS_SECRET_BYTES],
			   const struct turn_dtls_ends *ends, uint64_t now_ns,
			   uint8_t out[TURN_DTLS_COOKIE_BYTES])
{
	cookie_of(secret, ends, now_ns / TURN_DTLS_COOKIE_NS, out);
}

bool turn_dtls_cookie_is_good(const uint8_t secret[TURN_DTLS_SECRET_BYTES],
			      const struct turn_dtls_ends *ends, uint64_t now_ns,
			      const uint8_t *cookie, size_t cookie_bytes)
{
	uint64_t period = now_ns / TURN_DTLS_COOKIE_NS;
	bool is_good = false;

	if (cookie_bytes != TURN_DTLS_COOKIE_BYTES)
		return false;
	for (uint64_t i = 0; i < 2 && i <= period; i++) {
		uint8_t expected[TURN_DTLS_COOKIE_BYTES];
		uint8_t difference = 0;

		cookie_of(secret, ends, period - i, expected);
		for (size_t k = 0; k < sizeof(expected); k++)
			difference |= expected[k] ^ cookie[k];
		is_good |= difference == 0;
	}
	return is_good;
}

void turn_dtls_verify_build(const uint8_t cookie[TURN_DTLS_COOKIE_BYTES],
			    uint8_t out[TURN_DTLS_VERIFY_BYTES])
{
	const uint16_t body_bytes = 2 + 1 + TURN_DTLS_COOKIE_BYTES;

	memset(out, 0, TURN_DTLS_VERIFY_BYTES);
	out[0] = CONTENT_HANDSHAKE;
	// RFC 6347 §4.2.1: DTLS 1.0, whatever is agreed on afterwards. The record's number is 0 each time: what follows
	// begins with 1, and a client that was answered twice takes the second for a replay.
	bytes_put_be16(out + 1, 0xfeff);
	bytes_put_be16(out + 11, HANDSHAKE_BYTES + body_bytes);
	out[13] = HELLO_VERIFY_REQUEST;
	bytes_put_be16(out + 15, body_bytes);
	bytes_put_be16(out + 23, body_bytes);
	bytes_put_be16(out + 25, 0xfeff);
	out[27] = TURN_DTLS_COOKIE_BYTES;
	memcpy(out + 28, cookie, TURN_DTLS_COOKIE_BYTES);
}
