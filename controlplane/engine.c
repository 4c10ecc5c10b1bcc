// A control plane's parts put together and taken apart. Control plane's loop thread.
#include "controlplane/engine.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "controlplane/drain.h"
#include "controlplane/filter_config.h"
#include "controlplane/http_config.h"
#include "controlplane/ops/ctl_server.h"
#include "controlplane/ops/log.h"
#include "controlplane/sfu/sfu.h"
#include "controlplane/signaling/signaling.h"
#include "controlplane/store_config.h"
#include "controlplane/stream_config.h"
#include "controlplane/turn/auth.h"
#include "controlplane/turn/stream/listeners.h"

#define HEARTBEAT_US 100000
#define RECLAIM_US   10000
#define EXPIRE_US    250000

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t engine_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t engine_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int engine_run_dir(const char *instance, char *out, size_t out_bytes)
{
	const char *base = getenv("TURNPIKE_RUN_DIR");
	int n;

	n = snprintf(out, out_bytes, "%s/%s", base != NULL ? base : "/run/turnpike", instance);
	return n < 0 || (size_t)n >= out_bytes ? -EINVAL : 0;
}

int engine_state_dir(const char *instance, char *out, size_t out_bytes)
{
	const char *base = getenv("TURNPIKE_STATE_DIR");
	int n;

	n = snprintf(out, out_bytes, "%s/%s", base != NULL ? base : "/var/lib/turnpike", instance);
	return n < 0 || (size_t)n >= out_bytes ? -EINVAL : 0;
}

static void report_sfu(const struct engine *e, int ret, char *error, size_t error_bytes)
{
	if (ret == -EINVAL)
		snprintf(error, error_bytes,
			 "sfu: none of the listeners has an address that a browser can reach; add "
			 "one to listeners or remove the section sfu");
	else
		snprintf(error, error_bytes,
			 "cannot start the SFU: %s; is %s there and writable, and is memory left?",
			 strerror(-ret), e->state_dir);
}

int engine_open(struct engine *e, struct config *config, char *error, size_t error_bytes)
{
	struct turn_next_hops hops;
	int ret;

	memset(e, 0, sizeof(*e));
	e->config = config;
	e->started_at_ns = engine_now_ns();
	e->started_at_wall_ns = engine_wall_ns();
	ret = engine_run_dir(config->instance, e->run_dir, sizeof(e->run_dir));
	if (ret < 0) {
		snprintf(error, error_bytes,
			 "the path of the run directory is too long; shorten TURNPIKE_RUN_DIR");
		goto fail;
	}
	ret = engine_state_dir(config->instance, e->state_dir, sizeof(e->state_dir));
	if (ret < 0) {
		snprintf(error, error_bytes,
			 "the path of the state directory is too long; shorten TURNPIKE_STATE_DIR");
		goto fail;
	}
	ret = table_writer_open(&e->tables, config, error, error_bytes);
	if (ret < 0) {
		memset(&e->tables, 0, sizeof(e->tables));
		goto fail;
	}
	snprintf(error, error_bytes, "out of memory; lower tables: max_allocations and max_flows");
	ret = next_hops_new(config, &e->tables, &e->hops);
	if (ret < 0)
		goto fail;
	hops = next_hops_for_turn(e->hops);
	ret = turn_server_new(config, &e->tables, &hops, e->started_at_ns, &e->turn);
	if (ret < 0)
		goto fail;
	next_hops_attach_turn(e->hops, e->turn);
	if (config->sfu.is_enabled) {
		ret = sfu_new(config, &e->tables, e->state_dir, e->started_at_ns, &e->sfu);
		if (ret < 0) {
			report_sfu(e, ret, error, error_bytes);
			goto fail;
		}
	}
	drain_restore(e);
	error[0] = '\0';
	return 0;
fail:
	engine_close(e);
	return ret;
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct engine *e = arg;

	table_writer_heartbeat(&e->tables, engine_now_ns());
	if (e->has_watchdog)
		sd_notify(0, "WATCHDOG=1");
}

static void on_reclaim(evutil_socket_t fd, short what, void *arg)
{
	struct engine *e = arg;

	turn_server_follow_moves(e->turn);
	table_writer_reclaim(&e->tables, engine_now_ns());
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once = { 0 };
	struct engine *e = arg;

	// Requests have their turn between two batches; not with event_active, which is run before
	// the loop looks at anything else. Without memory the timer comes round.
	if (turn_server_expire(e->turn, engine_now_ns()))
		event_base_once(e->base, -1, EV_TIMEOUT, on_expire, e, &at_once);
}

