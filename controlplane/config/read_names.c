// Reads what the instance is called and who may use it. Main thread. Secrets are copied once and
// wiped with the configuration; no message ever shows one.
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"
#include "dataplane/contract/shm/allocation_table.h"

#define REALM_BYTES_MAX        127
#define NONCE_SECRET_BYTES_MIN 16
#define REST_SECRET_BYTES_MIN  8

static bool has_control_character(const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return true;
	return false;
}

int config_read_names(struct config_reader *r)
{
	const struct file_config *f = r->file;
	const char *instance = f->instance ? f->instance : "default";
	char quoted[CONFIG_QUOTE_BYTES];

	config_at(r, "instance");
	if (!*instance || strlen(instance) >= sizeof(r->config->instance) ||
	    instance[strspn(instance, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-")])
		return config_fail(r, "%s is no name; use 1 to %zu letters, digits, '-' and '_'",
				   config_quote(instance, quoted), sizeof(r->config->instance) - 1);
	strcpy(r->config->instance, instance);

	config_at(r, "realm");
	if (!*f->realm || strlen(f->realm) > REALM_BYTES_MAX || has_control_character(f->realm))
		return config_fail(r,
				   "the realm has %zu bytes; use 1 to %d printable ones, "
				   "usually the domain name",
				   strlen(f->realm), REALM_BYTES_MAX);
	r->config->realm = strdup(f->realm);
	if (!r->config->realm)
		return -ENOMEM;
	r->config->software_attribute = f->software_attribute ? *f->software_attribute : true;
	r->config->rfc5766_channels = f->rfc5766_channels && *f->rfc5766_channels;
	return 0;
}

static int key_from_hex(const char *text, uint8_t out[16])
{
	if (strlen(text) != 32 || text[strspn(text, "0123456789abcdefABCDEF")])
		return -EINVAL;
	for (int i = 0; i < 16; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return 0;
}

// RFC 8489 §9.2.2: MD5(username ":" realm ":" password).
static int key_from_password(const char *name, const char *realm, const char *password,
			     uint8_t out[16])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ret = -ENOMEM;

	if (md && EVP_DigestInit_ex(md, EVP_md5(), NULL) &&
	    EVP_DigestUpdate(md, name, strlen(name)) && EVP_DigestUpdate(md, ":", 1) &&
	    EVP_DigestUpdate(md, realm, strlen(realm)) && EVP_DigestUpdate(md, ":", 1) &&
	    EVP_DigestUpdate(md, password, strlen(password)) && EVP_DigestFinal_ex(md, out, NULL))
		ret = 0;
	EVP_MD_CTX_free(md);
	return ret;
}

static int read_user(struct config_reader *r, uint32_t i)
{
	const struct file_user *f = &r->file->users[i];
	struct config_user *u = &r->config->users[i];
	int ret;

	r->config->n_users = i + 1; // now, so that a key is wiped whatever fails
	config_at(r, "users[%u].name", i);
	if (!*f->name || strlen(f->name) > SHM_USERNAME_MAX || has_control_character(f->name))
		return config_fail(r, "the name has %zu bytes; use 1 to %d printable ones",
				   strlen(f->name), SHM_USERNAME_MAX);
	config_at(r, "users[%u]", i);
	if (!f->password == !f->key)
		return config_fail(r, "give either 'password' or 'key' (32 hexadecimal digits: "
				      "MD5 of name:realm:password)");
	if (f->key) {
		config_at(r, "users[%u].key", i);
		if (key_from_hex(f->key, u->key) < 0)
			return config_fail(r, "not 32 hexadecimal digits; make it with: "
					      "printf '%%s' 'name:realm:password' | md5sum");
	} else {
		config_at(r, "users[%u].password", i);
		if (!*f->password)
			return config_fail(r, "empty; give the user a password");
		ret = key_from_password(f->name, r->config->realm, f->password, u->key);
		if (ret < 0)
			return ret;
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

static int refuse_same_names(struct config_reader *r)
{
	uint32_t n = r->config->n_users;
	struct named_idx *sorted = calloc(n, sizeof(*sorted));
	char quoted[CONFIG_QUOTE_BYTES];
	int ret = 0;

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = (struct named_idx){ r->config->users[i].name, i };
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (uint32_t i = 1; i < n && ret == 0; i++) {
		if (strcmp(sorted[i - 1].name, sorted[i].name) != 0)
			continue;
		config_at(r, "users[%u].name", sorted[i].idx);
		ret = config_fail(r, "%s is listed twice (also users[%u]); remove one",
				  config_quote(sorted[i].name, quoted), sorted[i - 1].idx);
	}
	free(sorted);
	return ret;
}

static int read_secrets(struct config_reader *r)
{
	const struct file_config *f = r->file;
	struct config *c = r->config;

	if (f->n_rest_secrets > 0) {
		c->rest_secrets = calloc(f->n_rest_secrets, sizeof(*c->rest_secrets));
		if (!c->rest_secrets)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < f->n_rest_secrets; i++) {
		config_at(r, "rest_secrets[%u]", i);
		if (strlen(f->rest_secrets[i]) < REST_SECRET_BYTES_MIN)
			return config_fail(r,
					   "shorter than %d characters; make one with: "
					   "openssl rand -hex 32",
					   REST_SECRET_BYTES_MIN);
		c->rest_secrets[i] = strdup(f->rest_secrets[i]);
		if (!c->rest_secrets[i])
			return -ENOMEM;
		c->n_rest_secrets = i + 1;
	}
	if (!f->nonce_secret)
		return 0;
	config_at(r, "nonce_secret");
	if (strlen(f->nonce_secret) < NONCE_SECRET_BYTES_MIN)
		return config_fail(r,
				   "shorter than %d characters; make one with: "
				   "openssl rand -hex 32, or leave it out for a random one",
				   NONCE_SECRET_BYTES_MIN);
	c->nonce_secret = strdup(f->nonce_secret);
	return c->nonce_secret ? 0 : -ENOMEM;
}

int config_read_credentials(struct config_reader *r)
{
	const struct file_config *f = r->file;
	int ret;

	config_at(r, "users");
	if (f->n_users == 0 && f->n_rest_secrets == 0)
		return config_fail(r, "nobody could allocate; add 'users' (name and password) or "
				      "'rest_secrets'");
	if (f->n_users > 0) {
		r->config->users = calloc(f->n_users, sizeof(*r->config->users));
		if (!r->config->users)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < f->n_users; i++) {
		ret = read_user(r, i);
		if (ret < 0)
			return ret;
	}
	if (f->n_users > 1) {
		ret = refuse_same_names(r);
		if (ret < 0)
			return ret;
	}
	return read_secrets(r);
}
