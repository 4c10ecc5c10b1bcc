// What goes out on a TCP connection. Control plane's loop thread.
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/turn/stream/connection_private.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
#define FINISH_NS (5 * NS_PER_S) // how long a client may take to end its side

static size_t n_in_libevent(const struct turn_connection *c)
{
	return c->bev == NULL ? 0 : evbuffer_get_length(bufferevent_get_output(c->bev));
}

static struct turn_output_limits limits_of(const struct turn_connection *c)
{
	const struct config_streams *config = &turn_streams_config(c->all->streams)->streams;

	return (struct turn_output_limits){ .bytes = config->buffer_bytes,
					    .age_ns = config->buffer_ms * NS_PER_MS,
					    .total_bytes = config->buffer_total_bytes };
}

static void count(struct turn_connection *c, const struct turn_output_drops *drops)
{
	struct turn_streams_stats *stats = turn_streams_count(c->all->streams);

	stats->n_dropped_age += drops->n_age;
	stats->n_dropped_bytes += drops->n_bytes;
	stats->n_dropped_total_bytes += drops->n_total;
	c->stream->n_dropped_out += drops->n_age + drops->n_bytes + drops->n_total;
}

static void expire(struct turn_connection *c, uint64_t now_ns)
{
	struct turn_output_limits limits = limits_of(c);
	struct turn_output_drops drops = { 0 };

	turn_output_expire(&c->output, &limits, now_ns, &drops);
	count(c, &drops);
}

static void on_sent(const void *bytes, size_t n_bytes, void *m)
{
	free(m);
}

// A piece of libevent's buffer for each message, which with TLS makes a record for each: the client can read a message when its
// last byte is there, not when the last byte of some other is. Clients exist, too, that take a record for a message.
static bool give(struct turn_connection *c, struct turn_output_message *m)
{
	if (evbuffer_add_reference(bufferevent_get_output(c->bev), m->bytes, m->n_bytes, on_sent,
				   m) == 0)
		return true;
	free(m);
	return false;
}

// False: the connection is gone.
static bool feed(struct turn_connection *c)
{
	struct turn_output_message *m;

	if (c->output.answers.head == NULL && c->output.data.head == NULL)
		return true;
	expire(c, turn_stream_now_ns(CLOCK_MONOTONIC));
	while (n_in_libevent(c) < CONNECTION_FEED_BYTES &&
	       (m = turn_output_pop(&c->output)) != NULL) {
		if (!give(c, m)) {
			turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
			return false;
		}
	}
	return true;
}

static void on_write_message(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes,
			     uint64_t at_ns)
{
	struct turn_connection *c = s->carrier_arg;
	struct turn_output_limits limits = limits_of(c);
	struct turn_output_drops drops = { 0 };

	if (c->state != CONNECTION_OPEN || c->is_finishing)
		return;
	turn_output_expire(&c->output, &limits, turn_stream_now_ns(CLOCK_MONOTONIC), &drops);
	if (turn_output_push(&c->output, &limits, bytes, n_bytes, at_ns, &drops) < 0) {
		turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
		return;
	}
	count(c, &drops);
	if (n_in_libevent(c) < CONNECTION_FEED_BYTES)
		feed(c);
	else if (c->output.answers.n_bytes > CONNECTION_ANSWERS_BYTES_MAX)
		turn_connection_end(c, TURN_STREAM_CLOSE_SLOW_READER);
}

// All is with the kernel: our side ends, and the client ends its own. Closing at once would take back what is on its way when
// the client still sends something.
static void shut(struct turn_connection *c)
{
	SSL *ssl = bufferevent_openssl_get_ssl(c->bev);

	c->is_shut = true;
	c->shut_at_ns = turn_stream_now_ns(CLOCK_MONOTONIC);
	if (ssl != NULL)
		SSL_shutdown(ssl);
	shutdown((int)bufferevent_getfd(c->bev), SHUT_WR);
	bufferevent_enable(c->bev, EV_READ);
}

void turn_connection_on_write(struct bufferevent *bev, void *arg)
{
	struct turn_connection *c = arg;

	if (!feed(c))
		return;
	if (n_in_libevent(c) == 0 && c->is_finishing && !c->is_shut) {
		shut(c);
		return;
	}
	if (c->stream->pipe != NULL && !c->is_finishing)
		turn_streams_drained(c->stream);
}

void turn_connection_check_output(struct turn_connection *c, uint64_t now_ns)
{
	uint64_t stalled_ns = turn_streams_config(c->all->streams)->streams.stalled_s * NS_PER_S;
	uint64_t n_acked_bytes = c->n_acked_bytes;
	bool is_idle, is_silent = false;

	if (c->is_shut) {
		if (now_ns > c->shut_at_ns + FINISH_NS)
			turn_connection_end(c, TURN_STREAM_CLOSE_PEER);
		return;
	}
	expire(c, now_ns);
	is_idle =
		turn_socket_progress((int)bufferevent_getfd(c->bev), &n_acked_bytes, &is_silent) &&
		n_in_libevent(c) == 0;
	if (is_idle || n_acked_bytes != c->n_acked_bytes) {
		c->n_acked_bytes = n_acked_bytes;
		c->progress_at_ns = now_ns;
		return;
	}
	// Raw data may take as long as the two like, but what a peer that ended has left behind may not, and a host has to be
	// there.
	if ((c->stream->pipe == NULL || c->is_finishing || is_silent) &&
	    now_ns > c->progress_at_ns + stalled_ns)
		turn_connection_end(c, is_silent ? TURN_STREAM_CLOSE_NETWORK
						 : TURN_STREAM_CLOSE_SLOW_READER);
}

// ---- RFC 6062

static void on_begin_raw(struct turn_stream *s)
{
	struct turn_connection *c = s->carrier_arg;

	turn_socket_let_wait((int)bufferevent_getfd(c->bev));
}

static void on_write_raw(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes)
{
	struct turn_connection *c = s->carrier_arg;

	if (c->is_finishing)
		return;
	// Behind the answer to ConnectionBind, which may wait still.
	while (c->output.answers.head != NULL) {
		if (!give(c, turn_output_pop(&c->output))) {
			turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
			return;
		}
	}
	turn_output_clear(&c->output);
	if (bufferevent_write(c->bev, bytes, n_bytes) < 0)
		turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
}

static size_t queued_bytes(const struct turn_stream *s)
{
	return n_in_libevent(s->carrier_arg);
}

static void on_pause(struct turn_stream *s, bool is_paused)
{
	struct turn_connection *c = s->carrier_arg;

	if (c->is_paused == is_paused || c->is_finishing)
		return;
	c->is_paused = is_paused;
	if (is_paused) {
		bufferevent_disable(c->bev, EV_READ);
		return;
	}
	// What came before the pause is still here, and nobody tells of it again; not from here, where
	// the pipe is at work.
	event_active(c->retry, EV_TIMEOUT, 0);
}

static void on_finish(struct turn_stream *s)
{
	struct turn_connection *c = s->carrier_arg;

	if (c->is_finishing)
		return;
	c->is_finishing = true;
	bufferevent_disable(c->bev, EV_READ);
	if (n_in_libevent(c) == 0)
		shut(c);
}

static void on_close(struct turn_stream *s, enum turn_stream_close_reason reason)
{
	turn_connection_destroy(s->carrier_arg, reason);
}

const struct turn_stream_carrier turn_connection_carrier = {
	.write = on_write_message,
	.close = on_close,
	.begin_raw = on_begin_raw,
	.write_raw = on_write_raw,
	.n_queued_bytes = queued_bytes,
	.pause = on_pause,
	.finish = on_finish,
};