static void on_sfu(evutil_socket_t fd, short what, void *arg)
{
	struct engine *e = arg;

	sfu_tick(e->sfu, engine_now_ns());
}

static int timer_start(struct engine *e, struct event **out, long period_us, event_callback_fn fn)
{
	const struct timeval period = { .tv_usec = period_us };

	*out = event_new(e->base, -1, EV_PERSIST, fn, e);
	if (*out == NULL || event_add(*out, &period) < 0)
		return -ENOMEM;
	return 0;
}

int engine_start(struct engine *e, struct event_base *base, char *error, size_t error_bytes)
{
	char path[160];
	uint64_t watchdog_us;
	int ret;

	e->base = base;
	ret = next_hops_start(e->hops, base);
	if (ret < 0) {
		snprintf(error, error_bytes,
			 "cannot read routes and neighbours from the kernel: %s; run as root",
			 strerror(-ret));
		return ret;
	}
	filter_config_start(e);
	ret = punt_new(base, &e->tables, e->turn, e->config->instance, &e->punt);
	if (ret < 0) {
		snprintf(error, error_bytes,
			 "cannot open the workers' wake-up FIFO: %s; run as root", strerror(-ret));
		return ret;
	}
	punt_attach_sfu(e->punt, e->sfu);
	ret = turn_streams_new(e->config, base, &e->tables, e->turn, &e->streams);
	if (ret < 0) {
		snprintf(error, error_bytes, "out of memory");
		return ret;
	}
	punt_attach_streams(e->punt, e->streams);
	ret = turn_listeners_new(e->config, e->state_dir, base, e->streams, &e->turn_listeners,
				 error, error_bytes);
	if (ret == 0)
		ret = stream_config_start(e, error, error_bytes);
	if (ret < 0)
		return ret;
	ret = store_config_start(e, error, error_bytes);
	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "%s/ctl.sock", e->run_dir);
	ret = ctl_server_new(e, path, &e->ctl, error, error_bytes);
	if (ret < 0)
		return ret;
	if (e->sfu != NULL) {
		ret = http_config_start(e, error, error_bytes);
		if (ret < 0)
			return ret;
	}
	e->has_watchdog = sd_watchdog_enabled(0, &watchdog_us) > 0;
	ret = timer_start(e, &e->timer_heartbeat, HEARTBEAT_US, on_heartbeat);
	if (ret == 0)
		ret = timer_start(e, &e->timer_reclaim, RECLAIM_US, on_reclaim);
	if (ret == 0)
		ret = timer_start(e, &e->timer_expire, EXPIRE_US, on_expire);
	if (ret == 0 && e->sfu != NULL)
		ret = sfu_start(e->sfu, base);
	if (ret == 0 && e->sfu != NULL)
		ret = timer_start(e, &e->timer_sfu, SFU_TICK_US, on_sfu);
	if (ret < 0)
		snprintf(error, error_bytes, "out of memory");
	return ret;
}

// The part of a configuration that only a restart can change; NULL when the two agree.
static const char *needs_restart(const struct config *a, const struct config *b)
{
	bool is_same;

	if (strcmp(a->realm, b->realm) != 0)
		return "realm";
	is_same = a->n_listeners == b->n_listeners;
	for (uint32_t i = 0; is_same && i < a->n_listeners; i++)
		is_same = ip_endpoint_equal(&a->listeners[i].endpoint, &b->listeners[i].endpoint) &&
			  a->listeners[i].realm_idx == b->listeners[i].realm_idx;
	if (!is_same || !turn_listeners_same(a, b))
		return "listeners";
	is_same = a->n_realms == b->n_realms;
	for (uint32_t i = 0; is_same && i < a->n_realms; i++)
		is_same = strcmp(a->realms[i].name, b->realms[i].name) == 0;
	if (!is_same)
		return "the names of the realms";
	is_same = a->n_relays == b->n_relays && a->relay_port_min == b->relay_port_min &&
		  a->relay_port_max == b->relay_port_max;
	for (uint32_t i = 0; is_same && i < a->n_relays; i++)
		is_same = ip_address_equal(&a->relays[i].address, &b->relays[i].address);
	if (!is_same)
		return "relay";
	is_same = a->n_ports == b->n_ports;
	for (uint32_t i = 0; is_same && i < a->n_ports; i++)
		is_same = memcmp(&a->ports[i].settings, &b->ports[i].settings,
				 sizeof(a->ports[i].settings)) == 0;
	if (!is_same)
		return "ports";
	if (a->n_workers != b->n_workers || a->idle != b->idle ||
	    memcmp(a->worker_cpu, b->worker_cpu, sizeof(a->worker_cpu)) != 0)
		return "workers";
	if (a->memory_mb != b->memory_mb)
		return "memory_mb";
	if (a->max_allocations != b->max_allocations || a->max_flows != b->max_flows)
		return "tables";
	if (a->sfu.is_enabled != b->sfu.is_enabled || a->sfu.max_sessions != b->sfu.max_sessions ||
	    a->sfu.max_tracks != b->sfu.max_tracks ||
	    a->sfu.max_subscriptions != b->sfu.max_subscriptions ||
	    a->sfu.node_id != b->sfu.node_id || a->sfu.retransmit_ms != b->sfu.retransmit_ms)
		return "sfu";
	if (!stream_config_same(a, b))
		return "tls: dtls or tcp_relay";
	if (!http_config_same_listeners(a, b))
		return "http: listen";
	return NULL;
}

