// Reads how clients prove who they are: the password algorithms on offer (RFC 8489 §9.2.1) and keys
// shared with authorization servers (RFC 7635). Behind users and realms. Main thread. Keys are copied
// once and wiped with the configuration; no message ever shows one.
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"
#include "dataplane/contract/wire/challenge.h"

#define OAUTH_KEYS_MAX 64
#define KID_BYTES_MAX  128
#define KEY_TEXT_MAX   128
#define YEAR_S         31536000u

// ---- password algorithms

// The shortest request that a client sends gets an answer within 1.9 times its bytes, with SHA-256 on
// offer too.
static bool challenge_is_short(const struct config *c)
{
	size_t longest_bytes = strlen(c->realm);

	for (uint32_t i = 0; i < c->n_realms; i++) {
		if (strlen(c->realms[i].name) > longest_bytes)
			longest_bytes = strlen(c->realms[i].name);
	}
	return challenge_answer_bytes(longest_bytes, CHALLENGE_F_ALGORITHMS) <=
	       challenge_limit_bytes(CHALLENGE_REQUEST_BYTES_MIN, true);
}

static bool have_sha256(const struct config_user *users, uint32_t n_users, uint32_t *without)
{
	for (uint32_t i = 0; i < n_users; i++) {
		if (!users[i].has_sha256) {
			*without = i;
			return false;
		}
	}
	return true;
}

// Whether every user could answer a challenge that offers SHA-256.
static bool all_have_sha256(const struct config *c)
{
	uint32_t without;

	if (c->redis.is_enabled || !have_sha256(c->users, c->n_users, &without))
		return false;
	for (uint32_t i = 0; i < c->n_realms; i++) {
		if (!have_sha256(c->realms[i].users, c->realms[i].n_users, &without))
			return false;
	}
	return true;
}

static int refuse_users_without_sha256(struct config_reader *r)
{
	const struct config *c = r->config;
	uint32_t without;

	if (!have_sha256(c->users, c->n_users, &without)) {
		config_at(r, "users[%u]", without);
		return config_fail(r, "has no SHA-256 key, and password_algorithms offers that; "
				      "give 'password', or 'key_sha256' beside 'key'");
	}
	for (uint32_t i = 0; i < c->n_realms; i++) {
		if (have_sha256(c->realms[i].users, c->realms[i].n_users, &without))
			continue;
		config_at(r, "realms[%u].users[%u]", i, without);
		return config_fail(r, "has no SHA-256 key, and password_algorithms offers that; "
				      "give 'password', or 'key_sha256' beside 'key'");
	}
	return 0;
}

static int read_algorithms(struct config_reader *r)
{
	const struct file_config *f = r->file;
	struct config *c = r->config;
	bool sha256 = false, md5 = false;
	char quoted[CONFIG_QUOTE_BYTES];

	if (f->n_password_algorithms == 0) {
		c->offers_sha256 = all_have_sha256(c) && challenge_is_short(c);
		return 0;
	}
	for (uint32_t i = 0; i < f->n_password_algorithms; i++) {
		const char *name = f->password_algorithms[i];

		config_at(r, "password_algorithms[%u]", i);
		if (strcmp(name, "sha256") == 0)
			sha256 = true;
		else if (strcmp(name, "md5") == 0)
			md5 = true;
		else
			return config_fail(r, "%s is none; use sha256 and md5",
					   config_quote(name, quoted));
	}
	c->offers_sha256 = sha256;
	c->refuses_md5 = !md5;
	return sha256 ? refuse_users_without_sha256(r) : 0;
}

// Only users of the file are found by USERHASH. A client that reads that it may send one does so, so it is
// not said where some have their names from elsewhere.
static bool finds_all_by_userhash(const struct config *c)
{
	if (c->redis.is_enabled || c->oauth.server_name || c->n_rest_secrets > 0)
		return false;
	for (uint32_t i = 0; i < c->n_realms; i++) {
		if (c->realms[i].n_rest_secrets > 0)
			return false;
	}
	return true;
}

// ---- OAuth

static int key_decode(const char *text, uint8_t out[KEY_TEXT_MAX])
{
	size_t chars = strlen(text);
	int n;

	if (chars == 0 || chars % 4 != 0 || chars > KEY_TEXT_MAX)
		return -EINVAL;
	n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)chars);
	if (n < 0)
		return -EINVAL;
	return n - (text[chars - 1] == '=') - (text[chars - 2] == '=');
}

