// Between the store in Redis and what it changes: waiting requests, rules about peers, limits. Control
// plane's loop thread.
#include "controlplane/store_config.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/engine.h"
#include "controlplane/ops/log.h"
#include "controlplane/turn/store/accounting.h"
#include "controlplane/turn/store/redis_store.h"

#define RETRY_US 100000 // waiting requests look again at least so often

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct engine *e = arg;

	turn_server_retry(e->turn, engine_now_ns(), engine_wall_ns());
}

// Once for all answers that one wake-up brings.
static void on_answered(void *arg)
{
	static const struct timeval at_once = { 0 };
	struct engine *e = arg;

	if (e->store_retry != NULL && !event_pending(e->store_retry, EV_TIMEOUT, NULL))
		event_add(e->store_retry, &at_once);
}

static void on_rules(void *arg)
{
	struct engine *e = arg;
	const struct config_peer_rule *rules;
	char error[256];
	uint32_t n;

	rules = redis_store_rules(e->redis, &n);
	if (n == 0 && e->tables.n_shared_rules == 0)
		return;
	if (table_writer_publish_rules(&e->tables, e->config, rules, n, error, sizeof(error)) < 0) {
		log_error("the peer ranges in Redis are not in force: %s", error);
		return;
	}
	turn_server_rules_changed(e->turn);
	log_info("%u rules about peers from Redis are in force", n);
}

static int start(struct engine *e)
{
	const struct redis_store_events events = { e, on_answered, on_rules };
	int ret;

	if (!e->config->redis.is_enabled)
		return 0;
	ret = redis_store_new(e->base, e->config, &events, &e->redis);
	if (ret < 0)
		return ret;
	turn_server_attach_store(e->turn, redis_store_backend(e->redis));
	if (!e->config->redis.publishes_statistics)
		return 0;
	return accounting_new(e->base, e->config, e->turn, &e->accounting);
}

static void stop(struct engine *e)
{
	if (e->redis != NULL)
		turn_server_attach_store(e->turn, NULL);
	accounting_free(e->accounting);
	redis_store_free(e->redis);
	e->accounting = NULL;
	e->redis = NULL;
}

int store_config_start(struct engine *e, char *error, size_t error_bytes)
{
	const struct timeval period = { .tv_usec = RETRY_US };
	int ret;

	e->store_retry = event_new(e->base, -1, 0, on_retry, e);
	e->timer_store_retry = event_new(e->base, -1, EV_PERSIST, on_retry, e);
	ret = e->store_retry == NULL || e->timer_store_retry == NULL ||
			      event_add(e->timer_store_retry, &period) < 0
		      ? -ENOMEM
		      : start(e);
	if (ret < 0)
		snprintf(error, error_bytes, "out of memory for the store of users");
	return ret;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const struct config_redis *a, const struct config_redis *b)
{
	return a->is_enabled == b->is_enabled && same_text(a->path, b->path) &&
	       same_text(a->host, b->host) && a->port == b->port && a->database == b->database &&
	       same_text(a->user, b->user) && same_text(a->password, b->password) &&
	       a->cache_s == b->cache_s && a->publishes_statistics == b->publishes_statistics &&
	       a->statistics_s == b->statistics_s;
}

void store_config_reload(struct engine *e, const struct config *old)
{
	char error[256];

	if (e->base == NULL || is_same(&old->redis, &e->config->redis))
		return;
	stop(e);
	if (start(e) < 0)
		log_error("out of memory for the store of users; those of the file work alone");
	if (!e->config->redis.is_enabled &&
	    table_writer_publish_rules(&e->tables, e->config, NULL, 0, error, sizeof(error)) == 0)
		turn_server_rules_changed(e->turn);
}

void store_config_stop(struct engine *e)
{
	if (e->turn != NULL)
		stop(e);
	if (e->store_retry != NULL)
		event_free(e->store_retry);
	if (e->timer_store_retry != NULL)
		event_free(e->timer_store_retry);
	e->store_retry = e->timer_store_retry = NULL;
}
