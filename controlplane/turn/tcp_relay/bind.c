// ConnectionBind (RFC 6062 §5.4): a client's new connection becomes the data connection of a peer's.
// Control plane's loop thread.
#include <openssl/crypto.h>

#include "controlplane/turn/tcp_relay/relay_private.h"

// The credentials are those of the allocation. Access tokens are told apart by their keys: the username is the same for all
// clients of an authorization server.
static bool is_owner(const struct turn_call *c, const struct shm_allocation *record)
{
	const struct turn_identity *id = &c->identity;

	if (record->realm_idx != c->in->realm_idx ||
	    ((record->integrity ^ id->signing) & TURN_SIGNED_TOKEN) != 0)
		return false;
	if (id->signing & TURN_SIGNED_TOKEN)
		return record->key_bytes == id->key_bytes &&
		       CRYPTO_memcmp(record->key, id->key, id->key_bytes) == 0;
	return record->username_bytes == id->username_bytes &&
	       memcmp(record->username, id->username, id->username_bytes) == 0;
}

size_t turn_tcp_relay_bind(struct turn_tcp_relay *r, struct turn_call *c)
{
	struct turn_tcp_connection *t;
	uint32_t connection = 0;
	struct stun_builder b;
	struct stun_attr a;

	if (r == NULL ||
	    (c->in->transport != SHM_TRANSPORT_TCP && c->in->transport != SHM_TRANSPORT_TLS) ||
	    // A control connection stays one.
	    c->allocation_idx != 0)
		return turn_answer_error(c, 400);
	if (stun_attr_find(&c->msg, TURN_ATTR_CONNECTION_ID, &a) && a.length_bytes == 4)
		connection = turn_tcp_connection_by_id(&r->connections, bytes_get_be32(a.value));
	if (connection == 0)
		return turn_answer_error(c, 400);
	t = &r->connections.slot[connection];
	if (t->state != TURN_TCP_PENDING || t->deadline_ns <= c->in->now_ns)
		return turn_answer_error(c, 400);
	if (!is_owner(c, turn_record(c->server, t->allocation_idx)))
		return turn_answer_error(c, 441);
	if (turn_tcp_peer_code(r, t->allocation_idx, &t->peer.address) != 0)
		return turn_answer_error(c, 403);
	if (r->io.join(r->io.arg, connection, c->in->stream.idx, c->in->stream.serial) < 0)
		return turn_answer_error(c, 508);
	turn_tcp_connection_set(&r->connections, connection, TURN_TCP_BOUND, 0);
	r->counter[TURN_TCP_COUNTER_BOUND]++;
	turn_answer_begin(c, &b);
	return turn_answer_end(c, &b);
}
