// The TCP ports on which TURN clients connect. Control plane's loop thread.
#include "controlplane/turn/stream/listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"
#include "controlplane/ops/log.h"
#include "controlplane/turn/stream/certificate.h"
#include "controlplane/turn/stream/connection.h"
#include "controlplane/turn/stream/stream_private.h"

#define BACKLOG           1024
#define ACCEPT_PAUSE_US   100000
#define DESCRIPTORS_OTHER 1024 // beside connections
// An IPv6 address that was just added is tentative for a second or two.
#define TENTATIVE_TRIES 30
#define TENTATIVE_NS    100000000

struct turn_listener {
	struct turn_listeners *all;
	struct config_stream_listener config;
	struct evconnlistener *listener;
	struct event *go_on; // after accept failed
	uint32_t n_unknown;  // connections whose client is not known yet
};

struct turn_listeners {
	struct turn_connections connections;
	struct event *sweep;
	uint32_t n;
	struct turn_listener one[];
};

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		      int address_bytes, void *arg)
{
	struct turn_listener *l = arg;

	turn_connection_new(&l->all->connections, &l->config, &l->n_unknown, (int)fd);
}

static void on_go_on(evutil_socket_t fd, short what, void *arg)
{
	struct turn_listener *l = arg;

	evconnlistener_enable(l->listener);
}

// Out of descriptors or memory: the connection stays in the kernel's queue, and asking for it over and over helps nobody.
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = { .tv_usec = ACCEPT_PAUSE_US };
	struct turn_listener *l = arg;

	turn_streams_count(l->all->connections.streams)->n_refused_accept++;
	log_error("turn: cannot accept connections: %s; raise the limit of open files "
		  "(LimitNOFILE) above streams.max_connections",
		  strerror(errno));
	evconnlistener_disable(listener);
	event_add(l->go_on, &pause);
}

static int bind_to(const struct ip_endpoint *e)
{
	struct sockaddr_storage address;
	socklen_t address_bytes = net_sockaddr_set(e, &address);
	int on = 1, fd, ret;

	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	// A control plane that starts again finds connections of its predecessor in TIME_WAIT.
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, address_bytes) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static int bind_patiently(const struct ip_endpoint *e)
{
	const struct timespec pause = { .tv_nsec = TENTATIVE_NS };
	int fd = bind_to(e);

	for (int i = 0; fd == -EADDRNOTAVAIL && i < TENTATIVE_TRIES; i++) {
		nanosleep(&pause, NULL);
		fd = bind_to(e);
	}
	return fd;
}

