// DTLS handshakes of many clients at a running instance, and what they do to the media that its workers move meanwhile.
// In each round sessions join by WHIP first, ICE included; then the worker's latency is watched for a while without handshakes,
// and again while all sessions shake hands, a window of them at a time. One thread; maps the `workers` segment read-only.
//   sfu_handshakes --whip URL [--token T] --instance NAME --controlplane PID [--sessions N] [--window N] [--rounds N] [--json FILE]
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/sfu/cpu_time.h"
#include "bench/sfu/options.h"
#include "bench/sfu/session.h"
#include "dataplane/contract/shm/segment.h"
#include "dataplane/contract/shm/tables.h"

#define EVENTS_MAX   64
#define PER_ROOM     10
#define JOIN_TRIES   20
#define TIMER_NS     10000000ULL
#define LIMIT_NS     12000000000ULL // a client gives up 15 s behind its join
#define QUIET_NS     1000000000ULL  // as long as many handshakes take
#define SETTLE_NS    50000000ULL    // what the last client's end does not see
#define PROFILES     "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
#define SESSIONS_MAX 10000
#define ROUNDS_MAX   32

struct options {
	const char *whip;
	const char *token;
	const char *instance;
	const char *json;
	pid_t controlplane;
	uint32_t n_sessions;
	uint32_t window;
	uint32_t n_rounds;
};

struct round {
	uint32_t n_connected;
	uint64_t took_ns;
	uint64_t cpu_ns;       // the control plane's, in that time
	uint64_t quiet_cpu_ns; // the same without handshakes, in QUIET_NS
};

// Of bursts of which something left the worker at once: media, not records on their way to the control plane.
struct latency {
	uint64_t bucket[SHM_LATENCY_BUCKETS];
};

struct bench {
	struct options o;
	struct load_media media;
	struct load_world world;
	struct load_transport_counters transport_counters;
	struct load_session_counters session_counters;
	struct rtp_sink_totals totals;
	struct load_session *sessions;
	uint32_t n_joined;
	uint32_t n_begun;
	uint32_t n_connected;
	uint32_t n_failed;
	uint32_t n_failed_ever;
	struct round round[ROUNDS_MAX];
	const struct shm_workers *workers;
	struct latency without; // of all rounds
	struct latency with;
	int epoll_fd;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void pause_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000ULL),
			      .tv_nsec = (long)(ns % 1000000000ULL) };

	nanosleep(&t, NULL);
}

static void latency_add(const struct bench *b, struct latency *l, int64_t sign)
{
	uint32_t n = b->workers->dataplane.n_workers;

	for (uint32_t w = 0; w < n && w < SHM_WORKERS_MAX; w++)
		for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
			l->bucket[i] +=
				(uint64_t)sign * __atomic_load_n(&b->workers->worker[w].latency[i],
								 __ATOMIC_RELAXED);
}

static uint64_t latency_n(const struct latency *l)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		n += l->bucket[i];
	return n;
}

// Upper end of the bucket below which that share of the sampled bursts lies, in ns.
static double latency_quantile(const struct latency *l, double share)
{
	double wanted = share * (double)latency_n(l);
	uint64_t seen = 0;

	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++) {
		seen += l->bucket[i];
		if (seen > 0 && (double)seen >= wanted)
			return (double)(1ull << ((i + 1) / 4)) * (1 + (double)((i + 1) % 4) / 4);
	}
	return 0;
}

static int join_all(struct bench *b)
{
	char url[HTTP_URL_BYTES];
	char why[256] = "the URL is too long";

	for (uint32_t i = 0; i < b->o.n_sessions; i++) {
		struct load_session *s = &b->sessions[i];
		int ret = -EINVAL;

		if (load_url_expand(b->o.whip, i / PER_ROOM, i % PER_ROOM, url)) {
			for (uint32_t k = 0; k < JOIN_TRIES; k++) {
				ret = load_session_join(s, &b->world, true, i, &b->media, url,
							b->o.token, why);
				if (ret != -EAGAIN)
					break;
				pause_ns(TIMER_NS);
			}
		}
		if (ret < 0) {
			fprintf(stderr, "sfu_handshakes: session %u: %s\n", i, why);
			return ret;
		}
		b->n_joined++;
	}
	return 0;
}

