// What OpenSSL is given of an association: a BIO for its datagrams, options, and the check of the cookie. Control
// plane's loop thread.
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "controlplane/turn/dtls/dtls_private.h"

// IPv6 and UDP; asked for by OpenSSL when it is told a link MTU.
#define IP_UDP_BYTES 48

static int bio_write(BIO *bio, const char *bytes, int n_bytes)
{
	struct turn_dtls_association *a = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	// A full ring loses it, as the network may.
	if (n_bytes > 0 && !a->is_mute)
		turn_dtls_send(a->dtls, &a->ends, a->worker_idx, a->l2_word, a->is_data,
			       (const uint8_t *)bytes, (size_t)n_bytes);
	return n_bytes;
}

static int bio_read(BIO *bio, char *out, int out_bytes)
{
	struct turn_dtls_association *a = BIO_get_data(bio);
	size_t n = a->in_bytes;

	BIO_clear_retry_flags(bio);
	if (a->in == NULL || out_bytes <= 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)out_bytes)
		n = (size_t)out_bytes;
	memcpy(out, a->in, n);
	a->in = NULL;
	return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	switch (command) {
	case BIO_CTRL_FLUSH:
	case BIO_CTRL_DUP:
	case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
		return 1;
	case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
		return IP_UDP_BYTES;
	default:
		return 0;
	}
}

BIO_METHOD *turn_dtls_bio_new(void)
{
	BIO_METHOD *method =
		BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "turnpike turn datagrams");

	if (method == NULL || BIO_meth_set_write(method, bio_write) != 1 ||
	    BIO_meth_set_read(method, bio_read) != 1 || BIO_meth_set_ctrl(method, bio_ctrl) != 1) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

// For the HelloVerifyRequest that OpenSSL writes and nobody gets.
static int cookie_generate(SSL *ssl, unsigned char *out, unsigned int *n_bytes)
{
	const struct turn_dtls_association *a = SSL_get_app_data(ssl);

	memcpy(out, a->cookie, sizeof(a->cookie));
	*n_bytes = sizeof(a->cookie);
	return 1;
}

// The first fragment was judged already; whole, the ClientHello must still have the same cookie.
static int cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int n_bytes)
{
	const struct turn_dtls_association *a = SSL_get_app_data(ssl);

	return n_bytes == sizeof(a->cookie) && CRYPTO_memcmp(cookie, a->cookie, n_bytes) == 0;
}

int turn_dtls_context_prepare(SSL_CTX *context)
{
	// Sessions are never resumed, so nothing of them is kept, here or in tickets.
	SSL_CTX_set_options(context, SSL_OP_COOKIE_EXCHANGE | SSL_OP_NO_QUERY_MTU |
					     SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	// No client shows a certificate, and this bounds what a message in fragments makes OpenSSL allocate.
	SSL_CTX_set_max_cert_list(context, 1);
	SSL_CTX_set_cookie_generate_cb(context, cookie_generate);
	SSL_CTX_set_cookie_verify_cb(context, cookie_verify);
	if (SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION) != 1)
		return -EIO;
	return 0;
}
