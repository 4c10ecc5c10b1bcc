// status, version, reload: how the two processes are. Control plane's loop thread; reads the worker
// segment, which the dataplane writes.
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/filter.h"
#include "controlplane/ops/ctl_request.h"
#include "controlplane/ops/ctl_verbs.h"
#include "controlplane/ops/log.h"

static uint64_t age_ms(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns < now_ns ? (now_ns - then_ns) / 1000000 : 0;
}

static bool process_exists(uint32_t pid)
{
	return pid > 0 && pid <= INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static const char *dataplane_state_name(const struct shm_dataplane_state *d, bool is_alive)
{
	switch (d->phase) {
	case SHM_DATAPLANE_ABSENT:
		return "absent";
	case SHM_DATAPLANE_STOPPED:
		return "stopped";
	case SHM_DATAPLANE_STARTING:
		return process_exists(d->pid) ? "starting" : "dead";
	case SHM_DATAPLANE_RUNNING:
		if (is_alive)
			return "running";
		return process_exists(d->pid) ? "stuck" : "dead";
	default:
		return "unknown";
	}
}

static json_t *dataplane_object(const struct ctl_call *call)
{
	const struct table_writer *t = &call->engine->tables;
	const struct shm_dataplane_state *d = &t->workers->dataplane;
	bool is_alive = table_writer_dataplane_alive(t, call->now_ns);
	const char *state = dataplane_state_name(d, is_alive);
	bool has_process = process_exists(d->pid) && d->phase != SHM_DATAPLANE_STOPPED &&
			   d->phase != SHM_DATAPLANE_ABSENT;
	uint32_t n_online = 0;

	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		n_online += __atomic_load_n(&t->workers->worker[i].online, __ATOMIC_RELAXED) == 1;
	return json_pack(
		"{s:o, s:s, s:b, s:o, s:o, s:I, s:I, s:b, s:o}", "pid",
		has_process ? json_integer(d->pid) : json_null(), "state", state, "alive", is_alive,
		"uptime_s", has_process ? ctl_seconds(d->started_at_ns, call->now_ns) : json_null(),
		"heartbeat_age_ms",
		d->heartbeat_ns ? ctl_counter(age_ms(d->heartbeat_ns, call->now_ns)) : json_null(),
		"starts", (json_int_t)d->n_starts, "workers_online",
		(json_int_t)(is_alive ? n_online : 0), "hugepages",
		(d->flags & SHM_DATAPLANE_F_HUGEPAGES) != 0, "version",
		ctl_text(d->version, strnlen(d->version, sizeof(d->version))));
}

static json_t *controlplane_object(const struct ctl_call *call)
{
	const struct engine *e = call->engine;
	uint64_t beat_ns = e->tables.tables->header.cp_heartbeat_ns;

	return json_pack(
		"{s:I, s:s, s:o, s:o, s:s, s:o, s:s, s:I}", "pid", (json_int_t)getpid(), "state",
		"running", "uptime_s", ctl_seconds(e->started_at_ns, call->now_ns),
		"heartbeat_age_ms", ctl_counter(age_ms(beat_ns, call->now_ns)), "config",
		e->config_path, "reloaded_s_ago",
		e->reloaded_at_ns ? ctl_seconds(e->reloaded_at_ns, call->now_ns) : json_null(),
		"version", TURNPIKE_VERSION, "log_lines_left_out", (json_int_t)log_n_suppressed());
}

static json_t *allocations_object(const struct engine *e)
{
	const struct turn_adoption *a = turn_server_adoption(e->turn);
	static const char *const origins[] = { "created", "adopted", "recreated" };

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:{s:I, s:I, s:I, s:I, s:I, s:f}}", "live",
			 (json_int_t)turn_server_n_allocations(e->turn), "permissions",
			 (json_int_t)turn_server_n_permissions(e->turn), "channels",
			 (json_int_t)turn_server_n_channels(e->turn), "capacity",
			 (json_int_t)e->tables.n_allocations_max, "quota_total",
			 (json_int_t)e->config->quota_total, "tables",
			 e->tables.origin < TABLE_WRITER_ORIGIN_COUNT ? origins[e->tables.origin]
								      : "unknown",
			 "adopted", "allocations", (json_int_t)a->n_allocations, "permissions",
			 (json_int_t)a->n_permissions, "channels", (json_int_t)a->n_channels,
			 "repaired", (json_int_t)a->n_repaired, "ended", (json_int_t)a->n_ended,
			 "took_ms", (double)a->took_ns / 1e6);
}

