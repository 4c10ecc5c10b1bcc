// A peer's connection joined with a client's stream: bytes go both ways as they are, and whoever does not read slows
// the other down (RFC 6062 §5.4). When one side ends, what it sent before still reaches the other, which then
// ends too (§5.5). Control plane's loop thread.
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/turn/tcp_relay/sockets_private.h"

// Read from the peer at once.
#define READ_BYTES_MAX (64u << 10)
// A peer takes what is left for it within this, or loses it.
#define LINGER_S 10
// So many at once: none of them counts as a connection any more, and each may hold some hundred KiB.
#define LINGERING_MAX 1024

// ---- life

struct turn_tcp_peer *turn_tcp_peer_new(struct turn_tcp_sockets *k, int fd, uint32_t connection)
{
	struct turn_tcp_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->sockets = k;
	p->fd = fd;
	p->connection = connection;
	p->next = k->peers;
	if (k->peers != NULL)
		k->peers->prev = p;
	k->peers = p;
	return p;
}

void turn_tcp_peer_free(struct turn_tcp_peer *p)
{
	struct turn_tcp_sockets *k = p->sockets;

	if (p->is_held) {
		p->is_dead = true;
		return;
	}
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		k->peers = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	if (p->connecting != NULL)
		event_free(p->connecting);
	if (p->timer != NULL) {
		k->n_lingering--;
		event_free(p->timer);
	}
	if (p->buffer != NULL)
		bufferevent_free(p->buffer);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

static void let_go(struct turn_tcp_peer *p)
{
	p->is_held = false;
	if (p->is_dead)
		turn_tcp_peer_free(p);
}

// ---- the end: the client is gone, and the peer gets what is left

static void on_left_read(struct bufferevent *b, void *arg)
{
	evbuffer_drain(bufferevent_get_input(b), SIZE_MAX);
}

// All is with the kernel. Closing now, with bytes of the peer unread, would reset the connection and take from the
// peer what it has not read yet.
static void on_left_written(struct bufferevent *b, void *arg)
{
	shutdown(bufferevent_getfd(b), SHUT_WR);
	bufferevent_disable(b, EV_WRITE);
}

static void on_left_event(struct bufferevent *b, short what, void *arg)
{
	turn_tcp_peer_free(arg);
}

static void on_left_too_long(evutil_socket_t fd, short what, void *arg)
{
	turn_tcp_peer_free(arg);
}

static void linger(struct turn_tcp_peer *p)
{
	const struct timeval patience = { .tv_sec = LINGER_S };

	if (p->sockets->n_lingering < LINGERING_MAX)
		p->timer = event_new(p->sockets->base, -1, 0, on_left_too_long, p);
	if (p->timer == NULL) {
		turn_tcp_peer_free(p);
		return;
	}
	p->sockets->n_lingering++;
	if (event_add(p->timer, &patience) < 0) {
		turn_tcp_peer_free(p);
		return;
	}
	bufferevent_setcb(p->buffer, on_left_read, on_left_written, on_left_event, p);
	bufferevent_setwatermark(p->buffer, EV_WRITE, 0, 0);
	bufferevent_enable(p->buffer, EV_READ | EV_WRITE);
	if (evbuffer_get_length(bufferevent_get_output(p->buffer)) == 0)
		on_left_written(p->buffer, p);
}

void turn_tcp_peer_end(struct turn_tcp_peer *p)
{
	p->connection = 0;
	if (p->stream != NULL)
		turn_stream_close(p->stream, TURN_STREAM_CLOSE_PEER); // on_closed goes on
	else
		turn_tcp_peer_free(p);
}

// ---- from the peer

static void on_peer_read(struct bufferevent *b, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(b);
	struct turn_tcp_peer *p = arg;
	size_t queued_bytes = 0;

	p->is_held = true;
	while (p->stream != NULL && evbuffer_get_length(in) > 0) {
		size_t n = evbuffer_get_contiguous_space(in);

		if (p->connection != 0)
			turn_tcp_relay_moved(p->sockets->relay, p->connection, 0, n);
		queued_bytes =
			turn_stream_pipe_write(p->stream, evbuffer_pullup(in, (ssize_t)n), n);
		evbuffer_drain(in, n);
	}
	if (p->stream != NULL && queued_bytes >= TURN_STREAM_PIPE_HIGH_BYTES)
		bufferevent_disable(b, EV_READ);
	let_go(p);
}

// The peer has read what was waiting.
static void on_peer_written(struct bufferevent *b, void *arg)
{
	struct turn_tcp_peer *p = arg;

	if (p->stream == NULL || !p->is_paused)
		return;
	p->is_paused = false;
	turn_stream_pause(p->stream, false);
}

static void on_peer_event(struct bufferevent *b, short what, void *arg)
{
	struct turn_tcp_peer *p = arg;

	if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) || p->stream == NULL)
		return;
	// What it sent is on its way to the client, who may have something for it until then.
	p->is_held = true;
	bufferevent_disable(b, EV_READ);
	if (what & BEV_EVENT_ERROR)
		bufferevent_disable(b, EV_WRITE);
	turn_stream_finish(p->stream);
	let_go(p);
}

