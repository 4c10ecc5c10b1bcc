// Keys, numbers and token keys as they stand in Redis. Somebody else writes them: nothing is believed
// that can be checked. Any thread.
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/store/redis_store_private.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int redis_value_key(const char *text, size_t n_bytes, struct turn_keys *out)
{
	uint8_t *key = n_bytes == 32 ? out->md5 : out->sha256;

	memset(out, 0, sizeof(*out));
	if (n_bytes != 32 && n_bytes != 64)
		return -EINVAL;
	for (size_t i = 0; i < n_bytes / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0) {
			OPENSSL_cleanse(out, sizeof(*out));
			return -EINVAL;
		}
		key[i] = (uint8_t)(high << 4 | low);
	}
	out->has_md5 = n_bytes == 32;
	out->has_sha256 = n_bytes == 64;
	return 0;
}

int redis_value_number(const char *text, size_t n_bytes, uint32_t *out)
{
	uint64_t v = 0;

	if (n_bytes == 0)
		return -EINVAL;
	for (size_t i = 0; i < n_bytes; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		v = v * 10 + (uint64_t)(text[i] - '0');
		if (v > UINT32_MAX)
			v = UINT32_MAX;
	}
	*out = (uint32_t)v;
	return 0;
}

static bool is_base64_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

// Base64 with its padding or without; coturn's own sample ends with a newline inside, which stays.
static int base64_decode(const char *text, size_t n_bytes, struct turn_store_oauth_key *out)
{
	unsigned char decoded[(TURN_STORE_OAUTH_KEY_BYTES + 2) / 3 * 3 + 3];
	char padded[sizeof(decoded) / 3 * 4 + 1];
	size_t n_given = 0, n_padding;
	int n;

	OPENSSL_cleanse(out->key, sizeof(out->key));
	out->key_bytes = 0;
	while (n_bytes > 0 && text[n_bytes - 1] == '=') {
		n_bytes--;
		n_given++;
	}
	n_padding = (4 - n_bytes % 4) % 4;
	if (n_bytes == 0 || n_padding == 3 || n_bytes + n_padding >= sizeof(padded) ||
	    (n_given > 0 && n_given != n_padding))
		return -EINVAL;
	// The decoder would skip white space and take padding anywhere.
	for (size_t i = 0; i < n_bytes; i++)
		if (!is_base64_digit(text[i]))
			return -EINVAL;
	memcpy(padded, text, n_bytes);
	memset(padded + n_bytes, '=', n_padding);
	n = EVP_DecodeBlock(decoded, (const unsigned char *)padded, (int)(n_bytes + n_padding));
	n -= (int)n_padding;
	OPENSSL_cleanse(padded, sizeof(padded));
	if (n <= 0 || n > TURN_STORE_OAUTH_KEY_BYTES) {
		OPENSSL_cleanse(decoded, sizeof(decoded));
		return -EINVAL;
	}
	memcpy(out->key, decoded, (size_t)n);
	out->key_bytes = (uint32_t)n;
	OPENSSL_cleanse(decoded, sizeof(decoded));
	return 0;
}

static bool is_text(const redisReply *r, const char *text)
{
	size_t n = strlen(text);

	return r->type == REDIS_REPLY_STRING && (size_t)r->len == n && memcmp(r->str, text, n) == 0;
}

int redis_value_oauth(const redisReply *fields, struct turn_store_oauth_key *out,
		      const redisReply **realm)
{
	uint32_t timestamp = 0, lifetime = 0;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	out->tag_bits = 256;
	*realm = NULL;
	for (size_t i = 0; ret == 0 && i + 1 < fields->elements; i += 2) {
		const redisReply *name = fields->element[i], *value = fields->element[i + 1];

		if (value->type != REDIS_REPLY_STRING)
			ret = -EINVAL;
		else if (is_text(name, "ikm_key"))
			ret = base64_decode(value->str, (size_t)value->len, out);
		else if (is_text(name, "timestamp") && value->len > 0)
			ret = redis_value_number(value->str, (size_t)value->len, &timestamp);
		else if (is_text(name, "lifetime") && value->len > 0)
			ret = redis_value_number(value->str, (size_t)value->len, &lifetime);
		else if (is_text(name, "as_rs_alg") && is_text(value, "A128GCM"))
			out->tag_bits = 128;
		else if (is_text(name, "as_rs_alg") && value->len > 0 && !is_text(value, "A256GCM"))
			ret = -EINVAL;
		else if (is_text(name, "realm") && value->len > 0)
			*realm = value;
	}
	if (ret == 0 && out->key_bytes == 0)
		ret = -EINVAL;
	out->valid_from_s = timestamp;
	out->valid_until_s = lifetime == 0 ? 0 : (uint64_t)timestamp + lifetime;
	if (ret < 0)
		OPENSSL_cleanse(out, sizeof(*out));
	return ret;
}
