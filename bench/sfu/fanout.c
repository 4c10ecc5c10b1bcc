// What one worker of the SFU sends: encrypted packets of publishers go through the real pipeline,
// from the received frame to the port's transmit queue, once to every watcher. Beside it, in the
// same rounds, what intel-ipsec-mb alone encrypts. The instance's configuration has one port,
// net_null0 that receives nothing; no dataplane of it may run.
//   fanout --config FILE [--rooms N] [--watchers N] [--packet-bytes N] [--profile gcm|cm] [--burst N] [--quick] [--json FILE]
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "bench/blast/flow_plan.h"
#include "bench/sfu/description.h"
#include "bench/sfu/rooms.h"
#include "bench/sfu/rtp_source.h"
#include "bench/srtp/raw.h"
#include "dataplane/contract/shm/grace.h"
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/eal.h"
#include "dataplane/segments.h"
#include "dataplane/sfu/sfu.h"
#include "dataplane/sfu/shared.h"

#define FRAME_BYTES   1536
#define HEADERS_BYTES 42 // Ethernet, IPv4, UDP
#define ROUNDS_MAX    32
#define FRAMES_MAX    2048 // prepared for one stretch

struct options {
	struct rooms_plan plan;
	const char *config;
	const char *json;
	uint16_t packet_bytes; // of RTP, without tag
	uint32_t burst;
	uint32_t n_rounds;
	uint32_t round_ms;
};

// A publisher's own end.
struct publisher {
	struct rtp_source source;
	struct dp_srtp_context *tx;
	struct ip_endpoint from;
	uint16_t twcc;
};

struct bench {
	struct options o;
	struct rooms rooms;
	struct dp_segments segments;
	struct shm_settings settings;
	struct dp_shared shared;
	struct dp_worker *worker;
	struct dp_srtp *srtp;
	struct publisher *publishers;
	struct ip_endpoint listener;
	uint32_t n_frames; // of a stretch
	uint8_t (*frames)[FRAME_BYTES];
	uint16_t *frame_bytes;
	uint32_t next_publisher;
	struct raw *raw;
	uint8_t *raw_out[RAW_BURST];
	double worker_per_s[ROUNDS_MAX];
	double raw_per_s[ROUNDS_MAX];
};

static int publishers_start(struct bench *b)
{
	const struct rooms_plan *plan = &b->o.plan;
	struct flow_plan flows = { .n_flows = FLOW_PLAN_FLOWS_MAX };

	b->publishers = calloc(plan->n_rooms, sizeof(*b->publishers));
	if (!b->publishers || dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &b->srtp) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->n_rooms; i++) {
		struct publisher *p = &b->publishers[i];
		struct rtp_source_config c = {
			.is_video = plan->is_video,
			.n_temporal = 1,
			.has_twcc = true,
			.has_audio_level = !plan->is_video,
			.payload_type = plan->is_video ? LOAD_PT_VP8 : LOAD_PT_OPUS,
			.ssrc = rooms_ssrc(i),
			.source = 0, // all are loud at the same time
			.packet_bytes = b->o.packet_bytes,
			.frames_per_s = plan->is_video ? 30 : 50,
			.pkts_per_frame = plan->is_video ? 8 : 1,
		};
		uint8_t key[DP_SRTP_KEY_BYTES_MAX];
		uint8_t salt[DP_SRTP_SALT_BYTES_MAX];
		struct flow_addresses a;
		int ret = rtp_source_init(&p->source, &c, 0);

		if (ret < 0)
			return ret;
		flow_plan_addresses(&flows, b->rooms.publisher[i], &a);
		p->from = a.client;
		b->listener = a.listener;
		rooms_publisher_key(i, key, salt);
		ret = dp_srtp_context_create(b->srtp, plan->profile, key, salt, &p->tx);
		if (ret < 0)
			return ret;
	}
	return 0;
}

// Ethernet, IPv4, UDP without checksum.
static void headers_write(const struct bench *b, const struct publisher *p, uint32_t udp_bytes,
			  uint8_t *frame)
{
	uint8_t *ip = frame + 14;
	uint8_t *udp = ip + 20;
	uint32_t sum = 0;

	memcpy(frame, b->shared.port[0].mac, 6);
	memcpy(frame + 6, flow_plan_outside_mac, 6);
	bytes_put_be16(frame + 12, 0x0800);
	memset(ip, 0, 28);
	ip[0] = 0x45;
	bytes_put_be16(ip + 2, (uint16_t)(28 + udp_bytes));
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, p->from.address.bytes + 12, 4);
	memcpy(ip + 16, b->listener.address.bytes + 12, 4);
	for (uint32_t i = 0; i < 20; i += 2)
		sum += bytes_get_be16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	bytes_put_be16(ip + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
	memcpy(udp, &p->from.port_be, 2);
	memcpy(udp + 2, &b->listener.port_be, 2);
	bytes_put_be16(udp + 4, (uint16_t)(8 + udp_bytes));
}

