// Channels of a peer: opening by DCEP, messages, closing by stream resets (RFC 8831 §6, 8832 §6). The control
// plane's loop thread.
#include "controlplane/sfu/data_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/data_channel_private.h"

static struct data_channel *find(struct data_channel_peer *p, uint16_t stream)
{
	for (uint32_t i = 0; i < DATA_CHANNELS_MAX; i++)
		if (p->channels[i].state != DATA_CHANNEL_FREE && p->channels[i].stream == stream)
			return &p->channels[i];
	return NULL;
}

// A channel of that description, its names copied. NULL: none left.
static struct data_channel *take(struct data_channel_peer *p, uint16_t stream,
				 const struct dcep_open *what)
{
	struct data_channel *c = NULL;

	for (uint32_t i = 0; i < DATA_CHANNELS_MAX && c == NULL; i++)
		if (p->channels[i].state == DATA_CHANNEL_FREE)
			c = &p->channels[i];
	if (c == NULL)
		return NULL;
	*c = (struct data_channel){ .peer = p, .what = *what, .stream = stream };
	c->names = malloc((size_t)what->label_bytes + what->protocol_bytes + 1);
	if (c->names == NULL)
		return NULL;
	if (what->label_bytes > 0)
		memcpy(c->names, what->label, what->label_bytes);
	if (what->protocol_bytes > 0)
		memcpy(c->names + what->label_bytes, what->protocol, what->protocol_bytes);
	c->what.label = c->names;
	c->what.protocol = c->names + what->label_bytes;
	c->state = DATA_CHANNEL_IN_USE;
	p->counters.n_opened++;
	return c;
}

void data_channel_forget(struct data_channel *c)
{
	data_channel_queue_free(c);
	free(c->names);
	c->names = NULL;
	c->state = DATA_CHANNEL_FREE;
}

void data_channel_reset(struct data_channel *c)
{
	if (sctp_association_reset_stream(c->peer->association, c->stream) == -EAGAIN)
		return;
	// Done, or it cannot be: then the stream stays taken, as nobody could use it.
	c->state = DATA_CHANNEL_RESET_SENT;
	if (c->is_reset_by_peer)
		data_channel_forget(c);
}

static void on_send(void *context, const uint8_t *packet, size_t n_bytes)
{
	struct data_channel_peer *p = context;

	p->callbacks.send(p->context, packet, n_bytes);
}

static void on_writable(void *context)
{
	struct data_channel_peer *p = context;

	for (uint32_t i = 0; i < DATA_CHANNELS_MAX; i++)
		data_channel_flush(&p->channels[i]);
}

static void on_connected(void *context)
{
	struct data_channel_peer *p = context;

	p->is_connected = true;
	p->callbacks.connected(p->context);
}

// Nothing that we could keep: the peer shall see its channel close.
static void turn_away(struct data_channel_peer *p, uint16_t stream, uint64_t *counter)
{
	(*counter)++;
	sctp_association_reset_stream(p->association, stream);
}

static void open_received(struct data_channel_peer *p, uint16_t stream,
			  const struct dcep_open *what)
{
	// RFC 8832 §6: the DTLS client opens even streams, the server odd ones.
	bool is_of_peer = stream % 2 == (p->config.is_dtls_client ? 1 : 0);
	struct data_channel *c;

	if (find(p, stream) != NULL) {
		p->counters.n_bad_dcep++;
		return;
	}
	if (!is_of_peer) {
		turn_away(p, stream, &p->counters.n_bad_dcep);
		return;
	}
	c = take(p, stream, what);
	if (c == NULL) {
		turn_away(p, stream, &p->counters.n_refused);
		return;
	}
	c->is_by_peer = true;
	c->is_open_sent = true; // theirs
	c->is_acknowledged = true;
	if (data_channel_enqueue(c, NULL) < 0) {
		data_channel_forget(c);
		turn_away(p, stream, &p->counters.n_refused);
		return;
	}
	data_channel_flush(c);
	p->callbacks.opened(p->context, c);
}

static void control_received(struct data_channel_peer *p, uint16_t stream, const uint8_t *bytes,
			     size_t n_bytes)
{
	struct dcep_open what;
	struct data_channel *c;

	switch (dcep_parse(bytes, n_bytes, &what)) {
	case DCEP_OPEN:
		open_received(p, stream, &what);
		break;
	case DCEP_ACK:
		c = find(p, stream);
		if (c != NULL)
			c->is_acknowledged = true;
		break;
	default:
		p->counters.n_bad_dcep++;
		if (find(p, stream) == NULL)
			sctp_association_reset_stream(p->association, stream);
		break;
	}
}

static void on_message(void *context, uint16_t stream, uint32_t ppid, const uint8_t *bytes,
		       size_t n_bytes)
{
	struct data_channel_peer *p = context;
	bool is_empty = ppid == DCEP_PPID_STRING_EMPTY || ppid == DCEP_PPID_BINARY_EMPTY;
	bool is_binary = ppid == DCEP_PPID_BINARY || ppid == DCEP_PPID_BINARY_EMPTY;
	struct data_channel *c = find(p, stream);
	struct data_message *m;

	if (ppid == DCEP_PPID_CONTROL) {
		control_received(p, stream, bytes, n_bytes);
		return;
	}
	if (c == NULL || c->state != DATA_CHANNEL_IN_USE ||
	    (!is_empty && !is_binary && ppid != DCEP_PPID_STRING)) {
		p->counters.n_stray++;
		return;
	}
	c->is_acknowledged = true;
	p->counters.n_received++;
	m = data_message_new(bytes, is_empty ? 0 : n_bytes, is_binary);
	if (m == NULL)
		return;
	p->callbacks.message(p->context, c, m);
	data_message_unref(m);
}