static int read_key(struct config_reader *r, uint32_t i)
{
	const struct file_oauth_key *f = &r->file->oauth->keys[i];
	struct config_oauth_key *k = &r->config->oauth.keys[i];
	uint8_t decoded[KEY_TEXT_MAX];
	char quoted[CONFIG_QUOTE_BYTES];
	uint32_t lifetime_s;
	int n, ret;

	r->config->oauth.n_keys = i + 1; // now, so that a key is wiped whatever fails
	config_at(r, "oauth.keys[%u].kid", i);
	if (!*f->kid || strlen(f->kid) > KID_BYTES_MAX || !config_is_printable(f->kid))
		return config_fail(r, "the id has %zu bytes; use 1 to %d printable ones",
				   strlen(f->kid), KID_BYTES_MAX);
	for (uint32_t j = 0; j < i; j++) {
		if (strcmp(r->config->oauth.keys[j].kid, f->kid) == 0)
			return config_fail(r, "%s is listed twice; remove one",
					   config_quote(f->kid, quoted));
	}
	config_at(r, "oauth.keys[%u].algorithm", i);
	if (!f->algorithm || strcmp(f->algorithm, "A256GCM") == 0)
		k->key_bytes = 32;
	else if (strcmp(f->algorithm, "A128GCM") == 0)
		k->key_bytes = 16;
	else
		return config_fail(r, "%s is none; use A256GCM or A128GCM",
				   config_quote(f->algorithm, quoted));
	config_at(r, "oauth.keys[%u].key", i);
	n = key_decode(f->key, decoded);
	if (n < k->key_bytes)
		return config_fail(r,
				   "not the base64 of at least %u bytes; make one with: "
				   "openssl rand -base64 %u",
				   k->key_bytes, k->key_bytes);
	// A longer one is cut, as coturn does.
	memcpy(k->key, decoded, k->key_bytes);
	OPENSSL_cleanse(decoded, sizeof(decoded));
	k->valid_from_s = f->not_before ? *f->not_before : 0;
	config_at(r, "oauth.keys[%u].lifetime", i);
	ret = config_number(r, f->lifetime, 0, 0, 100 * YEAR_S, &lifetime_s);
	if (ret < 0)
		return ret;
	if (lifetime_s > 0)
		k->valid_until_s = k->valid_from_s + lifetime_s;
	k->kid = strdup(f->kid);
	return k->kid ? 0 : -ENOMEM;
}

static int read_oauth(struct config_reader *r)
{
	const struct file_oauth *f = r->file->oauth;
	struct config_oauth *c = &r->config->oauth;

	if (!f)
		return 0;
	config_at(r, "oauth.server_name");
	if (!*f->server_name || strlen(f->server_name) > CHALLENGE_OAUTH_NAME_MAX ||
	    !config_is_printable(f->server_name))
		return config_fail(r, "the name has %zu bytes; use 1 to %d printable ones",
				   strlen(f->server_name), CHALLENGE_OAUTH_NAME_MAX);
	config_at(r, "oauth.keys");
	if (f->n_keys > OAUTH_KEYS_MAX)
		return config_fail(r, "%u keys; use at most %d", f->n_keys, OAUTH_KEYS_MAX);
	if (f->n_keys == 0 && !r->file->redis)
		return config_fail(r, "no token could be opened; add a key (kid and key), or the "
				      "section 'redis' that has some");
	c->server_name = strdup(f->server_name);
	c->keys = calloc((size_t)f->n_keys + 1, sizeof(*c->keys));
	if (!c->server_name || !c->keys)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_keys; i++) {
		int ret = read_key(r, i);

		if (ret < 0)
			return ret;
	}
	return 0;
}

int config_read_auth(struct config_reader *r)
{
	int ret;

	ret = read_algorithms(r);
	if (ret < 0)
		return ret;
	ret = read_oauth(r);
	if (ret < 0)
		return ret;
	r->config->offers_userhash = r->config->offers_sha256 && r->config->n_users > 0 &&
				     finds_all_by_userhash(r->config);
	return 0;
}
