// What one worker of the SFU sends: encrypted packets of publishers go through the real pipeline, from the received frame to the
// port's transmit queue, once to every watcher. Beside it, in the same rounds, what intel-ipsec-mb alone encrypts. The instance's
// configuration has one port, net_null0 that receives nothing; no dataplane of it may run.
// Two workers share the watchers of one room; --latency tells how long a packet takes from its arrival to the last of its
// copies at the port, when packets come at that share of the greatest rate.
//   fanout --config FILE [--rooms N] [--watchers N] [--packet-bytes N] [--profile gcm|cm] [--burst N] [--workers 1|2]
//          [--latency PERCENT] [--quick] [--json FILE]
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "bench/blast/histogram.h"
#include "bench/sfu/fanout_source.h"
#include "bench/sfu/rooms.h"
#include "bench/sfu/steady_work.h"
#include "bench/srtp/raw.h"
#include "dataplane/contract/shm/grace.h"
#include "dataplane/eal.h"
#include "dataplane/segments.h"
#include "dataplane/sfu/sfu.h"
#include "dataplane/sfu/shared.h"

#define ROUNDS_MAX 32
#define FRAMES_MAX 2048 // prepared for one stretch
#define LAG_PKTS   256  // that the second worker may be behind

// Before latency is told, and each time that new packets were made on the worker's own CPU.
#define SETTLE_MS   2
#define SETTLE_PKTS 256

struct options {
	struct rooms_plan plan;
	const char *config;
	const char *json;
	uint16_t packet_bytes; // of RTP, without tag
	uint32_t burst;
	uint32_t n_rounds;
	uint32_t round_ms;
	uint32_t
		latency_percent; // of the greatest rate, at which latency is measured; 0 = it is not
};

struct bench {
	struct options o;
	struct rooms rooms;
	struct dp_segments segments;
	struct shm_settings settings;
	struct dp_shared shared;
	struct dp_worker *worker;
	struct dp_worker *other; // the second worker, NULL without
	struct fanout_source source;
	uint32_t n_frames; // of a stretch
	uint8_t (*frames)[FANOUT_FRAME_BYTES];
	uint16_t *frame_bytes;
	uint64_t n_in; // frames that went in, ever
	// ns. Of the last copy of each packet; of each copy; of loops on this CPU at the same arrivals, in turns with these: one only
	// reads the clock, one takes always as long per packet as the worker on average, one does so with memory.
	struct histogram latency;
	struct histogram copies;
	struct histogram bare;
	struct histogram steady;
	struct histogram walk;
	uint64_t due[DP_BURST]; // of the packets in work
	uint32_t n_due;
	uint32_t
		n_uncounted; // packets that only bring back what making them has driven out of the caches
	struct raw *raw;
	uint8_t *raw_out[RAW_BURST];
	double worker_per_s[ROUNDS_MAX];
	double raw_per_s[ROUNDS_MAX];
};

static int stretch_make(struct bench *b)
{
	for (uint32_t i = 0; i < b->n_frames; i++)
		if ((b->frame_bytes[i] = fanout_source_frame(&b->source, b->frames[i])) == 0)
			return -EIO;
	return 0;
}

// Frames at..at+n through the first worker, as if its port had received them together.
static bool burst_run(struct bench *b, uint32_t at, uint32_t n)
{
	struct rte_mbuf *burst[DP_BURST];

	if (rte_pktmbuf_alloc_bulk(b->shared.pool, burst, n) != 0)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		rte_memcpy(rte_pktmbuf_mtod(burst[i], void *), b->frames[at + i],
			   b->frame_bytes[at + i]);
		burst[i]->data_len = b->frame_bytes[at + i];
		burst[i]->pkt_len = b->frame_bytes[at + i];
	}
	dp_worker_burst(b->worker, 0, burst, n);
	dp_worker_poll(b->worker);
	b->n_in += n;
	return true;
}

