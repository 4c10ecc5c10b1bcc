// Link: <turn:…>; rel="ice-server" with credentials made for this response (RFC 9725 §4.6): user name
// "expiry:turnpike", password base64(HMAC-SHA1(secret, user name)), as the TURN side checks them. Control plane's
// loop thread.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/signaling/signaling_private.h"

#define LIFETIME_S     86400
#define PASSWORD_BYTES 32 // 28 characters of base64 and NUL
#define SERVERS_MAX    16 // far more than a browser likes
#define SHA1_BYTES     20

static bool make_password(const char *secret, const char *username, char out[PASSWORD_BYTES])
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (HMAC(EVP_sha1(), secret, (int)strlen(secret), (const unsigned char *)username,
		 strlen(username), mac, &n) == NULL ||
	    n != SHA1_BYTES)
		return false;
	EVP_EncodeBlock((unsigned char *)out, mac, SHA1_BYTES);
	OPENSSL_cleanse(mac, sizeof(mac));
	return true;
}

void signaling_ice_servers(const struct signaling *s, int64_t now_s, struct http_response *response)
{
	const struct signaling_settings *settings = &s->settings;
	uint32_t lifetime_s = settings->turn_lifetime_s;
	char username[48], password[PASSWORD_BYTES];

	if (settings->turn_secret == NULL || settings->n_turn_urls == 0)
		return;
	snprintf(username, sizeof(username), "%lld:turnpike",
		 (long long)now_s + (lifetime_s != 0 ? lifetime_s : LIFETIME_S));
	if (!make_password(settings->turn_secret, username, password))
		return;
	for (uint32_t i = 0; i < settings->n_turn_urls && i < SERVERS_MAX; i++)
		http_response_add(response, "Link",
				  "<%s>; rel=\"ice-server\"; username=\"%s\"; credential=\"%s\"; "
				  "credential-type=\"password\"",
				  settings->turn_urls[i], username, password);
	// What carries a password is for its reader alone.
	http_response_add(response, "Cache-Control", "no-store");
}
