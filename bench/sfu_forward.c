// What forwarding costs: one publisher to N watchers through the transmission half alone, everything but the port, beside what
// intel-ipsec-mb takes to encrypt the same bytes. Rounds of both alternate; medians.
// sfu_forward [--quick] [--hugepages] [--burst N] [--only NAME] [--json FILE]
// Packets of one publisher come in bursts of N, 1 unless told otherwise; those of many rooms in bursts of a packet each.
#include <getopt.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/srtp/raw.h"
#include "tests/burst/sfu_tx/rig.h"

#define WATCHERS_MAX 1000
#define ROOMS        100
#define ROUNDS_MAX   41
#define TRACKS       200
#define ROOM_BURST   DP_SFU_GROUP

static uint8_t payload[1400];
static uint8_t room[RAW_BURST][1536] __attribute__((aligned(64)));
static uint8_t *destination[RAW_BURST];
static uint64_t sequence = 1;
static uint32_t burst_pkts = 1;

struct load {
	const char *name;
	uint32_t profile;
	uint32_t payload_bytes;
	uint32_t n_watchers;
	uint32_t n_rooms; // watchers are spread over them
};

static const struct load loads[] = {
	{ "gcm128_1200_100", DP_SRTP_AEAD_AES_128_GCM, 1200, 100, 1 },
	{ "gcm128_1200_1000", DP_SRTP_AEAD_AES_128_GCM, 1200, 1000, 1 },
	{ "gcm128_1200_100x10", DP_SRTP_AEAD_AES_128_GCM, 1200, 1000, ROOMS },
	{ "gcm128_160_100", DP_SRTP_AEAD_AES_128_GCM, 160, 100, 1 },
	{ "gcm128_160_1000", DP_SRTP_AEAD_AES_128_GCM, 160, 1000, 1 },
	{ "gcm128_160_100x10", DP_SRTP_AEAD_AES_128_GCM, 160, 1000, ROOMS },
	{ "cm128_1200_100", DP_SRTP_AES_CM_128_HMAC_SHA1_80, 1200, 100, 1 },
	{ "cm128_1200_1000", DP_SRTP_AES_CM_128_HMAC_SHA1_80, 1200, 1000, 1 },
	{ "cm128_160_100", DP_SRTP_AES_CM_128_HMAC_SHA1_80, 160, 100, 1 },
	{ "cm128_160_1000", DP_SRTP_AES_CM_128_HMAC_SHA1_80, 160, 1000, 1 },
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID,
		      &t); // of this thread, so that others on the core do not count
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

// Every load has its own transports, tracks and subscriptions behind those of the one before it.
static void program(const struct load *l)
{
	static uint32_t list[WATCHERS_MAX];
	uint32_t per_room = l->n_watchers / l->n_rooms;

	rig.n_fanout_used = 0;
	for (uint32_t r = 0; r < l->n_rooms; r++) {
		rig_track(1 + r, SHM_SFU_VIDEO, SHM_SFU_H264, 1);
		for (uint32_t i = 0; i < per_room; i++) {
			uint32_t idx = 2 + r * per_room + i;

			rig_transport(idx, l->profile);
			rig_subscription(idx, idx, 1 + r);
			list[i] = idx;
		}
		rig_list(1 + r, list, per_room);
	}
}

// One burst of reception: packets of one frame, or of as many rooms.
static void forward(const struct load *l, uint32_t n, uint32_t first_room)
{
	struct rte_mbuf *plain[DP_SFU_GROUP];
	struct rig_packet p = {
		.flags = DP_SFU_MEDIA_F_FRAME_START | DP_SFU_MEDIA_F_KEYFRAME,
		.payload = payload,
		.payload_bytes = (uint16_t)l->payload_bytes,
	};

	for (uint32_t i = 0; i < n; i++) {
		p.track_idx = 1 + (first_room + i) % l->n_rooms;
		p.sequence = ++sequence;
		p.timestamp = (uint32_t)sequence * 30;
		plain[i] = rig_media(&p);
	}
	dp_sfu_forward_burst(rig.w, plain, n);
	rte_pktmbuf_free_bulk(plain, n);
	dp_tx_flush(rig.w);
}