// The next packet of the next publisher, as it would come from the wire.
static int frame_make(struct bench *b, uint32_t i)
{
	struct publisher *p = &b->publishers[b->next_publisher];
	uint8_t *packet = b->frames[i] + HEADERS_BYTES;
	struct dp_srtp_protect job = { .context = p->tx,
				       .packet = packet,
				       .room_bytes = FRAME_BYTES - HEADERS_BYTES };
	uint32_t n = rtp_source_write(&p->source, 1000, p->twcc++, packet, &job.header_bytes,
				      &job.index);

	job.payload = packet + job.header_bytes;
	job.payload_bytes = (uint16_t)(n - job.header_bytes);
	if (dp_srtp_protect_burst(&job, 1) != 1)
		return -EIO;
	headers_write(b, p, job.protected_bytes, b->frames[i]);
	b->frame_bytes[i] = (uint16_t)(HEADERS_BYTES + job.protected_bytes);
	// With one publisher a burst is part of a frame; many publishers come in turn.
	b->next_publisher = (b->next_publisher + 1) % b->o.plan.n_rooms;
	return 0;
}

static int stretch_make(struct bench *b)
{
	for (uint32_t i = 0; i < b->n_frames; i++)
		if (frame_make(b, i) < 0)
			return -EIO;
	return 0;
}

// All frames through the worker; nanoseconds.
static uint64_t stretch_run(struct bench *b)
{
	uint64_t begin = rte_rdtsc();

	for (uint32_t at = 0; at < b->n_frames; at += b->o.burst) {
		struct rte_mbuf *burst[DP_BURST];

		if (rte_pktmbuf_alloc_bulk(b->shared.pool, burst, b->o.burst) != 0)
			continue;
		for (uint32_t i = 0; i < b->o.burst; i++) {
			rte_memcpy(rte_pktmbuf_mtod(burst[i], void *), b->frames[at + i],
				   b->frame_bytes[at + i]);
			burst[i]->data_len = b->frame_bytes[at + i];
			burst[i]->pkt_len = b->frame_bytes[at + i];
		}
		dp_worker_burst(b->worker, 0, burst, b->o.burst);
		dp_worker_poll(b->worker);
	}
	return (uint64_t)((double)(rte_rdtsc() - begin) * 1e9 / (double)rte_get_tsc_hz());
}

static uint64_t sent_pkts(const struct bench *b)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < b->o.plan.n_rooms * b->o.plan.n_watchers; i++)
		n += b->segments.sfu_state.egress[b->rooms.subscription[i]].pkts;
	return n;
}

static uint64_t port_pkts(const struct bench *b)
{
	struct rte_eth_stats stats;

	return rte_eth_stats_get(b->shared.port[0].ethdev, &stats) == 0 ? stats.opackets : 0;
}

static double raw_run(struct bench *b, uint32_t ms)
{
	static uint8_t source[2048];
	uint64_t limit = rte_get_tsc_hz() / 1000 * ms;
	uint64_t begin = rte_rdtsc();
	uint64_t n = 0;
	uint64_t passed;

	do {
		for (uint32_t i = 0; i < 16; i++)
			raw_burst(b->raw, source, b->raw_out, b->o.packet_bytes - 12u);
		n += 16 * RAW_BURST;
		passed = rte_rdtsc() - begin;
	} while (passed < limit);
	return (double)n * (double)rte_get_tsc_hz() / (double)passed;
}

