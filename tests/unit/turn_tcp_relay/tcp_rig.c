// See tcp_rig.h.
#include "tests/unit/turn_tcp_relay/tcp_rig.h"

static int io_listen(void *arg, uint32_t allocation_idx, const struct ip_endpoint *relayed)
{
	struct tcp_rig *t = arg;

	if (t->listen_result < 0)
		return t->listen_result;
	t->n_listening++;
	t->listening = *relayed;
	return 0;
}

static void io_unlisten(void *arg, uint32_t allocation_idx)
{
	struct tcp_rig *t = arg;

	t->n_listening--;
}

static int io_connect(void *arg, uint32_t connection, const struct ip_endpoint *relayed,
		      const struct ip_endpoint *peer)
{
	struct tcp_rig *t = arg;

	t->connecting = connection;
	t->connect_from = *relayed;
	t->connect_to = *peer;
	return t->connect_result;
}

static int io_join(void *arg, uint32_t connection, uint32_t stream_idx, uint32_t stream_serial)
{
	struct tcp_rig *t = arg;

	t->joined = connection;
	t->joined_stream = stream_idx;
	return t->join_result;
}

static void io_close(void *arg, uint32_t connection)
{
	struct tcp_rig *t = arg;

	t->n_closed++;
	t->closed = connection;
}

static void io_send(void *arg, uint32_t stream_idx, uint32_t stream_serial, const uint8_t *message,
		    size_t n_bytes)
{
	struct tcp_rig *t = arg;
	struct stun_attr code;
	struct stun_view v;

	t->n_sent++;
	t->sent_stream = stream_idx;
	memset(&t->sent, 0, sizeof(t->sent));
	cr_assert_leq(n_bytes, sizeof(t->sent.bytes));
	memcpy(t->sent.bytes, message, n_bytes);
	t->sent.length_bytes = n_bytes;
	cr_assert_eq(stun_parse(t->sent.bytes, n_bytes, &v), STUN_OK);
	t->sent.type = v.type;
	if (stun_attr_find(&v, STUN_ATTR_ERROR_CODE, &code))
		t->sent.code = (uint16_t)((code.value[2] & 7) * 100 + code.value[3]);
}

void open_tcp(struct tcp_rig *t, struct config *config)
{
	const struct turn_tcp_limits limits = { .connections = CONNECTIONS,
						.per_allocation = PER_CLIENT };
	const struct turn_tcp_io io = {
		.arg = t,
		.listen = io_listen,
		.unlisten = io_unlisten,
		.connect = io_connect,
		.join = io_join,
		.close = io_close,
		.send = io_send,
	};

	memset(t, 0, sizeof(*t));
	if (config == NULL) {
		config = rig_config();
		rig_config_add_rule(config, "192.0.2.0/24", SHM_PEER_ALLOW);
	}
	rig_open(&t->rig, config);
	cr_assert_eq(turn_tcp_relay_new(t->rig.engine.turn, &io, &limits, &t->relay), 0);
}

void close_tcp(struct tcp_rig *t)
{
	turn_tcp_relay_free(t->relay);
	rig_close(&t->rig);
}

struct rig_client stream_client(uint32_t stream_idx, uint8_t transport, const char *user,
				const char *password)
{
	char endpoint[32];
	struct rig_client c;

	snprintf(endpoint, sizeof(endpoint), "203.0.113.9:%u", 10000 + stream_idx);
	c = rig_client(endpoint, user, password);
	c.transport = transport;
	c.stream_idx = stream_idx;
	c.stream_serial = 1;
	return c;
}

struct rig_client tcp_client(uint32_t stream_idx)
{
	return stream_client(stream_idx, SHM_TRANSPORT_TCP, "lab", RIG_PASSWORD);
}

void begin_allocate(struct rig_request *q, struct rig_client *c)
{
	rig_begin(q, c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(q, TURN_ATTR_REQUESTED_TRANSPORT, (uint32_t)TURN_TRANSPORT_TCP << 24);
}

struct rig_answer allocate_tcp(struct tcp_rig *t, struct rig_client *c)
{
	struct rig_request q;

	begin_allocate(&q, c);
	return rig_send(&t->rig, c, &q);
}

struct rig_answer ask_connect(struct tcp_rig *t, struct rig_client *c, const char *peer)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_CONNECT_REQUEST);
	if (peer != NULL)
		rig_add_peer(&q, peer);
	return rig_send(&t->rig, c, &q);
}

struct rig_answer ask_bind(struct tcp_rig *t, struct rig_client *c, uint32_t id)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_CONNECTION_BIND_REQUEST);
	rig_add_u32(&q, TURN_ATTR_CONNECTION_ID, id);
	return rig_send(&t->rig, c, &q);
}

uint32_t connected(struct tcp_rig *t, struct rig_client *c, const char *peer)
{
	cr_assert_eq(ask_connect(t, c, peer).length_bytes, 0);
	turn_tcp_relay_connected(t->relay, t->connecting, t->rig.now_ns);
	cr_assert_eq(t->sent.type, TURN_CONNECT_REQUEST | STUN_CLASS_SUCCESS);
	cr_assert_eq(t->sent_stream, c->stream_idx);
	return rig_get_u32(&t->sent, TURN_ATTR_CONNECTION_ID);
}