// Its answer to the first check has been there for long; ClientHello goes out as soon as it is read.
static int begin(struct bench *b, uint64_t now_ns)
{
	struct load_session *s = &b->sessions[b->n_begun];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	if (epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, s->transport.fd, &event) < 0)
		return -errno;
	b->n_begun++;
	load_transport_receive(&s->transport, now_ns);
	return 0;
}

static void take(struct bench *b, struct load_session *s, uint64_t now_ns)
{
	bool was_open = s->transport.stage < LOAD_STAGE_CONNECTED;

	load_transport_receive(&s->transport, now_ns);
	if (!was_open || s->transport.stage < LOAD_STAGE_CONNECTED)
		return;
	b->n_connected += s->transport.stage == LOAD_STAGE_CONNECTED;
	b->n_failed += s->transport.stage != LOAD_STAGE_CONNECTED;
}

static int handshake_all(struct bench *b, uint64_t *took_ns)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t begin_ns = clock_ns();
	uint64_t timer_ns = begin_ns;
	uint64_t now_ns = begin_ns;

	while (b->n_connected + b->n_failed < b->o.n_sessions) {
		int n;

		while (b->n_begun < b->o.n_sessions &&
		       b->n_begun - b->n_connected - b->n_failed < b->o.window) {
			int ret = begin(b, now_ns);

			if (ret < 0)
				return ret;
		}
		n = epoll_wait(b->epoll_fd, events, EVENTS_MAX, 10);
		now_ns = clock_ns();
		for (int i = 0; i < n; i++)
			take(b, events[i].data.ptr, now_ns);
		if (now_ns - begin_ns > LIMIT_NS)
			return -ETIMEDOUT;
		if (now_ns < timer_ns)
			continue;
		timer_ns = now_ns + TIMER_NS;
		for (uint32_t i = 0; i < b->n_begun; i++)
			if (b->sessions[i].transport.stage == LOAD_STAGE_DTLS)
				load_transport_timer(&b->sessions[i].transport, now_ns);
	}
	*took_ns = now_ns - begin_ns;
	return 0;
}

static int round_run(struct bench *b, struct round *r)
{
	uint64_t cpu_ns;
	int ret = join_all(b);

	if (ret < 0)
		return ret;
	pause_ns(SETTLE_NS);
	cpu_ns = cpu_time_ns(b->o.controlplane);
	latency_add(b, &b->without, -1);
	pause_ns(QUIET_NS);
	latency_add(b, &b->without, 1);
	r->quiet_cpu_ns = cpu_time_ns(b->o.controlplane) - cpu_ns;

	cpu_ns = cpu_time_ns(b->o.controlplane);
	latency_add(b, &b->with, -1);
	ret = handshake_all(b, &r->took_ns);
	latency_add(b, &b->with, 1);
	pause_ns(SETTLE_NS);
	r->cpu_ns = cpu_time_ns(b->o.controlplane) - cpu_ns;
	r->n_connected = b->n_connected;
	return ret;
}

static int bench_run(struct bench *b)
{
	int ret = 0;

	for (uint32_t i = 0; i < b->o.n_rounds && ret == 0; i++) {
		b->n_joined = b->n_begun = b->n_connected = b->n_failed = 0;
		ret = round_run(b, &b->round[i]);
		b->n_failed_ever += b->n_failed;
		for (uint32_t k = 0; k < b->n_joined; k++)
			load_session_leave(&b->sessions[k]);
	}
	return ret;
}

static void put_latency(FILE *f, const char *name, const struct latency *l)
{
	uint64_t n = latency_n(l);

	// The worker's last bucket has no upper end: from 14.7 ms on.
	fprintf(f,
		"\"%s\":{\"bursts\":%lu,\"p50\":%.0f,\"p99\":%.0f,\"p99_9\":%.0f,"
		"\"beyond_14_7_ms\":%lu}",
		name, n, latency_quantile(l, 0.5), latency_quantile(l, 0.99),
		latency_quantile(l, 0.999), l->bucket[SHM_LATENCY_BUCKETS - 1]);
}

