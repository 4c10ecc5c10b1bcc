// The other endpoint of DTLS tests; see its header.
#include "tests/dtls/peer.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "dtls_peer: %s failed\n", what);
	abort();
}

SSL_CTX *dtls_peer_context(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *c = X509_new();

	must(context != NULL && key != NULL && c != NULL, "a context");
	X509_gmtime_adj(X509_getm_notBefore(c), 0);
	X509_gmtime_adj(X509_getm_notAfter(c), 86400);
	X509_set_pubkey(c, key);
	must(X509_sign(c, key, EVP_sha256()) != 0, "signing");
	must(SSL_CTX_use_certificate(context, c) == 1, "the certificate");
	must(SSL_CTX_use_PrivateKey(context, key) == 1, "the key");
	X509_free(c);
	EVP_PKEY_free(key);
	return context;
}

void dtls_peer_open(struct dtls_peer *p, SSL_CTX *context, long mtu_bytes)
{
	uint8_t nowhere[32] = { 0 };
	int fds[2];
	BIO *bio;

	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) == 0, "socketpair");
	*p = (struct dtls_peer){ .ssl = SSL_new(context), .fd = fds[0], .wire_fd = fds[1] };
	bio = BIO_new_dgram(p->fd, BIO_NOCLOSE);
	must(p->ssl != NULL && bio != NULL, "an endpoint");
	// Connected, so that it sends without an address.
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, nowhere);
	SSL_set_bio(p->ssl, bio, bio);
	SSL_set_options(p->ssl, SSL_OP_NO_QUERY_MTU);
	SSL_set_mtu(p->ssl, mtu_bytes);
}

void dtls_peer_close(struct dtls_peer *p)
{
	SSL_free(p->ssl);
	close(p->fd);
	close(p->wire_fd);
	*p = (struct dtls_peer){ .fd = -1, .wire_fd = -1 };
}
