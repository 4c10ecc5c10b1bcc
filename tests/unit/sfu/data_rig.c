// The rig of the data channel tests; see its header.
#include "tests/unit/sfu/data_rig.h"

#include <stdlib.h>
#include <sys/time.h>

// usrsctp measures by this clock what it times by ticks, so both have to pass at the same pace: it is taken
// from the C library for this executable.
static uint64_t virtual_us = 1700000000000000;

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	out->tv_sec = (time_t)(virtual_us / 1000000);
	out->tv_usec = (suseconds_t)(virtual_us % 1000000);
	return 0;
}

static void on_send(void *context, const uint8_t *packet, size_t n_bytes)
{
	struct rig_end *e = context;
	struct rig_packet *p = &e->sent[e->n_sent++];

	cr_assert_lt(e->n_sent, RIG_PACKETS_MAX);
	cr_assert_leq(n_bytes, SCTP_PACKET_BYTES_MAX);
	memcpy(p->bytes, packet, n_bytes);
	p->n_bytes = n_bytes;
	if (n_bytes > e->longest_packet_bytes)
		e->longest_packet_bytes = n_bytes;
}

static void on_connected(void *context)
{
	((struct rig_end *)context)->n_connected++;
}

static void on_opened(void *context, struct data_channel *channel)
{
	struct rig_end *e = context;

	e->opened[e->n_opened++] = channel;
	if (e->on_opened != NULL)
		e->on_opened(e, channel);
}

static void on_message(void *context, struct data_channel *channel, struct data_message *message)
{
	struct rig_end *e = context;
	bool is_binary;
	size_t n_bytes;
	const uint8_t *bytes = data_message_bytes(message, &n_bytes, &is_binary);

	cr_assert_lt(e->n_received, RIG_RECEIVED_MAX);
	e->received[e->n_received].channel = channel;
	e->received[e->n_received++].message = data_message_new(bytes, n_bytes, is_binary);
	if (e->on_message != NULL)
		e->on_message(e, channel, message);
}

static void on_closed(void *context, struct data_channel *channel,
		      enum data_channel_close_reason reason)
{
	struct rig_end *e = context;

	e->closed[e->n_closed] = channel;
	e->close_reason[e->n_closed++] = reason;
	if (e->on_closed != NULL)
		e->on_closed(e, channel);
}

static void on_lost(void *context, enum sctp_close_reason reason)
{
	struct rig_end *e = context;

	e->n_lost++;
	e->lost = reason;
}

static void end_open(struct rig_end *e, struct rig_end *other, bool is_dtls_client)
{
	static const struct data_channel_callbacks callbacks = {
		on_send, on_connected, on_opened, on_message, on_closed, on_lost,
	};
	const struct data_channel_peer_config config = {
		.local_port = 5000,
		.remote_port = 5000,
		.max_message_bytes = 0,
		.is_dtls_client = is_dtls_client,
	};

	e->other = other;
	e->sent = calloc(RIG_PACKETS_MAX, sizeof(*e->sent));
	cr_assert_eq(data_channel_peer_new(&config, &callbacks, e, &e->peer), 0);
}

void data_rig_open(struct data_rig *rig, uint32_t n_links)
{
	memset(rig, 0, sizeof(*rig));
	rig->n_links = n_links;
	rig->random = 1;
	cr_assert_eq(sctp_stack_open(NULL), 0);
	for (uint32_t i = 0; i < n_links; i++) {
		end_open(&rig->links[i].a, &rig->links[i].b, true);
		end_open(&rig->links[i].b, &rig->links[i].a, false);
	}
}

static void end_close(struct rig_end *e)
{
	data_channel_peer_free(e->peer);
	for (uint32_t i = 0; i < e->n_received; i++)
		data_message_unref(e->received[i].message);
	free(e->sent);
}

void data_rig_close(struct data_rig *rig)
{
	for (uint32_t i = 0; i < rig->n_links; i++) {
		end_close(&rig->links[i].a);
		end_close(&rig->links[i].b);
	}
	sctp_stack_close();
}

static void carry(struct data_rig *rig, struct rig_link *link, struct rig_end *from)
{
	static struct rig_packet on_the_way[RIG_PACKETS_MAX];
	uint32_t n = from->n_sent;

	memcpy(on_the_way, from->sent, n * sizeof(on_the_way[0]));
	from->n_sent = 0;
	for (uint32_t i = 0; i < n; i++) {
		rig->random = rig->random * 1103515245 + 12345;
		if (link->is_cut || (rig->random >> 16) % 100 < link->loss_percent)
			continue;
		data_channel_peer_receive(from->other->peer, on_the_way[i].bytes,
					  on_the_way[i].n_bytes);
	}
}

void data_rig_run(struct data_rig *rig, uint32_t ms)
{
	for (uint32_t t = 0; t < ms; t += SCTP_TICK_MS) {
		// A round trip a tick.
		for (uint32_t i = 0; i < rig->n_links; i++) {
			carry(rig, &rig->links[i], &rig->links[i].a);
			carry(rig, &rig->links[i], &rig->links[i].b);
		}
		virtual_us += SCTP_TICK_MS * 1000;
		sctp_stack_tick(SCTP_TICK_MS);
	}
}

void data_rig_connect(struct data_rig *rig)
{
	for (uint32_t i = 0; i < 1000; i++) {
		bool is_done = true;

		data_rig_run(rig, SCTP_TICK_MS);
		for (uint32_t j = 0; j < rig->n_links; j++)
			if (rig->links[j].a.n_connected == 0 || rig->links[j].b.n_connected == 0)
				is_done = false;
		if (is_done)
			return;
	}
	cr_assert(false, "not connected");
}

struct dcep_open data_rig_channel(const char *label, bool is_unordered,
				  enum sctp_reliability reliability, uint32_t value)
{
	return (struct dcep_open){
		.label = (const uint8_t *)label,
		.label_bytes = (uint16_t)strlen(label),
		.protocol = (const uint8_t *)"test",
		.protocol_bytes = 4,
		.priority = 256,
		.is_unordered = is_unordered,
		.reliability = reliability,
		.reliability_value = value,
	};
}

int data_rig_send(struct data_channel *c, const char *text)
{
	struct data_message *m = data_message_new((const uint8_t *)text, strlen(text), false);
	int ret = data_channel_send(c, m);

	data_message_unref(m);
	return ret;
}

void data_rig_is_text(const struct rig_received *r, const char *text)
{
	bool is_binary;
	size_t n_bytes;
	const uint8_t *bytes = data_message_bytes(r->message, &n_bytes, &is_binary);

	cr_assert_not(is_binary);
	cr_assert_eq(n_bytes, strlen(text));
	cr_assert_eq(memcmp(bytes, text, n_bytes), 0, "%.*s is not %s", (int)n_bytes, bytes, text);
}
