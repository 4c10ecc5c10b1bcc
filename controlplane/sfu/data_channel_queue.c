// Messages and the queue of a channel: what waits for room in SCTP's send buffer. The control plane's loop
// thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/data_channel_private.h"

struct data_message *data_message_new(const uint8_t *bytes, size_t n_bytes, bool is_binary)
{
	struct data_message *m;

	if (n_bytes > SCTP_MESSAGE_BYTES_MAX)
		return NULL;
	m = malloc(sizeof(*m) + n_bytes);
	if (m == NULL)
		return NULL;
	m->n_references = 1;
	m->is_binary = is_binary;
	m->n_bytes = n_bytes;
	if (n_bytes > 0)
		memcpy(m->bytes, bytes, n_bytes);
	return m;
}

void data_message_unref(struct data_message *m)
{
	if (m != NULL && --m->n_references == 0)
		free(m);
}

const uint8_t *data_message_bytes(const struct data_message *m, size_t *n_bytes, bool *is_binary)
{
	*n_bytes = m->n_bytes;
	*is_binary = m->is_binary;
	return m->bytes;
}

static int send_control(struct data_channel *c, const uint8_t *bytes, size_t n_bytes)
{
	// RFC 8832 §6: ordered and reliable, whatever the channel is.
	const struct sctp_message_options options = { .ppid = DCEP_PPID_CONTROL,
						      .stream = c->stream };

	return sctp_association_send(c->peer->association, &options, bytes, n_bytes);
}

static int send_open(struct data_channel *c)
{
	uint8_t bytes[DCEP_OPEN_BYTES_MAX];
	size_t n_bytes = dcep_open_build(&c->what, bytes, sizeof(bytes));
	int ret = send_control(c, bytes, n_bytes);

	if (ret == 0)
		c->is_open_sent = true;
	return ret;
}

static int send_message(struct data_channel *c, const struct data_message *m)
{
	static const uint8_t zero;
	const struct sctp_message_options options = {
		.ppid = m->n_bytes == 0
				? (m->is_binary ? DCEP_PPID_BINARY_EMPTY : DCEP_PPID_STRING_EMPTY)
				: (m->is_binary ? DCEP_PPID_BINARY : DCEP_PPID_STRING),
		.stream = c->stream,
		// RFC 8832 §6: until the peer is known to have the channel, nothing may overtake its OPEN.
		.is_unordered = c->what.is_unordered && c->is_acknowledged,
		.reliability = c->what.reliability,
		.reliability_value = c->what.reliability_value,
	};
	int ret;

	// RFC 8831 §6.6: SCTP knows no empty messages; one byte stands for it, and the PPID tells.
	if (m->n_bytes == 0)
		ret = sctp_association_send(c->peer->association, &options, &zero, 1);
	else
		ret = sctp_association_send(c->peer->association, &options, m->bytes, m->n_bytes);
	c->peer->counters.n_sent += ret == 0;
	return ret;
}

int data_channel_enqueue(struct data_channel *c, struct data_message *message)
{
	struct data_queued *q = malloc(sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->next = NULL;
	q->message = message;
	if (message != NULL) {
		message->n_references++;
		c->queue_bytes += message->n_bytes;
	}
	if (c->queue == NULL)
		c->queue_end = &c->queue;
	*c->queue_end = q;
	c->queue_end = &q->next;
	return 0;
}

static void dequeue(struct data_channel *c)
{
	struct data_queued *q = c->queue;

	c->queue = q->next;
	if (q->message != NULL) {
		c->queue_bytes -= q->message->n_bytes;
		data_message_unref(q->message);
	}
	free(q);
}

void data_channel_queue_free(struct data_channel *c)
{
	while (c->queue != NULL)
		dequeue(c);
}

void data_channel_flush(struct data_channel *c)
{
	const uint8_t ack = dcep_ack();
	int ret;

	if (c->state == DATA_CHANNEL_FREE || !c->peer->is_connected)
		return;
	if (!c->is_open_sent && (c->state == DATA_CHANNEL_IN_USE || c->queue != NULL) &&
	    send_open(c) == -EAGAIN)
		return;
	while (c->queue != NULL) {
		ret = c->queue->message == NULL ? send_control(c, &ack, 1)
						: send_message(c, c->queue->message);
		if (ret == -EAGAIN)
			return;
		if (ret < 0 && c->queue->message != NULL)
			c->peer->counters.n_dropped++;
		dequeue(c);
	}
	if (c->state == DATA_CHANNEL_DRAINING)
		c->state = DATA_CHANNEL_RESETTING;
	if (c->state == DATA_CHANNEL_RESETTING)
		data_channel_reset(c);
}

// The reader of a reliable channel is too slow for what is sent to it.
static int close_slow(struct data_channel *c)
{
	struct data_channel_peer *p = c->peer;

	p->counters.n_closed[DATA_CHANNEL_CLOSE_SLOW]++;
	data_channel_queue_free(c);
	c->state = DATA_CHANNEL_RESETTING;
	p->callbacks.closed(p->context, c, DATA_CHANNEL_CLOSE_SLOW);
	data_channel_flush(c);
	return -EPIPE;
}

int data_channel_send(struct data_channel *c, struct data_message *message)
{
	struct data_channel_peer *p = c->peer;
	bool may_lose = c->what.reliability != SCTP_RELIABLE;
	int ret = -EAGAIN;

	if (c->state != DATA_CHANNEL_IN_USE || p->is_lost)
		return -EPIPE;
	if (p->config.max_message_bytes != 0 && message->n_bytes > p->config.max_message_bytes) {
		p->counters.n_too_long++;
		return -EMSGSIZE;
	}
	if (c->queue == NULL && c->is_open_sent)
		ret = send_message(c, message);
	if (ret != -EAGAIN)
		return ret == -ENOTCONN ? -EPIPE : ret;
	// What may be lost is worth nothing once it is late.
	if (may_lose && c->is_open_sent) {
		p->counters.n_dropped++;
		return -ENOBUFS;
	}
	if (c->queue_bytes + message->n_bytes > DATA_CHANNEL_QUEUE_BYTES) {
		if (!may_lose)
			return close_slow(c);
		p->counters.n_dropped++;
		return -ENOBUFS;
	}
	ret = data_channel_enqueue(c, message);
	p->counters.n_queued += ret == 0;
	return ret;
}
