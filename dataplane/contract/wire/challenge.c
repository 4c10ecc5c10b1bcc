// Nonces and the first answers that carry them (RFC 8489 §9.2). Pure, any thread.
#include "dataplane/contract/wire/challenge.h"

#include <assert.h>

#define COOKIE             "obMatJos2"
#define COOKIE_CHARS       (sizeof(COOKIE) - 1)
#define FEATURE_CHARS      4
#define MAC_CHARS          11 // 66 bits
#define FEATURED_MAC_CHARS 6  // 36 bits
#define BUCKETS_TOLD_APART 64 // by one character
#define IPV4_UDP_BYTES     28
#define IPV6_UDP_BYTES     48

static_assert(COOKIE_CHARS + FEATURE_CHARS + 1 + FEATURED_MAC_CHARS == CHALLENGE_NONCE_CHARS_MAX,
	      "a nonce with features is the longest");
static_assert(CHALLENGE_BUCKETS_VALID + 1 < BUCKETS_TOLD_APART, "ages must not be ambiguous");
static_assert(1 + MAC_CHARS == CHALLENGE_NONCE_CHARS && MAC_CHARS <= 16,
	      "one character per byte of the MAC");

// base64url; the feature bits that there are never need the two digits in which base64 differs.
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t nonce_chars(uint32_t features)
{
	return features != 0 ? CHALLENGE_NONCE_CHARS_MAX : 1 + MAC_CHARS;
}

static void nonce_put(const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t bucket,
		      const struct ip_endpoint *client, uint32_t features, char *nonce)
{
	uint8_t message[8 + 16 + 2 + 4];
	uint32_t n_mac_chars = MAC_CHARS;
	uint8_t mac[16];

	if (features != 0) {
		memcpy(nonce, COOKIE, COOKIE_CHARS);
		nonce += COOKIE_CHARS;
		for (uint32_t i = 0; i < FEATURE_CHARS; i++)
			*nonce++ = digits[features >> (18 - 6 * i) & 63];
		n_mac_chars = FEATURED_MAC_CHARS;
	}
	bytes_put_be64(message, bucket);
	memcpy(message + 8, client->address.bytes, 16);
	memcpy(message + 24, &client->port_be, 2);
	bytes_put_be32(message + 26, features);
	siphash128(secret, message, sizeof(message), mac);
	*nonce++ = digits[bucket % BUCKETS_TOLD_APART];
	for (uint32_t i = 0; i < n_mac_chars; i++)
		*nonce++ = digits[mac[i] & 63];
}

