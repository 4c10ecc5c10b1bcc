// Allocate and Connect of TCP relaying (RFC 6062 §5.1, §5.2).
#include "tests/unit/turn_tcp_relay/tcp_rig.h"

// ---- §5.1

Test(turn_tcp, rfc6062_5_1_allocate_listens_on_the_relayed_address)
{
	struct rig_client c = tcp_client(1);
	struct ip_endpoint relayed;
	struct rig_answer a;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	a = allocate_tcp(&t, &c);
	cr_assert_eq(a.type, TURN_ALLOCATE_REQUEST | STUN_CLASS_SUCCESS);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	cr_assert_eq(t.n_listening, 1);
	cr_assert(ip_endpoint_equal(&relayed, &t.listening));
	cr_assert_eq(turn_tcp_relay_counter(t.relay, TURN_TCP_COUNTER_ALLOCATED), 1);
	// The same request once more is answered alike, and listens no second time.
	cr_assert_eq(rig_refresh(&t.rig, &c, 0).code, 0);
	cr_assert_eq(t.n_listening, 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_1_ipv6)
{
	struct rig_client c = tcp_client(1);
	struct rig_request q;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	begin_allocate(&q, &c);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)STUN_FAMILY_IPV6 << 24);
	cr_assert_eq(rig_send(&t.rig, &c, &q).code, 0);
	cr_assert_not(ip_address_is_v4(&t.listening.address));
	cr_assert_eq(ask_connect(&t, &c, "[2001:4860::77]:7000").length_bytes, 0);
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 443);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_1_only_over_tcp_and_tls)
{
	const uint8_t good[] = { SHM_TRANSPORT_TCP, SHM_TRANSPORT_TLS };
	struct rig_client c = rig_client("203.0.113.9:4000", "lab", RIG_PASSWORD);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	cr_assert_eq(allocate_tcp(&t, &c).code, 400);
	c = stream_client(1, SHM_TRANSPORT_DTLS, "lab", RIG_PASSWORD);
	cr_assert_eq(allocate_tcp(&t, &c).code, 400);
	for (uint32_t i = 0; i < sizeof(good); i++) {
		c = stream_client(2 + i, good[i], "lab", RIG_PASSWORD);
		cr_assert_eq(allocate_tcp(&t, &c).code, 0);
	}
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_1_switched_off_is_442)
{
	struct rig_client c = tcp_client(1);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	turn_tcp_relay_free(t.relay);
	t.relay = NULL;
	cr_assert_eq(allocate_tcp(&t, &c).code, 442);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_1_attributes_of_udp_are_refused)
{
	struct rig_client c = tcp_client(1);
	struct rig_request q;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	begin_allocate(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT, "\x80", 1);
	cr_assert_eq(rig_send(&t.rig, &c, &q).code, 400);
	begin_allocate(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_DONT_FRAGMENT, "", 0);
	cr_assert_eq(rig_send(&t.rig, &c, &q).code, 400);
	begin_allocate(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_RESERVATION_TOKEN, "12345678", 8);
	cr_assert_eq(rig_send(&t.rig, &c, &q).code, 400);
	cr_assert_eq(t.n_listening, 0);
	cr_assert_eq(turn_server_n_allocations(t.rig.engine.turn), 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc8016_4_connections_do_not_move)
{
	struct rig_client c = tcp_client(1);
	struct rig_request q;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	begin_allocate(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_MOBILITY_TICKET, "", 0);
	cr_assert_eq(rig_send(&t.rig, &c, &q).code, 405);
	cr_assert_eq(t.n_listening, 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_1_no_port_to_listen_on_is_508)
{
	struct rig_client c = tcp_client(1);
	uint32_t n_free;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	n_free = turn_server_free_ports(t.rig.engine.turn, 0);
	t.listen_result = -EADDRINUSE;
	cr_assert_eq(allocate_tcp(&t, &c).code, 508);
	cr_assert_eq(turn_server_n_allocations(t.rig.engine.turn), 0);
	cr_assert_eq(turn_server_free_ports(t.rig.engine.turn, 0), n_free);
	t.listen_result = 0;
	cr_assert_eq(allocate_tcp(&t, &c).code, 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_4_nothing_is_relayed_over_udp)
{
	struct rig_client c = tcp_client(1);
	struct rig_answer a;
	struct ip_endpoint relayed;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	a = allocate_tcp(&t, &c);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	cr_assert_eq(rig_bind(&t.rig, &c, 0x4000, PEER).code, 403);
	cr_assert_eq(rig_permit(&t.rig, &c, PEER).code, 0);
	// A worker finds no permission that has not expired.
	cr_assert_null(rig_flow(&t.rig, SHM_FLOW_PERMISSION, PEER, &relayed, 0));
	cr_assert_eq(rig_refresh(&t.rig, &c, 600).code, 0);
	cr_assert_null(rig_flow(&t.rig, SHM_FLOW_PERMISSION, PEER, &relayed, 0));
	close_tcp(&t);
}

// ---- §5.2

Test(turn_tcp, rfc6062_5_2_connect_is_answered_when_the_connection_stands)
{
	struct rig_client c = tcp_client(1);
	struct ip_endpoint peer = rig_endpoint(PEER);
	struct stun_attr mi;
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(ask_connect(&t, &c, PEER).length_bytes, 0);
	cr_assert(ip_endpoint_equal(&t.connect_from, &t.listening));
	cr_assert(ip_endpoint_equal(&t.connect_to, &peer));
	cr_assert_eq(t.n_sent, 0);
	turn_tcp_relay_connected(t.relay, t.connecting, t.rig.now_ns);
	cr_assert_eq(t.n_sent, 1);
	cr_assert_eq(t.sent.type, TURN_CONNECT_REQUEST | STUN_CLASS_SUCCESS);
	cr_assert(rig_get(&t.sent, STUN_ATTR_MESSAGE_INTEGRITY, &mi));
	cr_assert_neq(rig_get_u32(&t.sent, TURN_ATTR_CONNECTION_ID), 0);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 1);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_without_a_tcp_allocation_437)
{
	struct rig_client c = tcp_client(1), udp_relay = tcp_client(2);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 437);
	cr_assert_eq(rig_allocate(&t.rig, &udp_relay).code, 0);
	cr_assert_eq(ask_connect(&t, &udp_relay, PEER).code, 437);
	cr_assert_eq(t.connecting, 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_over_udp_400)
{
	struct rig_client c = rig_client("203.0.113.9:4000", "lab", RIG_PASSWORD);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	cr_assert_eq(rig_allocate(&t.rig, &c).code, 0);
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 400);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_peer_missing_or_without_a_port_400)
{
	struct rig_client c = tcp_client(1);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(ask_connect(&t, &c, NULL).code, 400);
	cr_assert_eq(ask_connect(&t, &c, "192.0.2.77:0").code, 400);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_same_peer_446)
{
	struct rig_client c = tcp_client(1), data = tcp_client(2), other = tcp_client(3);
	struct tcp_rig t;
	uint32_t id;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(ask_connect(&t, &c, PEER).length_bytes, 0);
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 446); // being connected
	turn_tcp_relay_connected(t.relay, t.connecting, t.rig.now_ns);
	id = rig_get_u32(&t.sent, TURN_ATTR_CONNECTION_ID);
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 446); // pending
	cr_assert_eq(ask_bind(&t, &data, id).code, 0);
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 446); // active
	cr_assert_eq(turn_server_counter(t.rig.engine.turn, TURN_COUNTER_ERROR_446), 3);
	// Another port, or another allocation, is another connection.
	connected(&t, &c, "192.0.2.77:7001");
	allocate_tcp(&t, &other);
	connected(&t, &other, PEER);
	turn_tcp_relay_closed(t.relay, id & 0xffff);
	connected(&t, &c, PEER);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_failure_447)
{
	struct rig_client c = tcp_client(1);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	t.connect_result = -ENETUNREACH;
	cr_assert_eq(ask_connect(&t, &c, PEER).code, 447);
	t.connect_result = 0;
	cr_assert_eq(ask_connect(&t, &c, PEER).length_bytes, 0);
	turn_tcp_relay_failed(t.relay, t.connecting, t.rig.now_ns);
	cr_assert_eq(t.sent.code, 447);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 0);
	connected(&t, &c, PEER);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_timeout_447)
{
	struct rig_client c = tcp_client(1);
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	cr_assert_eq(ask_connect(&t, &c, PEER).length_bytes, 0);
	rig_advance(&t.rig, TURN_TCP_CONNECT_TIMEOUT_S - 1);
	turn_server_expire(t.rig.engine.turn, t.rig.now_ns);
	cr_assert_eq(t.n_sent, 0);
	rig_advance(&t.rig, 1);
	turn_server_expire(t.rig.engine.turn, t.rig.now_ns);
	cr_assert_eq(t.sent.code, 447);
	cr_assert_eq(t.closed, t.connecting);
	cr_assert_eq(turn_tcp_relay_n_connections(t.relay), 0);
	close_tcp(&t);
}

