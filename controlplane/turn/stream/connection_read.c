// What comes in on a TCP connection. Control plane's loop thread.
#include "controlplane/turn/stream/connection_private.h"
#include "controlplane/turn/stream/framing.h"
#include "dataplane/contract/wire/stun_numbers.h"

// A worker that has no room is waited for: TCP holds the client back meanwhile, and nothing is lost. As long as data may wait on its
// other way (streams.buffer_ms): a worker that gets no CPU comes back by then, or the dataplane that starts again.
#define RETRY_US   1000
#define HEAD_BYTES 8 // as many as framing wants to see of a message's start

// What one connection may ask of the control plane, beyond what any client has to say; whoever goes on waits, and loses nothing.
// Data is the workers'.
#define REQUESTS_PER_S   1000u
#define REQUESTS_BURST   2000u
#define REQUEST_NS       (1000000000ull / REQUESTS_PER_S)
#define REQUEST_PAUSE_US 50000

#define NS_PER_MS 1000000ull

static enum turn_stream_close_reason reason_of(enum turn_framing f)
{
	switch (f) {
	case TURN_FRAMING_STUN_LENGTH:
		return TURN_STREAM_CLOSE_STUN_LENGTH;
	case TURN_FRAMING_STUN_COOKIE:
		return TURN_STREAM_CLOSE_STUN_COOKIE;
	default:
		return TURN_STREAM_CLOSE_FIRST_BYTE;
	}
}

static void block(struct turn_connection *c, long us)
{
	const struct timeval retry = { .tv_usec = us };

	c->is_blocked = true;
	bufferevent_disable(c->bev, EV_READ);
	event_add(c->retry, &retry);
}

// Whether to stop before a message that is not data, since too many of them came.
static bool must_not_ask(struct turn_connection *c, uint64_t now_ns)
{
	if (c->asked_until_ns < now_ns)
		c->asked_until_ns = now_ns;
	if (c->asked_until_ns - now_ns <= (REQUESTS_BURST - 1) * REQUEST_NS) {
		c->asked_until_ns += REQUEST_NS;
		return false;
	}
	turn_streams_count(c->all->streams)->n_request_pauses++;
	block(c, REQUEST_PAUSE_US);
	return true;
}

// Whether to stop before a message, because a worker has no room for it or for its number.
static bool must_wait(struct turn_connection *c, const uint8_t *head, uint64_t now_ns)
{
	bool is_data = head[0] >= 0x40 || bytes_get_be16(head) == TURN_SEND_INDICATION;

	if (!is_data)
		return must_not_ask(c, now_ns);
	if (turn_streams_has_room(c->stream)) {
		c->blocked_at_ns = 0;
		return false;
	}
	if (c->blocked_at_ns == 0)
		c->blocked_at_ns = now_ns;
	if (now_ns >
	    c->blocked_at_ns + turn_streams_config(c->all->streams)->streams.buffer_ms * NS_PER_MS)
		return false;
	block(c, RETRY_US);
	return true;
}

static bool is_raw(const struct turn_connection *c)
{
	return c->stream->pipe != NULL;
}

// False: the connection is gone, or nothing more can be done with it now.
static bool read_raw(struct turn_connection *c, struct evbuffer *in)
{
	struct turn_streams *streams = c->all->streams;
	uint32_t idx = c->stream->idx, serial = c->stream->serial;
	struct evbuffer_iovec piece;

	if (evbuffer_peek(in, -1, NULL, &piece, 1) < 1 || piece.iov_len == 0)
		return false;
	turn_streams_receive_raw(c->stream, piece.iov_base, piece.iov_len);
	if (turn_streams_find(streams, idx, serial) == NULL)
		return false;
	evbuffer_drain(in, piece.iov_len);
	return true;
}

static bool read_message(struct turn_connection *c, struct evbuffer *in, uint64_t now_ns,
			 uint64_t wall_ns)
{
	struct turn_streams *streams = c->all->streams;
	uint32_t idx = c->stream->idx, serial = c->stream->serial;
	size_t n_bytes = evbuffer_get_length(in), message_bytes;
	size_t head_bytes = n_bytes < HEAD_BYTES ? n_bytes : HEAD_BYTES;
	enum turn_framing f;
	const uint8_t *at;

	if (n_bytes == 0)
		return false;
	at = evbuffer_pullup(in, (ssize_t)head_bytes);
	if (at == NULL) {
		turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
		return false;
	}
	f = turn_framing_next(at, head_bytes, &message_bytes);
	// Nobody has a channel before the first request; but HTTP looks like one ("GE" is 0x4745).
	if (f <= TURN_FRAMING_MESSAGE && !c->has_begun && at[0] >= 0x40)
		f = TURN_FRAMING_FIRST_BYTE;
	if (f > TURN_FRAMING_MESSAGE) {
		turn_connection_end(c, reason_of(f));
		return false;
	}
	if (message_bytes > n_bytes || must_wait(c, at, now_ns))
		return false;
	at = evbuffer_pullup(in, (ssize_t)message_bytes);
	if (at == NULL) {
		turn_connection_end(c, TURN_STREAM_CLOSE_MEMORY);
		return false;
	}
	c->has_begun = true;
	turn_streams_receive(c->stream, at, message_bytes, now_ns, wall_ns);
	if (turn_streams_find(streams, idx, serial) == NULL)
		return false;
	evbuffer_drain(in, message_bytes);
	return true;
}

void turn_connection_read(struct turn_connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	uint64_t now_ns = turn_stream_now_ns(CLOCK_MONOTONIC);
	uint64_t wall_ns = turn_stream_now_ns(CLOCK_REALTIME);

	if (c->is_finishing) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	if (c->is_blocked)
		return;
	while (is_raw(c) ? !c->is_paused && read_raw(c, in) : read_message(c, in, now_ns, wall_ns))
		;
}

bool turn_connection_read_rest(struct turn_connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct turn_streams *streams = c->all->streams;
	uint32_t idx = c->stream->idx, serial = c->stream->serial;

	if (is_raw(c) && !c->is_finishing)
		while (read_raw(c, in))
			;
	return turn_streams_find(streams, idx, serial) != NULL;
}

void turn_connection_on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct turn_connection *c = arg;
	struct turn_streams *streams = c->all->streams;
	uint32_t idx = c->stream->idx, serial = c->stream->serial;

	c->is_blocked = false;
	turn_connection_read(c);
	if (turn_streams_find(streams, idx, serial) != NULL && !c->is_blocked && !c->is_paused)
		bufferevent_enable(c->bev, EV_READ);
}
