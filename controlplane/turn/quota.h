// Live allocations per user. Control plane's loop thread.
#ifndef TP_TURN_QUOTA_H
#define TP_TURN_QUOTA_H

#include <stddef.h>
#include <stdint.h>

struct turn_user {
	struct turn_user *next;
	uint64_t hash;
	uint32_t n_allocations;
	uint32_t name_bytes;
	char name[];
};

struct turn_quota {
	struct turn_user **bucket;
	uint32_t n_buckets; // a power of two
	uint32_t n_users;
	uint8_t hash_key[16];
};

int turn_quota_init(struct turn_quota *q); // 0 or -errno
void turn_quota_fini(struct turn_quota *q);
// The user of that name; with `create`, a new one without allocations. NULL: none, or no memory.
struct turn_user *turn_quota_user(struct turn_quota *q, const char *name, size_t name_bytes,
				  int create);
// One allocation less; frees the user with the last one.
void turn_quota_release(struct turn_quota *q, struct turn_user *u);
// Frees a user that got no allocation after all.
void turn_quota_drop_unused(struct turn_quota *q, struct turn_user *u);

#endif
