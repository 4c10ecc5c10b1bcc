// turnpike-dataplane: attaches to the segments of its instance, brings up the ports, runs the
// workers, and watches. Everything that it must know stands in shared memory, so it needs no file
// and starts before or after the control plane. The main thread writes struct shm_dataplane_state.
#include <errno.h>
#include <getopt.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/eal.h"
#include "dataplane/filter_port.h"
#include "dataplane/instance.h"
#include "dataplane/log.h"
#include "dataplane/segments.h"
#include "dataplane/sfu/shared.h"
#include "dataplane/worker.h"

#define EXIT_CLEAN       0
#define EXIT_FAILED      1 // at run time
#define EXIT_ENVIRONMENT 2 // wrong usage, configuration or environment

#define HEARTBEAT_NS    100000000
#define ROUNDS_PER_LOOK 10 // heartbeats between two looks at the segments' files
#define WAIT_NS         20000000
#define WAIT_LOG_AFTER  100 // rounds of waiting before it is said

static volatile sig_atomic_t stop_signal;

static struct dp_segments segments;
static struct dp_shared shared;
static struct dp_worker *workers[SHM_WORKERS_MAX];
static struct shm_settings settings;

static void on_signal(int number)
{
	stop_signal = number;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ns(long ns)
{
	struct timespec t = { .tv_nsec = ns };

	nanosleep(&t, NULL);
}

// Waits until the control plane has made the segments and written settings. 0, or an exit code.
static int wait_for_segments(const char *instance, uint32_t *version)
{
	const char *why = "";
	int ret;

	for (uint32_t round = 0; stop_signal == 0; round++) {
		enum shm_segment_kind kind;
		enum shm_attach_state state = dp_segments_attach(instance, &segments, &kind);

		if (round == WAIT_LOG_AFTER)
			dp_log(DP_LOG_INFO,
			       "waiting for turnpike-controlplane --instance %s to make its "
			       "segments",
			       instance);
		if (state == SHM_ATTACH_READY) {
			ret = dp_settings_read(segments.tables, &settings, version, &why);
			if (ret == 0)
				return EXIT_CLEAN;
			if (ret == -EINVAL && dp_settings_changed(segments.tables, 0)) {
				dp_log(DP_LOG_ERROR,
				       "the settings in shared memory are not valid (%s); restart "
				       "turnpike-controlplane",
				       why);
				return EXIT_ENVIRONMENT;
			}
			dp_segments_detach(&segments);
		} else if (state != SHM_ATTACH_ABSENT && state != SHM_ATTACH_NOT_READY &&
			   state != SHM_ATTACH_OTHER_BOOT) {
			// Those of another boot are about to be replaced by the control plane.
			dp_log(DP_LOG_ERROR, "segment \"%s\" of instance %s: %s",
			       shm_segment_kind_name(kind), instance, shm_attach_state_text(state));
			return EXIT_ENVIRONMENT;
		}
		pause_ns(WAIT_NS);
	}
	return EXIT_CLEAN;
}

static bool any_af_xdp(void)
{
	for (uint32_t i = 0; i < settings.n_ports; i++) {
		if (strncmp(settings.port[i].device, "net_af_xdp", strlen("net_af_xdp")) == 0)
			return true;
	}
	return false;
}

// Starts anew without hugepages: EAL cannot be started twice in one process.
static int exec_without_hugepages(char **argv, const char *instance)
{
	char *again[] = { argv[0], (char *)"--instance", (char *)instance, (char *)"--no-huge",
			  NULL };

	execv("/proc/self/exe", again);
	dp_log(DP_LOG_ERROR, "cannot start again without hugepages: %s", strerror(errno));
	return EXIT_FAILED;
}

static int start_eal(char **argv, const char *instance, bool no_huge, bool *hugepages)
{
	struct dp_port_error err = { .text = "unknown reason" };
	uint32_t sfu_mb = segments.has_sfu ? dp_sfu_memory_mb(settings.n_workers) : 0;
	int ret;

	*hugepages =
		!no_huge && dp_eal_hugepages_suffice(&settings, segments.flows.n_entries, sfu_mb);
	if (!*hugepages)
		dp_log(DP_LOG_WARNING,
		       "no hugepages for %u MB of packet memory: running on ordinary pages, which "
		       "costs some throughput through TLB misses",
		       settings.memory_mb + sfu_mb);
	ret = dp_eal_init(&settings, segments.flows.n_entries, sfu_mb, *hugepages, &err);
	if (ret == 0)
		return EXIT_CLEAN;
	dp_log(DP_LOG_ERROR, "%s", err.text);
	if (ret == -EIO && *hugepages)
		return exec_without_hugepages(argv, instance);
	return EXIT_ENVIRONMENT;
}

static int open_ports(const char *run_dir)
{
	struct shm_dataplane_state *state = &segments.workers->dataplane;
	struct dp_port_error err = { .text = "unknown reason" };

	shared.pool = dp_port_pool_create(&settings, &err);
	if (shared.pool == NULL) {
		dp_log(DP_LOG_ERROR, "%s", err.text);
		return EXIT_ENVIRONMENT;
	}
	for (uint32_t i = 0; i < settings.n_ports; i++) {
		struct dp_port *port = &shared.port[i];

		int ret = dp_port_open(port, &settings.port[i], i, settings.n_workers, run_dir,
				       shared.pool, &err);

		if (ret < 0) {
			dp_log(DP_LOG_ERROR, "port %u: %s", i, err.text);
			while (i-- > 0)
				dp_port_close(&shared.port[i]);
			return ret == -EAGAIN ? EXIT_FAILED : EXIT_ENVIRONMENT;
		}
		dp_port_describe(port, run_dir, &state->port[i]);
		if (port->is_af_xdp)
			dp_log(DP_LOG_INFO, "port %u: %s, XDP filter in %s mode%s", i,
			       settings.port[i].interface,
			       state->port[i].xdp_mode == SHM_XDP_NATIVE ? "native" : "generic",
			       state->port[i].xdp_mode == SHM_XDP_NATIVE
				       ? ""
				       : ", because its driver has no other; that costs "
					 "throughput");
		else
			dp_log(DP_LOG_INFO, "port %u: %s", i, settings.port[i].device);
		if (port->n_queues < settings.n_workers)
			dp_log(DP_LOG_INFO,
			       "port %u has %u queues for %u workers: the others only send through "
			       "it",
			       i, port->n_queues, settings.n_workers);
	}
	shared.n_ports = settings.n_ports;
	return EXIT_CLEAN;
}

static int start_workers(void)
{
	if (segments.has_sfu &&
	    dp_sfu_shared_create(&segments, settings.n_workers, 0, &shared.sfu) < 0) {
		dp_log(DP_LOG_ERROR, "no memory for the SFU; raise memory_mb");
		return EXIT_FAILED;
	}
	for (uint32_t i = 0; i < settings.n_workers; i++) {
		int ret = dp_worker_create(&shared, i, &workers[i]);

		if (ret < 0) {
			dp_log(DP_LOG_ERROR, "worker %u cannot be made: %s; raise memory_mb", i,
			       strerror(-ret));
			return EXIT_FAILED;
		}
	}
	for (uint32_t i = 0; i < settings.n_workers; i++) {
		int ret = rte_eal_remote_launch(dp_worker_run, workers[i], i + 1);

		if (ret < 0) {
			dp_log(DP_LOG_ERROR, "worker %u cannot be launched: %s", i, strerror(-ret));
			__atomic_store_n(&shared.stop, 1, __ATOMIC_RELAXED);
			rte_eal_mp_wait_lcore();
			return EXIT_FAILED;
		}
	}
	return EXIT_CLEAN;
}

static void describe_start(bool hugepages)
{
	struct shm_dataplane_state *state = &segments.workers->dataplane;

	// No worker of a predecessor reads any more.
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		__atomic_store_n(&segments.workers->worker[i].online, 0, __ATOMIC_RELAXED);
	memset(state->port, 0, sizeof(state->port));
	state->started_at_ns = now_ns();
	state->tsc_hz = rte_get_tsc_hz();
	state->n_ports = settings.n_ports;
	state->n_workers = settings.n_workers;
	state->flags = hugepages ? SHM_DATAPLANE_F_HUGEPAGES : 0;
	state->n_starts++;
	memset(state->version, 0, sizeof(state->version));
	snprintf(state->version, sizeof(state->version), "%s", TURNPIKE_VERSION);
	__atomic_store_n(&state->heartbeat_ns, state->started_at_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&state->phase, SHM_DATAPLANE_STARTING, __ATOMIC_RELEASE);
	__atomic_store_n(&state->pid, (uint32_t)getpid(), __ATOMIC_RELEASE);
}

// What cannot be taken over while running is said once per version.
static void watch_settings(uint32_t *seen_version)
{
	static struct shm_settings latest;
	const char *why = "";
	uint32_t version;
	int ret;

	if (!dp_settings_changed(segments.tables, *seen_version))
		return;
	ret = dp_settings_read(segments.tables, &latest, &version, &why);
	if (ret == -EAGAIN)
		return;
	*seen_version = __atomic_load_n(&segments.tables->settings_version, __ATOMIC_ACQUIRE);
	if (ret < 0) {
		dp_log(DP_LOG_ERROR,
		       "new settings in shared memory are not valid (%s); the old ones stay in "
		       "force",
		       why);
		return;
	}
	*seen_version = version;
	if (latest.n_workers != settings.n_workers || latest.n_ports != settings.n_ports ||
	    memcmp(latest.port, settings.port, sizeof(latest.port)) != 0 ||
	    memcmp(latest.worker_cpu, settings.worker_cpu, sizeof(latest.worker_cpu)) != 0)
		dp_log(DP_LOG_WARNING, "new settings change ports or workers: restart "
				       "turnpike-dataplane to use them");
}

// Until a signal; EXIT_FAILED when it needs to start anew.
static int watch(uint32_t version)
{
	struct shm_dataplane_state *state = &segments.workers->dataplane;
	uint32_t seen_version = version;
	uint32_t round = 0;

	while (stop_signal == 0) {
		__atomic_store_n(&state->heartbeat_ns, now_ns(), __ATOMIC_RELAXED);
		for (uint32_t i = 0; i < shared.n_ports; i++)
			dp_port_update(&shared.port[i], &state->port[i]);
		watch_settings(&seen_version);
		if (++round % ROUNDS_PER_LOOK == 0 && dp_segments_replaced(&segments)) {
			dp_log(DP_LOG_WARNING,
			       "the control plane has made new segments; starting anew on them");
			return EXIT_FAILED;
		}
		pause_ns(HEARTBEAT_NS);
	}
	return EXIT_CLEAN;
}

static void stop(void)
{
	struct shm_dataplane_state *state = &segments.workers->dataplane;
	bool filter_stays = false;

	sd_notify(0, "STOPPING=1");
	__atomic_store_n(&shared.stop, 1, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	// Keys are wiped with them.
	for (uint32_t i = 0; i < settings.n_workers; i++)
		dp_worker_destroy(workers[i]);
	if (shared.sfu != NULL)
		dp_sfu_shared_destroy(shared.sfu);
	for (uint32_t i = 0; i < shared.n_ports; i++) {
		filter_stays |= shared.port[i].is_af_xdp;
		dp_port_close(&shared.port[i]);
	}
	__atomic_store_n(&state->phase, SHM_DATAPLANE_STOPPED, __ATOMIC_RELEASE);
	dp_log(DP_LOG_INFO, "stopped%s",
	       filter_stays ? "; the XDP filter stays, answers STUN Binding and drops relay "
			      "traffic until the next start"
			    : "");
}

static int run(char **argv, const char *instance, bool no_huge)
{
	char run_dir[200];
	struct dp_port_error err;
	uint32_t version = 0;
	bool hugepages;
	const char *why;
	int ret;

	ret = dp_instance_run_dir(instance, run_dir, sizeof(run_dir));
	if (ret < 0) {
		dp_log(DP_LOG_ERROR, "run directory %s: %s; start as root", run_dir,
		       strerror(-ret));
		return EXIT_ENVIRONMENT;
	}
	ret = dp_instance_lock(run_dir);
	if (ret < 0) {
		if (ret == -EWOULDBLOCK)
			dp_log(DP_LOG_ERROR,
			       "a dataplane of instance %s is already running; stop it first, or "
			       "choose another --instance",
			       instance);
		else
			dp_log(DP_LOG_ERROR, "%s/dataplane.lock: %s; start as root", run_dir,
			       strerror(-ret));
		return EXIT_ENVIRONMENT;
	}
	ret = wait_for_segments(instance, &version);
	if (ret != EXIT_CLEAN || stop_signal != 0)
		return ret;
	if (dp_segments_check(&segments, settings.n_workers, &why) < 0) {
		dp_log(DP_LOG_ERROR,
		       "segment \"%s\" of instance %s contradicts its settings; stop both "
		       "processes, run turnpikectl segment remove, and start again",
		       why, instance);
		return EXIT_ENVIRONMENT;
	}
	if (any_af_xdp() && dp_filter_port_bind_root(run_dir, &err) < 0) {
		dp_log(DP_LOG_ERROR, "%s", err.text);
		return EXIT_ENVIRONMENT;
	}
	ret = start_eal(argv, instance, no_huge, &hugepages);
	if (ret != EXIT_CLEAN)
		return ret;

	describe_start(hugepages);
	shared.tables = segments.tables;
	shared.workers = segments.workers;
	shared.rings = segments.rings;
	shared.wake_fd = segments.wake_fd;
	shared.flows = segments.flows;
	shared.limits = segments.limits;
	shared.n_limits = segments.n_limits;
	if (dp_limits_create(segments.limits, segments.n_limits, &shared.limiter) < 0) {
		dp_log(DP_LOG_ERROR, "no memory for the limits of %u allocations",
		       segments.n_limits);
		return EXIT_ENVIRONMENT;
	}
	shared.usage = segments.usage;
	shared.n_workers = settings.n_workers;
	ret = open_ports(run_dir);
	// Ports may have taken their time, and the workers may.
	__atomic_store_n(&segments.workers->dataplane.heartbeat_ns, now_ns(), __ATOMIC_RELAXED);
	if (ret == EXIT_CLEAN)
		ret = start_workers();
	if (ret != EXIT_CLEAN) {
		__atomic_store_n(&segments.workers->dataplane.phase, SHM_DATAPLANE_STOPPED,
				 __ATOMIC_RELEASE);
		return ret;
	}
	__atomic_store_n(&segments.workers->dataplane.phase, SHM_DATAPLANE_RUNNING,
			 __ATOMIC_RELEASE);
	dp_log(DP_LOG_INFO, "instance %s: %u workers on %u ports", instance, settings.n_workers,
	       settings.n_ports);
	sd_notify(0, "READY=1");
	ret = watch(version);
	stop();
	return ret;
}

static void print_usage(FILE *to)
{
	fputs("usage: turnpike-dataplane [--instance NAME] [--no-huge]\n"
	      "\n"
	      "  --instance NAME  segments and run directory of that name (default: default)\n"
	      "  --no-huge        ordinary memory pages even if there are hugepages\n"
	      "  --version        print the version\n"
	      "  --help           print this\n"
	      "\n"
	      "All else comes from the control plane of the same instance.\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "instance", required_argument, NULL, 'i' },
		{ "no-huge", no_argument, NULL, 'n' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct sigaction action = { .sa_handler = on_signal };
	const char *instance = "default";
	char unused[128];
	bool no_huge = false;
	int option;

	while ((option = getopt_long(argc, argv, "i:h", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			instance = optarg;
			break;
		case 'n':
			no_huge = true;
			break;
		case 'v':
			puts("turnpike-dataplane " TURNPIKE_VERSION);
			return EXIT_CLEAN;
		case 'h':
			print_usage(stdout);
			return EXIT_CLEAN;
		default:
			print_usage(stderr);
			return EXIT_ENVIRONMENT;
		}
	}
	if (optind < argc) {
		dp_log(DP_LOG_ERROR, "unexpected argument \"%s\"; see --help", argv[optind]);
		return EXIT_ENVIRONMENT;
	}
	if (shm_instance_dir(instance, unused, sizeof(unused)) < 0) {
		dp_log(DP_LOG_ERROR,
		       "instance name \"%s\" is not valid: letters, digits, _ and -, at most %d",
		       instance, SHM_INSTANCE_NAME_MAX - 1);
		return EXIT_ENVIRONMENT;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return run(argv, instance, no_huge);
}