static json_t *ports_array(const struct ctl_call *call)
{
	const struct table_writer *t = &call->engine->tables;
	static const char *const paths[SHM_KERNEL_PATH_COUNT] = { "none", "beside", "tap" };
	static const char *const modes[SHM_XDP_COUNT] = { "none", "generic", "native" };
	bool is_alive = table_writer_dataplane_alive(t, call->now_ns);
	json_t *array = json_array();

	for (uint32_t i = 0; i < t->settings.n_ports; i++) {
		const struct shm_port_settings *s = &t->settings.port[i];
		const struct shm_port_state *p = &t->workers->dataplane.port[i];
		bool is_seen = is_alive && i < t->workers->dataplane.n_ports;

		json_array_append_new(
			array,
			json_pack(
				"{s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:I, s:I, s:I, "
				"s:I}",
				"index", (json_int_t)i, "device", s->device, "interface",
				s->interface, "kernel_path",
				s->kernel_path < SHM_KERNEL_PATH_COUNT ? paths[s->kernel_path]
								       : "unknown",
				"driver",
				is_seen ? ctl_text(p->driver, strnlen(p->driver, sizeof(p->driver)))
					: json_null(),
				"mac", is_seen ? ctl_mac(p->mac) : json_null(), "link_up",
				is_seen ? json_boolean(p->link_up) : json_null(), "mtu",
				(json_int_t)(is_seen ? p->mtu_bytes : s->mtu_bytes), "queues",
				(json_int_t)(is_seen ? p->n_queues : s->n_queues), "xdp_mode",
				is_seen && p->xdp_mode < SHM_XDP_COUNT
					? json_string(modes[p->xdp_mode])
					: json_null(),
				"rx_pkts", (json_int_t)p->rx_pkts, "tx_pkts",
				(json_int_t)p->tx_pkts, "rx_missed", (json_int_t)p->rx_missed,
				"rx_nombuf", (json_int_t)p->rx_nombuf));
	}
	return array;
}

static json_t *listeners_array(const struct engine *e)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < e->config->n_listeners; i++)
		json_array_append_new(array, ctl_endpoint(&e->config->listeners[i].endpoint));
	return array;
}

static json_t *relay_object(const struct engine *e)
{
	json_t *addresses = json_array();

	for (uint32_t i = 0; i < e->config->n_relays; i++) {
		int local_idx = table_writer_local_find(&e->tables, &e->config->relays[i].address);

		json_array_append_new(
			addresses,
			json_pack("{s:o, s:I}", "address",
				  ctl_address(&e->config->relays[i].address), "free_ports",
				  (json_int_t)(local_idx >= 0 ? turn_server_free_ports(
									e->turn, (uint8_t)local_idx)
							      : 0)));
	}
	return json_pack("{s:o, s:i, s:i}", "addresses", addresses, "min_port",
			 e->config->relay_port_min, "max_port", e->config->relay_port_max);
}

json_t *ctl_status(struct ctl_call *call)
{
	static const char *const filters[ENGINE_FILTER_STATE_COUNT] = { "unused", "configured",
									"failed" };
	const struct engine *e = call->engine;
	json_t *status = json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:{s:I, s:I}, s:o, s:o, s:o, s:o, s:{s:s, s:o}}",
		"instance", e->config->instance, "realm", e->config->realm, "controlplane",
		controlplane_object(call), "dataplane", dataplane_object(call), "allocations",
		allocations_object(e), "flows", "used", (json_int_t)e->tables.tables->turn.n_used,
		"capacity", (json_int_t)e->tables.n_entries, "listeners", listeners_array(e),
		"streams", ctl_streams_object(e), "relay", relay_object(e), "ports",
		ports_array(call), "filter", "state",
		filters[e->filter_state < ENGINE_FILTER_STATE_COUNT ? e->filter_state : 0], "error",
		e->filter_state == ENGINE_FILTER_FAILED
			? ctl_text(e->filter_error, strlen(e->filter_error))
			: json_null());

	json_object_set_new(status, "draining", json_boolean(turn_server_is_draining(e->turn)));
	return status;
}

json_t *ctl_version(struct ctl_call *call)
{
	const struct shm_dataplane_state *d = &call->engine->tables.workers->dataplane;

	return json_pack("{s:s, s:o, s:i, s:i}", "controlplane", TURNPIKE_VERSION, "dataplane",
			 d->version[0]
				 ? ctl_text(d->version, strnlen(d->version, sizeof(d->version)))
				 : json_null(),
			 "protocol", CTL_PROTOCOL_VERSION, "layout", (int)SHM_LAYOUT_VERSION);
}

json_t *ctl_reload(struct ctl_call *call)
{
	char error[512] = "";

	if (engine_reload(call->engine, error, sizeof(error)) < 0)
		return ctl_refuse(call, "reload_failed",
				  "correct the file; the old configuration stays in force", "%s",
				  error);
	log_info("configuration reloaded from %s", call->engine->config_path);
	return json_pack("{s:b, s:s, s:o}", "reloaded", 1, "config", call->engine->config_path,
			 "needs_restart", *error ? ctl_text(error, strlen(error)) : json_null());
}
