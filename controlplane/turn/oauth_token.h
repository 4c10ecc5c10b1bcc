// Self-contained OAuth access tokens (RFC 7635 §6.2): what an authorization server sealed for us with
// AEAD_AES_128_GCM or AEAD_AES_256_GCM. Every length is checked before a byte is copied
// (CVE-2026-43994). Any thread; writes only through out-parameters.
#ifndef TP_TURN_OAUTH_TOKEN_H
#define TP_TURN_OAUTH_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#define TURN_OAUTH_MAC_KEY_MAX     32  // as long a key as an allocation keeps
#define TURN_OAUTH_TOKEN_BYTES_MAX 256 // more than the longest token that can be valid
#define TURN_OAUTH_NONCE_BYTES     12  // RFC 5116 §5.1, §5.2
#define TURN_OAUTH_TAG_BYTES       16

// A token, still sealed. Points into it.
struct turn_oauth_sealed {
	const uint8_t *nonce; // TURN_OAUTH_NONCE_BYTES
	const uint8_t *block;
	size_t block_bytes;
	const uint8_t *tag; // TURN_OAUTH_TAG_BYTES
};

// What it says.
struct turn_oauth_token {
	uint16_t mac_key_bytes; // 1..TURN_OAUTH_MAC_KEY_MAX
	uint8_t mac_key[TURN_OAUTH_MAC_KEY_MAX];
	uint64_t timestamp; // seconds << 16 | 1/64000 s
	uint32_t lifetime_s;
};

// Finds the parts of a token. 0 or -EINVAL.
int turn_oauth_token_split(const uint8_t *token, size_t token_bytes, struct turn_oauth_sealed *out);
// Reads the decrypted block; it must end where its fields do. 0 or -EINVAL.
int turn_oauth_block_parse(const uint8_t *block, size_t block_bytes, struct turn_oauth_token *out);

// Both, and the decryption between: `key` has 16 or 32 bytes, which says the algorithm, and
// `server_name` is the associated data. 0; -EINVAL: malformed; -EACCES: not sealed with that key for
// that name. The caller wipes *out.
int turn_oauth_token_open(const uint8_t *key, size_t key_bytes, const char *server_name,
			  const uint8_t *token, size_t token_bytes, struct turn_oauth_token *out);

// Until when it is good, by the wall clock in ns: its time and its lifetime, whose clock may be 5 s off
// (RFC 7635 §6.2). 0: it is expired, or from the future.
uint64_t turn_oauth_token_expiry_ns(const struct turn_oauth_token *t, uint64_t wall_ns);

#endif