// The second worker's last watcher has had all but so many packets.
static bool is_followed(const struct bench *b, uint64_t lag_pkts)
{
	const struct rooms_plan *plan = &b->o.plan;
	uint32_t last = b->rooms.subscription[plan->n_rooms * plan->n_watchers - 1];
	const uint64_t *pkts = &b->segments.sfu_state.egress[last].pkts;

	return b->other == NULL || __atomic_load_n(pkts, __ATOMIC_RELAXED) + lag_pkts >= b->n_in;
}

// All frames through the workers; nanoseconds.
static uint64_t stretch_run(struct bench *b)
{
	uint64_t begin = rte_rdtsc();

	for (uint32_t at = 0; at < b->n_frames; at += b->o.burst) {
		while (!is_followed(b, LAG_PKTS))
			dp_worker_poll(b->worker);
		burst_run(b, at, b->o.burst);
	}
	while (!is_followed(b, 0))
		dp_worker_poll(b->worker);
	return (uint64_t)((double)(rte_rdtsc() - begin) * 1e9 / (double)rte_get_tsc_hz());
}

// Whatever the worker could not do while it was not polled, it does now: no packet waits for that.
static void worker_settle(struct bench *b)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * SETTLE_MS;

	while (rte_rdtsc() < end)
		dp_worker_poll(b->worker);
	b->n_uncounted = SETTLE_PKTS;
}

static void wait_add(struct histogram *h, uint64_t tsc)
{
	histogram_add(h, (uint64_t)((double)tsc * 1e9 / (double)rte_get_tsc_hz()));
}

// Frames on their way out: the copies of the packets in work, as many of each.
static uint16_t copies_note(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n,
			    void *arg)
{
	uint64_t now = rte_rdtsc();
	struct bench *b = arg;

	(void)port;
	(void)queue;
	(void)pkts;
	for (uint32_t i = 0; i < n && b->n_due > 0 && b->n_uncounted == 0; i++)
		wait_add(&b->copies, now - b->due[i % b->n_due]);
	return n;
}

// The arrivals of latency_run() at somebody who does `steps` of some work for each.
static void bound_run(struct histogram *h, double in_per_s, uint32_t ms, void (*work)(uint64_t),
		      uint64_t steps)
{
	uint64_t step = (uint64_t)((double)rte_get_tsc_hz() / in_per_s);
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;
	uint64_t due = rte_rdtsc();

	for (uint64_t now = due; now < end; now = rte_rdtsc()) {
		uint32_t n = 0;
		uint64_t done;

		while (n < DP_BURST && due + n * step <= now)
			n++;
		if (n == 0)
			continue;
		if (steps > 0)
			work(n * steps);
		done = rte_rdtsc();
		for (uint32_t i = 0; i < n; i++, due += step)
			wait_add(h, done - due);
	}
}

