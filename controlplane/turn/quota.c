// A chained hash of users that have allocations. Control plane's loop thread.
#include "controlplane/turn/quota.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/wire/challenge.h"

#define BUCKETS_MIN 1024

int turn_quota_init(struct turn_quota *q)
{
	memset(q, 0, sizeof(*q));
	if (RAND_bytes(q->hash_key, sizeof(q->hash_key)) != 1)
		return -EIO;
	q->bucket = calloc(BUCKETS_MIN, sizeof(*q->bucket));
	if (q->bucket == NULL)
		return -ENOMEM;
	q->n_buckets = BUCKETS_MIN;
	return 0;
}

void turn_quota_fini(struct turn_quota *q)
{
	for (uint32_t i = 0; i < q->n_buckets; i++) {
		while (q->bucket[i] != NULL) {
			struct turn_user *u = q->bucket[i];

			q->bucket[i] = u->next;
			free(u);
		}
	}
	free(q->bucket);
	memset(q, 0, sizeof(*q));
}

// Doubles the buckets. Without memory the chains just get longer.
static void grow(struct turn_quota *q)
{
	struct turn_user **bucket = calloc((size_t)q->n_buckets * 2, sizeof(*bucket));

	if (bucket == NULL)
		return;
	for (uint32_t i = 0; i < q->n_buckets; i++) {
		while (q->bucket[i] != NULL) {
			struct turn_user *u = q->bucket[i];
			struct turn_user **to = &bucket[u->hash & (q->n_buckets * 2 - 1)];

			q->bucket[i] = u->next;
			u->next = *to;
			*to = u;
		}
	}
	free(q->bucket);
	q->bucket = bucket;
	q->n_buckets *= 2;
}

static uint64_t hash_of(const struct turn_quota *q, uint8_t realm_idx, const char *name,
			size_t name_bytes)
{
	uint8_t digest[16];
	uint64_t hash;

	siphash128(q->hash_key, name, name_bytes, digest);
	memcpy(&hash, digest, sizeof(hash));
	return hash ^ realm_idx;
}

struct turn_user *turn_quota_find(const struct turn_quota *q, uint8_t realm_idx, const char *name,
				  size_t name_bytes)
{
	uint64_t hash = hash_of(q, realm_idx, name, name_bytes);
	struct turn_user *u = q->bucket[hash & (q->n_buckets - 1)];

	while (u != NULL && (u->hash != hash || u->realm_idx != realm_idx ||
			     u->name_bytes != name_bytes || memcmp(u->name, name, name_bytes) != 0))
		u = u->next;
	return u;
}

struct turn_user *turn_quota_user(struct turn_quota *q, uint8_t realm_idx, const char *name,
				  size_t name_bytes)
{
	struct turn_user *u = turn_quota_find(q, realm_idx, name, name_bytes);
	uint64_t hash;

	if (u != NULL)
		return u;
	u = malloc(sizeof(*u) + name_bytes);
	if (u == NULL)
		return NULL;
	if (q->n_users >= q->n_buckets)
		grow(q);
	hash = hash_of(q, realm_idx, name, name_bytes);
	u->hash = hash;
	u->realm_idx = realm_idx;
	u->n_allocations = 0;
	u->limit_idx = 0;
	u->name_bytes = (uint32_t)name_bytes;
	memcpy(u->name, name, name_bytes);
	u->next = q->bucket[hash & (q->n_buckets - 1)];
	q->bucket[hash & (q->n_buckets - 1)] = u;
	q->n_users++;
	return u;
}

void turn_quota_drop_unused(struct turn_quota *q, struct turn_user *u)
{
	struct turn_user **link = &q->bucket[u->hash & (q->n_buckets - 1)];

	if (u->n_allocations > 0)
		return;
	while (*link != u)
		link = &(*link)->next;
	*link = u->next;
	q->n_users--;
	free(u);
}

void turn_quota_take(struct turn_quota *q, struct turn_user *u)
{
	u->n_allocations++;
	q->n_in_realm[u->realm_idx % SHM_REALMS_MAX]++;
}

void turn_quota_release(struct turn_quota *q, struct turn_user *u)
{
	u->n_allocations--;
	q->n_in_realm[u->realm_idx % SHM_REALMS_MAX]--;
	turn_quota_drop_unused(q, u);
}
