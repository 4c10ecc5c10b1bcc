// The users of the configuration file, and in front of a shared store. Control plane's loop thread.
#include "controlplane/turn/store/store.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/wire/challenge.h"

struct static_user {
	char *name;
	uint32_t name_bytes;
	uint32_t next_by_name; // index + 1
	uint32_t next_by_hash;
	struct turn_keys keys;
	uint8_t userhash[32];
};

struct realm {
	char *name;
	struct static_user *users;
	uint32_t n_users;
	uint32_t *by_name; // heads of chains, index + 1
	uint32_t *by_hash;
	uint32_t bucket_mask;
	char **secrets;
	uint32_t n_secrets;
	struct turn_store_limits limits;
};

struct turn_store {
	struct realm realm[SHM_REALMS_MAX];
	uint32_t n_realms;
	uint8_t hash_key[16];
	const struct turn_store_backend *backend;
};

static uint32_t name_bucket(const struct turn_store *s, const struct realm *r, const char *name,
			    size_t name_bytes)
{
	uint8_t hash[16];
	uint32_t v;

	siphash128(s->hash_key, name, name_bytes, hash);
	memcpy(&v, hash, sizeof(v));
	return v & r->bucket_mask;
}

static uint32_t hash_bucket(const struct realm *r, const uint8_t userhash[32])
{
	uint32_t v;

	memcpy(&v, userhash, sizeof(v));
	return v & r->bucket_mask;
}

static int users_copy(const struct turn_store *s, struct realm *r, const struct config_user *users,
		      uint32_t n)
{
	uint32_t n_buckets = 16;
	int ret;

	while (n_buckets < n * 2 && n_buckets < 1u << 30)
		n_buckets *= 2;
	r->users = calloc((size_t)n + 1, sizeof(*r->users));
	r->by_name = calloc(n_buckets, sizeof(*r->by_name));
	r->by_hash = calloc(n_buckets, sizeof(*r->by_hash));
	if (r->users == NULL || r->by_name == NULL || r->by_hash == NULL)
		return -ENOMEM;
	r->bucket_mask = n_buckets - 1;
	for (uint32_t i = 0; i < n; i++) {
		struct static_user *u = &r->users[i];
		uint32_t *head;

		u->name = strdup(users[i].name);
		if (u->name == NULL)
			return -ENOMEM;
		r->n_users++;
		u->name_bytes = (uint32_t)strlen(u->name);
		memcpy(u->keys.md5, users[i].key, sizeof(u->keys.md5));
		memcpy(u->keys.sha256, users[i].key_sha256, sizeof(u->keys.sha256));
		u->keys.has_md5 = true;
		u->keys.has_sha256 = users[i].has_sha256;
		ret = turn_userhash(u->name, u->name_bytes, r->name, u->userhash);
		if (ret < 0)
			return ret;
		head = &r->by_name[name_bucket(s, r, u->name, u->name_bytes)];
		u->next_by_name = *head;
		*head = i + 1;
		head = &r->by_hash[hash_bucket(r, u->userhash)];
		u->next_by_hash = *head;
		*head = i + 1;
	}
	return 0;
}

static int realm_copy(struct turn_store *s, const char *name, const struct config_user *users,
		      uint32_t n_users, char *const *secrets, uint32_t n_secrets)
{
	struct realm *r = &s->realm[s->n_realms++];

	r->name = strdup(name);
	r->secrets = calloc((size_t)n_secrets + 1, sizeof(*r->secrets));
	if (r->name == NULL || r->secrets == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_secrets; i++) {
		r->secrets[i] = strdup(secrets[i]);
		if (r->secrets[i] == NULL)
			return -ENOMEM;
		r->n_secrets++;
	}
	return users_copy(s, r, users, n_users);
}

