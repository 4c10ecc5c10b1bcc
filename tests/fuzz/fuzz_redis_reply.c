// What a Redis server answers: the bytes go through hiredis' parser, which decides what they are, into the store of users, realms
// and token keys. The connection is played here. What is asserted: an answer that is not exactly of the documented form gives no
// key, no secret and no rule; what is given is what a second reading of the answer says; nothing is out of bounds.
#include <ctype.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "controlplane/ops/log.h"
#include "controlplane/turn/store/peer_range.h"
#include "controlplane/turn/store/redis_store_private.h"
#include "tests/fuzz/fuzz.h"

#define N_REALMS     2
#define QUESTIONS    64
#define REPLIES_MAX  16
#define NAME         "gorst"
#define KEY_ID       "north"
#define FIRST_REALM  "r"
#define SECOND_REALM "example.org"

static char realm[] = FIRST_REALM;

// ---- the connection

struct question {
	redis_reply_fn fn;
	void *arg;
	char text[128]; // command and key
};

struct redis_link {
	bool is_up;
	struct question queue[QUESTIONS];
	uint32_t n;
	struct redis_link_stats stats;
	struct redis_link_events events;
};

static struct redis_link the_link;

int redis_link_new(struct event_base *base, const struct config_redis *c,
		   const struct redis_link_events *events, struct redis_link **out)
{
	(void)base;
	(void)c;
	the_link = (struct redis_link){ .is_up = true, .events = *events };
	*out = &the_link;
	return 0;
}

static bool answer(const redisReply *reply)
{
	struct question q;

	if (the_link.n == 0)
		return false;
	q = the_link.queue[0];
	memmove(the_link.queue, the_link.queue + 1, --the_link.n * sizeof(q));
	q.fn(q.arg, reply);
	return true;
}

void redis_link_free(struct redis_link *l)
{
	l->is_up = false;
	while (answer(NULL))
		;
}

bool redis_link_is_up(const struct redis_link *l)
{
	return l->is_up;
}

bool redis_link_is_prompt(const struct redis_link *l)
{
	return l->is_up;
}

uint64_t redis_link_down_ns(const struct redis_link *l)
{
	return l->is_up ? 0 : 1;
}

uint32_t redis_link_n_unanswered(const struct redis_link *l)
{
	return l->n;
}

const struct redis_link_stats *redis_link_stats(const struct redis_link *l)
{
	return &l->stats;
}

int redis_link_send(struct redis_link *l, const struct redis_word *words, int n_words,
		    redis_reply_fn fn, void *arg)
{
	struct question *q = &l->queue[l->n];

	FUZZ_ASSERT(l->n < QUESTIONS && n_words == 2);
	*q = (struct question){ .fn = fn, .arg = arg };
	FUZZ_ASSERT(words[0].n_bytes + words[1].n_bytes + 1 < sizeof(q->text));
	memcpy(q->text, words[0].bytes, words[0].n_bytes);
	q->text[words[0].n_bytes] = ' ';
	memcpy(q->text + words[0].n_bytes + 1, words[1].bytes, words[1].n_bytes);
	l->n++;
	return 0;
}

// ---- a second reading of the answers

static bool is_string(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING;
}

// The text of hexadecimal digits that a key has, 0 bytes for a text that is none.
static size_t hex_read(const redisReply *r, uint8_t out[32])
{
	if (!is_string(r) || (r->len != 32 && r->len != 64))
		return 0;
	for (size_t i = 0; i < (size_t)r->len; i++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *at = r->str[i] == '\0' ? NULL : strchr(digits, r->str[i]);

		if (at == NULL)
			return 0;
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | (at - digits) % 16);
	}
	return (size_t)r->len / 2;
}

