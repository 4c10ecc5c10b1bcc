// See oauth.h.
#include "controlplane/turn/oauth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull

struct kept_key {
	char *kid;
	size_t kid_bytes;
	struct turn_store_oauth_key key;
};

struct turn_oauth {
	char *server_name; // NULL: off
	struct kept_key *keys;
	uint32_t n_keys;
};

int turn_oauth_new(const struct config *config, struct turn_oauth **out)
{
	const struct config_oauth *c = &config->oauth;
	struct turn_oauth *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	if (c->server_name == NULL) {
		*out = o;
		return 0;
	}
	o->server_name = strdup(c->server_name);
	o->keys = calloc((size_t)c->n_keys + 1, sizeof(*o->keys));
	if (o->server_name == NULL || o->keys == NULL)
		goto fail;
	for (uint32_t i = 0; i < c->n_keys; i++) {
		struct kept_key *k = &o->keys[i];

		k->kid = strdup(c->keys[i].kid);
		if (k->kid == NULL)
			goto fail;
		o->n_keys++;
		k->kid_bytes = strlen(k->kid);
		memcpy(k->key.key, c->keys[i].key, c->keys[i].key_bytes);
		k->key.key_bytes = c->keys[i].key_bytes;
		k->key.tag_bits = (uint16_t)(c->keys[i].key_bytes * 8);
		k->key.valid_from_s = c->keys[i].valid_from_s;
		k->key.valid_until_s = c->keys[i].valid_until_s;
	}
	*out = o;
	return 0;
fail:
	turn_oauth_free(o);
	return -ENOMEM;
}

void turn_oauth_free(struct turn_oauth *o)
{
	if (o == NULL)
		return;
	for (uint32_t i = 0; i < o->n_keys; i++)
		free(o->keys[i].kid);
	if (o->keys != NULL)
		OPENSSL_cleanse(o->keys, o->n_keys * sizeof(*o->keys));
	free(o->keys);
	free(o->server_name);
	free(o);
}

bool turn_oauth_is_enabled(const struct turn_oauth *o)
{
	return o->server_name != NULL;
}

static enum turn_store_result key_find(const struct turn_oauth *o, const struct turn_store *store,
				       uint8_t realm_idx, const char *kid, size_t kid_bytes,
				       struct turn_store_oauth_key *out)
{
	enum turn_store_result found;

	for (uint32_t i = 0; i < o->n_keys; i++) {
		if (o->keys[i].kid_bytes == kid_bytes &&
		    memcmp(o->keys[i].kid, kid, kid_bytes) == 0) {
			*out = o->keys[i].key;
			return TURN_STORE_FOUND;
		}
	}
	found = turn_store_oauth(store, kid, kid_bytes, out);
	if (found == TURN_STORE_FOUND && out->realm_idx != realm_idx)
		return TURN_STORE_ABSENT;
	return found;
}

enum turn_store_result turn_oauth_open(const struct turn_oauth *o, const struct turn_store *store,
				       uint8_t realm_idx, const char *kid, size_t kid_bytes,
				       const uint8_t *token, size_t token_bytes, uint64_t wall_ns,
				       struct turn_oauth_grant *out)
{
	uint64_t now_s = wall_ns / NS_PER_S;
	struct turn_store_oauth_key key = { .key_bytes = 0 };
	struct turn_oauth_token t;
	enum turn_store_result found;
	size_t sealing_bytes;

	if (o->server_name == NULL || token_bytes > TURN_OAUTH_TOKEN_BYTES_MAX)
		return TURN_STORE_ABSENT;
	found = key_find(o, store, realm_idx, kid, kid_bytes, &key);
	if (found != TURN_STORE_FOUND)
		goto out;
	found = TURN_STORE_ABSENT;
	// A longer key is cut to what the algorithm takes, as coturn does.
	sealing_bytes = key.tag_bits == 128 ? 16 : 32;
	if (key.key_bytes < sealing_bytes || now_s < key.valid_from_s ||
	    (key.valid_until_s != 0 && now_s >= key.valid_until_s))
		goto out;
	if (turn_oauth_token_open(key.key, sealing_bytes, o->server_name, token, token_bytes, &t) <
	    0)
		goto out;
	out->expires_at_wall_ns = turn_oauth_token_expiry_ns(&t, wall_ns);
	if (out->expires_at_wall_ns != 0) {
		out->key_bytes = t.mac_key_bytes;
		memcpy(out->key, t.mac_key, sizeof(out->key));
		found = TURN_STORE_FOUND;
	}
	OPENSSL_cleanse(&t, sizeof(t));
out:
	OPENSSL_cleanse(&key, sizeof(key));
	return found;
}
