// Everything of a running control plane in one place: what main starts, timers drive and the ctl
// server reads. One thread: the libevent loop.
#ifndef TP_ENGINE_H
#define TP_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/net/next_hop.h"
#include "controlplane/punt.h"
#include "controlplane/table_writer.h"
#include "controlplane/turn/server.h"

struct ctl_server;
struct sfu;
struct signaling;
struct accounting;
struct redis_store;
struct turn_listeners;
struct turn_streams;
struct turn_dtls;
struct turn_tcp_sockets;
struct event;
struct event_base;
struct sfu;
struct xdp_filter;

enum engine_filter_state {
	ENGINE_FILTER_UNUSED = 0, // no AF_XDP port
	ENGINE_FILTER_CONFIGURED,
	ENGINE_FILTER_FAILED, // see filter_error; the relay works, the kernel sees our traffic
	ENGINE_FILTER_STATE_COUNT
};

struct engine {
	char config_path[256];
	char run_dir[128];   // /run/turnpike/<instance>
	char state_dir[128]; // /var/lib/turnpike/<instance>: what outlives a restart of the host
	struct config *config;
	struct event_base *base; // NULL in tests that drive the engine by hand
	struct table_writer tables;
	struct turn_server *turn;
	struct next_hops *hops;
	struct punt *punt;            // NULL without a loop
	struct sfu *sfu;              // NULL where the configuration has none
	struct signaling *signaling;  // NULL without a loop or listeners
	struct turn_streams *streams; // TURN clients over TCP, TLS and DTLS; NULL without a loop
	struct turn_listeners *turn_listeners; // where they connect; NULL without a loop
	struct turn_dtls *dtls;                // NULL where it is not spoken
	struct turn_tcp_sockets *tcp_sockets;  // of TCP peers; NULL where there are none
	enum engine_filter_state filter_state;
	struct xdp_filter *filter; // open maps, NULL unless configured
	char filter_error[320];
	uint64_t started_at_ns;      // CLOCK_MONOTONIC
	uint64_t started_at_wall_ns; // CLOCK_REALTIME
	uint64_t reloaded_at_ns;     // 0 = never
	struct ctl_server *ctl;      // NULL without a loop
	bool has_watchdog;           // systemd wants to hear from us
	struct event *timer_heartbeat;
	struct event *timer_reclaim;
	struct event *timer_expire;
	struct event *timer_sfu;
	struct redis_store *redis;     // NULL where the configuration has none, or without a loop
	struct accounting *accounting; // the same
	struct event *store_retry;     // its answers, once each round of the loop
	struct event *timer_store_retry;
	struct event *timer_dtls;
};

// Monotonic and wall clock, in ns.
uint64_t engine_now_ns(void);
uint64_t engine_wall_ns(void);
// $TURNPIKE_RUN_DIR or /run/turnpike, then the instance. -EINVAL if it does not fit.
int engine_run_dir(const char *instance, char *out, size_t out_bytes);
// $TURNPIKE_STATE_DIR or /var/lib/turnpike, then the instance. -EINVAL if it does not fit.
int engine_state_dir(const char *instance, char *out, size_t out_bytes);

// Opens the tables, adopts what stands in them, and starts everything that needs no loop. Takes
// over `config`. On failure -errno and one sentence in error; nothing is left half-started.
int engine_open(struct engine *e, struct config *config, char *error, size_t error_bytes);
// Adds what needs the loop and the host: rtnetlink, punt rings, XDP maps, the ctl socket, timers.
int engine_start(struct engine *e, struct event_base *base, char *error, size_t error_bytes);
// Loads the configuration file again: users, secrets, quotas, limits and peer rules change; what
// needs a restart is named in error.
int engine_reload(struct engine *e, char *error, size_t error_bytes);
// Unmaps and frees; segments and filter stay.
void engine_close(struct engine *e);

#endif
