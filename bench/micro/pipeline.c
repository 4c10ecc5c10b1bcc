// Micro benches of the relay: bursts of frames through the worker's stages, without a device. The instance's tables must be
// preloaded (bench/preload) and its port be net_null0; no dataplane of it may run. Each bench's cost is told without that of
// fetching buffers and filling them, which is measured beside it.
//   pipeline --instance NAME --flows N [--quick] [--json FILE]
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "bench/blast/flow_set.h"
#include "bench/blast/mix.h"
#include "bench/micro/measure.h"
#include "dataplane/contract/shm/grace.h"
#include "dataplane/eal.h"
#include "dataplane/segments.h"
#include "dataplane/worker.h"

#define FRAMES     8192 // prepared ones, met in turn
#define FRAME_SLOT 2048

static struct dp_shared shared;
static struct dp_worker *worker;
static struct dp_segments segments;
static struct shm_settings settings;

struct frames {
	uint8_t *bytes; // FRAMES slots
	uint16_t length_bytes[FRAMES];
	uint32_t at;
	uint32_t counter; // that every packet must move
};

static bool burst_fill(struct frames *f, struct rte_mbuf **burst)
{
	if (rte_pktmbuf_alloc_bulk(shared.pool, burst, DP_BURST) != 0)
		return false;
	for (uint32_t i = 0; i < DP_BURST; i++) {
		uint32_t k = f->at + i;

		memcpy(rte_pktmbuf_mtod(burst[i], void *), f->bytes + (size_t)k * FRAME_SLOT,
		       f->length_bytes[k]);
		burst[i]->data_len = f->length_bytes[k];
		burst[i]->pkt_len = f->length_bytes[k];
	}
	f->at = f->at + DP_BURST == FRAMES ? 0 : f->at + DP_BURST;
	return true;
}

static uint32_t bench_fill(void *arg)
{
	struct rte_mbuf *burst[DP_BURST];

	if (burst_fill(arg, burst))
		rte_eth_tx_burst(shared.port[0].ethdev, 0, burst, DP_BURST);
	return DP_BURST;
}

static uint32_t bench_relay(void *arg)
{
	struct rte_mbuf *burst[DP_BURST];

	if (!burst_fill(arg, burst))
		return DP_BURST;
	dp_worker_burst(worker, 0, burst, DP_BURST);
	dp_tx_flush(worker);
	dp_stats_flush(worker);
	return DP_BURST;
}

