// Keys of time-limited REST credentials: username `expiry[:id]`, password base64(HMAC(secret,
// username)) by SHA-1 or by SHA-256. Control plane's loop thread.
#ifndef TP_TURN_REST_KEY_H
#define TP_TURN_REST_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/turn/hmac.h"
#include "controlplane/turn/password_key.h"
#include "controlplane/turn/store/store.h"

// Whether a username has the form `digits` or `digits:id`. The id starts at *id_offset (name_bytes:
// there is none).
bool turn_rest_name_parse(const char *name, size_t name_bytes, uint64_t *expires_at_s,
			  size_t *id_offset);

// Whose key is looked for.
struct turn_rest_question {
	enum turn_password_algorithm algorithm;
	uint8_t realm_idx;
	const char *realm;
	const char *name;
	size_t name_bytes;
	const struct turn_store_secrets *secrets;
	// Whether a key fits the message at hand; compares in constant time.
	bool (*fits)(void *arg, const uint8_t *key, size_t key_bytes);
	void *arg;
};

// Keys that fitted once.
struct turn_rest_keys;

int turn_rest_keys_new(struct turn_rest_keys **out); // 0 or -errno
void turn_rest_keys_free(struct turn_rest_keys *k);  // wipes

// Tries every secret with both kinds of password. True and the key, which the caller wipes; false: none
// fits. The expiry is the caller's to check.
bool turn_rest_key_find(struct turn_rest_keys *k, struct turn_hmac *hmac,
			const struct turn_rest_question *q, uint8_t key[TURN_KEY_BYTES_MAX]);

#endif
