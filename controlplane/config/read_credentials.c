// Reads who may allocate: users and REST secrets of each realm, and the secret of nonces. Main
// thread. Secrets are copied once and wiped with the configuration; no message ever shows one.
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"
#include "dataplane/contract/shm/allocation_table.h"

#define NONCE_SECRET_BYTES_MIN 16
#define REST_SECRET_BYTES_MIN  8

static int key_from_hex(const char *text, uint8_t *out, size_t n)
{
	if (strlen(text) != 2 * n || text[strspn(text, "0123456789abcdefABCDEF")])
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return 0;
}

// RFC 8489 §9.2.2, §18.5.1: H(username ":" realm ":" password).
static int key_from_password(const EVP_MD *hash, const char *name, const char *realm,
			     const char *password, uint8_t *out)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ret = -ENOMEM;

	if (md && EVP_DigestInit_ex(md, hash, NULL) && EVP_DigestUpdate(md, name, strlen(name)) &&
	    EVP_DigestUpdate(md, ":", 1) && EVP_DigestUpdate(md, realm, strlen(realm)) &&
	    EVP_DigestUpdate(md, ":", 1) && EVP_DigestUpdate(md, password, strlen(password)) &&
	    EVP_DigestFinal_ex(md, out, NULL))
		ret = 0;
	EVP_MD_CTX_free(md);
	return ret;
}

static int read_user(struct config_reader *r, const char *prefix, uint32_t i,
		     const struct file_user *f, const char *realm, struct config_user *u)
{
	int ret;

	config_at(r, "%susers[%u].name", prefix, i);
	if (!*f->name || strlen(f->name) > SHM_USERNAME_MAX || !config_is_printable(f->name))
		return config_fail(r, "the name has %zu bytes; use 1 to %d printable ones",
				   strlen(f->name), SHM_USERNAME_MAX);
	config_at(r, "%susers[%u]", prefix, i);
	if (f->key_sha256 && !f->key)
		return config_fail(r, "'key_sha256' stands beside 'key'; with 'password' both "
				      "keys are made of that");
	if (!f->password == !f->key)
		return config_fail(r, "give either 'password' or 'key' (32 hexadecimal digits: "
				      "MD5 of name:realm:password)");
	if (f->key) {
		config_at(r, "%susers[%u].key", prefix, i);
		if (key_from_hex(f->key, u->key, sizeof(u->key)) < 0)
			return config_fail(r, "not 32 hexadecimal digits; make it with: "
					      "printf '%%s' 'name:realm:password' | md5sum");
		if (f->key_sha256) {
			config_at(r, "%susers[%u].key_sha256", prefix, i);
			if (key_from_hex(f->key_sha256, u->key_sha256, sizeof(u->key_sha256)) < 0)
				return config_fail(r, "not 64 hexadecimal digits; make it with: "
						      "printf '%%s' 'name:realm:password' | "
						      "sha256sum");
			u->has_sha256 = true;
		}
	} else {
		config_at(r, "%susers[%u].password", prefix, i);
		if (!*f->password)
			return config_fail(r, "empty; give the user a password");
		ret = key_from_password(EVP_md5(), f->name, realm, f->password, u->key);
		if (ret == 0)
			ret = key_from_password(EVP_sha256(), f->name, realm, f->password,
						u->key_sha256);
		if (ret < 0)
			return ret;
		u->has_sha256 = true;
	}
	u->name = strdup(f->name);
	if (!u->name)
		return -ENOMEM;
	return 0;
}

// A name and its place in the file.
struct named_idx {
	const char *name;
	uint32_t idx;
};

static int by_name(const void *a, const void *b)
{
	const struct named_idx *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->idx > y->idx) - (x->idx < y->idx);
}

static int refuse_same_names(struct config_reader *r, const char *prefix,
			     const struct config_realm *realm)
{
	uint32_t n = realm->n_users;
	struct named_idx *sorted = calloc(n, sizeof(*sorted));
	char quoted[CONFIG_QUOTE_BYTES];
	int ret = 0;

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = (struct named_idx){ realm->users[i].name, i };
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (uint32_t i = 1; i < n && ret == 0; i++) {
		if (strcmp(sorted[i - 1].name, sorted[i].name) != 0)
			continue;
		config_at(r, "%susers[%u].name", prefix, sorted[i].idx);
		ret = config_fail(r, "%s is listed twice (also users[%u]); remove one",
				  config_quote(sorted[i].name, quoted), sorted[i - 1].idx);
	}
	free(sorted);
	return ret;
}

static int read_secrets(struct config_reader *r, const char *prefix, char *const *secrets,
			uint32_t n, struct config_realm *out)
{
	if (n == 0)
		return 0;
	out->rest_secrets = calloc(n, sizeof(*out->rest_secrets));
	if (!out->rest_secrets)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		config_at(r, "%srest_secrets[%u]", prefix, i);
		if (strlen(secrets[i]) < REST_SECRET_BYTES_MIN)
			return config_fail(r,
					   "shorter than %d characters; make one with: "
					   "openssl rand -hex 32",
					   REST_SECRET_BYTES_MIN);
		out->rest_secrets[i] = strdup(secrets[i]);
		if (!out->rest_secrets[i])
			return -ENOMEM;
		out->n_rest_secrets = i + 1;
	}
	return 0;
}

int config_realm_credentials(struct config_reader *r, const char *prefix,
			     const struct file_user *users, uint32_t n_users,
			     char *const *rest_secrets, uint32_t n_rest_secrets,
			     struct config_realm *out)
{
	int ret;

	if (n_users > 0) {
		out->users = calloc(n_users, sizeof(*out->users));
		if (!out->users)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < n_users; i++) {
		out->n_users = i + 1; // now, so that a key is wiped whatever fails
		ret = read_user(r, prefix, i, &users[i], out->name, &out->users[i]);
		if (ret < 0)
			return ret;
	}
	if (n_users > 1) {
		ret = refuse_same_names(r, prefix, out);
		if (ret < 0)
			return ret;
	}
	return read_secrets(r, prefix, rest_secrets, n_rest_secrets, out);
}

int config_read_credentials(struct config_reader *r)
{
	const struct file_config *f = r->file;
	struct config *c = r->config;
	struct config_realm realm = { .name = c->realm };
	int ret;

	config_at(r, "users");
	if (f->n_users == 0 && f->n_rest_secrets == 0 && !f->redis)
		return config_fail(r, "nobody could allocate; add 'users' (name and password), "
				      "'rest_secrets' or 'redis'");
	ret = config_realm_credentials(r, "", f->users, f->n_users, f->rest_secrets,
				       f->n_rest_secrets, &realm);
	c->users = realm.users;
	c->n_users = realm.n_users;
	c->rest_secrets = realm.rest_secrets;
	c->n_rest_secrets = realm.n_rest_secrets;
	if (ret < 0 || !f->nonce_secret)
		return ret;
	config_at(r, "nonce_secret");
	if (strlen(f->nonce_secret) < NONCE_SECRET_BYTES_MIN)
		return config_fail(r,
				   "shorter than %d characters; make one with: "
				   "openssl rand -hex 32, or leave it out for a random one",
				   NONCE_SECRET_BYTES_MIN);
	c->nonce_secret = strdup(f->nonce_secret);
	return c->nonce_secret ? 0 : -ENOMEM;
}