static int worker_run(struct bench *b, uint32_t ms, double *per_s)
{
	uint64_t before = sent_pkts(b);
	uint64_t port_before = port_pkts(b);
	uint64_t ns = 0;
	uint64_t n_in = 0;
	uint64_t n_out;

	while (ns < ms * 1000000ULL) {
		if (stretch_make(b) < 0)
			return -EIO;
		ns += stretch_run(b);
		n_in += b->n_frames;
	}
	n_out = sent_pkts(b) - before;
	*per_s = (double)n_out * 1e9 / (double)ns;
	// Every packet to every watcher, and out of the port; RTCP comes on top there.
	if (n_out == n_in * b->o.plan.n_watchers && port_pkts(b) - port_before >= n_out)
		return 0;
	fprintf(stderr, "fanout: %lu packets in, %lu out, %lu at the port, instead of %lu\n", n_in,
		n_out, port_pkts(b) - port_before, n_in * b->o.plan.n_watchers);
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++)
		if (b->worker->state->counter[i])
			fprintf(stderr, "  %s %lu\n", dp_counter_info[i].name,
				b->worker->state->counter[i]);
	return -EPROTO;
}

static int worker_start(struct bench *b, const char *instance)
{
	struct dp_port_error err = { .text = "" };
	enum shm_segment_kind kind;
	const char *why = "";
	uint32_t version;
	uint32_t sfu_mb;

	if (dp_segments_attach(instance, &b->segments, &kind) != SHM_ATTACH_READY ||
	    dp_settings_read(b->segments.tables, &b->settings, &version, &why) < 0 ||
	    dp_segments_check(&b->segments, b->settings.n_workers, &why) < 0 ||
	    !b->segments.has_sfu) {
		fprintf(stderr, "fanout: the segments of %s are not there or not valid (%s)\n",
			instance, why);
		return -ENOENT;
	}
	rooms_settle(&b->rooms, &b->segments.sfu_state);
	sfu_mb = dp_sfu_memory_mb(b->settings.n_workers);
	if (dp_eal_init(&b->settings, b->segments.flows.n_entries, sfu_mb,
			dp_eal_hugepages_suffice(&b->settings, b->segments.flows.n_entries, sfu_mb),
			&err) < 0)
		goto fail;
	b->shared = (struct dp_shared){
		.tables = b->segments.tables,
		.workers = b->segments.workers,
		.rings = b->segments.rings,
		.flows = b->segments.flows,
		.usage = b->segments.usage,
		.n_workers = 1,
		.wake_fd = -1,
	};
	b->shared.pool = dp_port_pool_create(&b->settings, &err);
	if (b->shared.pool == NULL || dp_port_open(&b->shared.port[0], &b->settings.port[0], 0, 1,
						   "/nonexistent", b->shared.pool, &err) < 0)
		goto fail;
	b->shared.n_ports = 1;
	if (dp_sfu_shared_create(&b->segments, 1, 0, &b->shared.sfu) < 0 ||
	    dp_worker_create(&b->shared, 0, &b->worker) < 0)
		goto fail;
	return 0;
fail:
	fprintf(stderr, "fanout: %s\n", err.text);
	return -EIO;
}

static int bench_prepare(struct bench *b)
{
	uint64_t per_stretch = 400000 / b->o.plan.n_watchers;

	// About as many packets out in each stretch, whatever the fan-out, but each publisher's
	// whole bursts.
	b->n_frames = per_stretch > FRAMES_MAX ? FRAMES_MAX : (uint32_t)per_stretch;
	b->n_frames = (b->n_frames + b->o.burst - 1) / b->o.burst * b->o.burst;
	b->frames = calloc(b->n_frames, sizeof(*b->frames));
	b->frame_bytes = calloc(b->n_frames, sizeof(*b->frame_bytes));
	b->raw = raw_open(b->o.plan.profile, b->o.plan.n_rooms * b->o.plan.n_watchers);
	for (uint32_t i = 0; i < RAW_BURST; i++)
		b->raw_out[i] = aligned_alloc(64, 2048);
	return b->frames && b->frame_bytes && publishers_start(b) == 0 ? 0 : -ENOMEM;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, uint32_t n)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), by_size);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static int bench_report(const struct bench *b)
{
	const struct options *o = &b->o;
	double ratios[ROUNDS_MAX];
	double rate = median(b->worker_per_s, o->n_rounds);
	double raw = median(b->raw_per_s, o->n_rounds);
	const char *profile = dp_srtp_profile_info(o->plan.profile)->name;
	double least = 0;
	double most = 0;
	FILE *f;

	for (uint32_t i = 0; i < o->n_rounds; i++) {
		ratios[i] = b->worker_per_s[i] / b->raw_per_s[i];
		least = i == 0 || ratios[i] < least ? ratios[i] : least;
		most = ratios[i] > most ? ratios[i] : most;
	}
	printf("%4u x %4u, %4u bytes, %-26s %7.3f Mpps %6.2f Gb/s, raw %7.3f Mpps, ratio %.3f\n",
	       o->plan.n_rooms, o->plan.n_watchers, o->packet_bytes, profile, rate / 1e6,
	       rate * o->packet_bytes * 8 / 1e9, raw / 1e6, median(ratios, o->n_rounds));
	if (!o->json)
		return 0;
	f = fopen(o->json, "w");
	if (!f)
		return -errno;
	fprintf(f,
		"{\"rooms\":%u,\"watchers\":%u,\"packet_bytes\":%u,\"profile\":\"%s\",\"engine\":"
		"\"%s\","
		"\"pkts_per_sec\":%.0f,\"bits_per_sec\":%.0f,\"raw_pkts_per_sec\":%.0f,\"ratio\":%."
		"4f,"
		"\"ratio_min\":%.4f,\"ratio_max\":%.4f,\"rounds\":%u}\n",
		o->plan.n_rooms, o->plan.n_watchers, o->packet_bytes, profile,
		dp_srtp_engine_for(b->srtp, o->plan.profile), rate, rate * o->packet_bytes * 8, raw,
		median(ratios, o->n_rounds), least, most, o->n_rounds);
	return fclose(f) == 0 ? 0 : -errno;
}

