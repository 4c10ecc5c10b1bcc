// The control plane by itself: full authenticated cycles (Allocate, CreatePermission, ChannelBind, Refresh 0) of many
// clients through its real rings, with this program standing where worker 0 of the dataplane would: it writes the punt ring, reads
// the inject ring and passes grace periods. No dataplane of the instance may run. One thread.
//
//   ring_cycles --instance NAME --user NAME --password WORD [--clients N] [--window N] [--rate N] [--seconds S] [--json FILE]
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/blast/flow_plan.h"
#include "bench/blast/turn_client.h"
#include "bench/blast/waited.h"
#include "dataplane/contract/shm/grace.h"
#include "dataplane/contract/shm/segment.h"

#define NS_PER_SEC    1000000000ull
#define HEARTBEAT_NS  50000000ull
#define SETTLE_NS_MAX (30 * NS_PER_SEC)
#define ANSWERS_MAX   64 // taken per turn

struct ring_cycles {
	struct flow_plan plan;
	struct turn_client *client;
	struct shm_segment tables_segment;
	struct shm_segment workers_segment;
	struct shm_segment rings_segment;
	const struct shm_tables *tables;
	struct shm_workers *workers;
	struct shm_ring *punt;
	struct shm_ring *inject;
	int wake_fd;
	uint8_t listener_idx;
	uint64_t heartbeat_ns;
	uint64_t n_full;     // requests that found the punt ring full
	double waited_share; // kept from the CPU by others
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

// As the worker does: a full ring refuses, and the retransmission covers it.
static void message_send(void *arg, uint32_t i, const void *message, uint16_t message_bytes)
{
	struct ring_cycles *r = arg;
	struct shm_datagram *d = shm_ring_reserve(r->punt);
	struct flow_addresses a;

	if (d == NULL) {
		r->n_full++;
		return;
	}
	flow_plan_addresses(&r->plan, i, &a);
	*d = (struct shm_datagram){
		.remote_port_be = a.client.port_be,
		.local_port_be = a.listener.port_be,
		.local_idx = r->listener_idx,
		.kind = SHM_DATAGRAM_STUN,
		.l2_word = shm_neighbour_word(flow_plan_outside_mac, 0, 0),
		.at_ns = now_ns(),
		.length_bytes = message_bytes,
	};
	memcpy(d->remote_address, a.client.address.bytes, 16);
	memcpy(d->data, message, message_bytes);
	shm_ring_commit(r->punt);
	if (shm_ring_needs_wake(r->punt) && write(r->wake_fd, "", 1) < 0)
		return; // a full FIFO: a wake-up is under way
}

static uint32_t answers_take(struct ring_cycles *r)
{
	uint32_t n = 0;

	for (; n < ANSWERS_MAX; n++) {
		uint16_t length_bytes;
		const struct shm_datagram *d = shm_ring_peek(r->inject, &length_bytes);

		if (d == NULL)
			break;
		turn_client_input(r->client, d->data, length_bytes, now_ns());
		shm_ring_release(r->inject);
	}
	return n;
}

static uint32_t step(struct ring_cycles *r)
{
	uint64_t now = now_ns();

	if (now - r->heartbeat_ns > HEARTBEAT_NS) {
		r->heartbeat_ns = now;
		__atomic_store_n(&r->workers->dataplane.heartbeat_ns, now, __ATOMIC_RELEASE);
		__atomic_store_n(&r->workers->worker[0].heartbeat_ns, now, __ATOMIC_RELEASE);
	}
	shm_grace_quiesce(&r->workers->worker[0], r->tables);
	answers_take(r);
	return turn_client_poll(r->client, now);
}

static int attach(struct ring_cycles *r, const char *instance)
{
	const struct shm_settings *settings;
	struct flow_addresses a;
	enum shm_attach_state state;

	state = shm_segment_attach(instance, SHM_SEGMENT_TABLES, false, &r->tables_segment);
	if (state == SHM_ATTACH_READY)
		state = shm_segment_attach(instance, SHM_SEGMENT_WORKERS, true,
					   &r->workers_segment);
	if (state == SHM_ATTACH_READY)
		state = shm_segment_attach(instance, SHM_SEGMENT_RINGS, true, &r->rings_segment);
	if (state != SHM_ATTACH_READY) {
		fprintf(stderr, "ring_cycles: %s\n", shm_attach_state_text(state));
		return -ENOENT;
	}
	r->tables = r->tables_segment.base;
	r->workers = r->workers_segment.base;
	r->punt = (struct shm_ring *)((uint8_t *)r->rings_segment.base +
				      shm_rings_offset(0, SHM_RING_PUNT));
	r->inject = (struct shm_ring *)((uint8_t *)r->rings_segment.base +
					shm_rings_offset(0, SHM_RING_INJECT));
	r->wake_fd = shm_wake_open(instance);
	settings = &r->tables->settings[r->tables->active_settings & 1];
	flow_plan_addresses(&r->plan, 0, &a);
	for (uint8_t i = 0; i < settings->n_locals && i < SHM_LOCALS_MAX; i++) {
		if (memcmp(settings->local[i].address, a.listener.address.bytes, 16) == 0)
			r->listener_idx = i;
	}
	if (r->wake_fd < 0)
		return r->wake_fd;
	r->workers->dataplane.pid = (uint32_t)getpid();
	r->workers->dataplane.n_workers = 1;
	r->workers->dataplane.heartbeat_ns = now_ns();
	shm_grace_enter(&r->workers->worker[0], r->tables);
	__atomic_store_n(&r->workers->dataplane.phase, SHM_DATAPLANE_RUNNING, __ATOMIC_RELEASE);
	return 0;
}

static void detach(struct ring_cycles *r)
{
	shm_grace_leave(&r->workers->worker[0]);
	__atomic_store_n(&r->workers->dataplane.phase, SHM_DATAPLANE_STOPPED, __ATOMIC_RELEASE);
	close(r->wake_fd);
	shm_segment_detach(&r->rings_segment);
	shm_segment_detach(&r->workers_segment);
	shm_segment_detach(&r->tables_segment);
}

// Cycles for that time, at most `rate` per second (0: no limit); returns how many per second.
static double cycles_run(struct ring_cycles *r, double rate, double seconds)
{
	const struct turn_client_stats *stats = turn_client_stats(r->client);
	uint64_t begin;
	uint64_t now;
	uint64_t waited;

	// Once around, so that each client has its nonce.
	turn_client_begin(r->client, TURN_GOAL_CYCLE);
	turn_client_allow_cycles(r->client, r->plan.n_flows);
	begin = now_ns();
	while (stats->n_cycles + stats->n_failed < r->plan.n_flows &&
	       now_ns() - begin < SETTLE_NS_MAX)
		step(r);
	turn_client_stats_clear(r->client);
	turn_client_begin(r->client, TURN_GOAL_CYCLE);
	waited = waited_ns();
	begin = now = now_ns();
	while (now - begin < (uint64_t)(seconds * 1e9)) {
		if (rate > 0)
			turn_client_allow_cycles(r->client,
						 (uint64_t)((double)(now - begin) / 1e9 * rate));
		step(r);
		now = now_ns();
	}
	r->waited_share = (double)(waited_ns() - waited) / (double)(now - begin);
	return (double)stats->n_cycles / ((double)(now - begin) / 1e9);
}

static int report(const struct ring_cycles *r, const char *path, double per_sec)
{
	const struct turn_client_stats *s = turn_client_stats(r->client);
	FILE *f = path == NULL ? stdout : fopen(path, "w");

	if (f == NULL)
		return -errno;
	fprintf(f,
		"{\"clients\":%u,\"cycles_per_sec\":%.0f,\"cycles\":%lu,\"transactions\":%lu,"
		"\"retransmitted\":%lu,\"failed\":%lu,\"last_error\":%u,\"ring_full\":%lu,\"waited_"
		"share\":%.4f,"
		"\"cycle_ns\":{\"p50\":%lu,\"p90\":%lu,\"p99\":%lu,\"p99_9\":%lu,\"max\":%lu}}\n",
		r->plan.n_flows, per_sec, (unsigned long)s->n_cycles,
		(unsigned long)s->n_transactions, (unsigned long)s->n_retransmitted,
		(unsigned long)s->n_failed, s->last_error, (unsigned long)r->n_full,
		r->waited_share, (unsigned long)histogram_quantile(&s->cycle, 0.5),
		(unsigned long)histogram_quantile(&s->cycle, 0.9),
		(unsigned long)histogram_quantile(&s->cycle, 0.99),
		(unsigned long)histogram_quantile(&s->cycle, 0.999), (unsigned long)s->cycle.max);
	return f == stdout ? fflush(f) : fclose(f);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: ring_cycles --instance NAME --user NAME --password WORD [--clients N] "
		"[--window N] [--rate N] [--seconds S] [--json FILE]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "instance", required_argument, NULL, 'i' },
		{ "user", required_argument, NULL, 'u' },
		{ "password", required_argument, NULL, 'p' },
		{ "clients", required_argument, NULL, 'n' },
		{ "window", required_argument, NULL, 'w' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	static struct ring_cycles r = { .plan.n_flows = 1024 };
	struct turn_client_options o = { .window = 64, .send = message_send, .send_arg = &r };
	const char *instance = NULL;
	const char *json = NULL;
	double rate = 0;
	double seconds = 5;
	double per_sec;
	int opt;
	int ret;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'i':
			instance = optarg;
			break;
		case 'u':
			o.user = optarg;
			break;
		case 'p':
			o.password = optarg;
			break;
		case 'n':
			r.plan.n_flows = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			o.window = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 's':
			seconds = atof(optarg);
			break;
		case 'j':
			json = optarg;
			break;
		default:
			return usage();
		}
	}
	if (instance == NULL || o.user == NULL || o.password == NULL || o.window == 0 ||
	    r.plan.n_flows == 0 || r.plan.n_flows > FLOW_PLAN_FLOWS_MAX)
		return usage();
	if (attach(&r, instance) < 0)
		return 1;
	o.n_sessions = r.plan.n_flows;
	if (turn_client_create(&o, &r.client) < 0)
		return 1;
	for (uint32_t i = 0; i < r.plan.n_flows; i++) {
		struct turn_session *s = turn_client_session(r.client, i);
		struct flow_addresses a;

		flow_plan_addresses(&r.plan, i, &a);
		s->peer = a.peer;
		s->channel = a.channel;
	}
	per_sec = cycles_run(&r, rate, seconds);
	ret = report(&r, json, per_sec);
	turn_client_destroy(r.client);
	detach(&r);
	return ret < 0 || per_sec <= 0 ? 1 : 0;
}
