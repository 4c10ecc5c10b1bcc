// A TCP connection from its acceptance to its end: PROXY header, first byte, TLS. Control plane's loop thread.
#include "controlplane/turn/stream/connection.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/ops/log.h"
#include "controlplane/turn/stream/connection_private.h"

#define NS_PER_S          1000000000ull
#define READ_BYTES_MAX    (64u << 10) // of one connection before the next has its turn
#define TLS_HANDSHAKE     0x16 // RFC 8446 §5.1; no STUN message and no channel begins with it
#define PROXY_FIXED_BYTES 16
#define ENDS_PER_TICK     256 // each starts the walk again

static const char *transport_name(const struct turn_connection *c)
{
	return c->bev != NULL && bufferevent_openssl_get_ssl(c->bev) != NULL ? "TLS" : "TCP";
}

static void log_end(const struct turn_connection *c, enum turn_stream_close_reason reason)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	switch (reason) {
	case TURN_STREAM_CLOSE_FIRST_BYTE:
	case TURN_STREAM_CLOSE_STUN_LENGTH:
	case TURN_STREAM_CLOSE_STUN_COOKIE:
	case TURN_STREAM_CLOSE_SLOW_READER:
	case TURN_STREAM_CLOSE_MEMORY:
		log_info("turn: connection of %s over %s ended: %s",
			 ip_endpoint_format(&c->client, text, sizeof(text)), transport_name(c),
			 turn_stream_close_text(reason));
		break;
	default:
		break;
	}
}

void turn_connection_end(struct turn_connection *c, enum turn_stream_close_reason reason)
{
	if (c->stream != NULL) {
		turn_stream_close(c->stream, reason);
		return;
	}
	turn_streams_count(c->all->streams)->n_closed[reason]++;
	turn_connection_destroy(c, reason);
}

void turn_connection_destroy(struct turn_connection *c, enum turn_stream_close_reason reason)
{
	int fd = c->bev != NULL ? (int)bufferevent_getfd(c->bev) : c->fd;
	SSL *ssl = c->bev != NULL ? bufferevent_openssl_get_ssl(c->bev) : NULL;
	static const struct linger at_once = { .l_onoff = 1 };

	log_end(c, reason);
	if (c->stream == NULL)
		--*c->n_unknown;
	// What a client does not read would stay with the kernel for minutes.
	if (reason == TURN_STREAM_CLOSE_SLOW_READER)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	else if (ssl != NULL && c->state == CONNECTION_OPEN && !c->is_shut)
		SSL_shutdown(ssl);
	c->all->stats.n_ended++;
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->retry != NULL)
		event_free(c->retry);
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	else
		close(c->fd);
	turn_output_clear(&c->output);
	free(c->header);
	free(c);
}

// ---- what libevent tells

static void on_read(struct bufferevent *bev, void *arg)
{
	turn_connection_read(arg);
}

static void on_tls_error(struct turn_connection *c)
{
	unsigned long error = bufferevent_get_openssl_error(c->bev);
	enum turn_tls_failure failure;
	char text[IP_ENDPOINT_TEXT_MAX];

	if (error == 0) {
		turn_connection_end(c, TURN_STREAM_CLOSE_NETWORK);
		return;
	}
	failure = turn_tls_failure_of(error);
	c->all->stats.n_tls_failures[failure]++;
	log_info("turn: TLS with %s failed: %s (%s)",
		 ip_endpoint_format(&c->client, text, sizeof(text)), turn_tls_failure_name(failure),
		 ERR_reason_error_string(error) != NULL ? ERR_reason_error_string(error) : "");
	turn_connection_end(c, TURN_STREAM_CLOSE_TLS);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct turn_connection *c = arg;

	if (what & BEV_EVENT_CONNECTED) {
		c->state = CONNECTION_OPEN;
		c->progress_at_ns = turn_stream_now_ns(CLOCK_MONOTONIC);
		return;
	}
	if (what & BEV_EVENT_EOF) {
		if (!turn_connection_read_rest(c))
			return;
		turn_connection_end(c, c->is_finishing ? TURN_STREAM_CLOSE_PEER
						       : TURN_STREAM_CLOSE_CLIENT);
		return;
	}
	if (bufferevent_openssl_get_ssl(bev) != NULL)
		on_tls_error(c);
	else
		turn_connection_end(c, TURN_STREAM_CLOSE_NETWORK);
}

// ---- the first bytes

