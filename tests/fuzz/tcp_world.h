// The sockets below TCP relaying (RFC 6062) as the TURN server's fuzz target plays them: streams of clients, listeners and
// connections of peers that exist only in this table. What the relay asks of them is checked against the table, and the
// table against what the relay counts.
#ifndef TP_TESTS_FUZZ_TCP_WORLD_H
#define TP_TESTS_FUZZ_TCP_WORLD_H

#include <errno.h>
#include <stdbool.h>

#include "controlplane/turn/server.h"
#include "controlplane/turn/tcp_relay/connections.h"
#include "controlplane/turn/tcp_relay/tcp_relay.h"
#include "dataplane/contract/wire/stun.h"
#include "tests/fuzz/fuzz.h"

#define TCP_STREAMS         6
#define TCP_CONNECTIONS     5
#define TCP_PER_ALLOCATION  3
#define TCP_ALLOCATIONS_MAX 8

// A client's connection to the TURN server. Closed, it is another one, of the next serial.
struct tcp_stream {
	uint32_t serial;
	bool is_pipe;
};

// A connection with a peer.
struct tcp_peer {
	uint8_t state; // enum turn_tcp_state
	uint32_t id;   // CONNECTION-ID, once it was told
	uint32_t allocation_idx;
	uint32_t stream_idx; // BOUND: the client's
	struct ip_endpoint peer;
	uint64_t since_ns;          // when it began to wait
	uint8_t transaction_id[12]; // CONNECTING: of the Connect
};

struct tcp_world {
	struct turn_server *server;
	struct turn_tcp_relay *relay;
	const uint64_t *now_ns;
	struct tcp_stream stream[TCP_STREAMS + 1];
	struct tcp_peer peer[TCP_CONNECTIONS + 1];
	const char *owner[TCP_ALLOCATIONS_MAX + 1]; // who listens, by allocation; NULL = nobody
	// What an input calls them, in the order in which they began: which slots the server takes depends on what was there
	// before the input. 0 = none.
	uint32_t connection_named[TCP_CONNECTIONS];
	uint32_t allocation_named[TCP_ALLOCATIONS_MAX];
	// the request under way
	const char *signer; // NULL: none, or it cannot have a valid signature
	uint8_t transaction_id[12];
	bool is_accepting;
	// what is to go wrong next
	bool listen_fails, connect_fails, join_fails, client_does_not_read;
	// what was sent last
	uint32_t n_sent;
	uint16_t sent_type;
	uint32_t sent_id;
	uint8_t sent_transaction_id[12];
};

static void tcp_name(uint32_t *named, uint32_t idx)
{
	while (*named != 0)
		named++;
	*named = idx;
}

static void tcp_unname(uint32_t *named, uint32_t idx)
{
	while (*named != idx)
		named++;
	*named = 0;
}

static void tcp_peer_begin(struct tcp_world *w, uint32_t connection, enum turn_tcp_state state,
			   uint32_t allocation_idx, const struct ip_endpoint *peer)
{
	w->peer[connection] = (struct tcp_peer){ .state = (uint8_t)state,
						 .allocation_idx = allocation_idx,
						 .peer = *peer,
						 .since_ns = *w->now_ns };
	tcp_name(w->connection_named, connection);
}

static void tcp_peer_end(struct tcp_world *w, uint32_t connection)
{
	w->peer[connection].state = TURN_TCP_FREE;
	tcp_unname(w->connection_named, connection);
}

static uint8_t tcp_stream_transport(uint32_t stream_idx)
{
	return stream_idx == TCP_STREAMS ? SHM_TRANSPORT_DTLS
	       : stream_idx % 2 == 0     ? SHM_TRANSPORT_TLS
					 : SHM_TRANSPORT_TCP;
}

// The relay forgets a joined connection before the server hears that the stream is gone.
static void tcp_stream_close(struct tcp_world *w, uint32_t stream_idx)
{
	struct tcp_stream *s = &w->stream[stream_idx];
	uint32_t serial = s->serial++;

	s->is_pipe = false;
	for (uint32_t c = 1; c <= TCP_CONNECTIONS; c++) {
		if (w->peer[c].state != TURN_TCP_BOUND || w->peer[c].stream_idx != stream_idx)
			continue;
		tcp_peer_end(w, c);
		turn_tcp_relay_closed(w->relay, c);
	}
	turn_server_stream_closed(w->server, stream_idx, serial, *w->now_ns);
}

