// Peers that connect, ConnectionBind, and how TCP relaying ends (RFC 6062 §5.3 to §5.5).
#include <errno.h>

#include "controlplane/turn/auth.h"
#include "tests/unit/turn_tcp_relay/tcp_rig.h"

// ---- §5.3

Test(turn_tcp, rfc6062_5_3_peer_with_a_permission_is_announced)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2);
	struct ip_endpoint peer = rig_endpoint(PEER), told;
	uint32_t idx, connection;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(turn_allocation_find_relayed(t.rig.engine.turn, &t.listening, &idx), 0);
	cr_assert_eq(turn_tcp_relay_accepted(t.relay, idx, &peer, t.rig.now_ns), 0);
	cr_assert_eq(turn_tcp_relay_counter(t.relay, TURN_TCP_COUNTER_REFUSED), 1);
	cr_assert_eq(t.n_sent, 0);
	cr_assert_eq(rig_permit(&t.rig, &c, PEER).code, 0);
	connection = turn_tcp_relay_accepted(t.relay, idx, &peer, t.rig.now_ns);
	cr_assert_neq(connection, 0);
	cr_assert_eq(t.sent.type, TURN_CONNECTION_ATTEMPT);
	cr_assert_eq(t.sent_stream, c.stream_idx);
	told = rig_get_address(&t.sent, TURN_ATTR_XOR_PEER_ADDRESS);
	cr_assert(ip_endpoint_equal(&told, &peer));
	cr_assert_eq(ask_bind(&t, &data, rig_get_u32(&t.sent, TURN_ATTR_CONNECTION_ID)).code, 0);
	cr_assert_eq(t.joined, connection);
	cr_assert_eq(t.joined_stream, data.stream_idx);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_3_permission_that_expired_is_none)
{
	struct ip_endpoint peer = rig_endpoint(PEER);
	struct rig_client c = tcp_client(1);
	struct tcp_rig t;
	uint32_t idx;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(turn_allocation_find_relayed(t.rig.engine.turn, &t.listening, &idx), 0);
	cr_assert_eq(rig_permit(&t.rig, &c, PEER).code, 0);
	rig_advance(&t.rig, 300);
	cr_assert_eq(turn_tcp_relay_accepted(t.relay, idx, &peer, t.rig.now_ns), 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_3_peers_that_connect_are_bounded)
{
	struct ip_endpoint peer = rig_endpoint(PEER);
	struct rig_client c = tcp_client(1);
	struct tcp_rig t;
	uint32_t idx;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(turn_allocation_find_relayed(t.rig.engine.turn, &t.listening, &idx), 0);
	cr_assert_eq(rig_permit(&t.rig, &c, PEER).code, 0);
	for (uint32_t i = 0; i < PER_CLIENT; i++) {
		peer.port_be = (uint16_t)(i + 1);
		cr_assert_neq(turn_tcp_relay_accepted(t.relay, idx, &peer, t.rig.now_ns), 0);
	}
	cr_assert_eq(turn_tcp_relay_accepted(t.relay, idx, &peer, t.rig.now_ns), 0);
	close_tcp(&t);
}

// ---- §5.2, §5.3: nobody binds it

Test(turn_tcp, rfc6062_5_2_connection_waits_30_s_for_its_bind)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2);
	struct tcp_rig t;
	uint32_t id;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	id = connected(&t, &c, PEER);
	rig_advance(&t.rig, TURN_TCP_BIND_TIMEOUT_S - 1);
	turn_server_expire(t.rig.engine.turn, t.rig.now_ns);
	cr_assert_eq(t.n_closed, 0);
	rig_advance(&t.rig, 1);
	// Too late, whether or not the timer was there first.
	cr_assert_eq(ask_bind(&t, &data, id).code, 400);
	turn_server_expire(t.rig.engine.turn, t.rig.now_ns);
	cr_assert_eq(t.n_closed, 1);
	cr_assert_eq(t.closed, id & 0xffff);
	cr_assert_eq(turn_tcp_relay_counter(t.relay, TURN_TCP_COUNTER_UNBOUND), 1);
	cr_assert_eq(ask_bind(&t, &data, id).code, 400);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_4_bound_connection_waits_for_nothing)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(ask_bind(&t, &data, connected(&t, &c, PEER)).code, 0);
	rig_advance(&t.rig, 2 * TURN_TCP_BIND_TIMEOUT_S);
	turn_server_expire(t.rig.engine.turn, t.rig.now_ns);
	cr_assert_eq(t.n_closed, 0);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 1);
	close_tcp(&t);
}