// The client is known: from here on it counts, and may be refused.
static bool open_stream(struct turn_connection *c)
{
	struct turn_stream_params params = {
		.transport = c->takes_plain ? SHM_TRANSPORT_TCP : SHM_TRANSPORT_TLS,
		.dscp = c->dscp,
		.realm_idx = c->realm_idx,
		.client = c->client,
		.server = c->server,
		.carrier = &turn_connection_carrier,
		.carrier_arg = c,
		.now_ns = turn_stream_now_ns(CLOCK_MONOTONIC),
	};
	const struct config_streams *limits = &turn_streams_config(c->all->streams)->streams;
	char text[IP_ENDPOINT_TEXT_MAX];
	int ret;

	ret = turn_streams_open(c->all->streams, &params, &c->stream);
	if (ret == 0) {
		--*c->n_unknown;
		return true;
	}
	log_warning("turn: connection of %s refused: %s; limits are streams.max_connections %u and "
		    "per_source_max %u",
		    ip_endpoint_format(&c->client, text, sizeof(text)),
		    ret == -EMFILE   ? "too many in all"
		    : ret == -EDQUOT ? "too many of this source"
				     : "out of memory",
		    limits->max_connections, limits->per_source_max);
	turn_connection_destroy(c, TURN_STREAM_CLOSE_MEMORY);
	return false;
}

