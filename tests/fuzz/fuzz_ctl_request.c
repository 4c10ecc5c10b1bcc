// The operators' protocol: lines of any bytes over a control plane with live sessions. Each gets
// one line of JSON that says yes with a result, or no with a code, a message and a remedy.
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "bpf/filter.h"
#include "controlplane/engine.h"
#include "controlplane/ops/ctl_request.h"
#include "controlplane/ops/ctl_server.h"
#include "controlplane/ops/log.h"
#include "controlplane/turn/state.h"
#include "tests/fuzz/fuzz.h"

#define NS_PER_S        1000000000ull
#define ALLOCATIONS_MAX 3u

static const char instance[] = "fuzz";
static struct config config;
static struct engine engine;

// ---- what needs a kernel or a loop

uint64_t engine_now_ns(void)
{
	return 1000 * NS_PER_S;
}

uint64_t engine_wall_ns(void)
{
	return 1800000000 * NS_PER_S;
}

int engine_reload(struct engine *e, char *error, size_t error_bytes)
{
	snprintf(error, error_bytes, "there is no file");
	return -ENOENT;
}

const struct punt_stats *punt_stats(const struct punt *p)
{
	static const struct punt_stats none;

	return &none;
}

int xdp_filter_query(const char *run_dir, int ifindex, struct xdp_filter_attachment *out)
{
	return -ENODEV;
}

const char *xdp_filter_mode_name(enum xdp_filter_mode mode)
{
	return "none";
}

int xdp_filter_lookup(struct xdp_filter *f, const struct ip_endpoint *local,
		      struct xdp_filter_port *out)
{
	return -ENOENT;
}

int xdp_filter_settings_read(struct xdp_filter *f, struct xdp_filter_settings *out)
{
	return -ENOENT;
}

int xdp_filter_counters_read(struct xdp_filter *f, uint64_t out[XDP_COUNTER_COUNT])
{
	return -ENOENT;
}

const char *xdp_counter_name(uint32_t counter)
{
	return "counter";
}

const char *xdp_counter_text(uint32_t counter)
{
	return "counter";
}

// ---- the control plane

// A dataplane that does its work, as far as the tables tell.
static void dataplane_start(void)
{
	struct shm_segment segment;
	struct shm_workers *w;

	FUZZ_ASSERT(shm_segment_attach(instance, SHM_SEGMENT_WORKERS, true, &segment) ==
		    SHM_ATTACH_READY);
	w = segment.base;
	w->dataplane.pid = (uint32_t)getpid();
	w->dataplane.phase = SHM_DATAPLANE_RUNNING;
	w->dataplane.heartbeat_ns = engine_now_ns();
	w->dataplane.n_workers = 1;
	w->dataplane.n_ports = 1;
	w->worker[0].online = 1;
	w->worker[0].quiescent_gen = UINT64_MAX; // withdrawn entries wait for nobody
	w->worker[0].heartbeat_ns = engine_now_ns();
	shm_segment_detach(&segment);
}

static void start(void)
{
	static struct config_listener listener;
	static struct config_relay relays[2];
	static struct config_user user = { .name = (char *)"lab" };
	static struct config_port port = { .has_gateway_mac = true };
	static char directory[] = "/tmp/turnpike-fuzz-XXXXXX";
	struct turn_next_hops hops;
	char error[320];

	log_open("fuzz", LOG_LEVEL_ERROR);
	FUZZ_ASSERT(mkdtemp(directory) != NULL);
	setenv("TURNPIKE_SHM_DIR", directory, 1);
	FUZZ_ASSERT(ip_endpoint_parse("198.51.100.1:3478", &listener.endpoint) == 0);
	FUZZ_ASSERT(ip_address_parse("198.51.100.1", &relays[0].address) == 0);
	FUZZ_ASSERT(ip_address_parse("2001:4860::1", &relays[1].address) == 0);
	memcpy(port.settings.device, "net_null0", 10);
	port.settings.n_queues = 1;
	port.settings.mtu_bytes = 1500;
	memcpy(config.instance, instance, sizeof(instance));
	config.realm = (char *)"r";
	config.listeners = &listener;
	config.n_listeners = 1;
	config.relays = relays;
	config.n_relays = 2;
	config.relay_port_min = 50000;
	config.relay_port_max = 50099;
	config.users = &user;
	config.n_users = 1;
	config.lifetime_max_s = 3600;
	config.ports = &port;
	config.n_ports = 1;
	config.n_workers = 1;
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		config.worker_cpu[i] = UINT32_MAX;
	config.memory_mb = 64;
	config.max_allocations = ALLOCATIONS_MAX;
	config.max_flows = 8;
	engine.config = &config;
	FUZZ_ASSERT(table_writer_open(&engine.tables, &config, error, sizeof(error)) == 0);
	FUZZ_ASSERT(next_hops_new(&config, &engine.tables, &engine.hops) == 0);
	hops = next_hops_for_turn(engine.hops);
	FUZZ_ASSERT(turn_server_new(&config, &engine.tables, &hops, engine_now_ns(),
				    &engine.turn) == 0);
	// Ids that the corpus can name.
	engine.turn->node_id = 0;
	dataplane_start();
	shm_instance_remove(instance);
	rmdir(directory);
}