// ---- from the client's stream

static void on_start(void *arg, struct turn_stream *s)
{
	struct turn_tcp_peer *p = arg;

	bufferevent_enable(p->buffer, EV_READ | EV_WRITE);
}

static void on_receive(void *arg, struct turn_stream *s, const uint8_t *bytes, size_t n_bytes)
{
	struct turn_tcp_peer *p = arg;

	if (p->connection != 0)
		turn_tcp_relay_moved(p->sockets->relay, p->connection, n_bytes, 0);
	// A peer that broke off gets nothing any more; the stream is about to end.
	if (!(bufferevent_get_enabled(p->buffer) & EV_WRITE) ||
	    bufferevent_write(p->buffer, bytes, n_bytes) < 0)
		return;
	if (evbuffer_get_length(bufferevent_get_output(p->buffer)) >= TURN_STREAM_PIPE_HIGH_BYTES &&
	    !p->is_paused) {
		p->is_paused = true;
		turn_stream_pause(s, true);
	}
}

static void on_drained(void *arg, struct turn_stream *s)
{
	struct turn_tcp_peer *p = arg;

	bufferevent_enable(p->buffer, EV_READ);
}

static void on_closed(void *arg, struct turn_stream *s, enum turn_stream_close_reason reason)
{
	struct turn_tcp_peer *p = arg;
	bool has_left = bufferevent_get_enabled(p->buffer) & EV_WRITE;

	p->stream = NULL;
	// The group may go with its allocation, before this is gone.
	bufferevent_remove_from_rate_limit_group(p->buffer);
	if (p->connection != 0) {
		p->sockets->peer[p->connection] = NULL;
		turn_tcp_relay_closed(p->sockets->relay, p->connection);
		p->connection = 0;
	}
	if (has_left)
		linger(p);
	else
		turn_tcp_peer_free(p);
}

static const struct turn_stream_pipe pipe_calls = {
	.start = on_start,
	.receive = on_receive,
	.drained = on_drained,
	.closed = on_closed,
};

int turn_tcp_pipe_join(struct turn_tcp_peer *p, struct turn_stream *s,
		       struct bufferevent_rate_limit_group *rate)
{
	int ret;

	p->buffer = bufferevent_socket_new(p->sockets->base, p->fd, BEV_OPT_CLOSE_ON_FREE);
	if (p->buffer == NULL)
		return -ENOMEM;
	ret = turn_stream_become_pipe(s, &pipe_calls, p);
	if (ret < 0) {
		// The peer waits for another ConnectionBind.
		bufferevent_setfd(p->buffer, -1);
		bufferevent_free(p->buffer);
		p->buffer = NULL;
		return ret;
	}
	if (rate != NULL)
		bufferevent_add_to_rate_limit_group(p->buffer, rate);
	p->fd = -1;
	p->stream = s;
	bufferevent_disable(p->buffer, EV_READ | EV_WRITE);
	bufferevent_setwatermark(p->buffer, EV_READ, 0, READ_BYTES_MAX);
	bufferevent_setwatermark(p->buffer, EV_WRITE, TURN_STREAM_PIPE_LOW_BYTES, 0);
	bufferevent_setcb(p->buffer, on_peer_read, on_peer_written, on_peer_event, p);
	return 0;
}
