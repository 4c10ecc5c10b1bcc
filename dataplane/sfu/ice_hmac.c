// The low-level SHA-1 of OpenSSL: its EVP interface takes memory for each message, and a worker has none to give.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dataplane/sfu/ice_hmac.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#define BLOCK_BYTES 64

static void pad_key(uint8_t pad[BLOCK_BYTES], const void *key, size_t key_bytes, uint8_t with)
{
	memset(pad, 0, BLOCK_BYTES);
	memcpy(pad, key, key_bytes < BLOCK_BYTES ? key_bytes : BLOCK_BYTES);
	for (uint32_t i = 0; i < BLOCK_BYTES; i++)
		pad[i] ^= with;
}

void dp_sfu_hmac_sha1(const void *key, size_t key_bytes, const void *head, size_t head_bytes,
		      const void *tail, size_t tail_bytes, uint8_t out[DP_SFU_HMAC_BYTES])
{
	uint8_t pad[BLOCK_BYTES];
	SHA_CTX sha;

	pad_key(pad, key, key_bytes, 0x36);
	SHA1_Init(&sha);
	SHA1_Update(&sha, pad, sizeof(pad));
	SHA1_Update(&sha, head, head_bytes);
	SHA1_Update(&sha, tail, tail_bytes);
	SHA1_Final(out, &sha);
	pad_key(pad, key, key_bytes, 0x5c);
	SHA1_Init(&sha);
	SHA1_Update(&sha, pad, sizeof(pad));
	SHA1_Update(&sha, out, DP_SFU_HMAC_BYTES);
	SHA1_Final(out, &sha);
	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(&sha, sizeof(sha));
}