// Relay 0 is the one of IPv4, relay 1 that of IPv6.
static bool tcp_is_allowed(const struct tcp_world *w, const struct ip_endpoint *peer)
{
	uint8_t relay_idx = ip_address_is_v4(&peer->address) ? 0 : 1;

	return turn_server_peer_verdict(w->server, 0, relay_idx, &peer->address).code == 0;
}

// ---- what the relay asks for

static int tcp_listen(void *arg, uint32_t allocation_idx, const struct ip_endpoint *relayed)
{
	struct tcp_world *w = arg;

	FUZZ_ASSERT(w->signer != NULL && w->owner[allocation_idx] == NULL);
	FUZZ_ASSERT(relayed->port_be != 0);
	if (w->listen_fails) {
		w->listen_fails = false;
		return -EADDRINUSE;
	}
	w->owner[allocation_idx] = w->signer;
	tcp_name(w->allocation_named, allocation_idx);
	return 0;
}

static void tcp_unlisten(void *arg, uint32_t allocation_idx)
{
	struct tcp_world *w = arg;

	FUZZ_ASSERT(w->owner[allocation_idx] != NULL);
	w->owner[allocation_idx] = NULL;
	tcp_unname(w->allocation_named, allocation_idx);
}

static int tcp_connect(void *arg, uint32_t connection, const struct ip_endpoint *relayed,
		       const struct ip_endpoint *peer)
{
	struct tcp_world *w = arg;
	struct tcp_peer *p = &w->peer[connection];
	uint32_t allocation_idx = turn_tcp_relay_allocation(w->relay, connection);

	FUZZ_ASSERT(connection >= 1 && connection <= TCP_CONNECTIONS);
	FUZZ_ASSERT(p->state == TURN_TCP_FREE);
	FUZZ_ASSERT(w->signer != NULL && w->owner[allocation_idx] == w->signer);
	FUZZ_ASSERT(peer->port_be != 0 && !ip_endpoint_equal(peer, relayed));
	FUZZ_ASSERT(ip_address_is_v4(&peer->address) == ip_address_is_v4(&relayed->address));
	FUZZ_ASSERT(turn_tcp_relay_is_relayed(w->relay, relayed));
	FUZZ_ASSERT(turn_tcp_relay_may_connect(w->relay, allocation_idx, peer) == 0);
	if (w->connect_fails) {
		w->connect_fails = false;
		return -ENETUNREACH;
	}
	tcp_peer_begin(w, connection, TURN_TCP_CONNECTING, allocation_idx, peer);
	memcpy(p->transaction_id, w->transaction_id, 12);
	return 0;
}

static int tcp_join(void *arg, uint32_t connection, uint32_t stream_idx, uint32_t stream_serial)
{
	struct tcp_world *w = arg;
	struct tcp_peer *p = &w->peer[connection];
	struct tcp_stream *s = &w->stream[stream_idx];

	FUZZ_ASSERT(p->state == TURN_TCP_PENDING);
	// RFC 6062 §5.4: the credentials of the control connection.
	FUZZ_ASSERT(w->signer != NULL && w->owner[p->allocation_idx] == w->signer);
	FUZZ_ASSERT(s->serial == stream_serial && !s->is_pipe);
	FUZZ_ASSERT(tcp_stream_transport(stream_idx) != SHM_TRANSPORT_DTLS);
	FUZZ_ASSERT(*w->now_ns < p->since_ns + TURN_TCP_BIND_TIMEOUT_S * 1000000000ull);
	if (w->join_fails) {
		w->join_fails = false;
		return -ENOMEM;
	}
	s->is_pipe = true;
	p->state = TURN_TCP_BOUND;
	p->stream_idx = stream_idx;
	return 0;
}