// ---- §5.4

Test(turn_tcp, rfc6062_5_4_bind_once_and_only_what_is_there)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2), late = tcp_client(3);
	struct rig_request q;
	struct tcp_rig t;
	uint32_t id;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	id = connected(&t, &c, PEER);
	cr_assert_eq(ask_bind(&t, &data, id ^ 0x10000).code, 400);
	cr_assert_eq(ask_bind(&t, &data, 0).code, 400);
	cr_assert_eq(ask_bind(&t, &data, 0xffffffff).code, 400);
	rig_begin(&q, &data, TURN_CONNECTION_BIND_REQUEST);
	cr_assert_eq(rig_send(&t.rig, &data, &q).code, 400);
	rig_begin(&q, &data, TURN_CONNECTION_BIND_REQUEST);
	stun_build_attr(&q.b, TURN_ATTR_CONNECTION_ID, "ab", 2);
	cr_assert_eq(rig_send(&t.rig, &data, &q).code, 400);
	cr_assert_eq(t.joined, 0);
	cr_assert_eq(ask_bind(&t, &data, id).code, 0);
	cr_assert_eq(t.joined, id & 0xffff);
	cr_assert_eq(ask_bind(&t, &late, id).code, 400);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_4_not_while_it_connects)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2);
	struct tcp_rig t;
	uint32_t id;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	id = connected(&t, &c, PEER);
	turn_tcp_relay_closed(t.relay, id & 0xffff);
	// The slot is another connection's now, which has another id.
	cr_assert_eq(ask_connect(&t, &c, PEER).length_bytes, 0);
	cr_assert_eq(t.connecting, id & 0xffff);
	cr_assert_eq(ask_bind(&t, &data, id).code, 400);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_4_only_by_its_owner_and_over_a_connection_of_its_own)
{
	struct rig_client c = tcp_client(1),
			  other = stream_client(2, SHM_TRANSPORT_TCP, "other", "other-secret"),
			  wrong = stream_client(3, SHM_TRANSPORT_TCP, "lab", "wrong"),
			  udp = rig_client("203.0.113.9:4000", "lab", RIG_PASSWORD),
			  dtls = stream_client(4, SHM_TRANSPORT_DTLS, "lab", RIG_PASSWORD),
			  tls = stream_client(5, SHM_TRANSPORT_TLS, "lab", RIG_PASSWORD);
	struct tcp_rig t;
	uint32_t id;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	id = connected(&t, &c, PEER);
	cr_assert_eq(ask_bind(&t, &other, id).code, 441);
	cr_assert_eq(ask_bind(&t, &wrong, id).code, 401);
	cr_assert_eq(ask_bind(&t, &udp, id).code, 400);
	cr_assert_eq(ask_bind(&t, &dtls, id).code, 400);
	cr_assert_eq(ask_bind(&t, &c, id).code, 400); // the control connection
	cr_assert_eq(t.joined, 0);
	t.join_result = -ENOMEM;
	cr_assert_eq(ask_bind(&t, &tls, id).code, 508);
	t.join_result = 0;
	cr_assert_eq(ask_bind(&t, &tls, id).code, 0);
	close_tcp(&t);
}

// ---- §5.5