int engine_reload(struct engine *e, char *error, size_t error_bytes)
{
	struct config *next, *old = e->config;
	struct turn_auth *auth = NULL;
	SSL_CTX *tls = NULL, *dtls = NULL;
	const char *what;
	char why[256];
	int ret;

	ret = config_load(e->config_path, &next, error, error_bytes);
	if (ret < 0)
		return ret;
	// The name on the command line rules over the file's.
	memcpy(next->instance, old->instance, sizeof(next->instance));
	what = needs_restart(old, next);
	if (what != NULL) {
		snprintf(error, error_bytes,
			 "%s: %s changed, which a reload cannot apply; restart the control plane, "
			 "and the "
			 "dataplane for ports, workers and memory_mb (sessions survive both)",
			 e->config_path, what);
		config_free(next);
		return -EBUSY;
	}
	// All that can fail comes first, and publishing last: a reload applies whole or not at all.
	ret = turn_auth_new(next, &auth);
	if (ret < 0)
		snprintf(error, error_bytes, "out of memory");
	else
		ret = turn_listeners_prepare(next, e->state_dir, &tls, error, error_bytes);
	if (ret == 0)
		ret = stream_config_prepare(e, next, &dtls, error, error_bytes);
	if (ret == 0)
		ret = http_config_reload(e, next, error, error_bytes);
	if (ret == 0) {
		ret = table_writer_publish_settings(&e->tables, next, error, error_bytes);
		if (ret < 0 && http_config_reload(e, old, why, sizeof(why)) < 0)
			log_error("%s", why);
	}
	if (ret < 0) {
		SSL_CTX_free(tls);
		SSL_CTX_free(dtls);
		turn_auth_free(auth);
		config_free(next);
		return ret;
	}
	turn_server_reload(e->turn, next, auth);
	if (e->streams != NULL)
		turn_streams_reload(e->streams, next);
	if (e->turn_listeners != NULL)
		turn_listeners_commit(e->turn_listeners, tls);
	else
		SSL_CTX_free(tls);
	stream_config_commit(e, dtls);
	next_hops_reload(e->hops, next);
	if (e->sfu != NULL)
		sfu_reload(e->sfu, next);
	e->config = next;
	store_config_reload(e, old);
	config_free(old);
	filter_config_apply(e);
	e->reloaded_at_ns = engine_now_ns();
	error[0] = '\0';
	return 0;
}

void engine_close(struct engine *e)
{
	struct event *timers[] = { e->timer_heartbeat, e->timer_reclaim, e->timer_expire,
				   e->timer_sfu };

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		if (timers[i] != NULL)
			event_free(timers[i]);
	}
	ctl_server_free(e->ctl);
	store_config_stop(e);
	signaling_free(e->signaling);
	turn_listeners_free(e->turn_listeners);
	stream_config_stop_dtls(e);
	turn_streams_free(e->streams);
	stream_config_stop_tcp_relay(e);
	punt_free(e->punt);
	filter_config_stop(e);
	sfu_free(e->sfu);
	turn_server_free(e->turn);
	next_hops_free(e->hops);
	if (e->tables.tables != NULL)
		table_writer_close(&e->tables);
	if (e->config != NULL)
		config_free(e->config);
	memset(e, 0, sizeof(*e));
}