// RFC 4648 §4, padding or not; -1 for what is none.
static int base64_read(const redisReply *r, uint8_t out[TURN_STORE_OAUTH_KEY_BYTES])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = (size_t)r->len;
	uint32_t bits = 0;
	int n_bits = 0, n_bytes = 0;

	while (n > 0 && r->str[n - 1] == '=')
		n--;
	if (n % 4 == 1 || ((size_t)r->len != n && r->len % 4 != 0) || (size_t)r->len > n + 2)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *at = r->str[i] == '\0' ? NULL : strchr(digits, r->str[i]);

		if (at == NULL)
			return -1;
		bits = (bits << 6 | (uint32_t)(at - digits)) & 0xffff;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		if (n_bytes == TURN_STORE_OAUTH_KEY_BYTES)
			return -1;
		out[n_bytes++] = (uint8_t)(bits >> n_bits);
	}
	return n_bytes;
}

// The last field of that name that is a text.
static const redisReply *field(const redisReply *fields, const char *name)
{
	const redisReply *found = NULL;

	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		const redisReply *n = fields->element[i];

		if (is_string(n) && (size_t)n->len == strlen(name) &&
		    memcmp(n->str, name, strlen(name)) == 0)
			found = fields->element[i + 1];
	}
	return found;
}

static bool is_zero(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		if (b[i] != 0)
			return false;
	return true;
}

// ---- what the store makes of them

static void check_user(const struct redis_store *s, const redisReply *r)
{
	const struct turn_store_backend *b = redis_store_backend(s);
	enum turn_store_result result;
	uint8_t expected[32] = { 0 };
	struct turn_keys keys;
	size_t n = hex_read(r, expected);

	memset(&keys, 0, sizeof(keys));
	result = b->user(b->arg, 0, NAME, strlen(NAME), &keys);
	FUZZ_ASSERT(result == (n > 0 ? TURN_STORE_FOUND : TURN_STORE_ABSENT));
	FUZZ_ASSERT(keys.has_md5 == (n == 16) && keys.has_sha256 == (n == 32));
	FUZZ_ASSERT(n != 16 || memcmp(keys.md5, expected, 16) == 0);
	FUZZ_ASSERT(n != 32 || memcmp(keys.sha256, expected, 32) == 0);
	if (is_string(r) && redis_value_key(r->str, (size_t)r->len, &keys) < 0)
		FUZZ_ASSERT(is_zero(&keys, sizeof(keys)));
}

static bool has_text(const redisReply *set, const char *text)
{
	for (size_t i = 0; i < set->elements; i++)
		if (is_string(set->element[i]) && (size_t)set->element[i]->len == strlen(text) &&
		    memcmp(set->element[i]->str, text, strlen(text)) == 0)
			return true;
	return false;
}

static void check_oauth(const struct redis_store *s, const redisReply *r)
{
	const struct turn_store_backend *b = redis_store_backend(s);
	struct turn_store_oauth_key key, bare;
	uint8_t expected[TURN_STORE_OAUTH_KEY_BYTES];
	const redisReply *text, *of_realm;
	int n;

	memset(&key, 0, sizeof(key));
	if (b->oauth(b->arg, KEY_ID, strlen(KEY_ID), &key) != TURN_STORE_FOUND) {
		FUZZ_ASSERT(is_zero(&key, sizeof(key)));
		if (r->type == REDIS_REPLY_ARRAY && redis_value_oauth(r, &bare, &of_realm) < 0)
			FUZZ_ASSERT(is_zero(&bare, sizeof(bare)));
		return;
	}
	FUZZ_ASSERT(r->type == REDIS_REPLY_ARRAY);
	text = field(r, "ikm_key");
	FUZZ_ASSERT(text != NULL && is_string(text));
	n = base64_read(text, expected);
	FUZZ_ASSERT(n > 0 && (uint32_t)n == key.key_bytes);
	FUZZ_ASSERT(memcmp(key.key, expected, (size_t)n) == 0);
	FUZZ_ASSERT(is_zero(key.key + n, sizeof(key.key) - (size_t)n));
	FUZZ_ASSERT(key.tag_bits == 128 || key.tag_bits == 256);
	FUZZ_ASSERT(key.realm_idx < N_REALMS);
	FUZZ_ASSERT(key.valid_until_s == 0 || key.valid_until_s > key.valid_from_s);
	FUZZ_ASSERT(key.realm_idx == 0 || has_text(r, SECOND_REALM));
}

