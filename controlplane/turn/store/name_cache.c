// A chained hash of two queues by use: names that exist, and all others. Control plane's loop thread.
#include "controlplane/turn/store/name_cache.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/wire/challenge.h"

#define BUCKETS 32768 // a power of two

struct queue {
	struct name_cache_entry *oldest, *newest;
	uint32_t n;
};

struct name_cache {
	uint8_t hash_key[16];
	uint64_t next_serial;
	struct queue found, rest;
	struct name_cache_entry *bucket[BUCKETS];
};

static struct queue *queue_of(struct name_cache *c, const struct name_cache_entry *e)
{
	return e->state == NAME_CACHE_FOUND ? &c->found : &c->rest;
}

static void queue_add(struct queue *q, struct name_cache_entry *e)
{
	e->newer = NULL;
	e->older = q->newest;
	if (q->newest != NULL)
		q->newest->newer = e;
	else
		q->oldest = e;
	q->newest = e;
	q->n++;
}

static void queue_remove(struct queue *q, struct name_cache_entry *e)
{
	if (e->older != NULL)
		e->older->newer = e->newer;
	else
		q->oldest = e->newer;
	if (e->newer != NULL)
		e->newer->older = e->older;
	else
		q->newest = e->older;
	q->n--;
}

int name_cache_new(struct name_cache **out)
{
	struct name_cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	if (RAND_bytes(c->hash_key, sizeof(c->hash_key)) != 1) {
		free(c);
		return -EIO;
	}
	*out = c;
	return 0;
}

void name_cache_free(struct name_cache *c)
{
	if (c == NULL)
		return;
	while (c->found.oldest != NULL)
		name_cache_remove(c, c->found.oldest);
	while (c->rest.oldest != NULL)
		name_cache_remove(c, c->rest.oldest);
	free(c);
}

static uint64_t hash_of(const struct name_cache *c, uint8_t realm_idx, const char *name,
			size_t name_bytes)
{
	uint8_t hash[16];
	uint64_t v;

	siphash128(c->hash_key, name, name_bytes, hash);
	memcpy(&v, hash, sizeof(v));
	return v ^ realm_idx;
}

struct name_cache_entry *name_cache_find(struct name_cache *c, uint8_t realm_idx, const char *name,
					 size_t name_bytes)
{
	uint64_t hash = hash_of(c, realm_idx, name, name_bytes);
	struct name_cache_entry *e = c->bucket[hash % BUCKETS];

	for (; e != NULL; e = e->next) {
		if (e->hash != hash || e->realm_idx != realm_idx || e->name_bytes != name_bytes ||
		    memcmp(e->name, name, name_bytes) != 0)
			continue;
		queue_remove(queue_of(c, e), e);
		queue_add(queue_of(c, e), e);
		return e;
	}
	return NULL;
}

struct name_cache_entry *name_cache_add(struct name_cache *c, uint8_t realm_idx, const char *name,
					size_t name_bytes)
{
	struct name_cache_entry *e;

	if (c->rest.n >= NAME_CACHE_ABSENT_MAX)
		name_cache_remove(c, c->rest.oldest);
	e = calloc(1, sizeof(*e) + name_bytes);
	if (e == NULL)
		return NULL;
	e->hash = hash_of(c, realm_idx, name, name_bytes);
	e->serial = ++c->next_serial;
	e->realm_idx = realm_idx;
	e->name_bytes = (uint32_t)name_bytes;
	memcpy(e->name, name, name_bytes);
	e->next = c->bucket[e->hash % BUCKETS];
	c->bucket[e->hash % BUCKETS] = e;
	queue_add(&c->rest, e);
	return e;
}

void name_cache_settle(struct name_cache *c, struct name_cache_entry *e,
		       enum name_cache_state state, uint64_t now_ns)
{
	queue_remove(queue_of(c, e), e);
	e->state = (uint8_t)state;
	e->is_asked = false;
	e->said_at_ns = now_ns;
	if (state != NAME_CACHE_FOUND)
		OPENSSL_cleanse(&e->value, sizeof(e->value));
	queue_add(queue_of(c, e), e);
	if (c->found.n > NAME_CACHE_FOUND_MAX)
		name_cache_remove(c, c->found.oldest);
	if (c->rest.n > NAME_CACHE_ABSENT_MAX)
		name_cache_remove(c, c->rest.oldest);
}

void name_cache_remove(struct name_cache *c, struct name_cache_entry *e)
{
	struct name_cache_entry **link = &c->bucket[e->hash % BUCKETS];

	while (*link != e)
		link = &(*link)->next;
	*link = e->next;
	queue_remove(queue_of(c, e), e);
	OPENSSL_cleanse(&e->value, sizeof(e->value));
	free(e);
}

uint32_t name_cache_n(const struct name_cache *c, enum name_cache_state state)
{
	return state == NAME_CACHE_FOUND ? c->found.n : c->rest.n;
}
