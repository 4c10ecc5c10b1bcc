// What srtp.c asks of an engine. Everything that depends on the packet's format is worked out before: an engine
// ciphers and authenticates the ranges of an operation. One thread per engine instance.
#ifndef TP_SRTP_ENGINE_H
#define TP_SRTP_ENGINE_H

#include <stddef.h>

#include "dataplane/srtp/derive.h"
#include "dataplane/srtp/srtp.h"

#define SRTP_BURST_MAX 64 // operations that srtp.c hands over at once

enum { SRTP_HALF_RTP, SRTP_HALF_RTCP, SRTP_HALF_COUNT };

struct srtp_op {
	void *key;          // the engine's, of the half that the packet belongs to
	const uint8_t *src; // to be ciphered; may be dst
	uint8_t *dst;
	uint8_t *
		authed; // GCM: AAD. Else what HMAC covers, once dst is final, with the 4 bytes of ROC or SRTCP index
	uint32_t cipher_bytes;
	uint32_t authed_bytes;
	uint64_t index;
	uint8_t *packet;       // where the packet begins: destination of a seal, source of an open
	uint8_t *plain;        // open: destination
	uint8_t *tag_at;       // in `packet`; may hold the 4 bytes above while the engine works
	uint32_t packet_bytes; // seal: plaintext; open: protected
	uint8_t iv[16];        // GCM: 12 bytes
	uint8_t tag[20];       // seal: made by the engine; open: as received
	uint8_t head[12];      // backs `authed` where the packet does not hold it in one piece
	uint8_t tag_bytes;
	uint8_t is_rtcp;
	uint8_t is_encrypted;
	uint8_t status; // set by the engine
};

struct srtp_keys {
	const struct dp_srtp_profile_info *info;
	uint32_t profile;
	const uint8_t *master_key;
	const uint8_t *master_salt;
	struct dp_srtp_session_keys session[SRTP_HALF_COUNT];
};

struct srtp_engine {
	// 0, -ENOTSUP, -ENOMEM, -EIO.
	int (*open)(enum dp_srtp_isa isa, void **state);
	void (*close)(void *state);
	const char *(*name)(void *state);
	bool (*has_profile)(uint32_t profile);
	size_t key_bytes; // of the room for a key, a multiple of 64; 0: the engine finds its own
	// *key is that room, zeroed, if key_bytes is not 0.
	int (*key_create)(void *state, const struct srtp_keys *keys, uint32_t half, void **key);
	// Wipes the key; the room is its owner's.
	void (*key_destroy)(void *key);
	// A key that is used a little later, for so many bytes; NULL: no such thing.
	void (*prefetch)(const void *key, uint32_t profile, uint32_t payload_bytes);
	// All operations are of one profile; `n` is at most SRTP_BURST_MAX.
	void (*seal)(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n);
	void (*unseal)(void *state, uint32_t profile, struct srtp_op *const *ops, uint32_t n);
};

extern const struct srtp_engine srtp_engine_ipsec_mb;
extern const struct srtp_engine srtp_engine_evp;
extern const struct srtp_engine srtp_engine_libsrtp;

#endif
