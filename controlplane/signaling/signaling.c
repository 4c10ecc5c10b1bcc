// Puts certificate, server and handlers together. Control plane's loop thread.
#include "controlplane/signaling/signaling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/signaling/certificate.h"
#include "controlplane/signaling/http.h"
#include "controlplane/signaling/signaling_private.h"

static void on_request(void *arg, const struct http_request *request,
		       struct http_response *response)
{
	signaling_handle(arg, request, response);
}

static bool wants_tls(const struct signaling_config *c)
{
	for (uint32_t i = 0; i < c->n_listeners; i++)
		if (c->listeners[i].is_tls)
			return true;
	return false;
}

// *out stays NULL where nobody wants TLS.
static int make_tls(const struct signaling_config *c, SSL_CTX **out, char *error,
		    size_t error_bytes)
{
	*out = NULL;
	return wants_tls(c) ? certificate_context(c, out, error, error_bytes) : 0;
}

int signaling_new(const struct signaling_config *c, struct event_base *base, struct sfu *sfu,
		  struct signaling **out, char *error, size_t error_bytes)
{
	struct signaling *s = calloc(1, sizeof(*s));
	SSL_CTX *tls = NULL;
	int ret;

	snprintf(error, error_bytes, "out of memory");
	if (s == NULL)
		return -ENOMEM;
	s->sfu = sfu;
	ret = signaling_settings_copy(c, &s->settings);
	if (ret < 0)
		goto fail;
	ret = -E2BIG;
	if (c->n_listeners > SIGNALING_LISTENERS_MAX) {
		snprintf(error, error_bytes, "more than %d HTTP listeners; remove some",
			 SIGNALING_LISTENERS_MAX);
		goto fail;
	}
	ret = make_tls(c, &tls, error, error_bytes);
	if (ret < 0)
		goto fail;
	ret = http_server_new(c, base, tls, on_request, s, &s->server, error, error_bytes);
	SSL_CTX_free(tls);
	if (ret < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	signaling_free(s);
	return ret;
}

int signaling_reload(struct signaling *s, const struct signaling_config *c, char *error,
		     size_t error_bytes)
{
	struct signaling_settings next;
	SSL_CTX *tls;
	int ret;

	ret = make_tls(c, &tls, error, error_bytes);
	if (ret < 0)
		return ret;
	ret = signaling_settings_copy(c, &next);
	if (ret < 0) {
		snprintf(error, error_bytes, "out of memory");
		SSL_CTX_free(tls);
		return ret;
	}
	if (tls != NULL)
		http_server_set_tls(s->server, tls);
	SSL_CTX_free(tls);
	signaling_settings_wipe(&s->settings);
	s->settings = next;
	return 0;
}

uint16_t signaling_port(const struct signaling *s, uint32_t listener_idx)
{
	return http_server_port(s->server, listener_idx);
}

int signaling_fingerprint(const struct signaling *s, char out[SIGNALING_FINGERPRINT_BYTES])
{
	SSL_CTX *tls = http_server_tls(s->server);
	X509 *certificate = tls != NULL ? SSL_CTX_get0_certificate(tls) : NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (certificate == NULL || X509_digest(certificate, EVP_sha256(), digest, &n) != 1 ||
	    n != 32)
		return -ENOENT;
	for (unsigned int i = 0; i < n; i++)
		sprintf(out + 3 * i, "%02X%s", digest[i], i + 1 < n ? ":" : "");
	return 0;
}

void signaling_free(struct signaling *s)
{
	if (s == NULL)
		return;
	http_server_free(s->server);
	signaling_settings_wipe(&s->settings);
	free(s);
}
