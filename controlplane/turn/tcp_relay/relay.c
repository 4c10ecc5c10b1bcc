// TCP relaying: its life, allocations, and what happens on sockets. Control plane's loop thread.
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "controlplane/turn/tcp_relay/relay_private.h"

int turn_tcp_relay_new(struct turn_server *s, const struct turn_tcp_io *io,
		       const struct turn_tcp_limits *limits, struct turn_tcp_relay **out)
{
	struct turn_tcp_relay *r = calloc(1, sizeof(*r));
	int ret;

	if (r == NULL)
		return -ENOMEM;
	ret = turn_tcp_connections_init(&r->connections, s->tables->n_allocations_max,
					limits->connections, limits->per_allocation);
	if (ret < 0) {
		free(r);
		return ret;
	}
	r->server = s;
	r->io = *io;
	s->tcp_relay = r;
	*out = r;
	return 0;
}

void turn_tcp_relay_free(struct turn_tcp_relay *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 1; i <= r->server->tables->n_allocations_max; i++)
		if (r->server->allocations[i].user != NULL)
			turn_tcp_relay_end(r, i);
	r->server->tcp_relay = NULL;
	for (uint32_t i = 0; i < SHM_LOCALS_MAX; i++)
		free(r->listening[i]);
	turn_tcp_connections_fini(&r->connections);
	free(r);
}

void turn_tcp_forget(struct turn_tcp_relay *r, uint32_t connection)
{
	turn_tcp_request_free(r->connections.slot[connection].request);
	turn_tcp_connection_remove(&r->connections, connection);
}

// ---- allocations

// RFC 6062 §5.1. DONT-FRAGMENT, EVEN-PORT and RESERVATION-TOKEN mean nothing to TCP; a second address is
// not given.
uint16_t turn_tcp_relay_check(const struct turn_tcp_relay *r, const struct turn_call *c)
{
	static const uint16_t refused[] = { TURN_ATTR_DONT_FRAGMENT, TURN_ATTR_EVEN_PORT,
					    TURN_ATTR_RESERVATION_TOKEN,
					    TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY };
	struct stun_attr a;

	if (r == NULL)
		return 442;
	if (c->in->transport != SHM_TRANSPORT_TCP && c->in->transport != SHM_TRANSPORT_TLS)
		return 400;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (stun_attr_find(&c->msg, refused[i], &a))
			return 400;
	// Its connections cannot move to another control connection (RFC 8016 §4 knows UDP only).
	return stun_attr_find(&c->msg, TURN_ATTR_MOBILITY_TICKET, &a) ? 405 : 0;
}

static struct ip_endpoint relayed_of(const struct turn_server *s, uint32_t allocation_idx)
{
	const struct shm_allocation *record = turn_record(s, allocation_idx);

	return (struct ip_endpoint){
		.address = turn_local_address(s, record->relay_idx),
		.port_be = record->relay_port_be,
	};
}

int turn_tcp_relay_begin(struct turn_tcp_relay *r, uint32_t allocation_idx)
{
	struct ip_endpoint relayed = relayed_of(r->server, allocation_idx);
	uint8_t relay_idx = turn_record(r->server, allocation_idx)->relay_idx;
	int ret;

	if (r->listening[relay_idx] == NULL)
		r->listening[relay_idx] = calloc(65536, sizeof(*r->listening[relay_idx]));
	if (r->listening[relay_idx] == NULL)
		return -ENOMEM;
	ret = r->io.listen(r->io.arg, allocation_idx, &relayed);
	if (ret < 0)
		return ret;
	r->listening[relay_idx][relayed.port_be] = allocation_idx;
	r->counter[TURN_TCP_COUNTER_ALLOCATED]++;
	return 0;
}

void turn_tcp_relay_end(struct turn_tcp_relay *r, uint32_t allocation_idx)
{
	const struct shm_allocation *record;
	uint32_t connection;

	if (r == NULL)
		return;
	record = turn_record(r->server, allocation_idx);
	// One that never began to listen ends too.
	if (record->relay_transport != SHM_TRANSPORT_TCP ||
	    r->listening[record->relay_idx] == NULL ||
	    r->listening[record->relay_idx][record->relay_port_be] != allocation_idx)
		return;
	r->listening[record->relay_idx][record->relay_port_be] = 0;
	while ((connection = r->connections.owner[allocation_idx].first) != 0) {
		turn_tcp_forget(r, connection);
		r->io.close(r->io.arg, connection);
	}
	r->io.unlisten(r->io.arg, allocation_idx);
}

