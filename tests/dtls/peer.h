// An endpoint of DTLS that shares no code with ours: OpenSSL over its own datagram BIO on a socket pair, whose other end the test
// reads and writes. Of tests and fuzz targets; aborts where one cannot be made. One thread.
#ifndef TP_TESTS_DTLS_PEER_H
#define TP_TESTS_DTLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>

struct dtls_peer {
	SSL *ssl;
	int fd;
	int wire_fd; // the test's end of the pair, which never blocks
	bool is_connected;
};

// A context with a key and a certificate of its own, good for a day. The caller frees it.
SSL_CTX *dtls_peer_context(const SSL_METHOD *method);
// Neither client nor server yet: the caller sets the role, and whatever else this test wants otherwise. Takes a reference to
// `context`.
void dtls_peer_open(struct dtls_peer *p, SSL_CTX *context, long mtu_bytes);
void dtls_peer_close(struct dtls_peer *p);

#endif