size_t challenge_nonce_write(const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
			     const struct ip_endpoint *client, uint32_t features, char *nonce)
{
	nonce_put(secret, wall_ns / CHALLENGE_BUCKET_NS, client, features, nonce);
	return nonce_chars(features);
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

enum challenge_verdict challenge_nonce_check(const uint8_t secret[CHALLENGE_SECRET_BYTES],
					     uint64_t wall_ns, const struct ip_endpoint *client,
					     uint32_t features, const void *nonce,
					     size_t nonce_bytes)
{
	const uint8_t *given = nonce;
	size_t bucket_at = features != 0 ? COOKIE_CHARS + FEATURE_CHARS : 0;
	uint64_t bucket = wall_ns / CHALLENGE_BUCKET_NS;
	char expected[CHALLENGE_NONCE_CHARS_MAX];
	uint8_t differing = 0;
	uint32_t age;
	int digit;

	if (nonce_bytes != nonce_chars(features))
		return CHALLENGE_NONCE_STALE;
	digit = base64url_digit(given[bucket_at]);
	if (digit < 0)
		return CHALLENGE_NONCE_STALE;
	age = (uint32_t)(bucket - (uint64_t)digit) % BUCKETS_TOLD_APART;
	if (age == BUCKETS_TOLD_APART - 1)
		bucket++;
	else if (age < CHALLENGE_BUCKETS_VALID)
		bucket -= age;
	else
		return CHALLENGE_NONCE_STALE;
	nonce_put(secret, bucket, client, features, expected);
	for (size_t i = 0; i < nonce_bytes; i++)
		differing |= (uint8_t)expected[i] ^ given[i];
	return differing == 0 ? CHALLENGE_NONCE_VALID : CHALLENGE_NONCE_STALE;
}

static const uint8_t algorithms[CHALLENGE_ALGORITHM_BYTES] = { 0, 2, 0, 0 };

bool challenge_algorithms_match(const uint8_t *value, size_t value_bytes)
{
	return value_bytes == sizeof(algorithms) &&
	       memcmp(value, algorithms, sizeof(algorithms)) == 0;
}

static size_t attr_bytes(size_t value_bytes)
{
	return STUN_ATTR_HEADER_BYTES + ((value_bytes + 3) & ~(size_t)3);
}

size_t challenge_answer_bytes(size_t realm_bytes, uint32_t features)
{
	size_t bytes = STUN_HEADER_BYTES + attr_bytes(4) + attr_bytes(realm_bytes) +
		       attr_bytes(nonce_chars(features));

	if (features & CHALLENGE_F_ALGORITHMS)
		bytes += attr_bytes(sizeof(algorithms));
	return bytes;
}

size_t challenge_limit_bytes(size_t request_bytes, bool is_v4)
{
	size_t header_bytes = is_v4 ? IPV4_UDP_BYTES : IPV6_UDP_BYTES;

	return (request_bytes + header_bytes) * CHALLENGE_GAIN_TENTHS / 10 - header_bytes;
}

size_t challenge_build(const struct stun_view *request, uint16_t code,
		       const uint8_t secret[CHALLENGE_SECRET_BYTES], uint64_t wall_ns,
		       const struct ip_endpoint *client, const struct challenge_offer *offer,
		       size_t limit_bytes, void *out, size_t out_bytes)
{
	char nonce[CHALLENGE_NONCE_CHARS_MAX];
	struct stun_attr fingerprint;
	bool has_fingerprint = stun_attr_find(request, STUN_ATTR_FINGERPRINT, &fingerprint);
	struct stun_builder b;
	size_t needed_bytes;
	size_t chars;

	if (offer->realm_bytes > CHALLENGE_REALM_MAX ||
	    offer->oauth_name_bytes > CHALLENGE_OAUTH_NAME_MAX)
		return 0;
	needed_bytes = challenge_answer_bytes(offer->realm_bytes, offer->features) +
		       (has_fingerprint ? attr_bytes(4) : 0);
	if (needed_bytes > limit_bytes &&
	    request->length_bytes <
		    CHALLENGE_REQUEST_BYTES_MIN + (has_fingerprint ? attr_bytes(4) : 0))
		return 0;
	chars = challenge_nonce_write(secret, wall_ns, client, offer->features, nonce);
	stun_build_begin(&b, out, out_bytes, request->type | STUN_CLASS_ERROR,
			 request->transaction_id);
	stun_build_error_code(&b, code, "");
	stun_build_attr(&b, STUN_ATTR_REALM, offer->realm, (uint16_t)offer->realm_bytes);
	stun_build_attr(&b, STUN_ATTR_NONCE, nonce, (uint16_t)chars);
	if (offer->features & CHALLENGE_F_ALGORITHMS)
		stun_build_attr(&b, STUN_ATTR_PASSWORD_ALGORITHMS, algorithms, sizeof(algorithms));
	if (offer->oauth_name_bytes > 0 &&
	    needed_bytes + attr_bytes(offer->oauth_name_bytes) <= limit_bytes)
		stun_build_attr(&b, STUN_ATTR_THIRD_PARTY_AUTHORIZATION, offer->oauth_name,
				(uint16_t)offer->oauth_name_bytes);
	if (has_fingerprint)
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}
