// Listening on relayed transport addresses, accepting peers, connecting to them. Control plane's loop thread.
#include "controlplane/turn/tcp_relay/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/net/next_hop.h"
#include "controlplane/net/sockaddr.h"
#include "controlplane/ops/log.h"
#include "controlplane/turn/tcp_relay/connections.h"
#include "controlplane/turn/tcp_relay/sockets_private.h"

#define BACKLOG          64
#define ACCEPT_BATCH     16
#define ACCEPT_PAUSE_US  100000
#define RATE_TICKS_PER_S 20

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

// ---- peers that connect

static void on_go_on(evutil_socket_t fd, short what, void *arg)
{
	struct turn_tcp_listener *l = arg;

	event_add(l->event, NULL);
}

// Out of descriptors or memory: the peer stays in the kernel's queue, and asking for it over and over helps nobody.
static void pause_accepting(struct turn_tcp_listener *l)
{
	static const struct timeval pause = { .tv_usec = ACCEPT_PAUSE_US };
	struct turn_tcp_sockets *k = l->sockets;

	if (turn_tcp_relay_accept_failed(k->relay) == 1)
		log_error("turn: cannot accept connections of peers: %s; raise the limit of open "
			  "files (LimitNOFILE); accept_failed counts further ones",
			  strerror(errno));
	event_del(l->event);
	event_add(l->go_on, &pause);
}

static void accepted(struct turn_tcp_listener *l, int fd, const struct sockaddr_storage *ss)
{
	struct turn_tcp_sockets *k = l->sockets;
	uint32_t allocation_idx = l->allocation_idx;
	struct turn_tcp_peer *p;
	struct ip_endpoint peer;
	uint32_t connection;

	p = turn_tcp_peer_new(k, fd, 0);
	if (p == NULL) {
		close(fd);
		return;
	}
	// The listener may be gone behind this, with its allocation.
	connection = net_sockaddr_get(ss, &peer)
			     ? turn_tcp_relay_accepted(k->relay, allocation_idx, &peer, now_ns())
			     : 0;
	if (connection == 0) {
		turn_tcp_peer_free(p);
		return;
	}
	turn_tcp_socket_prepare(fd);
	p->connection = connection;
	k->peer[connection] = p;
}

