// Keys of long-term credentials (RFC 8489 §9.2.2): MD5(user:realm:password), and for clients that
// chose SHA-256 as the password algorithm (§18.5.1) SHA-256 of the same. Any thread.
#ifndef TP_TURN_PASSWORD_KEY_H
#define TP_TURN_PASSWORD_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURN_KEY_MD5_BYTES    16
#define TURN_KEY_SHA256_BYTES 32
#define TURN_KEY_BYTES_MAX    32

// The values of RFC 8489 §18.5.1.
enum turn_password_algorithm {
	TURN_PASSWORD_MD5 = 1,
	TURN_PASSWORD_SHA256 = 2,
};

// Both keys of one user, as stores hold them instead of a password.
struct turn_keys {
	bool has_md5;
	bool has_sha256;
	uint8_t md5[TURN_KEY_MD5_BYTES];
	uint8_t sha256[TURN_KEY_SHA256_BYTES];
};

static inline size_t turn_password_key_bytes(enum turn_password_algorithm algorithm)
{
	return algorithm == TURN_PASSWORD_SHA256 ? TURN_KEY_SHA256_BYTES : TURN_KEY_MD5_BYTES;
}

// 0, or -ENOMEM when OpenSSL fails. The caller wipes the key.
int turn_password_key(enum turn_password_algorithm algorithm, const char *name, size_t name_bytes,
		      const char *realm, const char *password, size_t password_bytes,
		      uint8_t key[TURN_KEY_BYTES_MAX]);

// USERHASH (RFC 8489 §14.4): SHA-256(user:realm). 0 or -ENOMEM.
int turn_userhash(const char *name, size_t name_bytes, const char *realm, uint8_t out[32]);

#endif
