// Reads the section of the HTTP server: WHIP, WHEP and the demo pages. Main thread. No message shows a secret.
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"

#define TLS_PORT               8443 // 443 is where TURN over TLS is wanted
#define PLAIN_PORT             8080
#define TURN_URLS_MAX          8  // with more a browser only takes longer to begin
#define TOKEN_SECRET_BYTES_MIN 32 // RFC 7518 §3.2: no shorter than the hash of HS256

static int copy(const char *from, char **out)
{
	*out = from ? strdup(from) : NULL;
	return !from || *out ? 0 : -ENOMEM;
}

static int read_listener(struct config_reader *r, uint32_t i)
{
	const struct file_http_listener *f = &r->file->http->listen[i];
	struct config_http *c = &r->config->http;
	struct config_http_listener *l = &c->listeners[i];
	char quoted[CONFIG_QUOTE_BYTES];
	uint32_t port;
	int ret;

	config_at(r, "http.listen[%u].address", i);
	if (ip_address_parse(f->address, &l->endpoint.address) < 0)
		return config_fail(r,
				   "%s is no IP address; write it as in 203.0.113.5, 2001:db8::5, "
				   "or 0.0.0.0 for every address",
				   config_quote(f->address, quoted));
	l->is_tls = f->tls ? *f->tls : true;
	config_at(r, "http.listen[%u].port", i);
	ret = config_number(r, f->port, l->is_tls ? TLS_PORT : PLAIN_PORT, 1, 65535, &port);
	if (ret < 0)
		return ret;
	l->endpoint.port_be = htons((uint16_t)port);
	config_at(r, "http.listen[%u]", i);
	for (uint32_t j = 0; j < i; j++)
		if (ip_endpoint_equal(&l->endpoint, &c->listeners[j].endpoint))
			return config_fail(r,
					   "the same address and port as http.listen[%u]; remove "
					   "one or change its port",
					   j);
	c->n_listeners = i + 1;
	return 0;
}

static int read_tokens(struct config_reader *r)
{
	const struct file_http *f = r->file->http;
	struct config_http *c = &r->config->http;

	c->requires_tokens = f->require_tokens ? *f->require_tokens : true;
	if (f->n_token_secrets > 0) {
		c->token_secrets = calloc(f->n_token_secrets, sizeof(*c->token_secrets));
		if (!c->token_secrets)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < f->n_token_secrets; i++) {
		config_at(r, "http.token_secrets[%u]", i);
		if (strlen(f->token_secrets[i]) < TOKEN_SECRET_BYTES_MIN)
			return config_fail(r,
					   "shorter than %d characters; make one with: "
					   "openssl rand -hex 32",
					   TOKEN_SECRET_BYTES_MIN);
		if (copy(f->token_secrets[i], &c->token_secrets[i]) < 0)
			return -ENOMEM;
		c->n_token_secrets = i + 1;
	}
	config_at(r, "http.token_secrets");
	if (c->requires_tokens && c->n_token_secrets == 0)
		return config_fail(r,
				   "nobody could join; add a secret (make one with: openssl "
				   "rand -hex 32), or require_tokens: false to let everybody in");
	return 0;
}

// "https://host[:port]" and nothing behind it, as browsers send an Origin.
static bool is_origin(const char *text)
{
	const char *host;

	if (strncmp(text, "https://", 8) == 0)
		host = text + 8;
	else if (strncmp(text, "http://", 7) == 0)
		host = text + 7;
	else
		return false;
	return *host &&
	       host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 ".-_:[]")] == '\0';
}

