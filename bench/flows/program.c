// Fills a bench instance's tables through the control plane's table writer, as the TURN server does it.
#include "bench/flows/flows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RELAYS         8
#define RELAY_PORT_MIN 1024
#define RELAY_PORTS    (65536 - RELAY_PORT_MIN)

static struct config_listener listener;
static struct config_relay relays[RELAYS];
static struct config_port port;
static struct config config;

double flows_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

const char *flows_instance(void)
{
	static char name[SHM_INSTANCE_NAME_MAX];

	snprintf(name, sizeof(name), "flows-%d", (int)getpid());
	return name;
}

static struct ip_address address_of(uint8_t first, uint32_t rest)
{
	uint8_t v4[4] = { first, (uint8_t)(rest >> 16), (uint8_t)(rest >> 8), (uint8_t)rest };

	return ip_address_from_v4(v4);
}

static void configure(uint32_t n_allocations)
{
	memset(&config, 0, sizeof(config));
	snprintf(config.instance, sizeof(config.instance), "%s", flows_instance());
	config.realm = "bench";
	listener.endpoint.address = address_of(203, 0x007101);
	listener.endpoint.port_be = __builtin_bswap16(3478);
	config.listeners = &listener;
	config.n_listeners = 1;
	for (uint32_t i = 0; i < RELAYS; i++)
		relays[i].address = address_of(203, 0x007110 + i);
	config.relays = relays;
	config.n_relays = RELAYS;
	config.relay_port_min = RELAY_PORT_MIN;
	config.relay_port_max = 65535;
	strcpy(port.settings.device, "net_null0");
	port.settings.n_queues = 1;
	port.settings.mtu_bytes = 1500;
	config.ports = &port;
	config.n_ports = 1;
	config.n_workers = 1;
	config.worker_cpu[0] = UINT32_MAX;
	config.max_allocations = n_allocations;
	config.max_flows = n_allocations * FLOWS_CHANNELS_PER;
	config.punt_burst_pkts = 1;
}

// Distinct for distinct i, and without the regularity of counting.
static uint32_t scatter24(uint32_t i)
{
	return (i * 0x9e3779b1u ^ i << 7) & 0xffffff;
}

struct path {
	int listener_idx, relay_idx;
	uint16_t client_port_be, relay_port_be;
	struct ip_address client;
	uint16_t neighbour_idx;
	uint64_t expires_at_ns;
	uint32_t allocation_idx;
};

static struct shm_flow upward(const struct path *p, uint8_t kind, uint16_t channel_be)
{
	struct shm_flow f = {
		.key = { .port_be = p->client_port_be,
			 .local_port_be = listener.endpoint.port_be,
			 .local_idx = (uint8_t)p->listener_idx,
			 .kind = kind,
			 .channel_be = channel_be },
		.from_port_be = p->relay_port_be,
		.from_local_idx = (uint8_t)p->relay_idx,
		.channel_be = channel_be,
		.neighbour_idx = p->neighbour_idx,
		.allocation_idx = p->allocation_idx,
		.expires_at_ns = p->expires_at_ns,
	};

	memcpy(f.key.address, p->client.bytes, 16);
	return f;
}

static struct shm_flow downward(const struct path *p, uint8_t kind, const struct ip_address *peer,
				uint16_t peer_port_be, uint16_t channel_be)
{
	struct shm_flow f = {
		.key = { .port_be = peer_port_be,
			 .local_port_be = p->relay_port_be,
			 .local_idx = (uint8_t)p->relay_idx,
			 .kind = kind },
		.to_port_be = p->client_port_be,
		.from_port_be = listener.endpoint.port_be,
		.from_local_idx = (uint8_t)p->listener_idx,
		.channel_be = channel_be,
		.neighbour_idx = p->neighbour_idx,
		.allocation_idx = p->allocation_idx,
		.expires_at_ns = p->expires_at_ns,
	};

	memcpy(f.key.address, peer->bytes, 16);
	memcpy(f.to_address, p->client.bytes, 16);
	return f;
}

static int publish(struct table_writer *w, const struct shm_flow *f)
{
	uint32_t idx;

	return table_writer_flow_publish(w, f, f->expires_at_ns, &idx);
}