// Frames of a mix over the preloaded flows.
static struct frames *frames_new(const struct flow_plan *plan, enum mix_direction direction,
				 bool use_indications, const char *size, uint32_t counter)
{
	const struct mix_options o = {
		.n_flows = plan->n_flows,
		.n_items = FRAMES,
		.order = MIX_UNIFORM,
		.direction = direction,
		.size = size,
		.seed = 3,
	};
	struct flow_set flows = {
		.plan = *plan,
		.use = { .use_indications = use_indications, .ttl = 64 },
	};
	struct frames *f = calloc(1, sizeof(*f));
	uint8_t buffer[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
	uint8_t *payload = buffer + FRAME_HEADER_MAX;
	struct mix mix;

	if (f == NULL || mix_create(&o, &mix) < 0 || flow_set_fill(&flows) < 0)
		return NULL;
	f->bytes = aligned_alloc(64, (size_t)FRAMES * FRAME_SLOT);
	if (f->bytes == NULL)
		return NULL;
	f->counter = counter;
	memcpy(payload, frame_pattern, FRAME_PAYLOAD_MAX);
	for (uint32_t i = 0; i < FRAMES; i++) {
		const struct mix_item *item = mix_next(&mix);
		uint32_t flow_idx = item->flow & ~MIX_DOWN;
		struct frame_path *p = &(item->flow & MIX_DOWN ? flows.down : flows.up)[flow_idx];

		f->length_bytes[i] = frame_write(p, flow_idx, payload,
						 frame_payload_bytes(p, item->frame_bytes), i);
		memcpy(f->bytes + (size_t)i * FRAME_SLOT, payload - p->header_bytes,
		       f->length_bytes[i]);
	}
	mix_destroy(&mix);
	flow_set_free(&flows);
	return f;
}

// The same frames, to a port of nobody's: parsed, classified, dropped.
static struct frames *frames_foreign(const struct frames *like)
{
	struct frames *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	*f = *like;
	f->counter = DP_DROP_NOT_OURS;
	f->bytes = aligned_alloc(64, (size_t)FRAMES * FRAME_SLOT);
	if (f->bytes == NULL)
		return NULL;
	memcpy(f->bytes, like->bytes, (size_t)FRAMES * FRAME_SLOT);
	for (uint32_t i = 0; i < FRAMES; i++) // a low port of the listener's address
		bytes_put_be16(f->bytes + (size_t)i * FRAME_SLOT + 36, 7);
	return f;
}

static int worker_start(const char *instance)
{
	struct dp_port_error err = { .text = "" };
	enum shm_segment_kind kind;
	const char *why = "";
	uint32_t version;

	if (dp_segments_attach(instance, &segments, &kind) != SHM_ATTACH_READY ||
	    dp_settings_read(segments.tables, &settings, &version, &why) < 0 ||
	    dp_segments_check(&segments, settings.n_workers, &why) < 0) {
		fprintf(stderr, "pipeline: the segments of %s are not there or not valid (%s)\n",
			instance, why);
		return -ENOENT;
	}
	if (dp_eal_init(&settings, segments.flows.n_entries, 0,
			dp_eal_hugepages_suffice(&settings, segments.flows.n_entries, 0), &err) < 0)
		goto fail;
	shared = (struct dp_shared){
		.tables = segments.tables,
		.workers = segments.workers,
		.rings = segments.rings,
		.flows = segments.flows,
		.limits = segments.limits,
		.n_limits = segments.n_limits,
		.usage = segments.usage,
		.n_workers = 1,
		.wake_fd = -1,
	};
	shared.pool = dp_port_pool_create(&settings, &err);
	if (shared.pool == NULL || dp_port_open(&shared.port[0], &settings.port[0], 0, 1,
						"/nonexistent", shared.pool, &err) < 0)
		goto fail;
	shared.n_ports = 1;
	if (dp_worker_create(&shared, 0, &worker) < 0)
		goto fail;
	return 0;
fail:
	fprintf(stderr, "pipeline: %s\n", err.text);
	return -EIO;
}

// One burst of each: all 32 must have moved the counter that they should.
static int benches_check(const struct measure *m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct frames *f = m[i].arg;
		uint64_t before;

		if (m[i].fn == bench_fill)
			continue;
		before = worker->state->counter[f->counter];
		bench_relay(f);
		if (worker->state->counter[f->counter] - before == DP_BURST)
			continue;
		fprintf(stderr, "pipeline: %s moved %s by %lu instead of %u\n", m[i].name,
			dp_counter_info[f->counter].name,
			(unsigned long)(worker->state->counter[f->counter] - before), DP_BURST);
		return -EPROTO;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "instance", required_argument, NULL, 'i' },
		{ "flows", required_argument, NULL, 'n' },
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	struct flow_plan plan = { .n_flows = 1000 };
	const char *instance = NULL;
	const char *json = NULL;
	uint32_t n_rounds = 15;
	uint32_t round_ms = 30;
	int has_counters;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'i') {
			instance = optarg;
		} else if (opt == 'n') {
			plan.n_flows = (uint32_t)strtoul(optarg, NULL, 10);
		} else if (opt == 'j') {
			json = optarg;
		} else if (opt == 'q') {
			n_rounds = 5;
			round_ms = 8;
		} else {
			return 2;
		}
	}
	if (instance == NULL || plan.n_flows == 0 || plan.n_flows > FLOW_PLAN_FLOWS_MAX) {
		fprintf(stderr,
			"usage: pipeline --instance NAME --flows N [--quick] [--json FILE]\n");
		return 2;
	}
	frame_pattern_init();
	if (worker_start(instance) < 0)
		return 1;

	struct frames *up = frames_new(&plan, MIX_UP_ONLY, false, "200", DP_COUNTER_UP_CHANNEL);
	struct frames *down =
		frames_new(&plan, MIX_DOWN_ONLY, false, "200", DP_COUNTER_DOWN_CHANNEL);
	struct frames *up_64 = frames_new(&plan, MIX_UP_ONLY, false, "64", DP_COUNTER_UP_CHANNEL);
	struct frames *down_64 =
		frames_new(&plan, MIX_DOWN_ONLY, false, "64", DP_COUNTER_DOWN_CHANNEL);
	struct frames *up_1200 =
		frames_new(&plan, MIX_UP_ONLY, false, "1200", DP_COUNTER_UP_CHANNEL);
	struct frames *send = frames_new(&plan, MIX_UP_ONLY, true, "236", DP_COUNTER_UP_SEND);
	struct frames *foreign = up == NULL ? NULL : frames_foreign(up);

	if (!up || !down || !up_64 || !down_64 || !up_1200 || !send || !foreign)
		return 1;
	struct measure m[] = {
		{ .name = "fetch, fill and free, 64 bytes", .fn = bench_fill, .arg = up_64 },
		{ .name = "fetch, fill and free, 200 bytes", .fn = bench_fill, .arg = up },
		{ .name = "fetch, fill and free, 1200 bytes", .fn = bench_fill, .arg = up_1200 },
		{ .name = "classify and drop",
		  .fn = bench_relay,
		  .arg = foreign,
		  .less = "fetch, fill and free, 200 bytes" },
		{ .name = "ChannelData to peer, 64 bytes",
		  .fn = bench_relay,
		  .arg = up_64,
		  .less = "fetch, fill and free, 64 bytes" },
		{ .name = "ChannelData to peer, 200 bytes",
		  .fn = bench_relay,
		  .arg = up,
		  .less = "fetch, fill and free, 200 bytes" },
		{ .name = "ChannelData to peer, 1200 bytes",
		  .fn = bench_relay,
		  .arg = up_1200,
		  .less = "fetch, fill and free, 1200 bytes" },
		{ .name = "peer to ChannelData, 64 bytes",
		  .fn = bench_relay,
		  .arg = down_64,
		  .less = "fetch, fill and free, 64 bytes" },
		{ .name = "peer to ChannelData, 200 bytes",
		  .fn = bench_relay,
		  .arg = down,
		  .less = "fetch, fill and free, 200 bytes" },
		{ .name = "Send indication to peer, 236 bytes",
		  .fn = bench_relay,
		  .arg = send,
		  .less = "fetch, fill and free, 200 bytes" },
	};
	uint32_t n = sizeof(m) / sizeof(m[0]);

	shm_grace_enter(worker->state, shared.tables);
	if (benches_check(m, n) < 0)
		return 1;
	has_counters = measure_run(m, n, n_rounds, round_ms);
	shm_grace_leave(worker->state);
	return measure_report(m, n, n_rounds, has_counters, json) < 0 ? 1 : 0;
}
