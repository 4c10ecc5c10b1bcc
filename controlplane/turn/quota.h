// Live allocations per user. Control plane's loop thread.
#ifndef TP_TURN_QUOTA_H
#define TP_TURN_QUOTA_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/shm/layout.h"

struct turn_user {
	struct turn_user *next;
	uint64_t hash;
	uint32_t n_allocations;
	uint32_t limit_idx; // limits.h, 0 = none
	uint8_t realm_idx;
	uint32_t name_bytes;
	char name[];
};

struct turn_quota {
	struct turn_user **bucket;
	uint32_t n_buckets; // a power of two
	uint32_t n_users;
	uint32_t n_in_realm[SHM_REALMS_MAX]; // allocations
	uint8_t hash_key[16];
};

int turn_quota_init(struct turn_quota *q); // 0 or -errno
void turn_quota_fini(struct turn_quota *q);
// The user of that name in a realm, NULL: none.
struct turn_user *turn_quota_find(const struct turn_quota *q, uint8_t realm_idx, const char *name,
				  size_t name_bytes);
// The same, or a new one without allocations. NULL: no memory.
struct turn_user *turn_quota_user(struct turn_quota *q, uint8_t realm_idx, const char *name,
				  size_t name_bytes);
// One allocation more.
void turn_quota_take(struct turn_quota *q, struct turn_user *u);
// One allocation less; frees the user with the last one.
void turn_quota_release(struct turn_quota *q, struct turn_user *u);
// Frees a user that got no allocation after all.
void turn_quota_drop_unused(struct turn_quota *q, struct turn_user *u);

#endif