static int start_one(struct turn_listener *l, char *error, size_t error_bytes)
{
	struct turn_connections *all = &l->all->connections;
	char text[IP_ENDPOINT_TEXT_MAX];
	int fd;

	ip_endpoint_format(&l->config.endpoint, text, sizeof(text));
	fd = bind_patiently(&l->config.endpoint);
	if (fd < 0) {
		snprintf(error, error_bytes, "cannot listen on TCP %s (listeners[%u]): %s; %s",
			 text, l->config.file_idx, strerror(-fd),
			 fd == -EADDRINUSE      ? "another program has the port (see: ss -ltnp)"
			 : fd == -EADDRNOTAVAIL ? "the address is not this host's"
			 : fd == -EACCES        ? "run as root"
						: "correct the address");
		return fd;
	}
	l->listener = evconnlistener_new(all->base, on_accept, l,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	l->go_on = event_new(all->base, -1, 0, on_go_on, l);
	if (l->listener == NULL || l->go_on == NULL) {
		if (l->listener == NULL)
			close(fd);
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(l->listener, on_accept_error);
	log_info("TURN over %s on %s%s",
		 !l->config.takes_tls    ? "TCP"
		 : l->config.takes_plain ? "TCP and TLS"
					 : "TLS",
		 text, l->config.has_proxy_header ? ", behind a proxy" : "");
	return 0;
}

static void raise_descriptor_limit(const struct config *config)
{
	uint32_t n_connections = config->streams.max_connections;
	rlim_t wanted = (rlim_t)n_connections + DESCRIPTORS_OTHER;
	struct rlimit limit;

	// RFC 6062: each of them may have an allocation that listens, and beside them there are peers.
	if (config->tcp_relay.is_enabled)
		wanted += (rlim_t)n_connections + config->tcp_relay.max_connections;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < wanted)
		log_warning("streams.max_connections is %u, but this process may open %lu files "
			    "only; raise LimitNOFILE",
			    n_connections, (unsigned long)limit.rlim_cur);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct turn_listeners *l = arg;

	turn_connections_tick(&l->connections, turn_stream_now_ns(CLOCK_MONOTONIC));
}

int turn_listeners_prepare(const struct config *config, const char *state_dir, SSL_CTX **out,
			   char *error, size_t error_bytes)
{
	*out = NULL;
	for (uint32_t i = 0; i < config->n_stream_listeners; i++)
		if (config->stream_listeners[i].takes_tls)
			return turn_certificate_context(config, state_dir, TLS_server_method(), out,
							error, error_bytes);
	return 0;
}

int turn_listeners_new(const struct config *config, const char *state_dir, struct event_base *base,
		       struct turn_streams *streams, struct turn_listeners **out, char *error,
		       size_t error_bytes)
{
	const struct timeval period = { .tv_sec = 1 };
	struct turn_listeners *l;
	int ret = -ENOMEM;

	l = calloc(1, sizeof(*l) + config->n_stream_listeners * sizeof(l->one[0]));
	snprintf(error, error_bytes, "out of memory");
	if (l == NULL)
		return -ENOMEM;
	l->connections.base = base;
	l->connections.streams = streams;
	l->sweep = event_new(base, -1, EV_PERSIST, on_sweep, l);
	if (l->sweep == NULL || event_add(l->sweep, &period) < 0)
		goto fail;
	ret = turn_listeners_prepare(config, state_dir, &l->connections.tls, error, error_bytes);
	if (ret < 0)
		goto fail;
	if (config->n_stream_listeners > 0)
		raise_descriptor_limit(config);
	for (uint32_t i = 0; i < config->n_stream_listeners; i++) {
		l->one[i].all = l;
		l->one[i].config = config->stream_listeners[i];
		l->n = i + 1;
		ret = start_one(&l->one[i], error, error_bytes);
		if (ret < 0)
			goto fail;
	}
	*out = l;
	return 0;
fail:
	turn_listeners_free(l);
	return ret;
}

void turn_listeners_commit(struct turn_listeners *l, SSL_CTX *tls)
{
	// Sessions that stand hold a reference on theirs.
	SSL_CTX_free(l->connections.tls);
	l->connections.tls = tls;
}

void turn_listeners_free(struct turn_listeners *l)
{
	if (l == NULL)
		return;
	for (uint32_t i = 0; i < l->n; i++) {
		if (l->one[i].listener != NULL)
			evconnlistener_free(l->one[i].listener);
		if (l->one[i].go_on != NULL)
			event_free(l->one[i].go_on);
	}
	turn_connections_free(&l->connections);
	if (l->sweep != NULL)
		event_free(l->sweep);
	SSL_CTX_free(l->connections.tls);
	free(l);
}

bool turn_listeners_same(const struct config *a, const struct config *b)
{
	if (a->n_stream_listeners != b->n_stream_listeners)
		return false;
	for (uint32_t i = 0; i < a->n_stream_listeners; i++) {
		const struct config_stream_listener *x = &a->stream_listeners[i];
		const struct config_stream_listener *y = &b->stream_listeners[i];

		if (!ip_endpoint_equal(&x->endpoint, &y->endpoint) ||
		    x->takes_plain != y->takes_plain || x->takes_tls != y->takes_tls ||
		    x->has_proxy_header != y->has_proxy_header || x->realm_idx != y->realm_idx)
			return false;
	}
	return true;
}

const struct turn_listeners_stats *turn_listeners_stats(const struct turn_listeners *l)
{
	return &l->connections.stats;
}