static int report(const struct bench *b)
{
	FILE *f = b->o.json ? fopen(b->o.json, "w") : stdout;

	if (!f)
		return -errno;
	fprintf(f, "{\"failed\":%u,\"rounds\":[", b->n_failed_ever);
	for (uint32_t i = 0; i < b->o.n_rounds; i++) {
		const struct round *r = &b->round[i];

		fprintf(f,
			"%s{\"handshakes\":%u,\"seconds\":%.4f,\"per_sec\":%.0f,"
			"\"controlplane_cpu_seconds\":%.4f,\"per_cpu_sec\":%.0f,"
			"\"controlplane_cpu_share_without\":%.4f}",
			i ? "," : "", r->n_connected, (double)r->took_ns / 1e9,
			(double)r->n_connected * 1e9 / (double)r->took_ns, (double)r->cpu_ns / 1e9,
			(double)r->n_connected * 1e9 / (double)r->cpu_ns,
			(double)r->quiet_cpu_ns / (double)QUIET_NS);
	}
	fputs("],\"latency_ns\":{", f);
	put_latency(f, "without", &b->without);
	fputc(',', f);
	put_latency(f, "with", &b->with);
	fputs("}}\n", f);
	return f == stdout || fclose(f) == 0 ? 0 : -errno;
}

static int options_read(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "whip", required_argument, NULL, 'w' },
		{ "token", required_argument, NULL, 't' },
		{ "instance", required_argument, NULL, 'i' },
		{ "controlplane", required_argument, NULL, 'c' },
		{ "sessions", required_argument, NULL, 'n' },
		{ "window", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	int opt;

	*o = (struct options){ .n_sessions = 1000, .window = 32, .n_rounds = 3 };
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'w')
			o->whip = optarg;
		else if (opt == 't')
			o->token = optarg;
		else if (opt == 'i')
			o->instance = optarg;
		else if (opt == 'c')
			o->controlplane = (pid_t)strtol(optarg, NULL, 10);
		else if (opt == 'n')
			o->n_sessions = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'p')
			o->window = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'r')
			o->n_rounds = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'j')
			o->json = optarg;
		else
			return -EINVAL;
	}
	return o->whip && o->instance && o->controlplane > 0 && o->n_sessions &&
			       o->n_sessions <= SESSIONS_MAX && o->window && o->n_rounds &&
			       o->n_rounds <= ROUNDS_MAX && optind == argc
		       ? 0
		       : -EINVAL;
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct rlimit files = { 65536, 65536 };
	struct shm_segment segment;
	int ret;

	if (options_read(argc, argv, &b.o) < 0) {
		fputs("usage: sfu_handshakes --whip URL [--token T] --instance NAME --controlplane "
		      "PID "
		      "[--sessions N] [--window N] [--rounds N] [--json FILE]\n",
		      stderr);
		return 2;
	}
	(void)setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	if (shm_segment_attach(b.o.instance, SHM_SEGMENT_WORKERS, false, &segment) !=
	    SHM_ATTACH_READY) {
		fprintf(stderr, "sfu_handshakes: no instance %s runs\n", b.o.instance);
		return 1;
	}
	b.workers = segment.base;
	b.media = (struct load_media){ .has_audio = true,
				       .n_layers = 1,
				       .n_temporal = 1,
				       .packet_bytes = 160,
				       .frames_per_s = 50 };
	b.world = (struct load_world){ .dtls = load_dtls_context_new(PROFILES),
				       .transport_counters = &b.transport_counters,
				       .counters = &b.session_counters,
				       .totals = &b.totals };
	b.sessions = calloc(b.o.n_sessions, sizeof(*b.sessions));
	b.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!b.sessions || !b.world.dtls || b.epoll_fd < 0 ||
	    dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &b.world.srtp) < 0) {
		fputs("sfu_handshakes: no memory, or no SRTP engine works on this machine\n",
		      stderr);
		return 1;
	}
	ret = bench_run(&b);
	if (ret < 0)
		fprintf(stderr, "sfu_handshakes: %s; %u joined, %u connected, %u failed\n",
			strerror(-ret), b.n_joined, b.n_connected, b.n_failed);
	else
		ret = report(&b);
	shm_segment_detach(&segment);
	return ret < 0 || b.n_failed_ever ? 1 : 0;
}
