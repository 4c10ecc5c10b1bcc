// What stands in Redis for whole realms: secrets, limits, rules about peers. Asked for every other
// second, so that a change is in force as soon as coturn's would be. Control plane's loop thread.
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/turn/store/peer_range.h"
#include "controlplane/turn/store/redis_store_private.h"

#define KEY_BYTES_MAX 256

enum question {
	ASK_SECRETS = 0,
	ASK_ALLOWED,
	ASK_DENIED,
	ASK_MAX_BPS,
	ASK_USER_QUOTA,
	ASK_TOTAL_QUOTA,
	ASK_COUNT
};

struct poll {
	struct redis_store *store;
	uint8_t realm_idx;
	uint8_t question;
};

static void secrets_wipe(struct redis_realm *r)
{
	for (uint32_t i = 0; i < r->n_secrets; i++) {
		OPENSSL_cleanse(r->secret[i], strlen(r->secret[i]));
		free(r->secret[i]);
	}
	r->n_secrets = 0;
}

void redis_realm_wipe(struct redis_realm *r)
{
	secrets_wipe(r);
	free(r->rules[0]);
	free(r->rules[1]);
	free(r->name);
}

// ---- secrets

static bool secret_is_good(const redisReply *e)
{
	return e->type == REDIS_REPLY_STRING && e->len > 0 && e->len <= REDIS_SECRET_BYTES_MAX &&
	       memchr(e->str, '\0', (size_t)e->len) == NULL;
}

// Whether the secrets that would be taken from the answer are those that are known. A set keeps its order as long as it is not
// changed.
static bool secrets_are_same(const struct redis_realm *r, const redisReply *set)
{
	uint32_t n = 0;

	for (size_t i = 0; i < set->elements && n < TURN_STORE_SECRETS_MAX; i++) {
		const redisReply *e = set->element[i];

		if (!secret_is_good(e))
			continue;
		if (n == r->n_secrets || strlen(r->secret[n]) != (size_t)e->len ||
		    CRYPTO_memcmp(r->secret[n], e->str, (size_t)e->len) != 0)
			return false;
		n++;
	}
	return n == r->n_secrets;
}

static void secrets_take(struct redis_store *s, struct redis_realm *r, const redisReply *set)
{
	bool was_known = r->secrets_known;

	r->secrets_known = true;
	if (!secrets_are_same(r, set)) {
		secrets_wipe(r);
		for (size_t i = 0; i < set->elements && r->n_secrets < TURN_STORE_SECRETS_MAX;
		     i++) {
			const redisReply *e = set->element[i];

			if (!secret_is_good(e)) {
				s->counter[REDIS_STORE_BAD_VALUE]++;
				continue;
			}
			r->secret[r->n_secrets] = strndup(e->str, (size_t)e->len);
			if (r->secret[r->n_secrets] != NULL)
				r->n_secrets++;
		}
		s->secrets_version++;
	}
	if (!was_known)
		s->events.answered(s->events.arg);
}

// ---- rules about peers

static int by_prefix(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct config_peer_rule));
}

static int rules_add(struct config_peer_rule *rules, uint32_t *n, const char *text, uint8_t action,
		     uint8_t realm_idx)
{
	struct ip_prefix prefix[PEER_RANGE_PREFIXES_MAX];
	uint32_t n_prefixes = 0;

	if (peer_range_parse(text, prefix, &n_prefixes) < 0)
		return -EINVAL;
	if (*n + n_prefixes > SHM_PEER_RULES_MAX)
		return -ENOSPC;
	for (uint32_t i = 0; i < n_prefixes; i++) {
		struct config_peer_rule *r = &rules[(*n)++];

		memset(r, 0, sizeof(*r)); // compared as bytes
		r->prefix.address = prefix[i].address;
		r->prefix.length_bits = prefix[i].length_bits;
		r->action = action;
		r->realm_idx = realm_idx;
	}
	return 0;
}

static void rules_say_overflow(struct redis_store *s, const struct redis_realm *r)
{
	if (!s->rules_overflow)
		log_error("%s: the peer ranges of realm %s need more than the %d rules there are; "
			  "those before stay in force, so join ranges",
			  s->where, r->name, SHM_PEER_RULES_MAX);
	s->rules_overflow = true;
}

// Puts the rules of all realms together. 0, or -ENOSPC or -ENOMEM and nothing has changed.
static int rules_join(struct redis_store *s)
{
	struct config_peer_rule *all;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_realms; i++)
		n += s->realm[i].n_rules[0] + s->realm[i].n_rules[1];
	if (n > SHM_PEER_RULES_MAX)
		return -ENOSPC;
	all = calloc((size_t)n + 1, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	n = 0;
	for (uint32_t i = 0; i < s->n_realms; i++) {
		const struct redis_realm *r = &s->realm[i];

		for (uint32_t j = 0; j < 2; j++) {
			if (r->n_rules[j] > 0)
				memcpy(all + n, r->rules[j], r->n_rules[j] * sizeof(*all));
			n += r->n_rules[j];
		}
	}
	free(s->rules);
	s->rules = all;
	s->n_rules = n;
	return 0;
}

