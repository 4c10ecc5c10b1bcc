// What all DTLS sessions share: OpenSSL's context, the certificate, cookies, the check of fingerprints. The
// control plane's loop thread.
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/dtls_certificate.h"
#include "controlplane/sfu/dtls_private.h"

// AEAD with forward secrecy (RFC 8827 §6.5 asks for the first); RSA for peers with such a certificate.
#define CIPHERS                                                                                    \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"
// AES-128-GCM first: it costs the workers least.
#define SRTP_PROFILES "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80"
// Of the peer's certificate chain; one self-signed certificate has less than 1 KiB.
#define PEER_CERTIFICATES_BYTES_MAX 16384

static const EVP_MD *digest_of(enum sdp_hash hash)
{
	switch (hash) {
	case SDP_HASH_SHA256:
		return EVP_sha256();
	case SDP_HASH_SHA384:
		return EVP_sha384();
	case SDP_HASH_SHA512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

// Instead of a chain of trust: the certificate is the one that the SDP announced (RFC 8122 §6.2, RFC 8827
// §6.5). That the peer holds its key the handshake proves.
static int verify_certificate(X509_STORE_CTX *store, void *argument)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct dtls_session *s = SSL_get_app_data(ssl);
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int n_bytes = 0;
	bool is_expected = false;

	if (certificate == NULL ||
	    X509_digest(certificate, digest_of(s->expected[0].hash), digest, &n_bytes) != 1)
		n_bytes = 0;
	for (uint32_t i = 0; i < s->n_expected; i++)
		if (n_bytes > 0 && s->expected[i].n_bytes == n_bytes &&
		    CRYPTO_memcmp(s->expected[i].bytes, digest, n_bytes) == 0)
			is_expected = true;
	s->is_fingerprint_bad = !is_expected;
	X509_STORE_CTX_set_error(store, is_expected ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
	return is_expected;
}

static bool cookie_make(const struct dtls_session *s, uint8_t out[DTLS_COOKIE_BYTES])
{
	unsigned int n_bytes = 0;

	return HMAC(EVP_sha256(), s->context->cookie_secret, sizeof(s->context->cookie_secret),
		    (const uint8_t *)&s->serial, sizeof(s->serial), out, &n_bytes) != NULL &&
	       n_bytes == DTLS_COOKIE_BYTES;
}

static int cookie_generate(SSL *ssl, unsigned char *out, unsigned int *n_bytes)
{
	struct dtls_session *s = SSL_get_app_data(ssl);

	if (!cookie_make(s, out))
		return 0;
	*n_bytes = DTLS_COOKIE_BYTES;
	s->is_hello_verify_sent = true;
	s->context->counters.n_cookies++;
	return 1;
}

static int cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int n_bytes)
{
	struct dtls_session *s = SSL_get_app_data(ssl);
	uint8_t expected[DTLS_COOKIE_BYTES];

	s->is_cookie_good = n_bytes == DTLS_COOKIE_BYTES && cookie_make(s, expected) &&
			    CRYPTO_memcmp(cookie, expected, DTLS_COOKIE_BYTES) == 0;
	s->is_cookie_bad = !s->is_cookie_good;
	s->context->counters.n_cookies_refused += s->is_cookie_bad;
	return s->is_cookie_good;
}

SSL_CTX *dtls_ssl_context_new(X509 *certificate, EVP_PKEY *key)
{
	SSL_CTX *ssl = SSL_CTX_new(DTLS_method());

	if (ssl == NULL)
		return NULL;
	// Sessions are never resumed, so nothing of them is kept, here or in tickets.
	SSL_CTX_set_options(ssl, SSL_OP_COOKIE_EXCHANGE | SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_security_level(ssl, 2);
	SSL_CTX_set_max_cert_list(ssl, PEER_CERTIFICATES_BYTES_MAX);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ssl, verify_certificate, NULL);
	SSL_CTX_set_cookie_generate_cb(ssl, cookie_generate);
	SSL_CTX_set_cookie_verify_cb(ssl, cookie_verify);
	// SSL_CTX_set_tlsext_use_srtp alone returns 0 for success.
	if (SSL_CTX_set_min_proto_version(ssl, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, CIPHERS) != 1 ||
	    SSL_CTX_set1_groups_list(ssl, GROUPS) != 1 ||
	    SSL_CTX_set_tlsext_use_srtp(ssl, SRTP_PROFILES) != 0 ||
	    SSL_CTX_use_certificate(ssl, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(ssl, key) != 1) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	return ssl;
}

int dtls_context_new(const char *state_dir, struct dtls_context **out)
{
	struct dtls_context *c = calloc(1, sizeof(*c));
	unsigned int n_bytes = 0;
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	bool is_new;
	int ret;

	*out = NULL;
	if (c == NULL)
		return -ENOMEM;
	ret = dtls_certificate_load(state_dir, &key, &certificate, &is_new);
	if (ret < 0)
		goto fail_free;
	ret = -EIO;
	c->bio = dtls_datagram_bio_method_new();
	c->ssl = dtls_ssl_context_new(certificate, key);
	if (c->bio == NULL || c->ssl == NULL ||
	    X509_digest(certificate, EVP_sha256(), c->fingerprint, &n_bytes) != 1 ||
	    RAND_priv_bytes(c->cookie_secret, sizeof(c->cookie_secret)) != 1)
		goto fail_free;
	X509_free(certificate);
	EVP_PKEY_free(key);
	*out = c;
	return 0;

fail_free:
	ERR_clear_error();
	X509_free(certificate);
	EVP_PKEY_free(key);
	dtls_context_free(c);
	return ret;
}

void dtls_context_free(struct dtls_context *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->bio);
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
}

const uint8_t *dtls_context_fingerprint(const struct dtls_context *c)
{
	return c->fingerprint;
}

const struct dtls_counters *dtls_context_counters(const struct dtls_context *c)
{
	return &c->counters;
}