static void check_secrets(const struct redis_store *s, uint8_t realm_idx, const redisReply *r)
{
	const struct turn_store_backend *b = redis_store_backend(s);
	struct turn_store_secrets secrets = { .n = 0 };

	if (r->type != REDIS_REPLY_ARRAY)
		return; // what was known stays
	b->secrets(b->arg, realm_idx, &secrets);
	FUZZ_ASSERT(secrets.n <= TURN_STORE_SECRETS_MAX && secrets.n <= r->elements);
	for (uint32_t i = 0; i < secrets.n; i++) {
		FUZZ_ASSERT(secrets.secret[i][0] != '\0');
		FUZZ_ASSERT(strlen(secrets.secret[i]) <= REDIS_SECRET_BYTES_MAX);
		FUZZ_ASSERT(has_text(r, secrets.secret[i]));
	}
}

// Every rule that is in force stands in the answer as a text of its own.
static void check_rules(const struct redis_store *s, uint8_t realm_idx, uint32_t which,
			const redisReply *r)
{
	const struct redis_realm *own = &s->realm[realm_idx];
	struct ip_prefix prefix[PEER_RANGE_PREFIXES_MAX];
	uint32_t n_found = 0;

	if (r->type != REDIS_REPLY_ARRAY)
		return;
	for (size_t i = 0; i < r->elements; i++) {
		const redisReply *e = r->element[i];
		uint32_t n = 0;

		if (!is_string(e) || strlen(e->str) != (size_t)e->len ||
		    peer_range_parse(e->str, prefix, &n) < 0)
			continue;
		n_found += n;
		FUZZ_ASSERT(n >= 1 && n <= PEER_RANGE_PREFIXES_MAX);
		for (uint32_t j = 0; j < n; j++)
			FUZZ_ASSERT(prefix[j].length_bits <= 128);
	}
	// More than fit leave those before in force.
	FUZZ_ASSERT(n_found > SHM_PEER_RULES_MAX || own->n_rules[which] == n_found);
	for (uint32_t i = 0; i < own->n_rules[which]; i++) {
		const struct config_peer_rule *rule = &own->rules[which][i];

		FUZZ_ASSERT(rule->action == (which == 0 ? SHM_PEER_ALLOW : SHM_PEER_DENY));
		FUZZ_ASSERT(rule->realm_idx == realm_idx);
		FUZZ_ASSERT(rule->prefix.length_bits <= 128);
	}
}

static bool number_read(const redisReply *r, uint32_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < (size_t)r->len; i++) {
		if (r->str[i] < '0' || r->str[i] > '9')
			return false;
		v = v > UINT32_MAX ? v : v * 10 + (uint64_t)(r->str[i] - '0');
	}
	*out = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
	return r->len > 0;
}

static void check_limit(const struct redis_store *s, uint8_t realm_idx, const char *name,
			const redisReply *r)
{
	const struct turn_store_backend *b = redis_store_backend(s);
	struct turn_store_limits l = { 7, 7, 7 };
	uint32_t expected = 7, got;

	if (!is_string(r) && r->type != REDIS_REPLY_NIL)
		return;
	b->limits(b->arg, realm_idx, &l);
	got = strcmp(name, "max-bps") == 0      ? l.max_bps
	      : strcmp(name, "user-quota") == 0 ? l.quota_per_user
						: l.quota_total;
	if (!is_string(r) || !number_read(r, &expected))
		expected = 7;
	FUZZ_ASSERT(got == expected);
}