uint16_t turn_tcp_peer_code(const struct turn_tcp_relay *r, uint32_t allocation_idx,
			    const struct ip_address *peer)
{
	const struct shm_allocation *record = turn_record(r->server, allocation_idx);

	return turn_server_peer_verdict(r->server, record->realm_idx, record->relay_idx, peer).code;
}

// The allocation that has a relayed transport address, 0 for none.
static uint32_t listening_at(const struct turn_tcp_relay *r, const struct ip_endpoint *at)
{
	int local_idx = table_writer_local_find(r->server->tables, &at->address);

	return local_idx >= 0 && r->listening[local_idx] != NULL
		       ? r->listening[local_idx][at->port_be]
		       : 0;
}

bool turn_tcp_relay_is_relayed(const struct turn_tcp_relay *r, const struct ip_endpoint *at)
{
	return listening_at(r, at) != 0;
}

uint16_t turn_tcp_relay_may_connect(const struct turn_tcp_relay *r, uint32_t allocation_idx,
				    const struct ip_endpoint *peer)
{
	const struct turn_server *s = r->server;
	const struct shm_allocation *record = turn_record(s, allocation_idx);
	struct turn_peer_verdict v =
		turn_server_peer_verdict(s, record->realm_idx, record->relay_idx, &peer->address);
	uint32_t other;

	if (v.code != 0 || !v.is_hairpin)
		return v.code;
	// Of our own addresses nothing may be reached but the relayed transport address of another allocation:
	// whatever else listens there is not for clients.
	other = listening_at(r, peer);
	return other == 0 || other == allocation_idx ? 403 : 0;
}

void turn_tcp_relay_recheck(struct turn_tcp_relay *r, uint32_t allocation_idx)
{
	uint32_t connection, next;

	if (r == NULL)
		return;
	for (connection = r->connections.owner[allocation_idx].first; connection != 0;
	     connection = next) {
		const struct turn_tcp_connection *t = &r->connections.slot[connection];

		next = t->next;
		// One that is being made is looked at when it is bound.
		if (t->state == TURN_TCP_CONNECTING ||
		    turn_tcp_peer_code(r, allocation_idx, &t->peer.address) == 0)
			continue;
		turn_tcp_forget(r, connection);
		r->io.close(r->io.arg, connection);
	}
}

// ---- what happens on sockets

static bool is_permitted(const struct turn_server *s, uint32_t allocation_idx,
			 const struct ip_address *peer, uint64_t now_ns)
{
	const struct shm_allocation *r = turn_record(s, allocation_idx);
	uint32_t entry = turn_permission_find(s, allocation_idx, peer);

	return entry != 0 && table_writer_flow_own_expiry(s->tables, entry) > now_ns &&
	       turn_server_peer_verdict(s, r->realm_idx, r->relay_idx, peer).code == 0;
}

// RFC 6062 §5.3.
uint32_t turn_tcp_relay_accepted(struct turn_tcp_relay *r, uint32_t allocation_idx,
				 const struct ip_endpoint *peer, uint64_t now_ns)
{
	struct turn_server *s = r->server;
	const struct shm_allocation *record = turn_record(s, allocation_idx);
	uint8_t transaction_id[12], message[64];
	struct stun_builder b;
	uint32_t connection = 0, id;
	size_t n_bytes;

	if (record->expires_at_ns > now_ns &&
	    is_permitted(s, allocation_idx, &peer->address, now_ns) &&
	    RAND_bytes(transaction_id, sizeof(transaction_id)) == 1)
		connection = turn_tcp_connection_add(
			&r->connections, allocation_idx, peer, TURN_TCP_PENDING,
			now_ns + TURN_TCP_BIND_TIMEOUT_S * TURN_NS_PER_S);
	if (connection == 0) {
		r->counter[TURN_TCP_COUNTER_REFUSED]++;
		return 0;
	}
	r->counter[TURN_TCP_COUNTER_ACCEPTED]++;
	stun_build_begin(&b, message, sizeof(message), TURN_CONNECTION_ATTEMPT, transaction_id);
	stun_build_u32(&b, TURN_ATTR_CONNECTION_ID, r->connections.slot[connection].id);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, peer);
	n_bytes = stun_build_end(&b);
	id = r->connections.slot[connection].id;
	r->io.send(r->io.arg, record->stream_idx, record->stream_serial, message, n_bytes);
	// A client that does not read loses its allocation by it, and this connection too.
	return turn_tcp_connection_by_id(&r->connections, id);
}

