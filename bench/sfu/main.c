// sfu_load: publishers and watchers against any WHIP and WHEP server, over real sockets, with every
// packet verified. One thread; writes nothing but its report.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/blast/waited.h"
#include "bench/sfu/cpu_time.h"
#include "bench/sfu/report.h"

#define TIMER_NS      10000000ULL
#define EVENTS_MAX    64
#define CONNECT_NS    20000000000ULL
#define DRAIN_NS      300000000ULL // for what is on its way when counting ends
#define SAMPLE_NS     200000000ULL
#define SILENT_NS     1000000000ULL // a watcher that got nothing for so long at the end is in the dark
#define JOIN_TRIES    20
#define JOIN_PAUSE_NS 250000000ULL

struct load {
	struct load_options options;
	struct load_world world;
	struct load_session *sessions; // publishers first
	uint32_t n_sessions;
	uint32_t n_publishers; // that joined
	int epoll_fd;
	uint64_t timer_ns;
	bool is_sending;
	struct load_transport_counters transport_counters;
	struct load_session_counters session_counters;
	struct load_result result;
	uint64_t sampled_bytes;
};

static volatile sig_atomic_t is_interrupted;

static void interrupt(int signal_number)
{
	is_interrupted = 1;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void turn(struct load *l, uint64_t until_ns)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t next_ns = l->timer_ns < until_ns ? l->timer_ns : until_ns;
	uint64_t now_ns = clock_ns();
	struct timespec wait;
	int n;

	if (l->is_sending) {
		for (uint32_t i = 0; i < l->n_publishers; i++) {
			uint64_t due_ns = load_session_send(&l->sessions[i], now_ns);

			next_ns = due_ns < next_ns ? due_ns : next_ns;
		}
	}
	load_transport_flush();
	now_ns = clock_ns();
	next_ns = next_ns > now_ns ? next_ns - now_ns : 0;
	wait = (struct timespec){ .tv_sec = (time_t)(next_ns / 1000000000ULL),
				  .tv_nsec = (long)(next_ns % 1000000000ULL) };
	n = epoll_pwait2(l->epoll_fd, events, EVENTS_MAX, &wait, NULL);
	now_ns = clock_ns();
	for (int i = 0; i < n; i++) {
		struct load_session *s = events[i].data.ptr;

		load_transport_receive(&s->transport, now_ns);
	}
	if (now_ns < l->timer_ns)
		return;
	l->timer_ns = now_ns + TIMER_NS;
	for (uint32_t i = 0; i < l->n_sessions; i++)
		load_session_timer(&l->sessions[i], now_ns);
}

static void run(struct load *l, uint64_t for_ns)
{
	uint64_t end_ns = clock_ns() + for_ns;

	while (clock_ns() < end_ns && !is_interrupted)
		turn(l, end_ns);
}

static void sample(struct load *l, uint64_t now_ns)
{
	struct load_sample *s = &l->result.samples[l->result.n_samples++];
	uint64_t n_bytes = l->result.totals.n_bytes;

	s->at_ms = (uint32_t)((now_ns - l->result.counted_ns) / 1000000);
	s->kbps = (uint32_t)((n_bytes - l->sampled_bytes) * 8 * 1000000 / SAMPLE_NS);
	l->sampled_bytes = n_bytes;
	for (uint32_t i = l->n_publishers; i < l->n_sessions; i++) {
		const struct rtp_sink *sink = &l->sessions[i].sink;

		for (uint32_t k = 0; k < sink->n_streams; k++)
			if (sink->streams[k]->kind == RTP_SINK_VIDEO &&
			    sink->streams[k]->layer < LOAD_LAYERS_MAX)
				s->n_at_layer[sink->streams[k]->layer]++;
	}
}