// Publishers' packets come one by one at a fixed rate, whether the worker is ready or not; each
// counts until all its copies are at the port. Returns nothing but what b->latency holds.
static void latency_run(struct bench *b, double in_per_s, uint32_t ms)
{
	uint64_t step = (uint64_t)((double)rte_get_tsc_hz() / in_per_s);
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;
	uint64_t due = rte_rdtsc();
	uint32_t at = 0;

	for (uint64_t now = due; now < end; now = rte_rdtsc()) {
		uint32_t n = 0;
		uint64_t done;

		if (now < due) {
			dp_worker_poll(b->worker);
			continue;
		}
		while (n < DP_BURST && at + n < b->n_frames && due + n * step <= now)
			n++;
		for (uint32_t i = 0; i < n; i++)
			b->due[i] = due + i * step;
		b->n_due = n;
		burst_run(b, at, n);
		done = rte_rdtsc();
		b->n_due = 0;
		for (uint32_t i = 0; i < n && b->n_uncounted == 0; i++)
			wait_add(&b->latency, done - b->due[i]);
		b->n_uncounted -= RTE_MIN(n, b->n_uncounted);
		due += n * step;
		at += n;
		if (at == b->n_frames) {
			// New packets are made while the clock stands still.
			at = 0;
			if (stretch_make(b) < 0)
				return;
			worker_settle(b);
			done = rte_rdtsc() - done;
			due += done;
			end += done;
		}
	}
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
	// What the second worker counted is at the port a moment later.
	for (uint32_t i = 0; i < 1000 && port_pkts(b) - port_before < sent_pkts(b) - before; i++)
		dp_worker_poll(b->worker);
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
		.limits = b->segments.limits,
		.n_limits = b->segments.n_limits,
		.n_workers = b->o.plan.n_workers,
		.wake_fd = -1,
	};
	b->shared.pool = dp_port_pool_create(&b->settings, &err);
	if (b->shared.pool == NULL ||
	    dp_port_open(&b->shared.port[0], &b->settings.port[0], 0, b->o.plan.n_workers,
			 "/nonexistent", b->shared.pool, &err) < 0)
		goto fail;
	b->shared.n_ports = 1;
	if (dp_sfu_shared_create(&b->segments, b->o.plan.n_workers, 0, &b->shared.sfu) < 0 ||
	    dp_worker_create(&b->shared, 0, &b->worker) < 0)
		goto fail;
	if (b->o.plan.n_workers == 2) {
		uint32_t first = rte_get_next_lcore(-1, 1, 0);
		rte_cpuset_t cpus = rte_lcore_cpuset(first);

		// The first is run here, on its own CPU.
		if (dp_worker_create(&b->shared, 1, &b->other) < 0 ||
		    rte_thread_set_affinity(&cpus) < 0 ||
		    rte_eal_remote_launch(dp_worker_run, b->other,
					  rte_get_next_lcore(first, 1, 0)) < 0)
			goto fail;
	}
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
	return b->frames && b->frame_bytes &&
			       fanout_source_open(&b->source, &b->rooms, b->o.packet_bytes,
						  b->shared.port[0].mac) == 0
		       ? 0
		       : -ENOMEM;
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

static void latency_print(const char *what, const struct histogram *h)
{
	printf("  %-36s p50 %6.1f us, p99 %6.1f us, p99.9 %6.1f us\n", what,
	       (double)histogram_quantile(h, 0.5) / 1e3, (double)histogram_quantile(h, 0.99) / 1e3,
	       (double)histogram_quantile(h, 0.999) / 1e3);
}

static void latency_json(FILE *f, const char *what, const struct histogram *h)
{
	fprintf(f, ",\"%s\":{\"p50_ns\":%lu,\"p99_ns\":%lu,\"p999_ns\":%lu}", what,
		histogram_quantile(h, 0.5), histogram_quantile(h, 0.99),
		histogram_quantile(h, 0.999));
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
	printf("%u workers, %4u x %4u, %4u bytes, %-26s %7.3f Mpps %6.2f Gb/s, raw %7.3f Mpps, "
	       "ratio %.3f\n",
	       o->plan.n_workers, o->plan.n_rooms, o->plan.n_watchers, o->packet_bytes, profile,
	       rate / 1e6, rate * o->packet_bytes * 8 / 1e9, raw / 1e6,
	       median(ratios, o->n_rounds));
	if (o->latency_percent) {
		printf("latency at %u %% of it:\n", o->latency_percent);
		latency_print("of the last copy", &b->latency);
		latency_print("of each copy", &b->copies);
		latency_print("of a loop that takes always as long", &b->steady);
		latency_print("of one that walks through memory", &b->walk);
		latency_print("of a loop that does nothing", &b->bare);
	}
	if (!o->json)
		return 0;
	f = fopen(o->json, "w");
	if (!f)
		return -errno;
	fprintf(f,
		"{\"workers\":%u,\"rooms\":%u,\"watchers\":%u,\"packet_bytes\":%u,\"profile\":\"%"
		"s\",\"engine\":"
		"\"%s\","
		"\"pkts_per_sec\":%.0f,\"bits_per_sec\":%.0f,\"raw_pkts_per_sec\":%.0f,\"ratio\":%."
		"4f,"
		"\"ratio_min\":%.4f,\"ratio_max\":%.4f,\"rounds\":%u,"
		"\"latency_percent\":%u,\"p50_ns\":%lu,\"p99_ns\":%lu,\"p999_ns\":%lu",
		o->plan.n_workers, o->plan.n_rooms, o->plan.n_watchers, o->packet_bytes, profile,
		dp_srtp_engine_for(b->source.srtp, o->plan.profile), rate,
		rate * o->packet_bytes * 8, raw, median(ratios, o->n_rounds), least, most,
		o->n_rounds, o->latency_percent, histogram_quantile(&b->latency, 0.5),
		histogram_quantile(&b->latency, 0.99), histogram_quantile(&b->latency, 0.999));
	if (o->latency_percent) {
		latency_json(f, "each_copy", &b->copies);
		latency_json(f, "steady_loop", &b->steady);
		latency_json(f, "memory_loop", &b->walk);
		latency_json(f, "bare_loop", &b->bare);
	}
	fprintf(f, "}\n");
	return fclose(f) == 0 ? 0 : -errno;
}

