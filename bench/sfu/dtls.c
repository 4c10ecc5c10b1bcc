// DTLS-SRTP client (RFC 6347, 5764). One thread.
#include "bench/sfu/dtls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "bench/own_certificate.h"
#include "dataplane/contract/wire/bytes.h"

#define MTU_BYTES    1200
#define RECORD_BYTES 13

struct load_dtls_context {
	SSL_CTX *ssl;
	uint8_t fingerprint[32];
};

struct load_dtls {
	SSL *ssl;
	BIO *in;
	BIO *out;
	enum load_dtls_state state;
	load_dtls_send_fn send;
	void *context;
	uint8_t fingerprint[32];
};

// What the certificate is is checked by fingerprint, after the handshake.
static int accept_any(int preverified, X509_STORE_CTX *store)
{
	return 1;
}

struct load_dtls_context *load_dtls_context_new(const char *profiles)
{
	struct load_dtls_context *c = calloc(1, sizeof(*c));
	unsigned int n = 0;

	if (!c)
		return NULL;
	c->ssl = SSL_CTX_new(DTLS_client_method());
	if (!c->ssl || !own_certificate_use(c->ssl, "load") ||
	    SSL_CTX_set_min_proto_version(c->ssl, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_tlsext_use_srtp(c->ssl, profiles) != 0 ||
	    X509_digest(SSL_CTX_get0_certificate(c->ssl), EVP_sha256(), c->fingerprint, &n) != 1 ||
	    n != 32) {
		load_dtls_context_free(c);
		return NULL;
	}
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, accept_any);
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_QUERY_MTU);
	return c;
}

void load_dtls_context_free(struct load_dtls_context *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ssl);
	free(c);
}

const uint8_t *load_dtls_fingerprint(const struct load_dtls_context *c)
{
	return c->fingerprint;
}

struct load_dtls *load_dtls_new(struct load_dtls_context *c, const uint8_t fingerprint[32],
				load_dtls_send_fn send, void *context)
{
	struct load_dtls *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->ssl = SSL_new(c->ssl);
	d->in = BIO_new(BIO_s_mem());
	d->out = BIO_new(BIO_s_mem());
	if (!d->ssl || !d->in || !d->out) {
		BIO_free(d->in);
		BIO_free(d->out);
		SSL_free(d->ssl);
		free(d);
		return NULL;
	}
	BIO_set_mem_eof_return(d->in, -1);
	BIO_set_mem_eof_return(d->out, -1);
	SSL_set_bio(d->ssl, d->in, d->out);
	SSL_set_mtu(d->ssl, MTU_BYTES);
	SSL_set_connect_state(d->ssl);
	memcpy(d->fingerprint, fingerprint, sizeof(d->fingerprint));
	d->send = send;
	d->context = context;
	return d;
}

void load_dtls_free(struct load_dtls *d)
{
	if (!d)
		return;
	SSL_free(d->ssl);
	free(d);
}

// A memory BIO runs records together; a datagram has as many as fit, as browsers send them.
static void send_pending(struct load_dtls *d)
{
	char *bytes;
	long n = BIO_get_mem_data(d->out, &bytes);
	long datagram = 0;

	while (n - datagram >= RECORD_BYTES) {
		long record = RECORD_BYTES + bytes_get_be16(bytes + datagram + 11);

		if (record > n - datagram)
			break;
		if (datagram > 0 && datagram + record > MTU_BYTES) {
			d->send(d->context, (const uint8_t *)bytes, (size_t)datagram);
			bytes += datagram;
			n -= datagram;
			datagram = 0;
		}
		datagram += record;
	}
	if (datagram > 0)
		d->send(d->context, (const uint8_t *)bytes, (size_t)datagram);
	(void)BIO_reset(d->out);
}

static bool is_expected_peer(struct load_dtls *d)
{
	X509 *peer = SSL_get1_peer_certificate(d->ssl);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	bool is_same = peer && X509_digest(peer, EVP_sha256(), digest, &n) == 1 && n == 32 &&
		       memcmp(digest, d->fingerprint, 32) == 0;

	X509_free(peer);
	return is_same;
}

static enum load_dtls_state advance(struct load_dtls *d)
{
	int ret;

	ERR_clear_error();
	if (d->state == LOAD_DTLS_RUNNING) {
		ret = SSL_do_handshake(d->ssl);
		if (ret == 1)
			d->state = is_expected_peer(d) ? LOAD_DTLS_CONNECTED : LOAD_DTLS_FAILED;
		else if (SSL_get_error(d->ssl, ret) != SSL_ERROR_WANT_READ)
			d->state = LOAD_DTLS_FAILED;
	} else if (d->state == LOAD_DTLS_CONNECTED) {
		uint8_t data[2048];

		while ((ret = SSL_read(d->ssl, data, sizeof(data))) > 0) {
		}
		if (SSL_get_error(d->ssl, ret) == SSL_ERROR_ZERO_RETURN)
			d->state = LOAD_DTLS_CLOSED;
	}
	send_pending(d);
	return d->state;
}

enum load_dtls_state load_dtls_start(struct load_dtls *d)
{
	return advance(d);
}

enum load_dtls_state load_dtls_receive(struct load_dtls *d, const uint8_t *datagram, size_t n_bytes)
{
	(void)BIO_reset(d->in);
	BIO_write(d->in, datagram, (int)n_bytes);
	return advance(d);
}

enum load_dtls_state load_dtls_timer(struct load_dtls *d)
{
	if (d->state == LOAD_DTLS_RUNNING) {
		if (DTLSv1_handle_timeout(d->ssl) < 0)
			d->state = LOAD_DTLS_FAILED;
		send_pending(d);
	}
	return d->state;
}

int load_dtls_keys_export(struct load_dtls *d, struct load_dtls_keys *out)
{
	const SRTP_PROTECTION_PROFILE *agreed = SSL_get_selected_srtp_profile(d->ssl);
	const struct dp_srtp_profile_info *info;
	uint8_t material[2 * (DP_SRTP_KEY_BYTES_MAX + DP_SRTP_SALT_BYTES_MAX)];
	const uint8_t *at = material;

	if (!agreed)
		return -EPROTO;
	out->profile = dp_srtp_profile_by_dtls_id((uint16_t)agreed->id);
	info = dp_srtp_profile_info(out->profile);
	if (out->profile == DP_SRTP_PROFILE_NONE ||
	    SSL_export_keying_material(d->ssl, material,
				       2 * ((size_t)info->key_bytes + info->salt_bytes),
				       "EXTRACTOR-dtls_srtp", 19, NULL, 0, 0) != 1)
		return -EPROTO;
	// RFC 5764 §4.2: client's key, server's key, client's salt, server's salt.
	memcpy(out->tx_key, at, info->key_bytes);
	at += info->key_bytes;
	memcpy(out->rx_key, at, info->key_bytes);
	at += info->key_bytes;
	memcpy(out->tx_salt, at, info->salt_bytes);
	at += info->salt_bytes;
	memcpy(out->rx_salt, at, info->salt_bytes);
	OPENSSL_cleanse(material, sizeof(material));
	return 0;
}

void load_dtls_close(struct load_dtls *d)
{
	if (d->state != LOAD_DTLS_CONNECTED)
		return;
	SSL_shutdown(d->ssl);
	send_pending(d);
	d->state = LOAD_DTLS_CLOSED;
}
