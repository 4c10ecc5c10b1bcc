// credential new: makes a time-limited TURN credential with the first REST secret of a realm. Needs no control plane, but
// whoever may read the secrets.
#include <arpa/inet.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/config/config.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/lifetime.h"
#include "controlplane/ctl/shared_store.h"
#include "dataplane/contract/shm/allocation_table.h"

#define LIFETIME_S     86400
#define PASSWORD_BYTES 32 // 28 and the end

int ctl_realm_find(const struct command *c, const struct config *config)
{
	if (!c->realm || strcmp(c->realm, config->realm) == 0)
		return 0;
	for (uint32_t i = 0; i < config->n_realms; i++) {
		if (strcmp(c->realm, config->realms[i].name) == 0)
			return (int)i + 1;
	}
	fail(0, "the configuration has no realm '%s'", c->realm);
	return -1;
}

const char *ctl_realm_name(const struct config *config, int realm_idx)
{
	return realm_idx == 0 ? config->realm : config->realms[realm_idx - 1].name;
}

static void add_url(json_t *urls, const char *scheme, const struct ip_endpoint *e,
		    const char *transport)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	if (ip_address_classify(&e->address) == IP_CLASS_UNSPECIFIED)
		return; // of all addresses: which of them is known outside is not
	json_array_append_new(urls,
			      json_sprintf("%s:%s%s", scheme,
					   ip_endpoint_format(e, text, sizeof(text)), transport));
}

// Where a client of that realm can use it.
static json_t *urls_of(const struct config *config, int realm_idx)
{
	json_t *urls = json_array();

	for (uint32_t i = 0; i < config->n_listeners; i++) {
		if (config->listeners[i].realm_idx == realm_idx)
			add_url(urls, "turn", &config->listeners[i].endpoint, "?transport=udp");
	}
	for (uint32_t i = 0; i < config->n_stream_listeners; i++) {
		const struct config_stream_listener *l = &config->stream_listeners[i];

		if (l->realm_idx != realm_idx)
			continue;
		if (l->takes_plain)
			add_url(urls, "turn", &l->endpoint, "?transport=tcp");
		if (l->takes_tls)
			add_url(urls, "turns", &l->endpoint, "?transport=tcp");
	}
	for (uint32_t i = 0; realm_idx == 0 && i < config->http.n_turn_urls; i++)
		json_array_append_new(urls, json_string(config->http.turn_urls[i]));
	return urls;
}

// base64(HMAC-SHA1(secret, username))
static int password_make(const char *secret, const char *username, char out[PASSWORD_BYTES])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int mac_bytes = 0;

	if (!HMAC(EVP_sha1(), secret, (int)strlen(secret), (const unsigned char *)username,
		  strlen(username), mac, &mac_bytes))
		return -1;
	EVP_EncodeBlock((unsigned char *)out, mac, (int)mac_bytes);
	OPENSSL_cleanse(mac, sizeof(mac));
	return 0;
}

static void print(const struct command *c, const char *realm, const char *username,
		  const char *password, time_t expires_at, json_t *urls)
{
	char when[64];
	json_t *all, *url;
	size_t i;

	if (c->is_json) {
		all = json_pack("{s:s, s:s, s:s, s:I, s:O}", "username", username, "password",
				password, "realm", realm, "expires_at", (json_int_t)expires_at,
				"urls", urls);
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
		return;
	}
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %Z", localtime(&expires_at));
	printf("username %s\npassword %s\nrealm    %s\nexpires  %s\n", username, password, realm,
	       when);
	json_array_foreach(urls, i, url)
	{
		printf("url      %s\n", json_string_value(url));
	}
}

// The secret to sign with, to be freed: of the file, else of the shared store. NULL after a message.
static char *secret_of(const struct config *config, int realm_idx, const char *path)
{
	char *const *secrets =
		realm_idx == 0 ? config->rest_secrets : config->realms[realm_idx - 1].rest_secrets;
	uint32_t n = realm_idx == 0 ? config->n_rest_secrets
				    : config->realms[realm_idx - 1].n_rest_secrets;
	char *secret = NULL;

	if (n > 0)
		return strdup(secrets[0]);
	if (config->redis.is_enabled &&
	    shared_store_secret(&config->redis, ctl_realm_name(config, realm_idx), &secret) < 0)
		return NULL;
	if (!secret)
		fail(0,
		     "%s: realm '%s' has no rest_secrets; add one (make it with: openssl rand -hex "
		     "32) and reload",
		     path, ctl_realm_name(config, realm_idx));
	return secret;
}

int run_credential_new(const struct command *c)
{
	const char *path = c->config ? c->config : CTL_CONFIG_PATH;
	long long lifetime_s = c->lifetime ? ctl_lifetime(c->lifetime) : LIFETIME_S;
	char username[SHM_USERNAME_MAX + 32], password[PASSWORD_BYTES], error[512];
	time_t expires_at = time(NULL) + lifetime_s;
	struct config *config = NULL;
	int realm_idx, code = EXIT_WRONG_USE;
	char *secret = NULL;
	json_t *urls;

	if (lifetime_s < 0)
		return fail(EXIT_WRONG_USE,
			    "--lifetime %s is no time; write it as in 3600, 90m, 12h or 30d, at "
			    "most ten years",
			    c->lifetime);
	snprintf(username, sizeof(username), "%lld%s%s", (long long)expires_at, c->user ? ":" : "",
		 c->user ? c->user : "");
	if (strlen(username) > SHM_USERNAME_MAX || (c->user && !*c->user))
		return fail(EXIT_WRONG_USE, "--user must have 1 to %d bytes",
			    SHM_USERNAME_MAX - 12);
	if (config_parse(path, &config, error, sizeof(error)) < 0)
		return fail(EXIT_WRONG_USE, "%s", error);
	realm_idx = ctl_realm_find(c, config);
	if (realm_idx >= 0)
		secret = secret_of(config, realm_idx, path);
	if (!secret)
		goto out;
	code = EXIT_VERB_FAILED;
	if (password_make(secret, username, password) < 0) {
		fail(0, "OpenSSL makes no HMAC-SHA1");
		goto out;
	}
	urls = urls_of(config, realm_idx);
	print(c, ctl_realm_name(config, realm_idx), username, password, expires_at, urls);
	json_decref(urls);
	OPENSSL_cleanse(password, sizeof(password));
	code = 0;
out:
	if (secret)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
	config_free(config);
	return code;
}
