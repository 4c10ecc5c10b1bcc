// The client's side of DTLS-SRTP (RFC 5764) by OpenSSL, written for the load generator alone, so
// that it agrees with a server by the RFCs and not by shared code. One thread; datagrams are
// carried by the caller.
#ifndef TP_BENCH_SFU_DTLS_H
#define TP_BENCH_SFU_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/srtp/profile.h"

struct load_dtls_context;
struct load_dtls;

struct load_dtls_keys {
	enum dp_srtp_profile profile;
	uint8_t tx_key[DP_SRTP_KEY_BYTES_MAX];
	uint8_t tx_salt[DP_SRTP_SALT_BYTES_MAX];
	uint8_t rx_key[DP_SRTP_KEY_BYTES_MAX];
	uint8_t rx_salt[DP_SRTP_SALT_BYTES_MAX];
};

enum load_dtls_state {
	LOAD_DTLS_RUNNING = 0,
	LOAD_DTLS_CONNECTED,
	LOAD_DTLS_FAILED,
	LOAD_DTLS_CLOSED, // by the peer
	LOAD_DTLS_STATE_COUNT
};

typedef void (*load_dtls_send_fn)(void *context, const uint8_t *datagram, size_t n_bytes);

// A P-256 certificate of its own for all clients. `profiles` in OpenSSL's spelling, in order of
// preference: "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80". NULL when OpenSSL refuses.
struct load_dtls_context *load_dtls_context_new(const char *profiles);
void load_dtls_context_free(struct load_dtls_context *c);
const uint8_t *load_dtls_fingerprint(const struct load_dtls_context *c); // SHA-256

// `fingerprint`: of the server's certificate, copied.
struct load_dtls *load_dtls_new(struct load_dtls_context *c, const uint8_t fingerprint[32],
				load_dtls_send_fn send, void *context);
void load_dtls_free(struct load_dtls *d);
enum load_dtls_state load_dtls_start(struct load_dtls *d);
enum load_dtls_state load_dtls_receive(struct load_dtls *d, const uint8_t *datagram,
				       size_t n_bytes);
// Retransmits if it is time.
enum load_dtls_state load_dtls_timer(struct load_dtls *d);
// After LOAD_DTLS_CONNECTED. 0, or -EPROTO when no SRTP profile was agreed on.
int load_dtls_keys_export(struct load_dtls *d, struct load_dtls_keys *out);
// close_notify.
void load_dtls_close(struct load_dtls *d);

#endif