static int read_origins(struct config_reader *r)
{
	const struct file_http *f = r->file->http;
	struct config_http *c = &r->config->http;
	static char everybody[] = "*";
	char *fallback[] = { everybody };
	char **origins = f->n_allow_origins > 0 ? f->allow_origins : fallback;
	uint32_t n = f->n_allow_origins > 0 ? f->n_allow_origins : 1;
	char quoted[CONFIG_QUOTE_BYTES];

	c->allow_origins = calloc(n, sizeof(*c->allow_origins));
	if (!c->allow_origins)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		config_at(r, "http.allow_origins[%u]", i);
		if (strcmp(origins[i], "*") != 0 && !is_origin(origins[i]))
			return config_fail(r,
					   "%s is no origin; write it as in https://app.example or "
					   "https://app.example:8443, or \"*\" for all",
					   config_quote(origins[i], quoted));
		if (copy(origins[i], &c->allow_origins[i]) < 0)
			return -ENOMEM;
		c->n_allow_origins = i + 1;
	}
	config_at(r, "http.redirect");
	if (f->redirect && !is_origin(f->redirect))
		return config_fail(r, "%s is no origin; write it as in https://other.example",
				   config_quote(f->redirect, quoted));
	return copy(f->redirect, &c->redirect);
}

// RFC 7065: "turn:host[:port][?transport=udp|tcp]"; nothing that would end the URL in a header field.
static bool is_turn_url(const char *text)
{
	const char *host = strncmp(text, "turns:", 6) == 0  ? text + 6
			   : strncmp(text, "turn:", 5) == 0 ? text + 5
							    : "";

	return *host &&
	       host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 ".-_:[]?=")] == '\0';
}

static int read_turn_urls(struct config_reader *r)
{
	const struct file_http *f = r->file->http;
	struct config_http *c = &r->config->http;
	char quoted[CONFIG_QUOTE_BYTES];

	if (f->n_turn_urls == 0)
		return 0;
	config_at(r, "http.turn_urls");
	if (f->n_turn_urls > TURN_URLS_MAX)
		return config_fail(r, "%u URLs; at most %d are possible", f->n_turn_urls,
				   TURN_URLS_MAX);
	if (r->config->n_rest_secrets == 0)
		return config_fail(r, "credentials for them are made with rest_secrets, of which "
				      "there is none; add one");
	c->turn_urls = calloc(f->n_turn_urls, sizeof(*c->turn_urls));
	if (!c->turn_urls)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_turn_urls; i++) {
		config_at(r, "http.turn_urls[%u]", i);
		if (!is_turn_url(f->turn_urls[i]))
			return config_fail(r,
					   "%s is no TURN URL; write it as in "
					   "turns:turn.example.org:443?transport=tcp",
					   config_quote(f->turn_urls[i], quoted));
		if (copy(f->turn_urls[i], &c->turn_urls[i]) < 0)
			return -ENOMEM;
		c->n_turn_urls = i + 1;
	}
	return 0;
}

static int read_certificate(struct config_reader *r)
{
	const struct file_http *f = r->file->http;
	struct config_http *c = &r->config->http;

	config_at(r, f->certificate ? "http.certificate" : "http.key");
	if (!f->certificate != !f->key)
		return config_fail(r, "certificate and key belong together; give both, or neither "
				      "to have a certificate made");
	if (copy(f->certificate, &c->certificate) < 0 || copy(f->key, &c->key) < 0)
		return -ENOMEM;
	return 0;
}

int config_read_http(struct config_reader *r)
{
	const struct file_http *f = r->file->http;
	struct config_http *c = &r->config->http;
	int ret;

	if (!f)
		return 0;
	config_at(r, "http");
	if (!r->config->sfu.is_enabled)
		return config_fail(r, "it serves the SFU, which is off; add 'sfu: {}', or leave "
				      "http out");
	config_at(r, "http.listen");
	if (f->n_listen == 0)
		return config_fail(r, "the list is empty; add '- address: IP'");
	if (f->n_listen > CONFIG_HTTP_LISTENERS_MAX)
		return config_fail(r, "%u listeners; at most %d are possible", f->n_listen,
				   CONFIG_HTTP_LISTENERS_MAX);
	c->listeners = calloc(f->n_listen, sizeof(*c->listeners));
	if (!c->listeners)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_listen; i++) {
		ret = read_listener(r, i);
		if (ret < 0)
			return ret;
	}
	ret = read_certificate(r);
	if (ret < 0)
		return ret;
	ret = read_turn_urls(r);
	if (ret < 0)
		return ret;
	ret = read_tokens(r);
	if (ret < 0)
		return ret;
	return read_origins(r);
}