static void on_stream_reset(void *context, uint16_t stream)
{
	struct data_channel_peer *p = context;
	struct data_channel *c = find(p, stream);

	if (c == NULL)
		return;
	c->is_reset_by_peer = true;
	if (c->state == DATA_CHANNEL_IN_USE) {
		p->counters.n_closed[DATA_CHANNEL_CLOSE_BY_PEER]++;
		p->callbacks.closed(p->context, c, DATA_CHANNEL_CLOSE_BY_PEER);
	}
	if (c->state == DATA_CHANNEL_RESET_SENT) {
		data_channel_forget(c);
		return;
	}
	// RFC 8831 §6.7: both directions end.
	data_channel_queue_free(c);
	c->state = DATA_CHANNEL_RESETTING;
	data_channel_reset(c);
}

static void on_closed(void *context, enum sctp_close_reason reason)
{
	struct data_channel_peer *p = context;

	p->is_connected = false;
	p->is_lost = true;
	for (uint32_t i = 0; i < DATA_CHANNELS_MAX; i++) {
		struct data_channel *c = &p->channels[i];

		if (c->state == DATA_CHANNEL_FREE)
			continue;
		if (c->state == DATA_CHANNEL_IN_USE) {
			p->counters.n_closed[DATA_CHANNEL_CLOSE_LOST]++;
			p->callbacks.closed(p->context, c, DATA_CHANNEL_CLOSE_LOST);
		}
		data_channel_forget(c);
	}
	p->callbacks.lost(p->context, reason);
}

int data_channel_peer_new(const struct data_channel_peer_config *config,
			  const struct data_channel_callbacks *callbacks, void *context,
			  struct data_channel_peer **out)
{
	static const struct sctp_callbacks below = {
		.send = on_send,
		.connected = on_connected,
		.message = on_message,
		.stream_reset = on_stream_reset,
		.writable = on_writable,
		.closed = on_closed,
	};
	struct data_channel_peer *p = calloc(1, sizeof(*p));
	int ret;

	*out = NULL;
	if (p == NULL)
		return -ENOMEM;
	p->config = *config;
	p->callbacks = *callbacks;
	p->context = context;
	ret = sctp_association_new(config->local_port, config->remote_port, &below, p,
				   &p->association);
	if (ret < 0) {
		free(p);
		return ret;
	}
	*out = p;
	return 0;
}

void data_channel_peer_free(struct data_channel_peer *p)
{
	if (p == NULL)
		return;
	sctp_association_free(p->association);
	for (uint32_t i = 0; i < DATA_CHANNELS_MAX; i++)
		if (p->channels[i].state != DATA_CHANNEL_FREE)
			data_channel_forget(&p->channels[i]);
	free(p);
}

void data_channel_peer_receive(struct data_channel_peer *p, const uint8_t *packet, size_t n_bytes)
{
	sctp_association_receive(p->association, packet, n_bytes);
}

bool data_channel_peer_is_connected(const struct data_channel_peer *p)
{
	return p->is_connected;
}

const struct data_channel_counters *data_channel_peer_counters(const struct data_channel_peer *p)
{
	return &p->counters;
}

int data_channel_open(struct data_channel_peer *p, const struct dcep_open *what,
		      struct data_channel **out)
{
	uint16_t n_streams = sctp_association_streams(p->association);
	struct data_channel *c;
	uint32_t stream;

	*out = NULL;
	if (!p->is_connected)
		return -ENOTCONN;
	if (what->label_bytes + what->protocol_bytes > DCEP_NAME_BYTES_MAX)
		return -EINVAL;
	// Turn by turn, so that a stream whose reset is under way is not used at once.
	for (uint32_t tries = 0; tries <= n_streams / 2u; tries++) {
		stream = p->next_stream * 2u + (p->config.is_dtls_client ? 0 : 1);
		p->next_stream = stream + 2u >= n_streams ? 0 : p->next_stream + 1;
		if (stream < n_streams && find(p, (uint16_t)stream) == NULL)
			break;
		stream = UINT32_MAX;
	}
	c = stream < n_streams ? take(p, (uint16_t)stream, what) : NULL;
	if (c == NULL)
		return -ENOSPC;
	data_channel_flush(c);
	*out = c;
	return 0;
}

const struct dcep_open *data_channel_info(const struct data_channel *c)
{
	return &c->what;
}

uint16_t data_channel_stream(const struct data_channel *c)
{
	return c->stream;
}

void data_channel_close(struct data_channel *c)
{
	if (c->state != DATA_CHANNEL_IN_USE)
		return;
	c->peer->counters.n_closed[DATA_CHANNEL_CLOSE_BY_US]++;
	c->state = DATA_CHANNEL_DRAINING;
	data_channel_flush(c);
}
