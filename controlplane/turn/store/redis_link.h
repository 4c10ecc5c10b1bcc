// One connection to Redis that comes back by itself: resolved, connected, authenticated and asked
// without ever holding up the loop. Control plane's loop thread.
#ifndef TP_TURN_REDIS_LINK_H
#define TP_TURN_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/config.h"

struct event_base;
struct redisReply;
struct redis_link;

#define REDIS_LINK_COMMANDS_MAX 4096 // unanswered; more are refused

// `reply` is NULL when the connection was lost before it came.
typedef void (*redis_reply_fn)(void *arg, const struct redisReply *reply);

struct redis_link_events {
	void *arg;
	void (*up)(void *arg);
	void (*down)(void *arg, const char *why);
};

struct redis_link_stats {
	uint64_t n_connects;
	uint64_t n_losses; // connections that were up, and attempts that failed
	uint64_t n_commands;
	uint64_t n_refused_full; // commands, see REDIS_LINK_COMMANDS_MAX
};

// Copies what it needs of c. The first attempt is made at once. 0 or -errno.
int redis_link_new(struct event_base *base, const struct config_redis *c,
		   const struct redis_link_events *events, struct redis_link **out);
void redis_link_free(struct redis_link *l); // unanswered commands get NULL

bool redis_link_is_up(const struct redis_link *l);
// Up, and nothing has waited for its answer for long.
bool redis_link_is_prompt(const struct redis_link *l);
// For ns: since when it is down and was not up; 0 while it is up.
uint64_t redis_link_down_ns(const struct redis_link *l);
uint32_t redis_link_n_unanswered(const struct redis_link *l);
const struct redis_link_stats *redis_link_stats(const struct redis_link *l);

struct redis_word {
	const char *bytes;
	size_t n_bytes;
};

// Sends a command of that many words. 0 and fn is called once; -ENOTCONN, -EAGAIN (full) or -ENOMEM
// and it is not. fn may be NULL.
int redis_link_send(struct redis_link *l, const struct redis_word *words, int n_words,
		    redis_reply_fn fn, void *arg);

#endif
