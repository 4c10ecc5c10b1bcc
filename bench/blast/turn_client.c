// States and messages of many TURN clients. One thread; writes only its own sessions.
#include "bench/blast/turn_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define RETRANSMIT_NS_DEFAULT 250000000ull
#define TRIES_MAX             8
#define CHALLENGES_MAX        3
#define INTEGRITY_BYTES       20
#define RETRANSMIT_SCAN_NS    5000000ull

struct turn_client {
	struct turn_client_options options;
	struct turn_session *sessions;
	uint32_t *active; // sessions with a transaction under way
	uint32_t n_active;
	uint32_t next; // first session that was not begun yet
	uint32_t n_left;
	enum turn_client_goal goal;
	uint64_t n_cycles_begun;
	uint64_t n_cycles_allowed;
	uint32_t serial;
	uint64_t scanned_ns;
	char realm[TURN_CLIENT_REALM_MAX];
	uint16_t realm_bytes;
	uint8_t key[16];
	EVP_MAC *mac;
	EVP_MAC_CTX *mac_ctx;
	bool has_key;
	struct turn_client_stats stats;
};

int turn_client_create(const struct turn_client_options *o, struct turn_client **out)
{
	struct turn_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->options = *o;
	if (c->options.retransmit_ns == 0)
		c->options.retransmit_ns = RETRANSMIT_NS_DEFAULT;
	c->sessions = calloc(o->n_sessions, sizeof(*c->sessions));
	c->active = calloc(o->n_sessions, sizeof(*c->active));
	c->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	c->mac_ctx = c->mac == NULL ? NULL : EVP_MAC_CTX_new(c->mac);
	if (c->sessions == NULL || c->active == NULL || c->mac_ctx == NULL) {
		turn_client_destroy(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void turn_client_destroy(struct turn_client *c)
{
	EVP_MAC_CTX_free(c->mac_ctx);
	EVP_MAC_free(c->mac);
	free(c->sessions);
	free(c->active);
	OPENSSL_cleanse(c->key, sizeof(c->key));
	free(c);
}

struct turn_session *turn_client_session(struct turn_client *c, uint32_t i)
{
	return &c->sessions[i];
}

const struct turn_client_stats *turn_client_stats(const struct turn_client *c)
{
	return &c->stats;
}

void turn_client_stats_clear(struct turn_client *c)
{
	memset(&c->stats, 0, sizeof(c->stats));
}

// RFC 8489 §9.2.2: key = MD5(username ":" realm ":" password).
static void key_derive(struct turn_client *c)
{
	OSSL_PARAM params[2] = {
		OSSL_PARAM_construct_utf8_string("digest", (char *)"SHA1", 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	EVP_DigestInit_ex(md, EVP_md5(), NULL);
	EVP_DigestUpdate(md, c->options.user, strlen(c->options.user));
	EVP_DigestUpdate(md, ":", 1);
	EVP_DigestUpdate(md, c->realm, c->realm_bytes);
	EVP_DigestUpdate(md, ":", 1);
	EVP_DigestUpdate(md, c->options.password, strlen(c->options.password));
	EVP_DigestFinal_ex(md, c->key, NULL);
	EVP_MD_CTX_free(md);
	c->has_key = EVP_MAC_init(c->mac_ctx, c->key, sizeof(c->key), params) == 1;
}

static void hmac(struct turn_client *c, const uint8_t *head, size_t head_bytes, const uint8_t *rest,
		 size_t rest_bytes, uint8_t tag[INTEGRITY_BYTES])
{
	size_t n = 0;

	EVP_MAC_init(c->mac_ctx, NULL, 0, NULL); // the key stays
	EVP_MAC_update(c->mac_ctx, head, head_bytes);
	EVP_MAC_update(c->mac_ctx, rest, rest_bytes);
	EVP_MAC_final(c->mac_ctx, tag, &n, INTEGRITY_BYTES);
}

static uint16_t request_type(const struct turn_session *s)
{
	switch ((enum turn_session_state)s->state) {
	case TURN_SESSION_PERMITTING:
		return TURN_CREATE_PERMISSION_REQUEST;
	case TURN_SESSION_BINDING:
		return TURN_CHANNEL_BIND_REQUEST;
	case TURN_SESSION_DELETING:
		return TURN_REFRESH_REQUEST;
	default:
		return TURN_ALLOCATE_REQUEST;
	}
}

static void request_send(struct turn_client *c, uint32_t i, uint64_t now_ns)
{
	struct turn_session *s = &c->sessions[i];
	uint8_t message[TURN_CLIENT_MESSAGE_MAX];
	uint8_t transaction_id[12] = { 0 };
	uint16_t type = request_type(s);
	struct stun_builder b;
	size_t n;

	memcpy(transaction_id, &i, 4);
	memcpy(transaction_id + 4, &s->serial, 4);
	stun_build_begin(&b, message, sizeof(message), type, transaction_id);
	switch (type) {
	case TURN_ALLOCATE_REQUEST:
		stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT, TURN_TRANSPORT_UDP << 24);
		if (c->options.relay_is_v6)
			stun_build_u32(&b, TURN_ATTR_REQUESTED_ADDRESS_FAMILY,
				       (uint32_t)STUN_FAMILY_IPV6 << 24);
		break;
	case TURN_REFRESH_REQUEST:
		stun_build_u32(&b, TURN_ATTR_LIFETIME, 0);
		break;
	case TURN_CHANNEL_BIND_REQUEST:
		stun_build_u32(&b, TURN_ATTR_CHANNEL_NUMBER, (uint32_t)s->channel << 16);
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &s->peer);
		break;
	default:
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &s->peer);
		break;
	}
	if (s->nonce_bytes > 0 && c->has_key) {
		size_t covered;
		uint8_t *tag;

		stun_build_attr(&b, STUN_ATTR_USERNAME, c->options.user,
				(uint16_t)strlen(c->options.user));
		stun_build_attr(&b, STUN_ATTR_REALM, c->realm, c->realm_bytes);
		stun_build_attr(&b, STUN_ATTR_NONCE, s->nonce, s->nonce_bytes);
		tag = stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY, INTEGRITY_BYTES,
					   &covered);
		if (tag != NULL)
			hmac(c, message, covered, NULL, 0, tag);
	}
	n = stun_build_end(&b);
	s->sent_ns = now_ns;
	c->options.send(c->options.send_arg, i, message, (uint16_t)n);
}

static void transaction_begin(struct turn_client *c, uint32_t i, enum turn_session_state state,
			      uint64_t now_ns)
{
	struct turn_session *s = &c->sessions[i];

	s->state = (uint8_t)state;
	s->serial = ++c->serial;
	s->n_tries = 1;
	c->stats.n_transactions++;
	request_send(c, i, now_ns);
}

static void session_activate(struct turn_client *c, uint32_t i)
{
	c->sessions[i].active_at = c->n_active;
	c->active[c->n_active++] = i;
}

// Nothing more is under way for that session.
static void session_rest(struct turn_client *c, uint32_t i, enum turn_session_state state)
{
	struct turn_session *s = &c->sessions[i];
	uint32_t last = c->active[--c->n_active];

	c->active[s->active_at] = last;
	c->sessions[last].active_at = s->active_at;
	s->state = (uint8_t)state;
	c->n_left--;
	if (state == TURN_SESSION_FAILED) {
		c->stats.n_failed++;
		c->stats.last_error = s->error;
	}
}

// The step behind a successful transaction.
static void session_advance(struct turn_client *c, uint32_t i, uint64_t now_ns)
{
	struct turn_session *s = &c->sessions[i];

	switch ((enum turn_session_state)s->state) {
	case TURN_SESSION_ALLOCATING:
		if (c->goal == TURN_GOAL_ALLOCATED)
			session_rest(c, i, TURN_SESSION_ALLOCATED);
		else
			transaction_begin(c, i, TURN_SESSION_PERMITTING, now_ns);
		break;
	case TURN_SESSION_PERMITTING:
		if (s->channel != 0) {
			transaction_begin(c, i, TURN_SESSION_BINDING, now_ns);
			break;
		}
		// fallthrough
	case TURN_SESSION_BINDING:
		if (c->goal == TURN_GOAL_CYCLE)
			transaction_begin(c, i, TURN_SESSION_DELETING, now_ns);
		else
			session_rest(c, i, TURN_SESSION_LIVE);
		break;
	case TURN_SESSION_DELETING:
		if (c->goal == TURN_GOAL_CYCLE) {
			c->stats.n_cycles++;
			histogram_add(&c->stats.cycle, now_ns - s->cycle_began_ns);
		}
		session_rest(c, i, TURN_SESSION_IDLE);
		break;
	default:
		break;
	}
}

static bool integrity_is_right(struct turn_client *c, const struct stun_view *m)
{
	uint8_t head[STUN_HEADER_BYTES];
	uint8_t tag[INTEGRITY_BYTES];
	struct stun_attr a;

	if (!stun_attr_find(m, STUN_ATTR_MESSAGE_INTEGRITY, &a) ||
	    a.length_bytes != INTEGRITY_BYTES)
		return false;
	memcpy(head, m->msg, sizeof(head));
	bytes_put_be16(head + 2, (uint16_t)(a.offset_bytes + STUN_ATTR_HEADER_BYTES +
					    INTEGRITY_BYTES - STUN_HEADER_BYTES));
	hmac(c, head, sizeof(head), m->msg + STUN_HEADER_BYTES, a.offset_bytes - STUN_HEADER_BYTES,
	     tag);
	return memcmp(tag, a.value, INTEGRITY_BYTES) == 0;
}

// 401 or 438: takes realm and nonce. False when the message has none.
static bool challenge_take(struct turn_client *c, struct turn_session *s, const struct stun_view *m)
{
	struct stun_attr realm;
	struct stun_attr nonce;

	if (!stun_attr_find(m, STUN_ATTR_NONCE, &nonce) ||
	    nonce.length_bytes > TURN_CLIENT_NONCE_MAX ||
	    !stun_attr_find(m, STUN_ATTR_REALM, &realm) ||
	    realm.length_bytes > TURN_CLIENT_REALM_MAX)
		return false;
	memcpy(s->nonce, nonce.value, nonce.length_bytes);
	s->nonce_bytes = (uint8_t)nonce.length_bytes;
	if (!c->has_key || realm.length_bytes != c->realm_bytes ||
	    memcmp(realm.value, c->realm, c->realm_bytes) != 0) {
		memcpy(c->realm, realm.value, realm.length_bytes);
		c->realm_bytes = realm.length_bytes;
		key_derive(c);
	}
	return true;
}

static uint16_t error_code(const struct stun_view *m)
{
	struct stun_attr a;

	if (!stun_attr_find(m, STUN_ATTR_ERROR_CODE, &a) || a.length_bytes < 4)
		return 0;
	return (uint16_t)((a.value[2] & 7) * 100 + a.value[3]);
}

void turn_client_input(struct turn_client *c, const void *message, uint32_t message_bytes,
		       uint64_t now_ns)
{
	struct turn_session *s;
	struct stun_attr a;
	struct stun_view m;
	uint32_t serial;
	uint32_t i;

	if (stun_parse(message, message_bytes, &m) != STUN_OK)
		return;
	memcpy(&i, m.transaction_id, 4);
	memcpy(&serial, m.transaction_id + 4, 4);
	if (i >= c->options.n_sessions)
		return;
	s = &c->sessions[i];
	if (serial != s->serial || s->n_tries == 0)
		return;
	if (m.type == (request_type(s) | STUN_CLASS_SUCCESS)) {
		if (!integrity_is_right(c, &m))
			return;
		if (s->state == TURN_SESSION_ALLOCATING &&
		    (!stun_attr_find(&m, TURN_ATTR_XOR_RELAYED_ADDRESS, &a) ||
		     stun_xor_address_get(&m, &a, &s->relayed) < 0))
			return;
		s->n_tries = 0;
		s->n_challenges = 0;
		session_advance(c, i, now_ns);
	} else if (m.type == (request_type(s) | STUN_CLASS_ERROR)) {
		s->error = error_code(&m);
		s->n_tries = 0;
		if ((s->error == 401 || s->error == 438) && s->n_challenges++ < CHALLENGES_MAX &&
		    challenge_take(c, s, &m))
			transaction_begin(c, i, (enum turn_session_state)s->state, now_ns);
		else if (s->state == TURN_SESSION_DELETING)
			session_rest(c, i, TURN_SESSION_IDLE); // it is gone already
		else
			session_rest(c, i, TURN_SESSION_FAILED);
	}
}

void turn_client_begin(struct turn_client *c, enum turn_client_goal goal)
{
	c->goal = goal;
	c->next = 0;
	c->n_left = c->options.n_sessions;
	c->n_cycles_begun = 0;
	c->n_cycles_allowed = UINT64_MAX;
}

void turn_client_allow_cycles(struct turn_client *c, uint64_t n)
{
	c->n_cycles_allowed = n;
}

// Begins the next session's work toward the goal; false when there was nothing to do for it.
static bool session_begin(struct turn_client *c, uint32_t i, uint64_t now_ns)
{
	struct turn_session *s = &c->sessions[i];
	enum turn_session_state state;

	switch (c->goal) {
	case TURN_GOAL_LIVE:
		if (s->state != TURN_SESSION_ALLOCATED && s->state != TURN_SESSION_LIVE)
			return false;
		state = TURN_SESSION_PERMITTING;
		break;
	case TURN_GOAL_DELETED:
		if (s->state == TURN_SESSION_IDLE || s->nonce_bytes == 0)
			return false;
		state = TURN_SESSION_DELETING;
		break;
	default:
		if (s->state != TURN_SESSION_IDLE)
			return false;
		state = TURN_SESSION_ALLOCATING;
		s->cycle_began_ns = now_ns;
		break;
	}
	session_activate(c, i);
	transaction_begin(c, i, state, now_ns);
	return true;
}

static void retransmit(struct turn_client *c, uint64_t now_ns)
{
	for (uint32_t k = 0; k < c->n_active; k++) {
		uint32_t i = c->active[k];
		struct turn_session *s = &c->sessions[i];

		if (now_ns <
		    s->sent_ns +
			    (c->options.retransmit_ns << (s->n_tries < 4 ? s->n_tries : 4)) / 2)
			continue;
		if (s->n_tries++ >= TRIES_MAX) {
			s->error = 0;
			session_rest(c, i, TURN_SESSION_FAILED);
			k--;
			continue;
		}
		c->stats.n_retransmitted++;
		request_send(c, i, now_ns);
	}
}

uint32_t turn_client_poll(struct turn_client *c, uint64_t now_ns)
{
	if (c->goal == TURN_GOAL_CYCLE) {
		// A session that is done stands at the end of the line again.
		while (c->n_active < c->options.window && c->n_cycles_begun < c->n_cycles_allowed) {
			uint32_t tried = 0;

			while (tried++ < c->options.n_sessions &&
			       c->sessions[c->next].state != TURN_SESSION_IDLE)
				c->next = c->next + 1 == c->options.n_sessions ? 0 : c->next + 1;
			if (!session_begin(c, c->next, now_ns))
				break;
			c->n_cycles_begun++;
		}
	} else {
		while (c->n_active < c->options.window && c->next < c->options.n_sessions) {
			if (!session_begin(c, c->next++, now_ns))
				c->n_left--;
		}
	}
	if (now_ns - c->scanned_ns > RETRANSMIT_SCAN_NS) {
		c->scanned_ns = now_ns;
		retransmit(c, now_ns);
	}
	return c->goal == TURN_GOAL_CYCLE ? c->n_active : c->n_left;
}