// Nanoseconds per packet sent.
static double round_forward(const struct load *l, uint32_t n_pkts)
{
	uint32_t before = rig.n_pushed;
	uint64_t from_ns = now_ns();
	uint64_t to_ns;

	while (rig.n_pushed - before < n_pkts) {
		if (l->n_rooms == 1)
			forward(l, burst_pkts, 0);
		for (uint32_t r = 0; l->n_rooms > 1 && r < l->n_rooms; r += ROOM_BURST)
			forward(l, RTE_MIN(l->n_rooms - r, (uint32_t)ROOM_BURST), r);
		rig.w->now_ns += 200000;
		rig.w->wake_by_ns = UINT64_MAX;
		dp_sfu_transmit_poll(rig.w);
	}
	to_ns = now_ns();
	return (double)(to_ns - from_ns) / (double)(rig.n_pushed - before);
}

static double round_raw(struct raw *raw, const struct load *l, uint32_t n_pkts)
{
	uint64_t from_ns = now_ns();

	for (uint32_t n = 0; n < n_pkts; n += RAW_BURST)
		raw_burst(raw, payload, destination, l->payload_bytes);
	return (double)(now_ns() - from_ns) / n_pkts;
}

static void run(const struct load *l, uint32_t n_rounds, uint32_t n_pkts, FILE *json, bool is_last)
{
	struct raw *raw = raw_open(l->profile, l->n_watchers);
	double forwarded[ROUNDS_MAX];
	double raws[ROUNDS_MAX];
	double ratios[ROUNDS_MAX];

	program(l);
	// Acknowledged, as a watcher is after its first report.
	for (uint32_t i = 0; i < 3; i++)
		round_forward(l, l->n_watchers);
	for (uint32_t i = 0; i < l->n_watchers; i++)
		rig.egress[2 + i].is_acknowledged = 1;
	round_forward(l, n_pkts / 4);
	for (uint32_t i = 0; i < n_rounds; i++) {
		raws[i] = round_raw(raw, l, n_pkts);
		forwarded[i] = round_forward(l, n_pkts);
		ratios[i] = raws[i] / forwarded[i];
	}
	double ns = median(forwarded, n_rounds);
	double raw_ns = median(raws, n_rounds);
	double ratio = median(ratios, n_rounds);

	printf("%-22s %7.1f ns %6.2f Mpps %6.1f Gb/s   raw %7.1f ns %6.2f Mpps   ratio %.2f\n",
	       l->name, ns, 1000 / ns, 8 * l->payload_bytes / ns, raw_ns, 1000 / raw_ns, ratio);
	fflush(stdout);
	if (json != NULL)
		fprintf(json,
			"  {\"case\": \"%s\", \"ns\": %.1f, \"mpps\": %.3f, \"raw_ns\": %.1f, "
			"\"ratio\": %.3f}%s\n",
			l->name, ns, 1000 / ns, raw_ns, ratio, is_last ? "" : ",");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },       { "json", required_argument, NULL, 'j' },
		{ "burst", required_argument, NULL, 'b' }, { "hugepages", no_argument, NULL, 'H' },
		{ "only", required_argument, NULL, 'o' },  { NULL, 0, NULL, 0 }
	};
	const char *only = "";
	uint32_t n_rounds = 11;
	uint32_t n_pkts = 400000;
	bool has_hugepages = false;
	FILE *json = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'q') {
			n_rounds = 5;
			n_pkts = 200000;
		} else if (c == 'j') {
			json = fopen(optarg, "w");
		} else if (c == 'H') {
			has_hugepages = true;
		} else if (c == 'o') {
			only = optarg;
		} else if (c == 'b') {
			burst_pkts = (uint32_t)atoi(optarg);
		} else {
			return 2;
		}
	}
	if (burst_pkts < 1 || burst_pkts > DP_SFU_GROUP || (c == 'j' && json == NULL))
		return 2;
	for (uint32_t i = 0; i < RAW_BURST; i++)
		destination[i] = room[i];
	rig_init(&(struct rig_options){ .n_transports = WATCHERS_MAX + 8,
					.n_tracks = TRACKS,
					.n_subscriptions = WATCHERS_MAX + 8,
					.retransmit_ms = 500,
					.media_mbufs = 8192,
					.is_bench = true,
					.has_hugepages = has_hugepages });
	if (json != NULL)
		fprintf(json, "[\n");
	for (uint32_t i = 0; i < RTE_DIM(loads); i++) {
		if (strstr(loads[i].name, only) != NULL)
			run(&loads[i], n_rounds, n_pkts, json, i + 1 == RTE_DIM(loads));
	}
	if (json != NULL) {
		fprintf(json, "]\n");
		fclose(json);
	}
	rig_fini();
	return 0;
}