// The time that counts.
static void run_sampled(struct load *l)
{
	uint64_t n = l->options.seconds * 1000000000ULL / SAMPLE_NS;

	l->sampled_bytes = l->result.totals.n_bytes;
	for (uint64_t i = 1; i <= n && !is_interrupted; i++) {
		uint64_t end_ns = l->result.counted_ns + i * SAMPLE_NS;
		uint64_t now_ns = clock_ns();

		run(l, end_ns > now_ns ? end_ns - now_ns : 0);
		sample(l, clock_ns());
	}
}

static void note_failure(struct load *l, const char *why)
{
	l->result.n_failed++;
	if (!l->result.first_failure[0])
		snprintf(l->result.first_failure, sizeof(l->result.first_failure), "%s", why);
}

static bool join(struct load *l, bool is_publisher, uint32_t number, uint32_t room,
		 uint32_t publisher)
{
	const struct load_options *o = &l->options;
	struct load_session *s = &l->sessions[l->n_sessions];
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
	char url[HTTP_URL_BYTES];
	char why[256] = "the URL is too long";
	int ret = -EINVAL;

	if (load_url_expand(is_publisher ? o->whip : o->whep, room, publisher, url)) {
		for (uint32_t i = 0; i < JOIN_TRIES && !is_interrupted; i++) {
			ret = load_session_join(s, &l->world, is_publisher, number, &o->media, url,
						is_publisher ? o->whip_token : o->whep_token, why);
			if (ret != -EAGAIN)
				break;
			run(l, JOIN_PAUSE_NS);
		}
	}
	if (ret == 0 && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->transport.fd, &event) < 0) {
		ret = -errno;
		load_session_leave(s);
	}
	if (ret < 0) {
		note_failure(l, why);
		return false;
	}
	histogram_add(&l->result.join_us, s->join_ns / 1000);
	l->n_sessions++;
	return true;
}

static bool all_settled(const struct load *l)
{
	for (uint32_t i = 0; i < l->n_sessions; i++)
		if (l->sessions[i].transport.stage < LOAD_STAGE_CONNECTED)
			return false;
	return true;
}

static void settle(struct load *l)
{
	uint64_t end_ns = clock_ns() + CONNECT_NS;

	while (!all_settled(l) && clock_ns() < end_ns && !is_interrupted)
		turn(l, end_ns);
}

static void join_all(struct load *l)
{
	const struct load_options *o = &l->options;
	uint32_t number = 0;

	for (uint32_t room = 0; room < o->n_rooms && !is_interrupted; room++)
		for (uint32_t p = 0; p < o->n_publishers; p++)
			join(l, true, number++, room, p);
	l->n_publishers = l->n_sessions;
	settle(l);
	l->is_sending = true;
	number = 0;
	for (uint32_t room = 0; room < o->n_rooms; room++)
		for (uint32_t p = 0; p < o->n_publishers; p++)
			for (uint32_t w = 0; w < o->n_watchers && !is_interrupted; w++) {
				join(l, false, number++, room, p);
				turn(l, 0);
			}
	settle(l);
}

static void begin_counting(struct load *l)
{
	uint64_t now_ns = clock_ns();

	for (uint32_t i = 0; i < l->n_sessions; i++) {
		struct load_session *s = &l->sessions[i];

		rtp_sink_begin_counting(&s->sink, now_ns);
		for (uint32_t k = 0; k < s->n_sources; k++)
			l->result.published_pkts -= s->sources[k].n_pkts;
	}
	l->result.received_pkts -= l->result.totals.n_pkts;
	l->result.received_bytes -= l->result.totals.n_bytes;
	l->result.waited_ns = waited_ns();
	l->result.server_cpu_ns = cpu_time_ns((pid_t)l->options.server_pid);
	l->result.counted_ns = now_ns;
}