Test(turn_tcp, rfc6062_5_5_everything_ends_with_the_allocation)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2);
	struct tcp_rig t;
	uint32_t idx;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(ask_bind(&t, &data, connected(&t, &c, PEER)).code, 0);
	connected(&t, &c, "192.0.2.77:7001");
	cr_assert_eq(ask_connect(&t, &c, "192.0.2.77:7002").length_bytes, 0);
	rig_advance(&t.rig, 29); // they wait still
	turn_server_stream_closed(t.rig.engine.turn, c.stream_idx, c.stream_serial, t.rig.now_ns);
	cr_assert_eq(t.n_closed, 3);
	cr_assert_eq(t.n_listening, 0);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 0);
	cr_assert_eq(turn_server_n_allocations(t.rig.engine.turn), 0);
	rig_advance(&t.rig, 60);
	turn_server_expire(t.rig.engine.turn, t.rig.now_ns);
	cr_assert_eq(t.n_closed, 3);

	allocate_tcp(&t, &c);
	connected(&t, &c, PEER);
	cr_assert_eq(turn_allocation_find_relayed(t.rig.engine.turn, &t.listening, &idx), 0);
	cr_assert_eq(turn_allocation_kill(t.rig.engine.turn, idx, t.rig.now_ns), 0);
	cr_assert_eq(t.n_closed, 4);
	allocate_tcp(&t, &c);
	connected(&t, &c, PEER);
	rig_advance(&t.rig, 3600);
	turn_server_expire(t.rig.engine.turn, t.rig.now_ns);
	cr_assert_eq(t.n_listening, 0);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_5_bytes_count_for_the_allocation)
{
	struct turn_allocation_info info;
	struct rig_client c = tcp_client(1), data = tcp_client(2);
	struct tcp_rig t;
	uint32_t idx;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(ask_bind(&t, &data, connected(&t, &c, PEER)).code, 0);
	turn_tcp_relay_moved(t.relay, t.joined, 1000, 20);
	turn_tcp_relay_moved(t.relay, t.joined, 0, 3);
	cr_assert_eq(turn_allocation_find_relayed(t.rig.engine.turn, &t.listening, &idx), 0);
	cr_assert_eq(turn_allocation_info(t.rig.engine.turn, idx, &info), 0);
	cr_assert_eq(info.usage.up_bytes, 1000);
	cr_assert_eq(info.usage.down_bytes, 23);
	close_tcp(&t);
}

// ---- policy

Test(turn_tcp, rfc6062_7_what_the_kernel_may_not_connect_to_is_403)
{
	struct rig_client c = tcp_client(1);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	t.connect_result = -EACCES;
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 403);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 0);
	close_tcp(&t);
}

Test(turn_tcp, a_reload_with_stricter_rules_ends_what_it_denies)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2), late = tcp_client(3);
	struct config *strict = rig_config();
	uint32_t denied, allowed, pending;
	struct turn_auth *auth;
	char error[320];
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	denied = connected(&t, &c, PEER);
	cr_assert_eq(ask_bind(&t, &data, denied).code, 0);
	allowed = connected(&t, &c, "9.9.9.9:7000");
	cr_assert_eq(ask_connect(&t, &c, "192.0.2.78:7000").length_bytes, 0);
	cr_assert_eq(
		table_writer_publish_settings(&t.rig.engine.tables, strict, error, sizeof(error)),
		0);
	cr_assert_eq(turn_auth_new(strict, &auth), 0);
	turn_server_reload(t.rig.engine.turn, strict, auth);
	config_free(t.rig.engine.config);
	t.rig.engine.config = strict;
	cr_assert_eq(t.n_closed, 1);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 2);
	// What was on its way connects, and nobody gets it.
	turn_tcp_relay_connected(t.relay, t.connecting, t.rig.now_ns);
	pending = rig_get_u32(&t.sent, TURN_ATTR_CONNECTION_ID);
	cr_assert_eq(ask_bind(&t, &late, pending).code, 403);
	cr_assert_eq(ask_bind(&t, &late, allowed).code, 0);
	cr_assert_eq(turn_server_n_allocations(t.rig.engine.turn), 1);
	close_tcp(&t);
}

Test(turn_tcp, rules_of_the_shared_store_end_what_they_deny)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2);
	struct config_peer_rule rule = { .action = SHM_PEER_DENY };
	struct tcp_rig t;
	char error[320];
	uint32_t denied;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	denied = connected(&t, &c, "9.9.9.9:7000");
	cr_assert_eq(ask_bind(&t, &data, denied).code, 0);
	connected(&t, &c, "9.9.9.10:7000");
	rule.prefix.address = rig_endpoint("9.9.9.9:7000").address;
	rule.prefix.length_bits = 128;
	cr_assert_eq(table_writer_publish_rules(&t.rig.engine.tables, t.rig.engine.config, &rule, 1,
						error, sizeof(error)),
		     0);
	turn_server_rules_changed(t.rig.engine.turn);
	cr_assert_eq(t.closed, denied & 0xffff);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 1);
	close_tcp(&t);
}