// As the real one: the client's stream goes with it. One that is just being accepted is not known yet.
static void tcp_close(void *arg, uint32_t connection)
{
	struct tcp_world *w = arg;
	struct tcp_peer *p = &w->peer[connection];
	bool is_joined = p->state == TURN_TCP_BOUND;

	FUZZ_ASSERT(p->state != TURN_TCP_FREE || w->is_accepting);
	if (p->state != TURN_TCP_FREE)
		tcp_peer_end(w, connection);
	if (is_joined)
		tcp_stream_close(w, p->stream_idx);
}

static void tcp_send(void *arg, uint32_t stream_idx, uint32_t stream_serial, const uint8_t *message,
		     size_t n_bytes)
{
	struct tcp_world *w = arg;
	struct tcp_stream *s = &w->stream[stream_idx];
	struct stun_view v;
	struct stun_attr a;

	FUZZ_ASSERT(stream_idx >= 1 && stream_idx <= TCP_STREAMS);
	FUZZ_ASSERT(s->serial == stream_serial && !s->is_pipe);
	FUZZ_ASSERT(stun_parse(message, n_bytes, &v) == STUN_OK);
	FUZZ_ASSERT((v.type == TURN_CONNECTION_ATTEMPT && w->is_accepting) ||
		    v.type == (TURN_CONNECT_REQUEST | STUN_CLASS_SUCCESS) ||
		    v.type == (TURN_CONNECT_REQUEST | STUN_CLASS_ERROR));
	w->n_sent++;
	w->sent_type = v.type;
	w->sent_id = 0;
	memcpy(w->sent_transaction_id, v.transaction_id, 12);
	if (stun_attr_find(&v, TURN_ATTR_CONNECTION_ID, &a) && a.length_bytes == 4)
		w->sent_id = bytes_get_be32(a.value);
	FUZZ_ASSERT((w->sent_id == 0) == (v.type == (TURN_CONNECT_REQUEST | STUN_CLASS_ERROR)));
	if (w->client_does_not_read) {
		w->client_does_not_read = false;
		tcp_stream_close(w, stream_idx);
	}
}

// ---- what happens to sockets

static void tcp_connected(struct tcp_world *w, uint32_t connection)
{
	struct tcp_peer *p = &w->peer[connection];
	uint32_t n_sent = w->n_sent;

	if (p->state != TURN_TCP_CONNECTING)
		return;
	p->state = TURN_TCP_PENDING;
	p->since_ns = *w->now_ns;
	turn_tcp_relay_connected(w->relay, connection, *w->now_ns);
	FUZZ_ASSERT(w->n_sent == n_sent + 1 &&
		    w->sent_type == (TURN_CONNECT_REQUEST | STUN_CLASS_SUCCESS));
	FUZZ_ASSERT(memcmp(w->sent_transaction_id, p->transaction_id, 12) == 0);
	p->id = w->sent_id;
}

static void tcp_failed(struct tcp_world *w, uint32_t connection)
{
	struct tcp_peer *p = &w->peer[connection];
	uint32_t n_sent = w->n_sent;

	if (p->state != TURN_TCP_CONNECTING)
		return;
	tcp_peer_end(w, connection);
	turn_tcp_relay_failed(w->relay, connection, *w->now_ns);
	FUZZ_ASSERT(w->n_sent == n_sent + 1 &&
		    w->sent_type == (TURN_CONNECT_REQUEST | STUN_CLASS_ERROR));
	FUZZ_ASSERT(memcmp(w->sent_transaction_id, p->transaction_id, 12) == 0);
}

static void tcp_accepted(struct tcp_world *w, uint32_t allocation_idx,
			 const struct ip_endpoint *peer)
{
	uint32_t n_permissions = turn_server_n_permissions(w->server);
	uint32_t n_sent = w->n_sent;
	uint32_t connection;

	if (w->owner[allocation_idx] == NULL)
		return;
	w->is_accepting = true;
	connection = turn_tcp_relay_accepted(w->relay, allocation_idx, peer, *w->now_ns);
	w->is_accepting = false;
	if (connection == 0)
		return;
	FUZZ_ASSERT(connection <= TCP_CONNECTIONS && w->peer[connection].state == TURN_TCP_FREE);
	FUZZ_ASSERT(w->n_sent == n_sent + 1 && w->sent_type == TURN_CONNECTION_ATTEMPT);
	FUZZ_ASSERT(n_permissions > 0 && tcp_is_allowed(w, peer));
	tcp_peer_begin(w, connection, TURN_TCP_PENDING, allocation_idx, peer);
	w->peer[connection].id = w->sent_id;
}