// One allocation with a permission and a channel, from 203.0.113.5:40000 and the ports behind.
static void allocate(uint16_t i)
{
	struct ip_endpoint peer = { .port_be = __builtin_bswap16(9) };
	struct turn_allocate_params params = { .lifetime_s = 600, .relay_port = 50000 + i };
	struct turn_request in = { .local_port_be = __builtin_bswap16(3478),
				   .now_ns = engine_now_ns() };
	struct turn_call call = { .server = engine.turn, .in = &in };
	static uint8_t transaction_id[12];
	uint32_t idx, permission;

	in.client.address = ip_address_from_v4((const uint8_t[]){ 203, 0, 113, 5 });
	in.client.port_be = __builtin_bswap16((uint16_t)(40000 + i));
	peer.address = ip_address_from_v4((const uint8_t[]){ 9, 9, 9, 9 });
	call.msg.transaction_id = transaction_id;
	call.identity.username = "lab";
	call.identity.username_bytes = 3;
	FUZZ_ASSERT(turn_ports_take_one(engine.turn->ports[0], params.relay_port));
	FUZZ_ASSERT(turn_allocation_create(&call, &params, &idx) == 0);
	FUZZ_ASSERT(turn_permission_create(engine.turn, idx, &peer.address, false, in.now_ns,
					   &permission) == 0);
	FUZZ_ASSERT(turn_channel_create(engine.turn, idx, __builtin_bswap16(0x4000), &peer, false,
					permission, in.now_ns) == 0);
}

static void check_answer(const char *answer)
{
	json_t *a = json_loads(answer, JSON_REJECT_DUPLICATES, NULL);
	const json_t *error = json_object_get(a, "error");

	FUZZ_ASSERT(strchr(answer, '\n') == NULL);
	FUZZ_ASSERT(json_integer_value(json_object_get(a, "version")) == CTL_PROTOCOL_VERSION);
	if (json_is_true(json_object_get(a, "ok"))) {
		FUZZ_ASSERT(json_is_object(json_object_get(a, "result")) && error == NULL);
	} else {
		FUZZ_ASSERT(json_is_false(json_object_get(a, "ok")));
		FUZZ_ASSERT(json_string_length(json_object_get(error, "code")) > 0);
		FUZZ_ASSERT(json_string_length(json_object_get(error, "message")) > 0);
		FUZZ_ASSERT(json_string_length(json_object_get(error, "remedy")) > 0);
	}
	json_decref(a);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	char *answer;

	if (engine.turn == NULL)
		start();
	for (uint16_t i = 0; turn_server_n_allocations(engine.turn) < 2; i++) {
		if (!(engine.turn->ports[0]->taken[50000 / 64] >> ((50000 + i) % 64) & 1))
			allocate(i);
	}
	answer = ctl_request_handle(&engine, (const char *)data, n);
	FUZZ_ASSERT(answer != NULL);
	check_answer(answer);
	free(answer);
	table_writer_reclaim(&engine.tables, engine_now_ns());
}
