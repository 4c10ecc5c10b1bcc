// Clients over TCP, TLS and DTLS (RFC 8656 §3.1, RFC 7350): their flows, and what the end of a connection
// ends.
#include "tests/unit/controlplane/turn_rig.h"

#include <string.h>

static struct rig r;
static struct rig_client c;
static struct ip_endpoint relayed;

static void setup(void)
{
	struct rig_answer a;

	rig_open(&r, rig_config());
	c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	c.transport = SHM_TRANSPORT_TLS;
	c.stream_idx = 7;
	c.stream_serial = 3;
	a = rig_allocate(&r, &c);
	cr_assert_eq(a.code, 0);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	cr_assert(ip_endpoint_equal(
		&c.endpoint,
		&(struct ip_endpoint){ rig_get_address(&a, STUN_ATTR_XOR_MAPPED_ADDRESS).address,
				       c.endpoint.port_be }));
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_stream, .init = setup, .fini = teardown);

Test(turn_stream, rfc8656_3_1_all_four_flows_name_the_stream)
{
	uint8_t address[16];
	const struct shm_flow *f;

	shm_stream_address(7, 3, address);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:9").code, 0);
	f = rig_stream_flow(&r, &c, 0);
	cr_assert(f != NULL && f->flags == SHM_FLOW_F_STREAM && f->neighbour_idx == 0);
	f = rig_stream_flow(&r, &c, 0x4000);
	cr_assert(f != NULL && f->flags == SHM_FLOW_F_STREAM);
	f = rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:9", &relayed, 0);
	cr_assert(f != NULL && f->flags == SHM_FLOW_F_STREAM && f->to_port_be == 0 &&
		  f->from_local_idx == SHM_LOCAL_STREAM && f->neighbour_idx == 0 &&
		  memcmp(f->to_address, address, 16) == 0);
	f = rig_flow(&r, SHM_FLOW_PERMISSION, "9.9.9.9:9", &relayed, 0);
	cr_assert(f != NULL && f->flags == SHM_FLOW_F_STREAM &&
		  memcmp(f->to_address, address, 16) == 0 && f->peer_neighbour_idx != 0);
	// The same address over UDP is another client.
	c.transport = SHM_TRANSPORT_UDP;
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 437);
}

Test(turn_stream, rfc8656_3_1_the_allocation_ends_with_the_connection)
{
	struct rig_client other = c;

	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:9").code, 0);
	turn_server_stream_closed(r.engine.turn, 7, 2, r.now_ns);
	turn_server_stream_closed(r.engine.turn, 8, 3, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	turn_server_stream_closed(r.engine.turn, 7, 3, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_assert_eq(turn_ended_at(r.engine.turn, 0)->reason, TURN_END_CONNECTION);
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_ENDED_CONNECTION), 1);
	other.stream_serial = 4;
	cr_assert_eq(rig_allocate(&r, &other).code, 0);
}

Test(turn_stream, two_streams_of_one_client_address_are_two_clients)
{
	struct rig_client second = c;
	uint32_t idx;

	second.stream_idx = 8;
	second.endpoint.port_be = __builtin_bswap16(40001);
	second.nonce[0] = '\0';
	cr_assert_eq(rig_allocate(&r, &second).code, 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 2);
	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &second.endpoint, NULL, &idx), 0);
	cr_assert_eq(idx, rig_stream_flow(&r, &second, 0)->allocation_idx);
}

Test(turn_stream, a_successor_ends_them_their_connections_died_with_the_process)
{
	struct rig_client udp = rig_client("203.0.113.9:1", "lab", RIG_PASSWORD);

	cr_assert_eq(rig_allocate(&r, &udp).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:9").code, 0);
	rig_leave(&r);
	rig_reopen(&r, rig_config());
	cr_assert_eq(turn_server_adoption(r.engine.turn)->n_repaired, 0);
	cr_assert_eq(turn_server_adoption(r.engine.turn)->n_ended, 1);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_ended_at(r.engine.turn, 0)->reason, TURN_END_CONNECTION);
	cr_assert_eq(rig_refresh(&r, &udp, 600).code, 0);
}

Test(turn_stream, operators_see_the_transport)
{
	struct turn_allocation_info info;
	uint32_t idx;

	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &c.endpoint, NULL, &idx), 0);
	cr_assert_eq(turn_allocation_info(r.engine.turn, idx, &info), 0);
	cr_assert_eq(info.client_transport, SHM_TRANSPORT_TLS);
	cr_assert(ip_endpoint_equal(&info.client, &c.endpoint));
	cr_assert_eq(info.server.port_be, 0);
}
