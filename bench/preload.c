// Fills the tables of a bench instance with the flows of a plan, without a client and without the wire, so that a
// dataplane alone can be measured with up to a million of them. Writes the segments of the configuration's instance through the
// control plane's own table writer, while no control plane of that instance runs. One thread.
//
//   preload --config FILE [--flows N] [--family v4|v6|v4v6|v6v4] [--hairpin] [--indications] [--hours N]
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/blast/flow_plan.h"
#include "controlplane/table_writer.h"
#include "dataplane/contract/wire/bytes.h"

#define NS_PER_HOUR 3600000000000ull

struct preload {
	struct flow_plan plan;
	bool use_indications; // permissions only
	uint64_t expires_at_ns;
	uint16_t neighbour_idx;
	struct table_writer writer;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int publish(struct preload *p, struct shm_flow *f)
{
	uint32_t idx;

	f->neighbour_idx = p->neighbour_idx;
	f->expires_at_ns = p->expires_at_ns;
	table_writer_neighbour_ref(&p->writer, p->neighbour_idx);
	return table_writer_flow_publish(&p->writer, f, p->expires_at_ns, &idx);
}

static int flow_preload(struct preload *p, uint32_t i)
{
	struct flow_addresses a;
	struct shm_flow up = { 0 };
	struct shm_flow down = { 0 };
	int listener;
	int relayed;
	int ret;

	flow_plan_addresses(&p->plan, i, &a);
	listener = table_writer_local_find(&p->writer, &a.listener.address);
	relayed = table_writer_local_find(&p->writer, &a.relayed.address);
	if (listener < 0 || relayed < 0)
		return -EADDRNOTAVAIL;

	memcpy(up.key.address, a.client.address.bytes, 16);
	up.key.port_be = a.client.port_be;
	up.key.local_port_be = a.listener.port_be;
	up.key.local_idx = (uint8_t)listener;
	up.key.kind = SHM_FLOW_ALLOCATION;
	up.from_port_be = a.relayed.port_be;
	up.from_local_idx = (uint8_t)relayed;
	up.allocation_idx = i + 1;
	ret = publish(p, &up);
	if (ret < 0)
		return ret;

	memcpy(down.key.address, a.peer.address.bytes, 16);
	down.key.local_port_be = a.relayed.port_be;
	down.key.local_idx = (uint8_t)relayed;
	down.key.kind = SHM_FLOW_PERMISSION;
	memcpy(down.to_address, a.client.address.bytes, 16);
	down.to_port_be = a.client.port_be;
	down.from_port_be = a.listener.port_be;
	down.from_local_idx = (uint8_t)listener;
	down.flags = p->plan.is_hairpin ? SHM_FLOW_F_HAIRPIN : 0;
	down.peer_neighbour_idx = p->plan.is_hairpin ? 0 : p->neighbour_idx;
	down.allocation_idx = i + 1;
	ret = publish(p, &down);
	if (ret < 0 || p->use_indications)
		return ret;

	up.key.kind = SHM_FLOW_CHANNEL;
	bytes_put_be16(&up.key.channel_be, a.channel);
	up.channel_be = up.key.channel_be;
	memcpy(up.to_address, a.peer.address.bytes, 16);
	up.to_port_be = a.peer.port_be;
	up.flags = down.flags;
	ret = publish(p, &up);
	if (ret < 0)
		return ret;
	down.key.kind = SHM_FLOW_PEER;
	down.key.port_be = a.peer.port_be;
	down.flags = 0;
	down.peer_neighbour_idx = 0;
	down.channel_be = up.channel_be;
	return publish(p, &down);
}

static int preload_run(struct preload *p, const struct config *config)
{
	static const struct ip_address outside = { { [15] = 1 } }; // no next hop has that address
	char error[TABLE_WRITER_ERROR_BYTES];
	uint64_t begin_ns = now_ns();
	int ret = table_writer_open(&p->writer, config, error, sizeof(error));

	if (ret < 0) {
		fprintf(stderr, "preload: %s\n", error);
		return ret;
	}
	p->neighbour_idx = table_writer_neighbour_acquire(&p->writer, &outside, 0);
	if (p->neighbour_idx == 0) {
		ret = -ENOSPC;
		goto fail_close;
	}
	table_writer_neighbour_set_word(&p->writer, p->neighbour_idx,
					shm_neighbour_word(flow_plan_outside_mac, 0, 0));
	for (uint32_t i = 0; i < p->plan.n_flows && ret == 0; i++)
		ret = flow_preload(p, i);
	if (ret < 0) {
		fprintf(stderr, "preload: %s\n",
			ret == -EADDRNOTAVAIL
				? "the configuration lacks the plan's listener or relay "
				  "addresses; use the one bench/run writes"
			: ret == -EEXIST
				? "the instance has flows already; remove its segments first"
				: "the tables are full; raise tables.max_flows");
		goto fail_close;
	}
	printf("{\"flows\":%u,\"seconds\":%.3f,\"tables_bytes\":%zu}\n", p->plan.n_flows,
	       (double)(now_ns() - begin_ns) / 1e9, p->writer.tables_segment.size_bytes);
fail_close:
	table_writer_close(&p->writer);
	return ret;
}

static int usage(void)
{
	fprintf(stderr, "usage: preload --config FILE [--flows N] [--family v4|v6|v4v6|v6v4] "
			"[--hairpin] [--indications] [--hours N]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "flows", required_argument, NULL, 'n' },
		{ "family", required_argument, NULL, 'f' },
		{ "hairpin", no_argument, NULL, 'h' },
		{ "indications", no_argument, NULL, 'i' },
		{ "hours", required_argument, NULL, 't' },
		{ 0 },
	};
	static struct preload p = { .plan.n_flows = 1000 };
	const char *path = NULL;
	struct config *config;
	uint64_t hours = 12;
	char error[512];
	int opt;
	int ret;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			path = optarg;
			break;
		case 'n':
			p.plan.n_flows = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'f':
			if (flow_plan_family_parse(optarg, &p.plan) < 0)
				return usage();
			break;
		case 'h':
			p.plan.is_hairpin = true;
			break;
		case 'i':
			p.use_indications = true;
			break;
		case 't':
			hours = strtoul(optarg, NULL, 10);
			break;
		default:
			return usage();
		}
	}
	if (path == NULL || optind < argc || p.plan.n_flows == 0 ||
	    p.plan.n_flows > FLOW_PLAN_FLOWS_MAX || hours == 0)
		return usage();
	if (config_load(path, &config, error, sizeof(error)) < 0) {
		fprintf(stderr, "preload: %s\n", error);
		return 2;
	}
	p.expires_at_ns = now_ns() + hours * NS_PER_HOUR;
	ret = preload_run(&p, config);
	config_free(config);
	return ret < 0 ? 1 : 0;
}
