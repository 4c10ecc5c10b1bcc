// What TURN wants of an SSL_CTX: options, and the check of the cookie. Control plane's loop thread.
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "controlplane/turn/dtls/dtls_private.h"

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