// In turns, so that a machine that gets busier meanwhile is the same to all.
static int latency_rounds(struct bench *b)
{
	double most_per_s = median(b->worker_per_s, b->o.n_rounds) / b->o.plan.n_watchers;
	double in_per_s = most_per_s * b->o.latency_percent / 100;
	double tsc_per_packet = (double)rte_get_tsc_hz() / most_per_s;
	uint64_t n_steps = (uint64_t)(tsc_per_packet * steady_calibrate());
	double lines_per_tsc = steady_walk_calibrate();
	const struct rte_eth_rxtx_callback *note;

	if (lines_per_tsc < 0)
		return -ENOMEM;
	note = rte_eth_add_tx_callback(b->shared.port[0].ethdev, 0, copies_note, b);
	for (uint32_t i = 0; i < b->o.n_rounds; i++) {
		worker_settle(b);
		latency_run(b, in_per_s, b->o.round_ms);
		bound_run(&b->steady, in_per_s, b->o.round_ms, steady_work, n_steps);
		bound_run(&b->walk, in_per_s, b->o.round_ms, steady_walk,
			  (uint64_t)(tsc_per_packet * lines_per_tsc));
		bound_run(&b->bare, in_per_s, b->o.round_ms, steady_work, 0);
	}
	rte_eth_remove_tx_callback(b->shared.port[0].ethdev, 0, note);
	return 0;
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
	if (ret < 0)
		return ret;
	if (b->o.latency_percent)
		ret = latency_rounds(b);
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
		{ "workers", required_argument, NULL, 'n' },
		{ "latency", required_argument, NULL, 'l' },
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	int opt;

	*o = (struct options){
		.plan = { .n_rooms = 1,
			  .n_watchers = 100,
			  .n_workers = 1,
			  .profile = DP_SRTP_AEAD_AES_128_GCM },
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
		else if (opt == 'n')
			o->plan.n_workers = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'l')
			o->latency_percent = (uint32_t)strtoul(optarg, NULL, 10);
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
	// Two share one room; latency is told of one.
	if (o->plan.n_workers == 0 || o->plan.n_workers > 2 || o->latency_percent > 100 ||
	    (o->plan.n_workers == 2 && (o->plan.n_rooms != 1 || o->latency_percent != 0)))
		return -EINVAL;
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
			"              [--profile gcm|cm] [--burst N] [--workers 1|2] [--latency "
			"PERCENT]\n"
			"              [--quick] [--json FILE]\n");
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
	__atomic_store_n(&b.shared.stop, 1, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
	rooms_close(&b.rooms);
	config_free(config);
	return ret < 0 ? 1 : 0;
}
