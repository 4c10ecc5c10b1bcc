// Connect (RFC 6062 §5.2): the request is kept until the connection stands or fails, and answered then.
// Control plane's loop thread.
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "controlplane/turn/tcp_relay/relay_private.h"

// A Connect that waits for its connection. `call` looks as it did when the request was there.
struct turn_tcp_request {
	struct turn_call call;
	struct turn_request in;
	size_t n_bytes; // of the message
	uint8_t bytes[];
};

static struct turn_tcp_request *request_keep(const struct turn_call *c)
{
	struct turn_tcp_request *q = malloc(sizeof(*q) + c->in->len_bytes);

	if (q == NULL)
		return NULL;
	q->call = *c;
	q->in = *c->in;
	q->n_bytes = c->in->len_bytes;
	memcpy(q->bytes, c->in->bytes, q->n_bytes);
	q->in.bytes = q->bytes;
	q->call.in = &q->in;
	q->call.out = NULL;
	if (stun_parse(q->bytes, q->n_bytes, &q->call.msg) != STUN_OK) {
		turn_tcp_request_free(q);
		return NULL;
	}
	return q;
}

void turn_tcp_request_free(struct turn_tcp_request *q)
{
	if (q == NULL)
		return;
	OPENSSL_cleanse(q, sizeof(*q) + q->n_bytes);
	free(q);
}

static uint16_t connect_check(const struct turn_tcp_relay *r, const struct turn_call *c,
			      struct ip_endpoint *peer)
{
	struct stun_attr a;

	if (c->in->transport != SHM_TRANSPORT_TCP && c->in->transport != SHM_TRANSPORT_TLS)
		return 400;
	if (r == NULL ||
	    turn_record(c->server, c->allocation_idx)->relay_transport != SHM_TRANSPORT_TCP)
		return 437;
	if (!stun_attr_find(&c->msg, TURN_ATTR_XOR_PEER_ADDRESS, &a) ||
	    stun_xor_address_get(&c->msg, &a, peer) < 0 || peer->port_be == 0)
		return 400;
	if (turn_tcp_connection_by_peer(&r->connections, c->allocation_idx, peer) != 0)
		return 446;
	return turn_tcp_relay_may_connect(r, c->allocation_idx, peer);
}

size_t turn_tcp_relay_connect(struct turn_tcp_relay *r, struct turn_call *c)
{
	struct ip_endpoint relayed, peer;
	struct turn_tcp_request *q;
	const struct shm_allocation *record;
	uint32_t connection;
	uint16_t code = connect_check(r, c, &peer);
	int ret;

	if (code != 0)
		return turn_answer_error(c, code);
	q = request_keep(c);
	connection =
		q == NULL ? 0
			  : turn_tcp_connection_add(
				    &r->connections, c->allocation_idx, &peer, TURN_TCP_CONNECTING,
				    c->in->now_ns + TURN_TCP_CONNECT_TIMEOUT_S * TURN_NS_PER_S);
	if (connection == 0) {
		turn_tcp_request_free(q);
		return turn_answer_error(c, 508);
	}
	r->connections.slot[connection].request = q;
	record = turn_record(c->server, c->allocation_idx);
	relayed.address = turn_local_address(c->server, record->relay_idx);
	relayed.port_be = record->relay_port_be;
	ret = r->io.connect(r->io.arg, connection, &relayed, &peer);
	if (ret < 0) {
		turn_tcp_forget(r, connection);
		r->counter[TURN_TCP_COUNTER_FAILED]++;
		return turn_answer_error(c, ret == -EACCES ? 403 : 447);
	}
	return 0;
}

// Makes the answer to the Connect of a connection: its CONNECTION-ID, or 447. Its length.
static size_t answer(struct turn_tcp_relay *r, uint32_t connection, uint64_t now_ns,
		     bool is_connected, uint8_t message[TURN_ANSWER_BYTES_MAX])
{
	const struct turn_tcp_connection *t = &r->connections.slot[connection];
	struct turn_tcp_request *q = t->request;
	struct stun_builder b;

	q->call.out = message;
	q->call.out_bytes = TURN_ANSWER_BYTES_MAX;
	q->in.now_ns = now_ns;
	// The name stood in memory of the caller's; its owner's is the same.
	q->call.identity.username = turn_record(r->server, t->allocation_idx)->username;
	if (!is_connected)
		return turn_answer_error(&q->call, 447);
	turn_answer_begin(&q->call, &b);
	stun_build_u32(&b, TURN_ATTR_CONNECTION_ID, t->id);
	return turn_answer_end(&q->call, &b);
}

// Sending comes last: a client that does not read loses its allocation by it, and this connection too.
void turn_tcp_relay_connected(struct turn_tcp_relay *r, uint32_t connection, uint64_t now_ns)
{
	struct turn_tcp_connection *t = &r->connections.slot[connection];
	uint32_t stream_idx = t->request->in.stream.idx, serial = t->request->in.stream.serial;
	uint8_t message[TURN_ANSWER_BYTES_MAX];
	size_t n_bytes = answer(r, connection, now_ns, true, message);

	r->counter[TURN_TCP_COUNTER_CONNECTED]++;
	turn_tcp_request_free(t->request);
	t->request = NULL;
	turn_tcp_connection_set(&r->connections, connection, TURN_TCP_PENDING,
				now_ns + TURN_TCP_BIND_TIMEOUT_S * TURN_NS_PER_S);
	r->io.send(r->io.arg, stream_idx, serial, message, n_bytes);
}

void turn_tcp_relay_failed(struct turn_tcp_relay *r, uint32_t connection, uint64_t now_ns)
{
	const struct turn_tcp_connection *t = &r->connections.slot[connection];
	uint32_t stream_idx = t->request->in.stream.idx, serial = t->request->in.stream.serial;
	uint8_t message[TURN_ANSWER_BYTES_MAX];
	size_t n_bytes = answer(r, connection, now_ns, false, message);

	r->counter[TURN_TCP_COUNTER_FAILED]++;
	turn_tcp_forget(r, connection);
	r->io.send(r->io.arg, stream_idx, serial, message, n_bytes);
}
