// The first checks of a request (RFC 8489 §9.2.4), and what an allocation keeps of who made it.
// Control plane's loop thread.
#include "controlplane/turn/state.h"
#include "dataplane/contract/wire/challenge.h"

// A stream may still name a realm that a reload has taken away.
static uint8_t realm_of(const struct turn_call *c)
{
	return c->in->realm_idx < c->server->tables->settings.n_realms ? c->in->realm_idx : 0;
}

// The realm is where the key comes from, so another one would not fit anyway.
static bool realm_matches(const struct turn_call *c, uint8_t realm_idx)
{
	const char *name = turn_server_realm(c->server, realm_idx);
	struct stun_attr a;

	return stun_attr_find(&c->msg, STUN_ATTR_REALM, &a) && a.length_bytes == strlen(name) &&
	       memcmp(a.value, name, a.length_bytes) == 0;
}

static bool nonce_is_valid(const struct turn_call *c)
{
	const struct shm_settings *settings = &c->server->tables->settings;
	struct stun_attr nonce;

	return stun_attr_find(&c->msg, STUN_ATTR_NONCE, &nonce) &&
	       challenge_nonce_check(settings->challenge_secret, c->in->wall_ns, &c->in->client,
				     turn_challenge_features(settings), nonce.value,
				     nonce.length_bytes) == CHALLENGE_NONCE_VALID;
}

bool turn_authenticate(struct turn_call *c, size_t *answer_bytes)
{
	struct turn_auth_question q = { .msg = &c->msg, .wall_ns = c->in->wall_ns };
	struct turn_server *s = c->server;
	struct turn_auth_owner owner;

	q.realm_idx = realm_of(c);
	switch (turn_auth_precheck(&c->msg)) {
	case TURN_AUTH_OK:
		break;
	case TURN_AUTH_BAD_REQUEST:
		*answer_bytes = turn_answer_error(c, 400);
		return false;
	default:
		*answer_bytes = turn_answer_challenge(c, 401);
		return false;
	}
	if (!nonce_is_valid(c)) {
		*answer_bytes = turn_answer_challenge(c, 438);
		return false;
	}
	c->allocation_idx = turn_allocation_find(s, c->in);
	turn_mobility_find(c);
	if (c->allocation_idx != 0) {
		const struct shm_allocation *r = turn_record(s, c->allocation_idx);

		owner = (struct turn_auth_owner){ r->username, r->username_bytes, r->integrity,
						  r->key_bytes, r->key };
		q.owner = &owner;
		q.realm_idx = r->realm_idx;
	}
	if (!realm_matches(c, q.realm_idx)) {
		*answer_bytes = turn_answer_challenge(c, 401);
		return false;
	}
	switch (turn_auth_check(s->auth, &q, &c->identity)) {
	case TURN_AUTH_OK:
		return true;
	case TURN_AUTH_BAD_REQUEST:
		*answer_bytes = turn_answer_error(c, 400);
		return false;
	case TURN_AUTH_WAIT:
		turn_waiting_keep(&s->waiting, c->in);
		s->counter[TURN_COUNTER_WAITED]++;
		*answer_bytes = 0;
		return false;
	default:
		*answer_bytes = turn_answer_challenge(c, 401);
		return false;
	}
}

bool turn_is_owner(const struct turn_call *c)
{
	const struct shm_allocation *r = turn_record(c->server, c->allocation_idx);

	// With access tokens the username is the id of the key that sealed the token, and the next token may
	// be sealed with the next key.
	if (c->identity.has_token && r->integrity & TURN_SIGNED_TOKEN)
		return true;
	return r->username_bytes == c->identity.username_bytes &&
	       memcmp(r->username, c->identity.username, r->username_bytes) == 0;
}

void turn_identity_keep(const struct turn_call *c, struct shm_allocation *r)
{
	const struct turn_identity *id = &c->identity;

	r->username_bytes = id->username_bytes;
	memcpy(r->username, id->username, id->username_bytes);
	r->key_bytes = id->key_bytes;
	memcpy(r->key, id->key, id->key_bytes);
	r->integrity = id->signing;
	r->realm_idx = realm_of(c);
}

bool turn_identity_is_sound(const struct shm_allocation *r)
{
	if (r->username_bytes > SHM_USERNAME_MAX || r->integrity & ~TURN_SIGNED_ALL)
		return false;
	if (r->integrity & TURN_SIGNED_TOKEN)
		return r->key_bytes > 0 && r->key_bytes <= TURN_AUTH_KEY_BYTES_MAX;
	return r->key_bytes == turn_password_key_bytes(r->integrity & TURN_SIGNED_KEY_SHA256
							       ? TURN_PASSWORD_SHA256
							       : TURN_PASSWORD_MD5);
}

void turn_identity_count(const struct turn_call *c)
{
	uint64_t *counter = c->server->counter;
	uint8_t signing = c->identity.signing;

	if (signing & TURN_SIGNED_TOKEN)
		counter[TURN_COUNTER_KEY_TOKEN]++;
	else if (signing & TURN_SIGNED_KEY_SHA256)
		counter[TURN_COUNTER_KEY_SHA256]++;
	else
		counter[TURN_COUNTER_KEY_MD5]++;
	counter[signing & TURN_SIGNED_SHA256 ? TURN_COUNTER_INTEGRITY_SHA256
					     : TURN_COUNTER_INTEGRITY_SHA1]++;
}
