// TLS and DTLS contexts of TURN. Control plane's loop thread; writes state_dir/turns.pem (0600: it holds the key).
#include "controlplane/turn/stream/certificate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/signaling/certificate.h"

// RFC 7443: what a client may ask for. One that asks for something else alone is answered without a choice, as RFC 7301 §3.2
// would have it refused: some clients send what a proxy in front of us is to see.
static const unsigned char protocols[] = "\x09stun.turn\x12stun.nat-discovery";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
			   const unsigned char *in, unsigned int in_bytes, void *arg)
{
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_bytes, protocols, sizeof(protocols) - 1, in,
				  in_bytes) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

// The file of our own, for every address that we listen on, over UDP too (DTLS).
static int own_file(const struct config *config, const char *state_dir, char *path,
		    size_t path_bytes)
{
	uint32_t n = config->n_listeners + config->n_stream_listeners;
	struct signaling_listener *listeners = calloc(n, sizeof(*listeners));
	bool is_new = false;
	int ret;

	if (listeners == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		listeners[i].is_tls = true;
		listeners[i].endpoint =
			i < config->n_listeners
				? config->listeners[i].endpoint
				: config->stream_listeners[i - config->n_listeners].endpoint;
	}
	ret = certificate_own(state_dir, "turns.pem", listeners, n, path, path_bytes, &is_new);
	free(listeners);
	if (ret == 0 && is_new)
		log_info("made the certificate of TURN over TLS: %s; clients that check it need "
			 "tls: certificate and key of an authority they trust",
			 path);
	return ret;
}

static bool is_dtls(const SSL_METHOD *method)
{
	return method == DTLS_server_method() || method == DTLS_method();
}

int turn_certificate_context(const struct config *config, const char *state_dir,
			     const SSL_METHOD *method, SSL_CTX **out, char *error,
			     size_t error_bytes)
{
	const char *certificate_path = config->tls.certificate, *key_path = config->tls.key;
	char own_path[PATH_MAX];
	SSL_CTX *ctx;
	int ret;

	if (certificate_path == NULL) {
		ret = own_file(config, state_dir, own_path, sizeof(own_path));
		if (ret < 0) {
			snprintf(error, error_bytes,
				 "cannot keep a certificate in %s: %s; make the directory writable "
				 "or give tls: certificate and key",
				 state_dir, strerror(-ret));
			return ret;
		}
		certificate_path = key_path = own_path;
	}
	ctx = SSL_CTX_new(method);
	if (ctx == NULL) {
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	// DTLS has no 1.3 here; what is asked of TLS cannot be asked of it.
	SSL_CTX_set_min_proto_version(ctx,
				      is_dtls(method) ? DTLS1_2_VERSION : config->tls.min_version);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	// Forward secrecy and AEAD alone in 1.2, as RFC 9325 §4.2 recommends.
	if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL") != 1) {
		snprintf(error, error_bytes, "OpenSSL knows none of the ciphers of RFC 9325");
		ret = -EINVAL;
		goto fail;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	ret = certificate_use(ctx, certificate_path, key_path, error, error_bytes);
	if (ret < 0)
		goto fail;
	*out = ctx;
	return 0;
fail:
	SSL_CTX_free(ctx);
	return ret;
}
