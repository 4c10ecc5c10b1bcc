// Writes and reads coturn's keys in Redis.
#include "controlplane/ctl/shared_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <hiredis/hiredis.h>

#include "controlplane/config/config.h"
#include "controlplane/ctl/command.h"

#define TIMEOUT_S 5

// NULL after a message.
static redisReply *ask(redisContext *context, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static redisReply *ask(redisContext *context, const char *format, ...)
{
	redisReply *reply;
	va_list args;

	va_start(args, format);
	reply = redisvCommand(context, format, args);
	va_end(args);
	if (!reply) {
		fail(0, "redis: %s", context->errstr);
		return NULL;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		fail(0, "redis: %s", reply->str);
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

static bool asked(redisReply *reply)
{
	if (reply)
		freeReplyObject(reply);
	return reply != NULL;
}

// NULL after a message.
static redisContext *open_store(const struct config_redis *r)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	redisContext *context;
	bool is_good;

	context = r->path ? redisConnectUnixWithTimeout(r->path, timeout)
			  : redisConnectWithTimeout(r->host, r->port, timeout);
	if (!context || context->err) {
		fail(0, "redis %s: %s", r->path ? r->path : r->host,
		     context ? context->errstr : "out of memory");
		if (context)
			redisFree(context);
		return NULL;
	}
	redisSetTimeout(context, timeout);
	is_good = !r->password || asked(r->user ? ask(context, "AUTH %s %s", r->user, r->password)
						: ask(context, "AUTH %s", r->password));
	if (is_good)
		is_good = asked(ask(context, "SELECT %u", r->database));
	if (is_good)
		return context;
	redisFree(context);
	return NULL;
}

int shared_store_key_set(const struct config_redis *r, const char *realm, const char *name,
			 const char *key, bool *was_there)
{
	redisContext *context = open_store(r);
	redisReply *reply = NULL;

	if (!context)
		return -1;
	reply = ask(context, "GETSET turn/realm/%s/user/%s/key %s", realm, name, key);
	if (reply)
		*was_there = reply->type == REDIS_REPLY_STRING;
	redisFree(context);
	return asked(reply) ? 0 : -1;
}

int shared_store_key_delete(const struct config_redis *r, const char *realm, const char *name,
			    bool *was_there)
{
	redisContext *context = open_store(r);
	redisReply *reply = NULL;

	if (!context)
		return -1;
	reply = ask(context, "DEL turn/realm/%s/user/%s/key", realm, name);
	if (reply)
		*was_there = reply->integer > 0;
	redisFree(context);
	return asked(reply) ? 0 : -1;
}

int shared_store_secret(const struct config_redis *r, const char *realm, char **out)
{
	redisContext *context = open_store(r);
	redisReply *reply = NULL;

	*out = NULL;
	if (!context)
		return -1;
	reply = ask(context, "SRANDMEMBER turn/realm/%s/secret", realm);
	if (reply && reply->type == REDIS_REPLY_STRING)
		*out = strdup(reply->str);
	redisFree(context);
	return asked(reply) ? 0 : -1;
}
