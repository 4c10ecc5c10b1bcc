// What goes to clients beside answers: data that workers have for them, and raw bytes of RFC 6062. Control plane's loop
// thread.
#include <errno.h>

#include "controlplane/turn/stream/framing.h"
#include "controlplane/turn/stream/stream_private.h"
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/stun_numbers.h"

// ChannelData with its padding or a Data indication, whole and alone: one wrong length would put the client out of step for
// good, and the ring is a worker's memory.
static bool is_message(const uint8_t *bytes, size_t n_bytes)
{
	size_t message_bytes;

	return turn_framing_next(bytes, n_bytes, &message_bytes) == TURN_FRAMING_MESSAGE &&
	       message_bytes == n_bytes &&
	       (bytes[0] >= 0x40 || bytes_get_be16(bytes) == TURN_DATA_INDICATION);
}

void turn_streams_deliver(struct turn_streams *t, const uint8_t stream_address[16],
			  const uint8_t *bytes, size_t n_bytes, uint64_t at_ns)
{
	struct turn_stream *s = NULL;
	uint32_t idx, serial;

	if (shm_stream_address_get(stream_address, &idx, &serial))
		s = turn_streams_find(t, idx, serial);
	if (s == NULL || s->pipe != NULL) {
		t->stats.n_dropped_unknown++;
		return;
	}
	if (!is_message(bytes, n_bytes)) {
		t->stats.n_dropped_invalid++;
		return;
	}
	t->stats.n_messages_out++;
	s->n_bytes_out += n_bytes;
	s->carrier->write(s, bytes, n_bytes, at_ns != 0 ? at_ns : 1);
}

bool turn_streams_send(struct turn_streams *t, uint32_t idx, uint32_t serial, const uint8_t *bytes,
		       size_t n_bytes)
{
	struct turn_stream *s = turn_streams_find(t, idx, serial);

	if (s == NULL || s->pipe != NULL)
		return false;
	s->n_bytes_out += n_bytes;
	s->carrier->write(s, bytes, n_bytes, 0);
	return true;
}

// ---- RFC 6062

int turn_stream_become_pipe(struct turn_stream *s, const struct turn_stream_pipe *pipe, void *arg)
{
	if (s->carrier->write_raw == NULL)
		return -ENOTSUP;
	if (s->pipe != NULL)
		return -EBUSY;
	s->pipe = pipe;
	s->pipe_arg = arg;
	return 0;
}

size_t turn_stream_pipe_write(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes)
{
	s->n_bytes_out += n_bytes;
	s->carrier->write_raw(s, bytes, n_bytes);
	return turn_stream_pipe_queued_bytes(s);
}

size_t turn_stream_pipe_queued_bytes(const struct turn_stream *s)
{
	return s->is_open ? s->carrier->n_queued_bytes(s) : 0;
}

void turn_stream_pause(struct turn_stream *s, bool is_paused)
{
	if (s->is_open)
		s->carrier->pause(s, is_paused);
}

void turn_stream_finish(struct turn_stream *s)
{
	if (s->is_open)
		s->carrier->finish(s);
}

void turn_streams_receive_raw(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes)
{
	s->n_bytes_in += n_bytes;
	s->pipe->receive(s->pipe_arg, s, bytes, n_bytes);
}

void turn_streams_drained(struct turn_stream *s)
{
	if (s->pipe != NULL && s->pipe_started)
		s->pipe->drained(s->pipe_arg, s);
}