static void on_listener(evutil_socket_t fd, short what, void *arg)
{
	struct turn_tcp_listener *l = arg;
	struct turn_tcp_sockets *k = l->sockets;
	uint32_t allocation_idx = l->allocation_idx;

	for (uint32_t i = 0; i < ACCEPT_BATCH && k->listener[allocation_idx] == l; i++) {
		struct sockaddr_storage ss;
		socklen_t n = sizeof(ss);
		int peer_fd =
			accept4(l->fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (peer_fd >= 0) {
			accepted(l, peer_fd, &ss);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			pause_accepting(l);
			return;
		}
		if (errno != ECONNABORTED)
			return;
	}
}

static void rate_give(struct turn_tcp_sockets *k, struct turn_tcp_rate *rate)
{
	if (--rate->n_listeners > 0)
		return;
	if (rate->user_idx != 0)
		k->user_rate[rate->user_idx] = NULL;
	bufferevent_rate_limit_group_free(rate->group);
	free(rate);
}

static void listener_free(struct turn_tcp_listener *l)
{
	if (l->event != NULL)
		event_free(l->event);
	if (l->go_on != NULL)
		event_free(l->go_on);
	if (l->rate != NULL)
		rate_give(l->sockets, l->rate);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

// The one of the user where there is one already, then with the limit of now; or a new one. NULL: out of memory.
static struct turn_tcp_rate *rate_take(struct turn_tcp_sockets *k, uint32_t user_idx,
				       const struct ev_token_bucket_cfg *cfg)
{
	struct turn_tcp_rate *rate = user_idx != 0 ? k->user_rate[user_idx] : NULL;

	if (rate != NULL) {
		bufferevent_rate_limit_group_set_cfg(rate->group, cfg);
		rate->n_listeners++;
		return rate;
	}
	rate = calloc(1, sizeof(*rate));
	if (rate == NULL)
		return NULL;
	rate->group = bufferevent_rate_limit_group_new(k->base, cfg);
	if (rate->group == NULL) {
		free(rate);
		return NULL;
	}
	rate->user_idx = user_idx;
	rate->n_listeners = 1;
	if (user_idx != 0)
		k->user_rate[user_idx] = rate;
	return rate;
}

// The limits of the dataplane's relaying, kept by holding the sender up instead of by loss. What the user relays by UDP is the
// workers' to count, and not in it.
static int limit_rate(struct turn_tcp_listener *l)
{
	const struct timeval tick = { .tv_usec = 1000000 / RATE_TICKS_PER_S };
	struct ev_token_bucket_cfg *cfg;
	uint32_t bytes_per_s, user_idx;
	size_t per_tick;

	bytes_per_s = turn_tcp_relay_bytes_per_s(l->sockets->relay, l->allocation_idx, &user_idx);
	per_tick = bytes_per_s / RATE_TICKS_PER_S + 1;
	if (bytes_per_s == 0)
		return 0;
	cfg = ev_token_bucket_cfg_new(per_tick, per_tick * 2, per_tick, per_tick * 2, &tick);
	if (cfg == NULL)
		return -ENOMEM;
	l->rate = rate_take(l->sockets, user_idx, cfg);
	ev_token_bucket_cfg_free(cfg);
	return l->rate != NULL ? 0 : -ENOMEM;
}

static int io_listen(void *arg, uint32_t allocation_idx, const struct ip_endpoint *relayed)
{
	struct turn_tcp_sockets *k = arg;
	struct turn_tcp_listener *l = calloc(1, sizeof(*l));
	int ret = -ENOMEM;

	if (l == NULL)
		return -ENOMEM;
	l->sockets = k;
	l->allocation_idx = allocation_idx;
	l->fd = turn_tcp_socket_bound(relayed);
	if (l->fd < 0) {
		ret = l->fd;
		goto fail;
	}
	if (listen(l->fd, BACKLOG) < 0) {
		ret = -errno;
		goto fail;
	}
	l->event = event_new(k->base, l->fd, EV_READ | EV_PERSIST, on_listener, l);
	l->go_on = event_new(k->base, -1, 0, on_go_on, l);
	if (l->event == NULL || l->go_on == NULL || event_add(l->event, NULL) < 0 ||
	    limit_rate(l) < 0)
		goto fail;
	k->listener[allocation_idx] = l;
	return 0;
fail:
	listener_free(l);
	return ret;
}

static void io_unlisten(void *arg, uint32_t allocation_idx)
{
	struct turn_tcp_sockets *k = arg;

	listener_free(k->listener[allocation_idx]);
	k->listener[allocation_idx] = NULL;
}

// ---- peers that are connected to

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct turn_tcp_peer *p = arg;
	struct turn_tcp_sockets *k = p->sockets;
	uint32_t connection = p->connection;
	socklen_t n = sizeof(int);
	int error = EIO;

	event_free(p->connecting);
	p->connecting = NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0) {
		turn_tcp_socket_prepare(fd);
		turn_tcp_relay_connected(k->relay, connection, now_ns());
		return;
	}
	k->peer[connection] = NULL;
	turn_tcp_peer_free(p);
	turn_tcp_relay_failed(k->relay, connection, now_ns());
}

// Unlike what workers send, the kernel's own connections to this host never leave it: no filter on the way would keep them
// from what listens on addresses that the configuration does not name.
static bool stays_on_host(struct turn_tcp_sockets *k, const struct ip_address *peer)
{
	struct next_hop_info info;

	next_hop_explain(k->hops, peer, &info);
	return info.state == NEXT_HOP_LOCAL;
}