static void end_counting(struct load *l)
{
	uint64_t now_ns = clock_ns();

	l->result.counted_ns = now_ns - l->result.counted_ns;
	l->result.waited_ns = waited_ns() - l->result.waited_ns;
	l->result.server_cpu_ns =
		cpu_time_ns((pid_t)l->options.server_pid) - l->result.server_cpu_ns;
	for (uint32_t i = 0; i < l->n_sessions; i++) {
		l->sessions[i].gap_ns = rtp_sink_longest_gap_ns(&l->sessions[i].sink, now_ns);
		l->sessions[i].is_silent = now_ns - l->sessions[i].sink.last_ns > SILENT_NS;
		for (uint32_t k = 0; k < l->sessions[i].n_sources; k++)
			l->result.published_pkts += l->sessions[i].sources[k].n_pkts;
	}
	l->result.received_pkts += l->result.totals.n_pkts;
	l->result.received_bytes += l->result.totals.n_bytes;
}

static void judge(struct load *l, const struct load_session *s)
{
	struct load_result *r = &l->result;
	const struct load_transport *t = &s->transport;
	uint64_t expected;
	uint64_t direct;
	uint64_t repaired;

	if (t->stage != LOAD_STAGE_CONNECTED) {
		note_failure(l, t->why ? t->why : "never connected");
		return;
	}
	r->n_publishers += s->is_publisher;
	r->n_watchers += !s->is_publisher;
	histogram_add(&r->ice_us, t->ice_ns / 1000);
	histogram_add(&r->connected_us, t->connected_ns / 1000);
	r->profile = dp_srtp_profile_info(t->profile)->name;
	r->engine = dp_srtp_context_engine(t->tx);
	if (s->is_publisher)
		return;
	rtp_sink_loss(&s->sink, &expected, &direct, &repaired);
	r->expected += expected;
	r->direct += direct;
	r->repaired += repaired;
	r->n_in_the_dark += direct == 0 || s->is_silent;
	histogram_add(&r->gap_us, s->gap_ns / 1000);
}

static int load_run(struct load *l)
{
	int ret;

	join_all(l);
	run(l, l->options.warmup_s * 1000000000ULL);
	begin_counting(l);
	run_sampled(l);
	end_counting(l);
	l->is_sending = false;
	run(l, DRAIN_NS);
	for (uint32_t i = 0; i < l->n_sessions; i++)
		judge(l, &l->sessions[i]);
	l->result.transport = l->transport_counters;
	l->result.session = l->session_counters;
	ret = load_report(&l->options, &l->result);
	for (uint32_t i = 0; i < l->n_sessions; i++)
		load_session_leave(&l->sessions[i]);
	return ret;
}

int main(int argc, char **argv)
{
	static struct load load;
	struct rlimit files = { 65536, 65536 };
	struct load_options *o = &load.options;
	int ret = load_options_read(argc, argv, o);
	size_t n;

	if (ret != 0)
		return ret < 0 ? 2 : 0;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	signal(SIGPIPE, SIG_IGN);
	n = (size_t)o->n_rooms * o->n_publishers * (1 + (size_t)o->n_watchers);
	load.sessions = calloc(n, sizeof(*load.sessions));
	load.result.samples =
		calloc(o->seconds * (1000000000ULL / SAMPLE_NS), sizeof(*load.result.samples));
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load.result.profile = "none";
	load.result.engine = "none";
	load.world = (struct load_world){
		.dtls = load_dtls_context_new(o->profiles),
		.transport_counters = &load.transport_counters,
		.counters = &load.session_counters,
		.totals = &load.result.totals,
	};
	if (!load.sessions || !load.result.samples || load.epoll_fd < 0) {
		fprintf(stderr, "sfu_load: no memory for %zu sessions\n", n);
		ret = 1;
	} else if (!load.world.dtls) {
		fprintf(stderr, "sfu_load: OpenSSL refuses the profiles \"%s\"\n", o->profiles);
		ret = 2;
	} else if (dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &load.world.srtp) < 0) {
		fprintf(stderr, "sfu_load: no SRTP engine works on this machine\n");
		ret = 1;
	} else {
		ret = load_run(&load);
		dp_srtp_close(load.world.srtp);
	}
	load_dtls_context_free(load.world.dtls);
	free(load.result.samples);
	free(load.sessions);
	return ret;
}
