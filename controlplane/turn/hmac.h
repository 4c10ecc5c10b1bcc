// HMAC-SHA1 and HMAC-SHA256 for message integrity and REST passwords. Control plane's loop thread.
#ifndef TP_TURN_HMAC_H
#define TP_TURN_HMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURN_TAG_BYTES_MAX 32

enum turn_hash {
	TURN_HASH_SHA1 = 0, // 20 bytes: MESSAGE-INTEGRITY
	TURN_HASH_SHA256,   // 32 bytes: MESSAGE-INTEGRITY-SHA256
	TURN_HASH_COUNT
};

struct turn_hmac;

int turn_hmac_new(struct turn_hmac **out); // 0 or -ENOMEM
void turn_hmac_free(struct turn_hmac *h);  // wipes

static inline size_t turn_hmac_bytes(enum turn_hash hash)
{
	return hash == TURN_HASH_SHA256 ? 32 : 20;
}

// Over head and then body. False when OpenSSL fails, and the tag is all zero then.
bool turn_hmac_compute(struct turn_hmac *h, enum turn_hash hash, const void *key, size_t key_bytes,
		       const void *head, size_t head_bytes, const void *body, size_t body_bytes,
		       uint8_t tag[TURN_TAG_BYTES_MAX]);

#endif