static void rules_take(struct redis_store *s, uint8_t realm_idx, uint32_t which,
		       const redisReply *set)
{
	struct config_peer_rule rules[SHM_PEER_RULES_MAX], *next;
	struct redis_realm *r = &s->realm[realm_idx];
	uint32_t n = 0, n_old = r->n_rules[which];

	for (size_t i = 0; i < set->elements; i++) {
		const redisReply *e = set->element[i];
		int ret = -EINVAL;

		if (e->type == REDIS_REPLY_STRING && strlen(e->str) == (size_t)e->len)
			ret = rules_add(rules, &n, e->str,
					which == 0 ? SHM_PEER_ALLOW : SHM_PEER_DENY, realm_idx);
		if (ret == -ENOSPC) {
			rules_say_overflow(s, r);
			return;
		}
		if (ret < 0) {
			s->counter[REDIS_STORE_BAD_VALUE]++;
			log_warning("%s: realm %s: \"%.60s\" is no address or range of peers",
				    s->where, r->name, e->type == REDIS_REPLY_STRING ? e->str : "");
		}
	}
	qsort(rules, n, sizeof(*rules), by_prefix); // a set has no order
	if (n == n_old && (n == 0 || memcmp(rules, r->rules[which], n * sizeof(*rules)) == 0))
		return;
	next = malloc((n + 1) * sizeof(*next));
	if (next == NULL)
		return;
	memcpy(next, rules, n * sizeof(*next));
	free(r->rules[which]);
	r->rules[which] = next;
	r->n_rules[which] = n;
	s->rules_are_new = true;
}

// ---- limits

static void limit_take(struct redis_store *s, const redisReply *value, bool *has, uint32_t *out)
{
	*has = false;
	if (value->type == REDIS_REPLY_NIL)
		return;
	if (redis_value_number(value->str, (size_t)value->len, out) < 0)
		s->counter[REDIS_STORE_BAD_VALUE]++;
	else
		*has = true;
}

// ---- asking

// All of a round has been answered: what changed takes effect as a whole.
static void round_end(struct redis_store *s)
{
	if (!s->round_failed && s->rules_are_new) {
		s->rules_are_new = false;
		if (rules_join(s) == 0) {
			s->rules_overflow = false;
			s->events.rules_changed(s->events.arg);
		} else if (!s->rules_overflow) {
			rules_say_overflow(s, &s->realm[0]);
		}
	}
}

static void take(struct redis_store *s, const struct poll *p, const redisReply *reply);

static void on_answer(void *arg, const redisReply *reply)
{
	struct poll p = *(struct poll *)arg;
	struct redis_store *s = p.store;

	free(arg);
	s->n_polls--;
	if (reply == NULL)
		s->round_failed = true;
	else
		take(s, &p, reply);
	if (s->n_polls == 0)
		round_end(s);
}

static void take(struct redis_store *s, const struct poll *p, const redisReply *reply)
{
	struct redis_realm *r = &s->realm[p->realm_idx];
	bool wants_set = p->question <= ASK_DENIED;

	if (wants_set ? reply->type != REDIS_REPLY_ARRAY
		      : reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL) {
		// What was known stays.
		s->counter[REDIS_STORE_BAD_VALUE]++;
		s->round_failed = true;
		return;
	}
	switch ((enum question)p->question) {
	case ASK_SECRETS:
		secrets_take(s, r, reply);
		break;
	case ASK_ALLOWED:
		rules_take(s, p->realm_idx, 0, reply);
		break;
	case ASK_DENIED:
		rules_take(s, p->realm_idx, 1, reply);
		break;
	case ASK_MAX_BPS:
		limit_take(s, reply, &r->has_max_bps, &r->limits.max_bps);
		break;
	case ASK_USER_QUOTA:
		limit_take(s, reply, &r->has_quota_per_user, &r->limits.quota_per_user);
		break;
	case ASK_TOTAL_QUOTA:
		limit_take(s, reply, &r->has_quota_total, &r->limits.quota_total);
		break;
	case ASK_COUNT:
		break;
	}
}

static void ask(struct redis_store *s, uint8_t realm_idx, enum question question)
{
	static const char *const names[ASK_COUNT] = { "secret",         "allowed-peer-ip",
						      "denied-peer-ip", "max-bps",
						      "user-quota",     "total-quota" };
	struct poll *p = malloc(sizeof(*p));
	char key[KEY_BYTES_MAX];
	struct redis_word words[2];

	if (p == NULL)
		return;
	*p = (struct poll){ s, realm_idx, (uint8_t)question };
	snprintf(key, sizeof(key), "turn/realm/%s/%s", s->realm[realm_idx].name, names[question]);
	words[0].bytes = question <= ASK_DENIED ? "SMEMBERS" : "GET";
	words[0].n_bytes = strlen(words[0].bytes);
	words[1] = (struct redis_word){ key, strlen(key) };
	if (redis_link_send(s->link, words, 2, on_answer, p) < 0)
		free(p);
	else
		s->n_polls++;
}

void redis_realm_poll(struct redis_store *s)
{
	if (s->n_polls > 0 || !redis_link_is_up(s->link))
		return;
	s->round_failed = false;
	for (uint32_t i = 0; i < s->n_realms; i++) {
		for (int q = 0; q < ASK_COUNT; q++)
			ask(s, (uint8_t)i, (enum question)q);
	}
}
