// What the files of the DTLS module share. The control plane's loop thread.
#ifndef TP_SFU_DTLS_PRIVATE_H
#define TP_SFU_DTLS_PRIVATE_H

#include <openssl/ssl.h>

#include "controlplane/dtls/datagram_bio.h"
#include "controlplane/sfu/dtls.h"

#define DTLS_COOKIE_BYTES 32

struct dtls_context {
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	uint8_t fingerprint[DTLS_SHA256_BYTES];
	uint8_t cookie_secret[32]; // of this process: cookies live as long as one round trip
	uint64_t n_sessions;       // ever made; names them in their cookies
	struct dtls_counters counters;
};

struct dtls_session {
	struct dtls_context *context;
	SSL *ssl; // NULL: a server that has not seen a ClientHello
	struct dtls_callbacks callbacks;
	void *callbacks_context;
	struct sdp_fingerprint expected[SDP_FINGERPRINTS_MAX]; // all of one hash
	uint32_t n_expected;
	uint64_t serial;
	struct dtls_datagrams datagrams;
	enum dtls_role role;
	enum dtls_close_reason closed;
	bool is_connected;
	bool is_hello_verify_sent;
	bool is_cookie_good;
	bool is_cookie_bad; // what OpenSSL has to say about it is not sent
	bool is_fingerprint_bad;
};

// Sizes, preferences, callbacks. NULL when OpenSSL fails.
SSL_CTX *dtls_ssl_context_new(X509 *certificate, EVP_PKEY *key);

// An SSL of the session's, its BIO attached. NULL when OpenSSL fails.
SSL *dtls_ssl_new(struct dtls_session *s);

// Exports the SRTP keys of a finished handshake. -EIO: OpenSSL.
int dtls_keys_export(SSL *ssl, enum dtls_role role, struct dtls_keys *out);

#endif
