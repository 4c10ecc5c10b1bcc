// evhttp accepts by itself, tells nobody about it, and waits as long for a request as its bytes keep dripping. So each
// connection is looked at right after it was accepted, and again every few seconds. A record does not hear
// of its connection's end: it is stale when its descriptor no longer leads to the same peer, and that is asked only
// where it counts. Control plane's loop thread.
#include "controlplane/signaling/connections.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "controlplane/net/sockaddr.h"
#include "controlplane/ops/log.h"
#include "dataplane/contract/wire/address.h"

#define EXPECTED_MAX 64

struct connection {
	int fd;
	struct ip_endpoint peer;
	int64_t active_at_s; // CLOCK_MONOTONIC: accepted, or the last request
};

struct expected {
	struct bufferevent *bev; // with a reference of ours
	bool must_end;
};

struct connections {
	struct connection *live;
	uint32_t n_live;
	uint32_t max;
	uint32_t per_source_max;
	uint32_t idle_s;
	struct expected expected[EXPECTED_MAX];
	uint32_t n_expected;
	struct event *check; // runs in the loop's turn in which the connection was accepted
	struct event *sweep;
	uint64_t n_refused;
};

static int64_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static bool peer_of(int fd, struct ip_endpoint *out)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	return getpeername(fd, (struct sockaddr *)&ss, &n) == 0 && net_sockaddr_get(&ss, out);
}

static bool is_live(const struct connection *c)
{
	struct ip_endpoint peer;

	return peer_of(c->fd, &peer) && ip_endpoint_equal(&peer, &c->peer);
}

// One host is an IPv4 address or a /64, whoever sits in it.
static bool is_same_source(const struct ip_address *a, const struct ip_address *b)
{
	if (ip_address_is_v4(a) || ip_address_is_v4(b))
		return ip_address_equal(a, b);
	return memcmp(a, b, 8) == 0;
}

static void forget(struct connections *c, uint32_t idx)
{
	c->live[idx] = c->live[--c->n_live];
}

static uint32_t count_source(struct connections *c, const struct ip_address *source)
{
	uint32_t n = 0;

	for (uint32_t i = c->n_live; i-- > 0;) {
		if (!is_same_source(&c->live[i].peer.address, source))
			continue;
		if (is_live(&c->live[i]))
			n++;
		else
			forget(c, i);
	}
	return n;
}

static void forget_stale(struct connections *c)
{
	for (uint32_t i = c->n_live; i-- > 0;)
		if (!is_live(&c->live[i]))
			forget(c, i);
}

static void look_at(struct connections *c, const struct expected *e)
{
	int fd = (int)bufferevent_getfd(e->bev);
	struct ip_endpoint peer;
	char text[64];

	if (fd < 0 || !peer_of(fd, &peer))
		return;
	for (uint32_t i = c->n_live; i-- > 0;)
		if (c->live[i].fd == fd)
			forget(c, i);
	if (c->n_live == c->max)
		forget_stale(c);
	if (e->must_end || c->n_live == c->max ||
	    count_source(c, &peer.address) >= c->per_source_max) {
		c->n_refused++;
		log_warning("http: connection of %s refused: too many; %u are open, limits %u in "
			    "all and %u per source",
			    ip_endpoint_format(&peer, text, sizeof(text)), c->n_live, c->max,
			    c->per_source_max);
		// evhttp owns it, and sees its end.
		shutdown(fd, SHUT_RDWR);
		return;
	}
	c->live[c->n_live++] = (struct connection){ fd, peer, now_s() };
}

static void on_check(evutil_socket_t none, short what, void *arg)
{
	struct connections *c = arg;

	for (uint32_t i = 0; i < c->n_expected; i++) {
		look_at(c, &c->expected[i]);
		bufferevent_decref(c->expected[i].bev);
	}
	c->n_expected = 0;
}

static void on_sweep(evutil_socket_t none, short what, void *arg)
{
	struct connections *c = arg;
	int64_t idle_since_s = now_s() - c->idle_s;

	for (uint32_t i = c->n_live; i-- > 0;) {
		if (c->live[i].active_at_s > idle_since_s)
			continue;
		if (is_live(&c->live[i]))
			shutdown(c->live[i].fd, SHUT_RDWR);
		forget(c, i);
	}
}

int connections_new(struct event_base *base, uint32_t max, uint32_t per_source_max, uint32_t idle_s,
		    struct connections **out)
{
	const struct timeval period = { .tv_sec = idle_s > 6 ? idle_s / 6 : 1 };
	struct connections *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->max = max;
	c->per_source_max = per_source_max;
	c->idle_s = idle_s;
	c->live = calloc(max, sizeof(*c->live));
	c->check = event_new(base, -1, 0, on_check, c);
	c->sweep = event_new(base, -1, EV_PERSIST, on_sweep, c);
	if (c->live == NULL || c->check == NULL || c->sweep == NULL ||
	    event_add(c->sweep, &period) < 0) {
		connections_free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void connections_expect(struct connections *c, struct bufferevent *bev, bool must_end)
{
	// Those before have their sockets by now, for one is accepted after the other.
	if (c->n_expected == EXPECTED_MAX)
		on_check(-1, 0, c);
	bufferevent_incref(bev);
	c->expected[c->n_expected++] = (struct expected){ bev, must_end };
	event_active(c->check, EV_TIMEOUT, 0);
}

void connections_touch(struct connections *c, int fd)
{
	for (uint32_t i = 0; i < c->n_live; i++)
		if (c->live[i].fd == fd)
			c->live[i].active_at_s = now_s();
}

uint64_t connections_n_refused(const struct connections *c)
{
	return c->n_refused;
}

void connections_free(struct connections *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->n_expected; i++)
		bufferevent_decref(c->expected[i].bev);
	if (c->check != NULL)
		event_free(c->check);
	if (c->sweep != NULL)
		event_free(c->sweep);
	free(c->live);
	free(c);
}