// The answer to the oldest question, and what it led to.
static void give(struct redis_store *s, const redisReply *r)
{
	static const char *const realms[N_REALMS] = { FIRST_REALM, SECOND_REALM };
	char text[128], prefix[64];

	memcpy(text, the_link.queue[0].text, sizeof(text));
	answer(r);
	if (strcmp(text, "GET turn/realm/" FIRST_REALM "/user/" NAME "/key") == 0)
		check_user(s, r);
	else if (strcmp(text, "HGETALL turn/oauth/kid/" KEY_ID) == 0)
		check_oauth(s, r);
	for (uint8_t i = 0; i < N_REALMS; i++) {
		const char *name = strrchr(text, '/') + 1;

		snprintf(prefix, sizeof(prefix), " turn/realm/%s/%s", realms[i], name);
		if (strcmp(strchr(text, ' '), prefix) != 0)
			continue;
		if (strcmp(name, "secret") == 0)
			check_secrets(s, i, r);
		else if (strcmp(name, "allowed-peer-ip") == 0)
			check_rules(s, i, 0, r);
		else if (strcmp(name, "denied-peer-ip") == 0)
			check_rules(s, i, 1, r);
		else
			check_limit(s, i, name, r);
	}
}

static void on_answered(void *arg)
{
	(void)arg;
}

static struct redis_store *start(void)
{
	static struct event_base *base;
	static struct config_realm second;
	static struct config config;
	const struct redis_store_events events = { NULL, on_answered, on_answered };
	struct redis_store *s;

	second.name = (char *)SECOND_REALM;
	config.realm = realm;
	config.realms = &second;
	config.n_realms = N_REALMS - 1;
	config.redis.host = (char *)"redis";
	config.redis.cache_s = 600;
	if (base == NULL) {
		base = event_base_new();
		log_open("fuzz", LOG_LEVEL_ERROR);
	}
	FUZZ_ASSERT(base != NULL && redis_store_new(base, &config, &events, &s) == 0);
	return s;
}

// hiredis allocates an array before its elements are there, up to gigabytes.
static bool has_huge_array(const uint8_t *data, size_t n)
{
	size_t n_digits = 0;

	for (size_t i = 0; i < n; i++) {
		if (data[i] == '*')
			n_digits = 1;
		else if (n_digits > 0 && (isdigit(data[i]) || data[i] == '+' || data[i] == ' '))
			n_digits++;
		else
			n_digits = 0;
		if (n_digits > 5)
			return true;
	}
	return false;
}

// The first byte says what is asked, the rest is what comes back.
static void fuzz_one(const uint8_t *data, size_t n)
{
	const struct turn_store_backend *b;
	struct redis_store *s;
	redisReader *reader;
	struct turn_store_oauth_key key;
	struct turn_keys keys;
	void *reply;

	if (has_huge_array(data, n))
		return;
	reader = redisReaderCreate();
	FUZZ_ASSERT(reader != NULL);
	s = start();
	b = redis_store_backend(s);
	if (n > 0 && data[0] == 'u')
		FUZZ_ASSERT(b->user(b->arg, 0, NAME, strlen(NAME), &keys) == TURN_STORE_WAIT);
	else if (n > 0 && data[0] == 'o')
		FUZZ_ASSERT(b->oauth(b->arg, KEY_ID, strlen(KEY_ID), &key) == TURN_STORE_WAIT);
	else
		redis_realm_poll(s);
	if (n > 1)
		redisReaderFeed(reader, (const char *)data + 1, n - 1);
	for (uint32_t i = 0; i < REPLIES_MAX && the_link.n > 0; i++) {
		if (redisReaderGetReply(reader, &reply) != REDIS_OK || reply == NULL)
			break;
		give(s, reply);
		freeReplyObject(reply);
		// What changed is asked for once more: the second round answers against the first.
		if (the_link.n == 0 && data[0] == 'p')
			redis_realm_poll(s);
	}
	redisReaderFree(reader);
	redis_store_free(s);
}