// A permission, and a channel with both of its directions.
static int bind_channel(struct table_writer *w, const struct path *p, uint32_t number, uint32_t i)
{
	struct ip_address peer = address_of(5, scatter24(number * FLOWS_CHANNELS_PER + i));
	uint16_t peer_port_be = __builtin_bswap16((uint16_t)(20000 + i));
	uint16_t channel_be = __builtin_bswap16((uint16_t)(0x4000 + i));
	struct shm_flow f = downward(p, SHM_FLOW_PERMISSION, &peer, 0, 0);
	int ret = publish(w, &f);

	if (ret < 0)
		return ret;
	f = downward(p, SHM_FLOW_PEER, &peer, peer_port_be, channel_be);
	ret = publish(w, &f);
	if (ret < 0)
		return ret;
	f = upward(p, SHM_FLOW_CHANNEL, channel_be);
	memcpy(f.to_address, peer.bytes, 16);
	f.to_port_be = peer_port_be;
	return publish(w, &f);
}

static int allocate(struct table_writer *w, uint32_t number, struct path *p)
{
	struct shm_allocation *a;
	struct shm_flow f;
	int ret;

	p->relay_idx = table_writer_local_find(w, &relays[number / RELAY_PORTS % RELAYS].address);
	p->relay_port_be = __builtin_bswap16((uint16_t)(RELAY_PORT_MIN + number % RELAY_PORTS));
	p->client = address_of(100, scatter24(number));
	p->client_port_be = __builtin_bswap16((uint16_t)(1024 + number * 7919 % 60000));
	a = table_writer_allocation_take(w, &p->allocation_idx);
	if (!a)
		return -ENOSPC;
	memcpy(a->client_address, p->client.bytes, 16);
	a->client_port_be = p->client_port_be;
	a->server_port_be = listener.endpoint.port_be;
	a->server_idx = (uint8_t)p->listener_idx;
	a->relay_idx = (uint8_t)p->relay_idx;
	a->relay_port_be = p->relay_port_be;
	a->expires_at_ns = p->expires_at_ns;
	table_writer_allocation_commit(w, p->allocation_idx);
	f = upward(p, SHM_FLOW_ALLOCATION, 0);
	ret = publish(w, &f);
	for (uint32_t i = 0; ret == 0 && i < FLOWS_CHANNELS_PER; i++)
		ret = bind_channel(w, p, number, i);
	return ret;
}

int flows_program(struct table_writer *w, uint32_t n_allocations, struct flows_programmed *out)
{
	static const uint8_t gateway[6] = { 2, 0, 0, 0, 0, 1 };
	char error[TABLE_WRITER_ERROR_BYTES] = "";
	struct path p = { .expires_at_ns = UINT64_MAX / 2 };
	struct ip_address hop = address_of(203, 0x0071fe);
	double start_s;
	int ret;

	memset(out, 0, sizeof(*out));
	if (n_allocations == 0 || n_allocations > RELAYS * RELAY_PORTS)
		return -EINVAL;
	configure(n_allocations);
	start_s = flows_now_s();
	ret = table_writer_open(w, &config, error, sizeof(error));
	if (ret < 0) {
		fprintf(stderr, "flows: %s\n", error);
		return ret;
	}
	out->open_s = flows_now_s() - start_s;
	p.listener_idx = table_writer_local_find(w, &listener.endpoint.address);
	p.neighbour_idx = table_writer_neighbour_acquire(w, &hop, 0);
	table_writer_neighbour_set_word(w, p.neighbour_idx, shm_neighbour_word(gateway, 0, 0));

	start_s = flows_now_s();
	for (uint32_t i = 0; ret == 0 && i < n_allocations; i++)
		ret = allocate(w, i, &p);
	out->program_s = flows_now_s() - start_s;
	if (ret < 0) {
		fprintf(stderr, "flows: programming stopped after %u entries: %s\n",
			w->tables->turn.n_used, strerror(-ret));
		flows_remove(w);
		return ret;
	}
	out->n_allocations = n_allocations;
	out->n_flows = n_allocations * FLOWS_CHANNELS_PER;
	out->n_entries = w->tables->turn.n_used;
	out->tables_bytes = w->tables_segment.size_bytes;
	out->workers_bytes = w->workers_segment.size_bytes;
	out->keys_bytes = w->keys_segment.size_bytes;

	// A control plane that starts after this one died.
	table_writer_close(w);
	start_s = flows_now_s();
	ret = table_writer_open(w, &config, error, sizeof(error));
	out->adopt_s = flows_now_s() - start_s;
	if (ret < 0 || w->tables->turn.n_used != out->n_entries) {
		fprintf(stderr, "flows: the table was not taken over: %s\n", error);
		shm_instance_remove(config.instance);
		return ret < 0 ? ret : -EIO;
	}
	return 0;
}

void flows_remove(struct table_writer *w)
{
	table_writer_close(w);
	shm_instance_remove(config.instance);
}