uint64_t turn_tcp_relay_accept_failed(struct turn_tcp_relay *r)
{
	return ++r->counter[TURN_TCP_COUNTER_ACCEPT_FAILED];
}

void turn_tcp_relay_closed(struct turn_tcp_relay *r, uint32_t connection)
{
	turn_tcp_forget(r, connection);
}

void turn_tcp_relay_moved(struct turn_tcp_relay *r, uint32_t connection, uint64_t up_bytes,
			  uint64_t down_bytes)
{
	uint32_t allocation_idx = r->connections.slot[connection].allocation_idx;
	struct table_writer_totals *t = &r->server->tables->totals[allocation_idx];

	t->up_bytes += up_bytes;
	t->down_bytes += down_bytes;
	r->counter[TURN_TCP_COUNTER_UP_BYTES] += up_bytes;
	r->counter[TURN_TCP_COUNTER_DOWN_BYTES] += down_bytes;
}

void turn_tcp_relay_expire(struct turn_tcp_relay *r, uint64_t now_ns)
{
	uint32_t connection;

	if (r == NULL)
		return;
	while ((connection = turn_tcp_connection_overdue(&r->connections, now_ns)) != 0) {
		if (r->connections.slot[connection].state == TURN_TCP_CONNECTING) {
			turn_tcp_relay_failed(r, connection, now_ns);
		} else {
			r->counter[TURN_TCP_COUNTER_UNBOUND]++;
			turn_tcp_forget(r, connection);
		}
		r->io.close(r->io.arg, connection);
	}
}

// ---- for operators

uint32_t turn_tcp_relay_bytes_per_s(const struct turn_tcp_relay *r, uint32_t allocation_idx,
				    uint32_t *user_idx)
{
	const struct shm_limit *l = &r->server->tables->limits[allocation_idx];

	*user_idx = 0;
	if (l->user_bytes_per_s == 0 ||
	    (l->bytes_per_s != 0 && l->bytes_per_s < l->user_bytes_per_s))
		return l->bytes_per_s;
	*user_idx = l->user_idx;
	return l->user_bytes_per_s;
}

uint32_t turn_tcp_relay_allocation(const struct turn_tcp_relay *r, uint32_t connection)
{
	return r->connections.slot[connection].allocation_idx;
}

uint32_t turn_tcp_relay_n_connections(const struct turn_tcp_relay *r)
{
	return r == NULL ? 0 : r->connections.n;
}

uint64_t turn_tcp_relay_counter(const struct turn_tcp_relay *r, enum turn_tcp_counter c)
{
	return r == NULL ? 0 : r->counter[c];
}

const char *turn_tcp_counter_name(enum turn_tcp_counter c)
{
	static const char *const names[TURN_TCP_COUNTER_COUNT] = {
		[TURN_TCP_COUNTER_ALLOCATED] = "allocations_created",
		[TURN_TCP_COUNTER_CONNECTED] = "connections_made",
		[TURN_TCP_COUNTER_FAILED] = "connections_failed",
		[TURN_TCP_COUNTER_ACCEPTED] = "connections_accepted",
		[TURN_TCP_COUNTER_REFUSED] = "connections_refused",
		[TURN_TCP_COUNTER_ACCEPT_FAILED] = "accept_failed",
		[TURN_TCP_COUNTER_BOUND] = "connections_bound",
		[TURN_TCP_COUNTER_UNBOUND] = "connections_not_bound_in_time",
		[TURN_TCP_COUNTER_UP_BYTES] = "up_bytes",
		[TURN_TCP_COUNTER_DOWN_BYTES] = "down_bytes",
	};

	return c < TURN_TCP_COUNTER_COUNT ? names[c] : "unknown";
}