static int bench_run(struct bench *b)
{
	double warm;
	int ret = worker_run(b, b->o.round_ms / 2, &warm);

	for (uint32_t i = 0; i < b->o.n_rounds && ret == 0; i++) {
		b->raw_per_s[i] = raw_run(b, b->o.round_ms / 2);
		ret = worker_run(b, b->o.round_ms, &b->worker_per_s[i]);
		b->raw_per_s[i] = (b->raw_per_s[i] + raw_run(b, b->o.round_ms / 2)) / 2;
	}
	return ret < 0 ? ret : bench_report(b);
}

static int options_read(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "rooms", required_argument, NULL, 'r' },
		{ "watchers", required_argument, NULL, 'w' },
		{ "packet-bytes", required_argument, NULL, 's' },
		{ "profile", required_argument, NULL, 'p' },
		{ "burst", required_argument, NULL, 'b' },
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	int opt;

	*o = (struct options){
		.plan = { .n_rooms = 1, .n_watchers = 100, .profile = DP_SRTP_AEAD_AES_128_GCM },
		.packet_bytes = 1200,
		.burst = 8,
		.n_rounds = 9,
		.round_ms = 200,
	};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'c')
			o->config = optarg;
		else if (opt == 'r')
			o->plan.n_rooms = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'w')
			o->plan.n_watchers = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 's')
			o->packet_bytes = (uint16_t)strtoul(optarg, NULL, 10);
		else if (opt == 'b')
			o->burst = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'j')
			o->json = optarg;
		else if (opt == 'p' && strcmp(optarg, "cm") == 0)
			o->plan.profile = DP_SRTP_AES_CM_128_HMAC_SHA1_80;
		else if (opt == 'q')
			o->n_rounds = 3;
		else if (opt != 'p' || strcmp(optarg, "gcm") != 0)
			return -EINVAL;
	}
	o->plan.is_video = o->packet_bytes >= 400;
	return o->config && o->plan.n_rooms && o->plan.n_watchers && o->burst &&
			       o->burst <= DP_BURST && optind == argc
		       ? 0
		       : -EINVAL;
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct config *config;
	char error[512];
	int ret;

	if (options_read(argc, argv, &b.o) < 0) {
		fprintf(stderr,
			"usage: fanout --config FILE [--rooms N] [--watchers N] [--packet-bytes "
			"N]\n"
			"              [--profile gcm|cm] [--burst N] [--quick] [--json FILE]\n");
		return 2;
	}
	if (config_load(b.o.config, &config, error, sizeof(error)) < 0) {
		fprintf(stderr, "fanout: %s\n", error);
		return 2;
	}
	ret = rooms_write(&b.rooms, &b.o.plan, config);
	if (ret == 0)
		ret = worker_start(&b, config->instance);
	if (ret == 0)
		ret = bench_prepare(&b);
	if (ret == 0) {
		shm_grace_enter(b.worker->state, b.shared.tables);
		ret = bench_run(&b);
		shm_grace_leave(b.worker->state);
	}
	rooms_close(&b.rooms);
	config_free(config);
	return ret < 0 ? 1 : 0;
}
