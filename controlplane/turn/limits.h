// What the configuration grants an allocation and a user: permissions and channels and how fast peers may be
// new (refused here with 508), bytes per second (written for the workers, who keep to them). Private
// to turn/. Control plane's loop thread; writes the limits in `tables` through table_writer.
#ifndef TP_TURN_LIMITS_H
#define TP_TURN_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct turn_server;
struct turn_user;

// Indices of users' buckets, which workers keep.
struct turn_limits {
	uint32_t *free_user; // stack
	uint32_t n_free_users;
};

int turn_limits_init(struct turn_limits *l, uint32_t n_allocations_max); // 0 or -ENOMEM
void turn_limits_fini(struct turn_limits *l);
// A user gets a bucket with its first allocation, where it has none, and gives it back with the last.
void turn_limits_user_take(struct turn_server *s, struct turn_user *u);
void turn_limits_user_give(struct turn_server *s, struct turn_user *u);

// Gives an allocation what the configuration and its realm say now: its limits in the tables, and the
// flag of all its flows; also before the first of them is made.
void turn_limits_apply(struct turn_server *s, uint32_t idx);

// Whether the allocation may have that many more; counted when it may not.
bool turn_limits_permissions(struct turn_server *s, uint32_t idx, uint32_t n_new, uint64_t now_ns);
bool turn_limits_channel(struct turn_server *s, uint32_t idx);

#endif
