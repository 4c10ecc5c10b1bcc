// A BIO between OpenSSL and one DTLS association: reads give the datagram at hand once, each write is one datagram out.
// BIO_s_mem would join datagrams into a stream. Control plane's loop thread.
#ifndef TP_DTLS_DATAGRAM_BIO_H
#define TP_DTLS_DATAGRAM_BIO_H

#include <openssl/bio.h>
#include <stddef.h>
#include <stdint.h>

// What stands behind a BIO; it must outlive it.
struct dtls_datagrams {
	const uint8_t *in; // the datagram that is being read, NULL when OpenSSL took it
	size_t in_bytes;
	// What OpenSSL writes. It may be lost, as on the network.
	void (*send)(void *arg, const uint8_t *datagram, size_t n_bytes);
	void *arg;
};

// The method that all BIOs of a context share; NULL: OpenSSL fails.
BIO_METHOD *dtls_datagram_bio_method_new(void);
BIO *dtls_datagram_bio_new(const BIO_METHOD *method, struct dtls_datagrams *d);

#endif