static void tcp_moved(struct tcp_world *w, uint32_t connection, uint8_t n_bytes)
{
	if (w->peer[connection].state == TURN_TCP_BOUND)
		turn_tcp_relay_moved(w->relay, connection, n_bytes, n_bytes / 2);
}

// ---- what holds always

static void tcp_check(const struct tcp_world *w)
{
	uint32_t n_of[TCP_ALLOCATIONS_MAX + 1] = { 0 };
	uint32_t n = 0, n_listening = 0;

	for (uint32_t c = 1; c <= TCP_CONNECTIONS; c++) {
		const struct tcp_peer *p = &w->peer[c];

		if (p->state == TURN_TCP_FREE)
			continue;
		n++;
		FUZZ_ASSERT(++n_of[p->allocation_idx] <= TCP_PER_ALLOCATION);
		FUZZ_ASSERT(w->owner[p->allocation_idx] != NULL);
		FUZZ_ASSERT(turn_tcp_relay_allocation(w->relay, c) == p->allocation_idx);
	}
	for (uint32_t i = 1; i <= TCP_ALLOCATIONS_MAX; i++)
		n_listening += w->owner[i] != NULL;
	FUZZ_ASSERT(turn_tcp_relay_n_connections(w->relay) == n);
	FUZZ_ASSERT(n_listening <= turn_server_n_allocations(w->server));
}

// After expiry: nothing waits for longer than it may.
static void tcp_check_expired(const struct tcp_world *w)
{
	for (uint32_t c = 1; c <= TCP_CONNECTIONS; c++) {
		const struct tcp_peer *p = &w->peer[c];

		if (p->state == TURN_TCP_CONNECTING || p->state == TURN_TCP_PENDING)
			FUZZ_ASSERT(*w->now_ns <
				    p->since_ns + TURN_TCP_BIND_TIMEOUT_S * 1000000000ull);
	}
}

// After a change of the rules: none stands with a peer that they deny. One that is being made is looked at when it is bound.
static void tcp_check_policy(const struct tcp_world *w)
{
	for (uint32_t c = 1; c <= TCP_CONNECTIONS; c++) {
		const struct tcp_peer *p = &w->peer[c];

		if (p->state == TURN_TCP_PENDING || p->state == TURN_TCP_BOUND)
			FUZZ_ASSERT(tcp_is_allowed(w, &p->peer));
	}
}

// All allocations have ended.
static void tcp_check_empty(struct tcp_world *w)
{
	tcp_check(w);
	FUZZ_ASSERT(turn_tcp_relay_n_connections(w->relay) == 0);
	for (uint32_t i = 1; i <= TCP_ALLOCATIONS_MAX; i++)
		FUZZ_ASSERT(w->owner[i] == NULL);
	for (uint32_t i = 1; i <= TCP_STREAMS; i++)
		FUZZ_ASSERT(!w->stream[i].is_pipe);
	w->listen_fails = w->connect_fails = w->join_fails = w->client_does_not_read = false;
}

static void tcp_start(struct tcp_world *w, struct turn_server *server, const uint64_t *now_ns)
{
	const struct turn_tcp_limits limits = { TCP_CONNECTIONS, TCP_PER_ALLOCATION };
	const struct turn_tcp_io io = {
		.arg = w,
		.listen = tcp_listen,
		.unlisten = tcp_unlisten,
		.connect = tcp_connect,
		.join = tcp_join,
		.close = tcp_close,
		.send = tcp_send,
	};

	w->server = server;
	w->now_ns = now_ns;
	for (uint32_t i = 1; i <= TCP_STREAMS; i++)
		w->stream[i].serial = 1;
	FUZZ_ASSERT(turn_tcp_relay_new(server, &io, &limits, &w->relay) == 0);
}

#endif