int turn_store_new(const struct config *config, struct turn_store **out)
{
	struct turn_store *s = calloc(1, sizeof(*s));
	int ret;

	if (s == NULL)
		return -ENOMEM;
	ret = RAND_bytes(s->hash_key, sizeof(s->hash_key)) == 1 ? 0 : -EIO;
	if (ret == 0)
		ret = realm_copy(s, config->realm, config->users, config->n_users,
				 config->rest_secrets, config->n_rest_secrets);
	s->realm[0].limits.quota_per_user = config->quota_per_user;
	for (uint32_t i = 0; ret == 0 && i < config->n_realms && s->n_realms < SHM_REALMS_MAX;
	     i++) {
		const struct config_realm *c = &config->realms[i];

		ret = realm_copy(s, c->name, c->users, c->n_users, c->rest_secrets,
				 c->n_rest_secrets);
		s->realm[i + 1].limits.quota_per_user = c->quota_per_user;
		s->realm[i + 1].limits.quota_total = c->quota_total;
	}
	if (ret < 0) {
		turn_store_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

void turn_store_free(struct turn_store *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n_realms; i++) {
		struct realm *r = &s->realm[i];

		for (uint32_t j = 0; j < r->n_users; j++)
			free(r->users[j].name);
		if (r->users != NULL)
			OPENSSL_cleanse(r->users, (r->n_users + 1) * sizeof(*r->users));
		for (uint32_t j = 0; j < r->n_secrets; j++) {
			OPENSSL_cleanse(r->secrets[j], strlen(r->secrets[j]));
			free(r->secrets[j]);
		}
		free(r->users);
		free(r->by_name);
		free(r->by_hash);
		free(r->secrets);
		free(r->name);
	}
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

void turn_store_attach(struct turn_store *s, const struct turn_store_backend *backend)
{
	s->backend = backend;
}

uint32_t turn_store_n_realms(const struct turn_store *s)
{
	return s->n_realms;
}

// Records of a predecessor may name a realm that is not configured any more.
static const struct realm *realm_at(const struct turn_store *s, uint8_t realm_idx)
{
	return &s->realm[realm_idx < s->n_realms ? realm_idx : 0];
}

const char *turn_store_realm(const struct turn_store *s, uint8_t realm_idx)
{
	return realm_at(s, realm_idx)->name;
}

bool turn_store_has_rest(const struct turn_store *s)
{
	if (s->backend != NULL)
		return true;
	for (uint32_t i = 0; i < s->n_realms; i++) {
		if (s->realm[i].n_secrets > 0)
			return true;
	}
	return false;
}

enum turn_store_result turn_store_user(const struct turn_store *s, uint8_t realm_idx,
				       const char *name, size_t name_bytes, struct turn_keys *out)
{
	const struct realm *r = realm_at(s, realm_idx);
	uint32_t i = r->by_name[name_bucket(s, r, name, name_bytes)];

	for (; i != 0; i = r->users[i - 1].next_by_name) {
		const struct static_user *u = &r->users[i - 1];

		if (u->name_bytes != name_bytes || memcmp(u->name, name, name_bytes) != 0)
			continue;
		*out = u->keys;
		return TURN_STORE_FOUND;
	}
	if (s->backend == NULL || name_bytes == 0)
		return TURN_STORE_ABSENT;
	return s->backend->user(s->backend->arg, realm_idx, name, name_bytes, out);
}

const char *turn_store_name_of_hash(const struct turn_store *s, uint8_t realm_idx,
				    const uint8_t userhash[32])
{
	const struct realm *r = realm_at(s, realm_idx);
	uint32_t i = r->by_hash[hash_bucket(r, userhash)];

	for (; i != 0; i = r->users[i - 1].next_by_hash) {
		if (memcmp(r->users[i - 1].userhash, userhash, 32) == 0)
			return r->users[i - 1].name;
	}
	return NULL;
}

enum turn_store_result turn_store_secrets(const struct turn_store *s, uint8_t realm_idx,
					  struct turn_store_secrets *out)
{
	const struct realm *r = realm_at(s, realm_idx);
	enum turn_store_result shared = TURN_STORE_ABSENT;

	out->n = 0;
	out->version = 0;
	for (uint32_t i = 0; i < r->n_secrets && out->n < TURN_STORE_SECRETS_MAX; i++)
		out->secret[out->n++] = r->secrets[i];
	if (s->backend != NULL)
		shared = s->backend->secrets(s->backend->arg, realm_idx, out);
	if (out->n > 0)
		return TURN_STORE_FOUND;
	return shared == TURN_STORE_WAIT ? TURN_STORE_WAIT : TURN_STORE_ABSENT;
}

enum turn_store_result turn_store_oauth(const struct turn_store *s, const char *kid,
					size_t kid_bytes, struct turn_store_oauth_key *out)
{
	if (s->backend == NULL || kid_bytes == 0 || kid_bytes > TURN_STORE_KID_BYTES_MAX)
		return TURN_STORE_ABSENT;
	return s->backend->oauth(s->backend->arg, kid, kid_bytes, out);
}

void turn_store_limits(const struct turn_store *s, uint8_t realm_idx, struct turn_store_limits *out)
{
	*out = realm_at(s, realm_idx)->limits;
	if (s->backend != NULL)
		s->backend->limits(s->backend->arg, realm_idx, out);
}

void turn_store_each(const struct turn_store *s, uint8_t realm_idx,
		     bool (*fn)(void *arg, const char *name, const struct turn_keys *user),
		     void *arg)
{
	const struct realm *r = realm_at(s, realm_idx);

	for (uint32_t i = 0; i < r->n_users; i++) {
		if (!fn(arg, r->users[i].name, &r->users[i].keys))
			return;
	}
}