// Callbacks come from the loop alone: one that ends the connection must not come in the middle of a write.
static bool start_tls(struct turn_connection *c)
{
	SSL *ssl = c->all->tls != NULL ? SSL_new(c->all->tls) : NULL;

	if (ssl == NULL)
		return false;
	c->bev = bufferevent_openssl_socket_new(c->all->base, c->fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
						BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	// libevent has freed it where it fails, as CLOSE_ON_FREE would have it later.
	if (c->bev == NULL)
		return false;
	// Many clients just close; framing tells what was cut off, and nothing is lost by it.
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	c->state = CONNECTION_HANDSHAKE;
	turn_stream_set_transport(c->stream, SHM_TRANSPORT_TLS);
	return true;
}

static void start(struct turn_connection *c, bool is_tls)
{
	event_free(c->readable);
	c->readable = NULL;
	if (is_tls && !turn_stream_may_handshake(c->stream, turn_stream_now_ns(CLOCK_MONOTONIC))) {
		turn_connection_end(c, TURN_STREAM_CLOSE_HANDSHAKE_RATE);
		return;
	}
	if (is_tls) {
		start_tls(c);
	} else {
		c->bev = bufferevent_socket_new(c->all->base, c->fd,
						BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
		c->state = CONNECTION_OPEN;
	}
	c->retry = event_new(c->all->base, -1, 0, turn_connection_on_retry, c);
	if (c->bev == NULL || c->retry == NULL) {
		turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
		return;
	}
	c->progress_at_ns = turn_stream_now_ns(CLOCK_MONOTONIC);
	bufferevent_set_max_single_read(c->bev, READ_BYTES_MAX);
	bufferevent_set_max_single_write(c->bev, READ_BYTES_MAX);
	bufferevent_setwatermark(c->bev, EV_WRITE, CONNECTION_REFILL_BYTES, 0);
	bufferevent_setcb(c->bev, on_read, turn_connection_on_write, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

// How many bytes of the header are still to be read: not one more, for what follows is the client's.
static uint32_t header_wants(const struct turn_connection *c)
{
	uint32_t whole = PROXY_FIXED_BYTES;

	if (c->n_header_bytes >= PROXY_FIXED_BYTES)
		whole += bytes_get_be16(c->header + 14);
	if (whole > TURN_PROXY_HEADER_BYTES_MAX)
		whole = TURN_PROXY_HEADER_BYTES_MAX;
	return whole - c->n_header_bytes;
}

static void take_header(struct turn_connection *c, const struct turn_proxy_header *h)
{
	free(c->header);
	c->header = NULL;
	if (h->has_addresses) {
		c->client = h->client;
		c->server = h->server;
	}
	c->state = CONNECTION_FIRST_BYTE;
}

// True: the header is whole. False: more is to come, or the connection is gone.
static bool read_header(struct turn_connection *c)
{
	enum turn_proxy_result result;
	struct turn_proxy_header header;
	char text[IP_ENDPOINT_TEXT_MAX];

	do {
		ssize_t n = recv(c->fd, c->header + c->n_header_bytes, header_wants(c), 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (n <= 0) {
			turn_connection_end(c, n == 0 ? TURN_STREAM_CLOSE_CLIENT
						      : TURN_STREAM_CLOSE_NETWORK);
			return false;
		}
		c->n_header_bytes += (uint32_t)n;
		result = turn_proxy_header_parse(c->header, c->n_header_bytes, &header);
	} while (result == TURN_PROXY_MORE);
	if (result != TURN_PROXY_OK) {
		log_warning("turn: connection of the proxy %s refused: %s",
			    ip_endpoint_format(&c->client, text, sizeof(text)),
			    turn_proxy_result_text(result));
		turn_connection_end(c, TURN_STREAM_CLOSE_PROXY);
		return false;
	}
	take_header(c, &header);
	return open_stream(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct turn_connection *c = arg;
	uint8_t first;
	ssize_t n;

	if (c->state == CONNECTION_PROXY_HEADER && !read_header(c))
		return;
	n = recv(c->fd, &first, 1, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		turn_connection_end(c,
				    n == 0 ? TURN_STREAM_CLOSE_CLIENT : TURN_STREAM_CLOSE_NETWORK);
		return;
	}
	start(c, c->takes_tls && (!c->takes_plain || first == TLS_HANDSHAKE));
}

// Behind a proxy nobody is known until the header is there, so these are bounded by their own number: each such listener has its
// share, and none can take that of another.
static bool may_wait_for_header(const struct turn_connections *all, uint32_t n_unknown)
{
	const struct config *config = turn_streams_config(all->streams);
	uint32_t n_listeners = 0;

	for (uint32_t i = 0; i < config->n_stream_listeners; i++)
		n_listeners += config->stream_listeners[i].has_proxy_header;
	return n_listeners == 0 || n_unknown == 0 ||
	       n_unknown < config->streams.max_connections / n_listeners;
}

void turn_connection_new(struct turn_connections *all, const struct config_stream_listener *l,
			 uint32_t *n_unknown, int fd)
{
	const struct config_streams *limits = &turn_streams_config(all->streams)->streams;
	struct turn_connection *c = calloc(1, sizeof(*c));

	all->stats.n_connections++;
	if (l->has_proxy_header && !may_wait_for_header(all, *n_unknown)) {
		turn_streams_count(all->streams)->n_refused_proxy++;
		free(c);
		close(fd);
		return;
	}
	if (c == NULL) {
		turn_streams_count(all->streams)->n_refused_total++;
		close(fd);
		return;
	}
	++*n_unknown;
	c->n_unknown = n_unknown;
	c->all = all;
	c->fd = fd;
	c->takes_plain = l->takes_plain;
	c->takes_tls = l->takes_tls;
	c->realm_idx = l->realm_idx;
	c->state = l->has_proxy_header ? CONNECTION_PROXY_HEADER : CONNECTION_FIRST_BYTE;
	c->accepted_at_ns = turn_stream_now_ns(CLOCK_MONOTONIC);
	c->next = all->all;
	c->link = &all->all;
	if (c->next != NULL)
		c->next->link = &c->next;
	all->all = c;
	turn_output_init(&c->output, &turn_streams_count(all->streams)->n_queued_bytes);
	turn_socket_prepare(fd, limits->stalled_s);
	if (!turn_socket_endpoints(fd, &c->client, &c->server)) {
		turn_connection_end(c, TURN_STREAM_CLOSE_NETWORK);
		return;
	}
	c->dscp = turn_socket_dscp(fd, ip_address_is_v4(&c->client.address));
	c->readable = event_new(all->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	if (l->has_proxy_header)
		c->header = malloc(TURN_PROXY_HEADER_BYTES_MAX);
	if (c->readable == NULL || event_add(c->readable, NULL) < 0 ||
	    (l->has_proxy_header && c->header == NULL)) {
		turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
		return;
	}
	if (!l->has_proxy_header)
		open_stream(c);
}

// True: it ended.
static bool tick(struct turn_connection *c, uint64_t now_ns)
{
	struct turn_connections *all = c->all;
	const struct config_streams *config = &turn_streams_config(all->streams)->streams;
	uint64_t n_before = all->stats.n_ended;

	c->ticked_at_ns = now_ns;
	if (c->state == CONNECTION_OPEN)
		turn_connection_check_output(c, now_ns);
	else if (now_ns > c->accepted_at_ns + config->handshake_timeout_s * NS_PER_S)
		turn_connection_end(c, TURN_STREAM_CLOSE_NO_HANDSHAKE);
	return all->stats.n_ended != n_before;
}

void turn_connections_tick(struct turn_connections *all, uint64_t now_ns)
{
	struct turn_connection *c = all->all;
	uint32_t n_ended = 0;

	while (c != NULL && n_ended < ENDS_PER_TICK) {
		if (c->ticked_at_ns != now_ns && tick(c, now_ns)) {
			// Others may have gone with it: an allocation's data connections do.
			n_ended++;
			c = all->all;
		} else {
			c = c->next;
		}
	}
}

void turn_connections_free(struct turn_connections *all)
{
	while (all->all != NULL)
		turn_connection_end(all->all, TURN_STREAM_CLOSE_SHUTDOWN);
}