static int io_connect(void *arg, uint32_t connection, const struct ip_endpoint *relayed,
		      const struct ip_endpoint *peer)
{
	struct turn_tcp_sockets *k = arg;
	struct sockaddr_storage ss;
	socklen_t n = net_sockaddr_set(peer, &ss);
	struct ip_endpoint final;
	struct turn_tcp_peer *p;
	int fd, ret;

	// Policy once more, about the very address that the kernel is about to get.
	if (!net_sockaddr_get(&ss, &final) ||
	    turn_tcp_relay_may_connect(k->relay, turn_tcp_relay_allocation(k->relay, connection),
				       &final) != 0 ||
	    (stays_on_host(k, &final.address) && !turn_tcp_relay_is_relayed(k->relay, &final)))
		return -EACCES;
	fd = turn_tcp_socket_bound(relayed);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS) {
		ret = -errno;
		close(fd);
		return ret;
	}
	p = turn_tcp_peer_new(k, fd, connection);
	if (p == NULL) {
		close(fd);
		return -ENOMEM;
	}
	p->connecting = event_new(k->base, fd, EV_WRITE, on_connected, p);
	if (p->connecting == NULL || event_add(p->connecting, NULL) < 0) {
		turn_tcp_peer_free(p);
		return -ENOMEM;
	}
	k->peer[connection] = p;
	return 0;
}

// ---- both

static int io_join(void *arg, uint32_t connection, uint32_t stream_idx, uint32_t stream_serial)
{
	struct turn_tcp_sockets *k = arg;
	struct turn_stream *s = turn_streams_find(k->streams, stream_idx, stream_serial);
	const struct turn_tcp_rate *rate;

	if (s == NULL || k->peer[connection] == NULL)
		return -ENOENT;
	rate = k->listener[turn_tcp_relay_allocation(k->relay, connection)]->rate;
	return turn_tcp_pipe_join(k->peer[connection], s, rate != NULL ? rate->group : NULL);
}

static void io_close(void *arg, uint32_t connection)
{
	struct turn_tcp_sockets *k = arg;
	struct turn_tcp_peer *p = k->peer[connection];

	if (p == NULL)
		return;
	k->peer[connection] = NULL;
	turn_tcp_peer_end(p);
}

static void io_send(void *arg, uint32_t stream_idx, uint32_t stream_serial, const uint8_t *message,
		    size_t n_bytes)
{
	struct turn_tcp_sockets *k = arg;

	turn_streams_send(k->streams, stream_idx, stream_serial, message, n_bytes);
}

// ---- life

int turn_tcp_sockets_new(struct event_base *base, struct turn_server *server,
			 struct turn_streams *streams, struct next_hops *hops,
			 uint32_t n_allocations, const struct turn_tcp_limits *limits,
			 struct turn_tcp_sockets **out)
{
	struct turn_tcp_sockets *k = calloc(1, sizeof(*k));
	const struct turn_tcp_io io = {
		.arg = k,
		.listen = io_listen,
		.unlisten = io_unlisten,
		.connect = io_connect,
		.join = io_join,
		.close = io_close,
		.send = io_send,
	};
	int ret = -ENOMEM;

	if (k == NULL)
		return -ENOMEM;
	k->base = base;
	k->streams = streams;
	k->hops = hops;
	k->listener = calloc((size_t)n_allocations + 1, sizeof(*k->listener));
	k->peer = calloc((size_t)TURN_TCP_CONNECTIONS_MOST + 1, sizeof(struct turn_tcp_peer *));
	k->user_rate = calloc((size_t)n_allocations + 1, sizeof(*k->user_rate));
	if (k->listener == NULL || k->peer == NULL || k->user_rate == NULL)
		goto fail;
	ret = turn_tcp_relay_new(server, &io, limits, &k->relay);
	if (ret < 0)
		goto fail;
	*out = k;
	return 0;
fail:
	turn_tcp_sockets_free(k);
	return ret;
}

void turn_tcp_sockets_free(struct turn_tcp_sockets *k)
{
	if (k == NULL)
		return;
	turn_tcp_relay_free(k->relay);
	while (k->peers != NULL)
		turn_tcp_peer_free(k->peers);
	free(k->user_rate);
	free(k->listener);
	free(k->peer);
	free(k);
}

const struct turn_tcp_relay *turn_tcp_sockets_relay(const struct turn_tcp_sockets *k)
{
	return k == NULL ? NULL : k->relay;
}
