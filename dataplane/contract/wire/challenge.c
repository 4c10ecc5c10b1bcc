// Nonces and the first answers that carry them (RFC 8489 §9.2). Pure, any thread.
#include "dataplane/contract/wire/challenge.h"

#include <assert.h>

#define NONCE_BYTES        12
#define NONCE_BUCKET_BYTES 2
#define NONCE_MAC_BYTES    (NONCE_BYTES - NONCE_BUCKET_BYTES)

static_assert(CHALLENGE_NONCE_CHARS == NONCE_BYTES / 3 * 4, "base64 without padding");

static void nonce_raw(const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t bucket,
		      const struct ip_endpoint *client, uint8_t out[NONCE_BYTES])
{
	uint8_t message[8 + 16 + 2];
	uint8_t mac[16];

	bytes_put_be64(message, bucket);
	memcpy(message + 8, client->address.bytes, 16);
	memcpy(message + 24, &client->port_be, 2);
	siphash128(secret, message, sizeof(message), mac);
	bytes_put_be16(out, (uint16_t)bucket);
	memcpy(out + NONCE_BUCKET_BYTES, mac, NONCE_MAC_BYTES);
}

void challenge_nonce_write(const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
			   const struct ip_endpoint *client, char nonce[CHALLENGE_NONCE_CHARS])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t raw[NONCE_BYTES];

	nonce_raw(secret, wall_ns / CHALLENGE_BUCKET_NS, client, raw);
	for (uint32_t i = 0; i < NONCE_BYTES / 3; i++) {
		uint32_t v =
			(uint32_t)raw[3 * i] << 16 | (uint32_t)raw[3 * i + 1] << 8 | raw[3 * i + 2];

		for (uint32_t k = 0; k < 4; k++)
			nonce[4 * i + k] = digits[v >> (18 - 6 * k) & 63];
	}
}

static int base64url_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

static bool nonce_decode(const uint8_t *nonce, uint8_t raw[NONCE_BYTES])
{
	for (uint32_t i = 0; i < NONCE_BYTES / 3; i++) {
		uint32_t v = 0;

		for (uint32_t k = 0; k < 4; k++) {
			int digit = base64url_digit(nonce[4 * i + k]);

			if (digit < 0)
				return false;
			v = v << 6 | (uint32_t)digit;
		}
		raw[3 * i] = (uint8_t)(v >> 16);
		raw[3 * i + 1] = (uint8_t)(v >> 8);
		raw[3 * i + 2] = (uint8_t)v;
	}
	return true;
}

enum challenge_verdict challenge_nonce_check(const uint8_t secret[CHALLENGE_SECRET_BYTES],
					     uint64_t wall_ns, const struct ip_endpoint *client,
					     const void *nonce, size_t nonce_bytes)
{
	uint64_t bucket = wall_ns / CHALLENGE_BUCKET_NS;
	uint8_t expected[NONCE_BYTES];
	uint8_t raw[NONCE_BYTES];
	uint8_t differing = 0;
	uint16_t age;

	if (nonce_bytes != CHALLENGE_NONCE_CHARS || !nonce_decode(nonce, raw))
		return CHALLENGE_NONCE_STALE;
	age = (uint16_t)(bucket - bytes_get_be16(raw));
	if (age == UINT16_MAX)
		bucket++;
	else if (age < CHALLENGE_BUCKETS_VALID)
		bucket -= age;
	else
		return CHALLENGE_NONCE_STALE;
	nonce_raw(secret, bucket, client, expected);
	for (uint32_t i = 0; i < NONCE_BYTES; i++)
		differing |= expected[i] ^ raw[i];
	return differing == 0 ? CHALLENGE_NONCE_VALID : CHALLENGE_NONCE_STALE;
}

size_t challenge_build(const struct stun_view *request, uint16_t code,
		       const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
		       const struct ip_endpoint *client, const char *realm, size_t realm_bytes,
		       void *out, size_t out_bytes)
{
	char nonce[CHALLENGE_NONCE_CHARS];
	struct stun_attr fingerprint;
	struct stun_builder b;

	if (realm_bytes > CHALLENGE_REALM_MAX)
		return 0;
	challenge_nonce_write(secret, wall_ns, client, nonce);
	stun_build_begin(&b, out, out_bytes, request->type | STUN_CLASS_ERROR,
			 request->transaction_id);
	stun_build_error_code(&b, code, "");
	stun_build_attr(&b, STUN_ATTR_REALM, realm, (uint16_t)realm_bytes);
	stun_build_attr(&b, STUN_ATTR_NONCE, nonce, sizeof(nonce));
	if (stun_attr_find(request, STUN_ATTR_FINGERPRINT, &fingerprint))
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}
