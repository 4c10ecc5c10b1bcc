// Messages that wait to be sent on a connection. Control plane's loop thread; no I/O.
#include "controlplane/turn/stream/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct turn_output_message *take(struct turn_output_queue *q)
{
	struct turn_output_message *m = q->head;

	if (m == NULL)
		return NULL;
	q->head = m->next;
	if (q->head == NULL)
		q->tail = &q->head;
	q->n_bytes -= m->n_bytes;
	return m;
}

static struct turn_output_message *take_data(struct turn_output *o)
{
	struct turn_output_message *m = take(&o->data);

	if (m != NULL)
		*o->total -= m->n_bytes;
	return m;
}

void turn_output_init(struct turn_output *o, uint64_t *total)
{
	memset(o, 0, sizeof(*o));
	o->answers.tail = &o->answers.head;
	o->data.tail = &o->data.head;
	o->total = total;
}

void turn_output_clear(struct turn_output *o)
{
	struct turn_output_message *m;

	while ((m = turn_output_pop(o)) != NULL)
		free(m);
}

int turn_output_push(struct turn_output *o, const struct turn_output_limits *limits,
		     const uint8_t *bytes, size_t n_bytes, uint64_t at_ns,
		     struct turn_output_drops *drops)
{
	struct turn_output_queue *q = at_ns == 0 ? &o->answers : &o->data;
	struct turn_output_message *m;

	if (at_ns != 0 && n_bytes > limits->bytes) {
		drops->n_bytes++;
		return 0;
	}
	while (at_ns != 0 && q->n_bytes + n_bytes > limits->bytes) {
		free(take_data(o));
		drops->n_bytes++;
	}
	// What others hold cannot be taken from them here.
	while (at_ns != 0 && *o->total + n_bytes > limits->total_bytes) {
		drops->n_total++;
		m = take_data(o);
		if (m == NULL)
			return 0;
		free(m);
	}
	m = malloc(sizeof(*m) + n_bytes);
	if (m == NULL)
		return -ENOMEM;
	m->next = NULL;
	m->at_ns = at_ns;
	m->n_bytes = n_bytes;
	memcpy(m->bytes, bytes, n_bytes);
	*q->tail = m;
	q->tail = &m->next;
	q->n_bytes += n_bytes;
	if (at_ns != 0)
		*o->total += n_bytes;
	return 0;
}

void turn_output_expire(struct turn_output *o, const struct turn_output_limits *limits,
			uint64_t now_ns, struct turn_output_drops *drops)
{
	while (o->data.head != NULL && o->data.head->at_ns + limits->age_ns < now_ns) {
		free(take_data(o));
		drops->n_age++;
	}
}

struct turn_output_message *turn_output_pop(struct turn_output *o)
{
	struct turn_output_message *m = take(&o->answers);

	return m != NULL ? m : take_data(o);
}
