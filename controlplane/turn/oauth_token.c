// See oauth_token.h.
#include "controlplane/turn/oauth_token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "dataplane/contract/wire/bytes.h"

#define LENGTH_BYTES    2
#define TIMES_BYTES     12 // timestamp and lifetime
#define CLOCK_SLACK_S   5
#define NS_PER_S        1000000000ull
#define WALL_S_MAX      (UINT64_MAX / NS_PER_S / 2)
#define BLOCK_BYTES_MIN (LENGTH_BYTES + 1 + TIMES_BYTES)

int turn_oauth_token_split(const uint8_t *token, size_t token_bytes, struct turn_oauth_sealed *out)
{
	const size_t around_bytes = LENGTH_BYTES + TURN_OAUTH_NONCE_BYTES + TURN_OAUTH_TAG_BYTES;

	if (token_bytes > TURN_OAUTH_TOKEN_BYTES_MAX ||
	    token_bytes < around_bytes + BLOCK_BYTES_MIN ||
	    bytes_get_be16(token) != TURN_OAUTH_NONCE_BYTES)
		return -EINVAL;
	out->nonce = token + LENGTH_BYTES;
	out->block = out->nonce + TURN_OAUTH_NONCE_BYTES;
	out->block_bytes = token_bytes - around_bytes;
	out->tag = out->block + out->block_bytes;
	return 0;
}

int turn_oauth_block_parse(const uint8_t *block, size_t block_bytes, struct turn_oauth_token *out)
{
	const uint8_t *at = block;
	uint16_t key_bytes;

	if (block_bytes < BLOCK_BYTES_MIN)
		return -EINVAL;
	key_bytes = bytes_get_be16(at);
	if (key_bytes == 0 || key_bytes > TURN_OAUTH_MAC_KEY_MAX ||
	    block_bytes != LENGTH_BYTES + (size_t)key_bytes + TIMES_BYTES)
		return -EINVAL;
	at += LENGTH_BYTES;
	memset(out, 0, sizeof(*out));
	out->mac_key_bytes = key_bytes;
	memcpy(out->mac_key, at, key_bytes);
	at += key_bytes;
	out->timestamp = bytes_get_be64(at);
	out->lifetime_s = bytes_get_be32(at + 8);
	return 0;
}

static bool decrypt(const uint8_t *key, size_t key_bytes, const char *server_name,
		    const struct turn_oauth_sealed *sealed, uint8_t *out)
{
	const EVP_CIPHER *cipher = key_bytes == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t tag[TURN_OAUTH_TAG_BYTES];
	int n = 0;
	bool ok;

	memcpy(tag, sealed->tag, sizeof(tag));
	ok = context != NULL &&
	     EVP_DecryptInit_ex(context, cipher, NULL, key, sealed->nonce) == 1 &&
	     EVP_DecryptUpdate(context, NULL, &n, (const unsigned char *)server_name,
			       (int)strlen(server_name)) == 1 &&
	     EVP_DecryptUpdate(context, out, &n, sealed->block, (int)sealed->block_bytes) == 1 &&
	     EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, sizeof(tag), tag) == 1 &&
	     EVP_DecryptFinal_ex(context, out + n, &n) == 1;
	EVP_CIPHER_CTX_free(context);
	return ok;
}

int turn_oauth_token_open(const uint8_t *key, size_t key_bytes, const char *server_name,
			  const uint8_t *token, size_t token_bytes, struct turn_oauth_token *out)
{
	uint8_t block[TURN_OAUTH_TOKEN_BYTES_MAX];
	struct turn_oauth_sealed sealed;
	int ret;

	if (key_bytes != 16 && key_bytes != 32)
		return -EINVAL;
	ret = turn_oauth_token_split(token, token_bytes, &sealed);
	if (ret < 0)
		return ret;
	if (decrypt(key, key_bytes, server_name, &sealed, block))
		ret = turn_oauth_block_parse(block, sealed.block_bytes, out);
	else
		ret = -EACCES;
	OPENSSL_cleanse(block, sizeof(block));
	return ret;
}

uint64_t turn_oauth_token_expiry_ns(const struct turn_oauth_token *t, uint64_t wall_ns)
{
	uint64_t made_at_s = t->timestamp >> 16;
	uint64_t now_s = wall_ns / NS_PER_S;
	uint64_t slack_s = (uint64_t)t->lifetime_s + CLOCK_SLACK_S;
	uint64_t end_s;

	if (made_at_s > WALL_S_MAX || made_at_s >= now_s + slack_s)
		return 0;
	end_s = made_at_s + slack_s;
	return now_s < end_s ? end_s * NS_PER_S : 0;
}
