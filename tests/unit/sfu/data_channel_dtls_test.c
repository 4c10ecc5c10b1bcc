// The whole stack: DCEP over SCTP over DTLS, with the loop's timer, between a browser's role and ours.
#include <assert.h>
#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/sfu/data_channel.h"
#include "controlplane/sfu/dtls.h"

static_assert(SCTP_PACKET_BYTES_MAX <= DTLS_DATA_BYTES_MAX, "one packet, one record");

#define QUEUE_MAX 4096

struct end {
	struct dtls_session *dtls;
	struct data_channel_peer *peer;
	struct end *other;
	uint8_t datagram[QUEUE_MAX][DTLS_MTU_BYTES];
	size_t n_bytes[QUEUE_MAX];
	uint32_t n_sent;
	bool is_dtls_connected;
	bool is_sctp_connected;
	struct data_channel *opened;
	size_t received_bytes;
};

static struct end client;
static struct end server;

static void on_datagram(void *context, const uint8_t *datagram, size_t n_bytes)
{
	struct end *e = context;

	cr_assert_lt(e->n_sent, QUEUE_MAX);
	cr_assert_leq(n_bytes, DTLS_MTU_BYTES);
	memcpy(e->datagram[e->n_sent], datagram, n_bytes);
	e->n_bytes[e->n_sent++] = n_bytes;
}

static void on_keys(void *context, const struct dtls_keys *keys)
{
	((struct end *)context)->is_dtls_connected = true;
}

static void on_data(void *context, const uint8_t *bytes, size_t n_bytes)
{
	struct end *e = context;

	if (e->peer != NULL)
		data_channel_peer_receive(e->peer, bytes, n_bytes);
}

static void on_dtls_closed(void *context, enum dtls_close_reason reason, const char *detail)
{
	cr_assert(false, "%s %s", dtls_close_reason_name(reason), detail);
}

static void on_packet(void *context, const uint8_t *packet, size_t n_bytes)
{
	cr_assert_eq(dtls_session_send(((struct end *)context)->dtls, packet, n_bytes), 0);
}

static void on_connected(void *context)
{
	((struct end *)context)->is_sctp_connected = true;
}

static void on_opened(void *context, struct data_channel *channel)
{
	((struct end *)context)->opened = channel;
}

static void on_message(void *context, struct data_channel *channel, struct data_message *message)
{
	bool is_binary;
	size_t n_bytes;

	data_message_bytes(message, &n_bytes, &is_binary);
	((struct end *)context)->received_bytes += n_bytes;
}

static void on_channel_closed(void *context, struct data_channel *channel,
			      enum data_channel_close_reason reason)
{
}

static void on_lost(void *context, enum sctp_close_reason reason)
{
}

static void dtls_open(struct end *e, struct dtls_context *c, enum dtls_role role)
{
	static const struct dtls_callbacks callbacks = { on_datagram, on_keys, on_data,
							 on_dtls_closed };
	struct sdp_fingerprint f = { .hash = SDP_HASH_SHA256, .n_bytes = DTLS_SHA256_BYTES };

	memcpy(f.bytes, dtls_context_fingerprint(c), DTLS_SHA256_BYTES);
	cr_assert_eq(dtls_session_new(c, role, &f, 1, &callbacks, e, &e->dtls), 0);
}

static void peer_open(struct end *e, bool is_dtls_client)
{
	static const struct data_channel_callbacks callbacks = {
		on_packet, on_connected, on_opened, on_message, on_channel_closed, on_lost,
	};
	const struct data_channel_peer_config config = {
		.local_port = is_dtls_client ? 5000 : 5001,
		.remote_port = is_dtls_client ? 5001 : 5000,
		.is_dtls_client = is_dtls_client,
	};

	cr_assert_eq(data_channel_peer_new(&config, &callbacks, e, &e->peer), 0);
}

static void carry(struct end *from)
{
	static uint8_t datagram[QUEUE_MAX][DTLS_MTU_BYTES];
	uint32_t n = from->n_sent;

	memcpy(datagram, from->datagram, n * DTLS_MTU_BYTES);
	from->n_sent = 0;
	for (uint32_t i = 0; i < n; i++)
		dtls_session_receive(from->other->dtls, datagram[i], from->n_bytes[i]);
}

static void run(struct event_base *base, const bool *until, const size_t *until_bytes, size_t bytes)
{
	for (int i = 0; i < 2000; i++) {
		if (until != NULL ? *until : *until_bytes >= bytes)
			return;
		carry(&client);
		carry(&server);
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	cr_assert(false, "nothing came");
}

Test(data_channel_dtls, rfc8261_messages_both_ways_with_the_loops_timer)
{
	struct dcep_open what = { .label = (const uint8_t *)"chat", .label_bytes = 4 };
	char state_dir[] = "/tmp/turnpike-dtls-XXXXXX";
	static uint8_t large[100000];
	struct data_channel *channel;
	struct event_base *base = event_base_new();
	struct data_message *m = data_message_new(large, sizeof(large), true);
	struct dtls_context *c;
	char path[64];

	cr_assert_not_null(mkdtemp(state_dir));
	cr_assert_eq(dtls_context_new(state_dir, &c), 0);
	cr_assert_eq(sctp_stack_open(base), 0);
	client.other = &server;
	server.other = &client;
	dtls_open(&server, c, DTLS_ROLE_SERVER);
	dtls_open(&client, c, DTLS_ROLE_CLIENT);
	cr_assert_eq(dtls_session_start(client.dtls), 0);
	run(base, &server.is_dtls_connected, NULL, 0);
	run(base, &client.is_dtls_connected, NULL, 0);
	// The browser's INIT comes before we have our end, and is repeated by its timer.
	peer_open(&client, true);
	carry(&client);
	peer_open(&server, false);
	run(base, &server.is_sctp_connected, NULL, 0);
	run(base, &client.is_sctp_connected, NULL, 0);
	cr_assert_eq(data_channel_open(client.peer, &what, &channel), 0);
	cr_assert_eq(data_channel_send(channel, m), 0);
	run(base, NULL, &server.received_bytes, sizeof(large));
	cr_assert_not_null(server.opened);
	cr_assert_eq(data_channel_send(server.opened, m), 0);
	run(base, NULL, &client.received_bytes, sizeof(large));
	data_message_unref(m);
	data_channel_peer_free(client.peer);
	data_channel_peer_free(server.peer);
	sctp_stack_close();
	dtls_session_free(client.dtls);
	dtls_session_free(server.dtls);
	dtls_context_free(c);
	event_base_free(base);
	snprintf(path, sizeof(path), "%s/dtls.pem", state_dir);
	unlink(path);
	rmdir(state_dir);
}
