// From the configuration to the HTTP server's settings. Control plane's loop thread.
#include "controlplane/http_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/engine.h"
#include "controlplane/ops/log.h"
#include "controlplane/signaling/signaling.h"

// What a signaling_config points into while it is read.
struct scratch {
	struct signaling_listener listeners[CONFIG_HTTP_LISTENERS_MAX];
};

// Our own UDP listeners are not among the TURN URLs: they are the SFU's candidates too, and a browser takes whatever
// comes from an address that it knows as a TURN server for an answer of that server.
static void fill(const struct config *c, const char *state_dir, struct scratch *scratch,
		 struct signaling_config *out)
{
	const struct config_http *http = &c->http;

	for (uint32_t i = 0; i < http->n_listeners; i++) {
		scratch->listeners[i].endpoint = http->listeners[i].endpoint;
		scratch->listeners[i].is_tls = http->listeners[i].is_tls;
	}
	*out = (struct signaling_config){
		.listeners = scratch->listeners,
		.n_listeners = http->n_listeners,
		.certificate_path = http->certificate,
		.key_path = http->key,
		.state_dir = state_dir,
		.requires_tokens = http->requires_tokens,
		.token_secrets = (const char *const *)http->token_secrets,
		.n_token_secrets = http->n_token_secrets,
		.turn_urls = (const char *const *)http->turn_urls,
		.n_turn_urls = http->n_turn_urls,
		.turn_secret = c->n_rest_secrets > 0 ? c->rest_secrets[0] : NULL,
		.allow_origins = (const char *const *)http->allow_origins,
		.n_allow_origins = http->n_allow_origins,
		.redirect = http->redirect,
	};
}

int http_config_start(struct engine *e, char *error, size_t error_bytes)
{
	char fingerprint[SIGNALING_FINGERPRINT_BYTES] = "", text[IP_ENDPOINT_TEXT_MAX];
	struct signaling_config c;
	struct scratch scratch;
	int ret;

	if (e->config->http.n_listeners == 0)
		return 0;
	fill(e->config, e->state_dir, &scratch, &c);
	ret = signaling_new(&c, e->base, e->sfu, &e->signaling, error, error_bytes);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < c.n_listeners; i++)
		log_info("WHIP and WHEP on %s://%s, demo at /demo/",
			 c.listeners[i].is_tls ? "https" : "http",
			 ip_endpoint_format(&c.listeners[i].endpoint, text, sizeof(text)));
	if (signaling_fingerprint(e->signaling, fingerprint) == 0)
		log_info("certificate of HTTPS: SHA-256 %s", fingerprint);
	if (!c.requires_tokens)
		log_warning("http: require_tokens is false: everybody may publish and watch");
	return 0;
}

int http_config_reload(struct engine *e, const struct config *next, char *error, size_t error_bytes)
{
	struct signaling_config c;
	struct scratch scratch;

	if (e->signaling == NULL)
		return 0;
	fill(next, e->state_dir, &scratch, &c);
	return signaling_reload(e->signaling, &c, error, error_bytes);
}

bool http_config_same_listeners(const struct config *a, const struct config *b)
{
	if (a->http.n_listeners != b->http.n_listeners)
		return false;
	for (uint32_t i = 0; i < a->http.n_listeners; i++)
		if (!ip_endpoint_equal(&a->http.listeners[i].endpoint,
				       &b->http.listeners[i].endpoint) ||
		    a->http.listeners[i].is_tls != b->http.listeners[i].is_tls)
			return false;
	return true;
}
