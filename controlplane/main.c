// turnpike-controlplane: arguments, the instance's lock, the loop, signals. Main thread.
// Exit codes: 0 clean, 1 failed at run time, 2 wrong configuration, usage or environment.
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "controlplane/engine.h"
#include "controlplane/net/own_addresses.h"
#include "controlplane/ops/log.h"

#define PROGRAM "turnpike-controlplane"

static struct engine engine;

static void usage(FILE *to)
{
	fputs("usage: " PROGRAM " --config FILE [--instance NAME] [--check] [--version]\n"
	      "  --config FILE    the YAML configuration\n"
	      "  --instance NAME  rules over the file's instance\n"
	      "  --check          say whether the file is good, and exit\n",
	      to);
}

// Creates the directory and those above it.
static int make_directories(const char *path)
{
	char partial[160];
	size_t n = strlen(path);

	if (n >= sizeof(partial))
		return -ENAMETOOLONG;
	memcpy(partial, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (partial[i] != '/' && partial[i] != '\0')
			continue;
		partial[i] = '\0';
		if (mkdir(partial, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (i < n)
			partial[i] = '/';
	}
	return 0;
}

// Takes the lock that only one control plane of an instance holds; it goes with the process.
// -EBUSY: somebody has it.
static int lock_instance(const char *instance, char *error, size_t error_bytes)
{
	char run_dir[128], path[160], owner[16] = "";
	int fd, ret;

	ret = engine_run_dir(instance, run_dir, sizeof(run_dir));
	if (ret == 0)
		ret = make_directories(run_dir);
	if (ret < 0) {
		snprintf(error, error_bytes, "cannot create %s: %s; run as root", run_dir,
			 strerror(-ret));
		return ret;
	}
	snprintf(path, sizeof(path), "%s/controlplane.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		ret = -errno;
		snprintf(error, error_bytes, "cannot open %s: %s; run as root", path,
			 strerror(-ret));
		return ret;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (read(fd, owner, sizeof(owner) - 1) > 0)
			owner[strcspn(owner, "\n")] = '\0';
		snprintf(error, error_bytes,
			 "a control plane of instance %s is already running (pid %s); stop it, or "
			 "choose "
			 "another --instance",
			 instance, owner);
		close(fd);
		return -EBUSY;
	}
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		log_warning("cannot write our pid to %s: %s", path, strerror(errno));
	// The descriptor stays open on purpose: closing it would give the lock back.
	return 0;
}

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
	log_info("signal %d: stopping; sessions stay in the tables for the next control plane",
		 (int)signal_number);
	sd_notify(0, "STOPPING=1");
	event_base_loopbreak(engine.base);
}

static void on_reload(evutil_socket_t signal_number, short what, void *arg)
{
	char error[512];

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)(engine_now_ns() / 1000));
	if (engine_reload(&engine, error, sizeof(error)) < 0)
		log_error("reload refused, the old configuration stays in force: %s", error);
	else
		log_info("configuration %s reloaded", engine.config_path);
	sd_notify(0, "READY=1");
}

static void log_start(void)
{
	const struct turn_adoption *a = turn_server_adoption(engine.turn);

	switch (engine.tables.origin) {
	case TABLE_WRITER_ADOPTED:
		log_info("adopted %u allocations, %u permissions and %u channels in %llu us; %u "
			 "ended, %u "
			 "half-finished operations undone",
			 a->n_allocations, a->n_permissions, a->n_channels,
			 (unsigned long long)(a->took_ns / 1000), a->n_ended, a->n_repaired);
		break;
	case TABLE_WRITER_RECREATED:
		log_info("replaced segments from before the last reboot");
		break;
	default:
		break;
	}
	if (engine.tables.n_workers_max < engine.config->n_workers)
		log_warning("%u workers are configured, but the running dataplane's segments have "
			    "room for %u, which go on; for more, stop both processes and start "
			    "them again (sessions survive)",
			    engine.config->n_workers, engine.tables.n_workers_max);
	log_info("version " TURNPIKE_VERSION
		 ", instance %s: ready, realm %s, %u listeners, %u relay "
		 "addresses, tables for %u allocations and %u flows",
		 engine.config->instance, engine.config->realm,
		 engine.config->n_listeners + engine.config->n_stream_listeners,
		 engine.config->n_relays, engine.config->max_allocations, engine.config->max_flows);
}

static int run(void)
{
	struct event_base *base = event_base_new();
	struct event *stop_term = NULL, *stop_int = NULL, *reload = NULL;
	char error[512];
	int code = 1;

	if (base == NULL) {
		log_error("no event loop: out of memory");
		goto out;
	}
	if (engine_start(&engine, base, error, sizeof(error)) < 0) {
		log_error("%s", error);
		code = 2;
		goto out;
	}
	stop_term = evsignal_new(base, SIGTERM, on_stop, NULL);
	stop_int = evsignal_new(base, SIGINT, on_stop, NULL);
	reload = evsignal_new(base, SIGHUP, on_reload, NULL);
	if (stop_term == NULL || stop_int == NULL || reload == NULL ||
	    event_add(stop_term, NULL) < 0 || event_add(stop_int, NULL) < 0 ||
	    event_add(reload, NULL) < 0) {
		log_error("cannot watch signals: out of memory");
		goto out;
	}
	log_start();
	sd_notify(0, "READY=1");
	if (event_base_dispatch(base) == 0)
		code = 0;
	else
		log_error("the event loop failed: %s", strerror(errno));
out:
	engine_close(&engine);
	if (stop_term != NULL)
		event_free(stop_term);
	if (stop_int != NULL)
		event_free(stop_int);
	if (reload != NULL)
		event_free(reload);
	if (base != NULL)
		event_base_free(base);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "instance", required_argument, NULL, 'i' },
		{ "check", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *config_path = NULL, *instance = NULL;
	struct own_addresses *own_addresses;
	struct config *config;
	bool is_check = false;
	char error[512];
	int option, code;

	log_open(PROGRAM, LOG_LEVEL_INFO);
	while ((option = getopt_long(argc, argv, "c:i:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config_path = optarg;
			break;
		case 'i':
			instance = optarg;
			break;
		case 'k':
			is_check = true;
			break;
		case 'v':
			puts(PROGRAM " " TURNPIKE_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (config_path == NULL || optind != argc) {
		usage(stderr);
		return 2;
	}
	if ((is_check ? config_parse : config_load)(config_path, &config, error, sizeof(error)) <
	    0) {
		log_error("%s", error);
		return 2;
	}
	if (instance != NULL) {
		char directory[256];

		if (strlen(instance) >= sizeof(config->instance) ||
		    shm_instance_dir(instance, directory, sizeof(directory)) < 0) {
			log_error("--instance %s: only letters, digits, - and _, at most %d",
				  instance, SHM_INSTANCE_NAME_MAX - 1);
			config_free(config);
			return 2;
		}
		strcpy(config->instance, instance);
	}
	if (is_check) {
		config_free(config);
		puts("configuration is good");
		return 0;
	}
	// Before anything is created: what cannot run leaves nothing behind.
	if (lock_instance(config->instance, error, sizeof(error)) < 0 ||
	    own_addresses_claim(config, &own_addresses, error, sizeof(error)) < 0) {
		log_error("%s", error);
		config_free(config);
		return 2;
	}
	if (engine_open(&engine, config, error, sizeof(error)) < 0) {
		log_error("%s", error);
		own_addresses_release(own_addresses);
		return 2;
	}
	snprintf(engine.config_path, sizeof(engine.config_path), "%s", config_path);
	code = run();
	own_addresses_release(own_addresses);
	return code;
}