// Each block of the IANA registries, and an embedding of it where there is one.
Test(turn_tcp, rfc6062_5_2_policy_403)
{
	static const char *const v4[] = { "0.1.2.3:80",        "10.0.0.1:80",    "100.64.0.1:80",
					  "127.0.0.1:80",      "169.254.1.1:80", "172.16.0.1:80",
					  "192.0.0.1:80",      "198.18.0.1:80",  "192.168.0.1:80",
					  "203.0.113.1:80",    "224.0.0.1:80",   "240.0.0.1:80",
					  "255.255.255.255:80" };
	static const char *const v6[] = { "[::]:80",
					  "[::1]:80",
					  "[::127.0.0.1]:80",
					  "[2002:7f00:1::]:80",
					  "[64:ff9b::7f00:1]:80",
					  "[64:ff9b:1::1]:80",
					  "[fe80::1]:80",
					  "[fd00::1]:80",
					  "[ff02::1]:80",
					  "[2001:db8::1]:80",
					  "[2001::1]:80",
					  "[::ffff:0:127.0.0.1]:80" };
	struct rig_client c = tcp_client(1), c6 = tcp_client(2);
	struct rig_request q;
	struct tcp_rig t;

	open_tcp(&t, rig_config());
	allocate_tcp(&t, &c);
	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
		cr_assert_eq(ask_connect(&t, &c, v4[i]).code, 403, "%s", v4[i]);
	// IPv4-mapped is what it means.
	rig_begin(&q, &c, TURN_CONNECT_REQUEST);
	{
		uint8_t value[20] = { 0, STUN_FAMILY_IPV6 };
		const uint8_t mapped[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };

		bytes_put_be16(value + 2, 80 ^ 0x2112);
		for (uint32_t i = 0; i < 4; i++)
			value[4 + i] = mapped[i] ^ (uint8_t)(STUN_MAGIC_COOKIE >> (24 - 8 * i));
		for (uint32_t i = 0; i < 12; i++)
			value[8 + i] = mapped[4 + i] ^ q.transaction_id[i];
		stun_build_attr(&q.b, TURN_ATTR_XOR_PEER_ADDRESS, value, sizeof(value));
	}
	cr_assert_eq(rig_send(&t.rig, &c, &q).code, 403);
	begin_allocate(&q, &c6);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)STUN_FAMILY_IPV6 << 24);
	cr_assert_eq(rig_send(&t.rig, &c6, &q).code, 0);
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
		cr_assert_eq(ask_connect(&t, &c6, v6[i]).code, 403, "%s", v6[i]);
	cr_assert_eq(t.connecting, 0);
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_of_our_own_addresses_only_another_relayed_one)
{
	struct rig_client c = tcp_client(1), other = tcp_client(2), udp = tcp_client(3);
	struct rig_answer a, b, u;
	struct ip_endpoint own, relayed, of_udp;
	char text[IP_ENDPOINT_TEXT_MAX];
	struct tcp_rig t;

	open_tcp(&t, NULL);
	a = allocate_tcp(&t, &c);
	b = allocate_tcp(&t, &other);
	u = rig_allocate(&t.rig, &udp);
	own = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	relayed = rig_get_address(&b, TURN_ATTR_XOR_RELAYED_ADDRESS);
	of_udp = rig_get_address(&u, TURN_ATTR_XOR_RELAYED_ADDRESS);
	// The listener, ssh, itself, and a port that relays UDP.
	cr_assert_eq(ask_connect(&t, &c, RIG_LISTENER).code, 403);
	cr_assert_eq(ask_connect(&t, &c, "198.51.100.1:22").code, 403);
	cr_assert_eq(ask_connect(&t, &c, ip_endpoint_format(&own, text, sizeof(text))).code, 403);
	cr_assert_eq(ask_connect(&t, &c, ip_endpoint_format(&of_udp, text, sizeof(text))).code,
		     403);
	cr_assert_eq(
		ask_connect(&t, &c, ip_endpoint_format(&relayed, text, sizeof(text))).length_bytes,
		0);
	cr_assert(ip_endpoint_equal(&t.connect_to, &relayed));
	close_tcp(&t);
}

Test(turn_tcp, rfc6062_5_2_connections_are_bounded)
{
	struct rig_client c = tcp_client(1), b = tcp_client(2), d = tcp_client(3);
	char peer[32];
	struct tcp_rig t;

	open_tcp(&t, NULL);
	allocate_tcp(&t, &c);
	allocate_tcp(&t, &b);
	allocate_tcp(&t, &d);
	for (uint32_t i = 0; i < PER_CLIENT; i++) {
		snprintf(peer, sizeof(peer), "192.0.2.77:%u", 7000 + i);
		connected(&t, &c, peer);
		connected(&t, &b, peer);
	}
	cr_assert_eq(ask_connect(&t, &c, "192.0.2.77:8000").code, 508); // of one
	cr_assert_eq(ask_connect(&t, &d, "192.0.2.77:8000").code, 508); // of all
	cr_assert_eq(rig_refresh(&t.rig, &c, 0).code, 0);
	cr_assert_eq(t.n_closed, PER_CLIENT);
	connected(&t, &d, "192.0.2.77:8000");
	close_tcp(&t);
}
