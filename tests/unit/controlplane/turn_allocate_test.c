// Allocate: RFC 8656 §7.2, checks in the order of the RFC.
#include "tests/unit/controlplane/turn_rig.h"

#include <stdio.h>
#include <string.h>

static struct rig r;

static void setup(void)
{
	rig_open(&r, rig_config());
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_allocate, .init = setup, .fini = teardown);

static struct rig_client client(uint16_t port)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);

	c.endpoint.port_be = __builtin_bswap16(port);
	return c;
}

Test(turn_allocate, rfc8656_7_2_success_carries_relayed_lifetime_and_mapped)
{
	struct rig_client c = client(40000);
	struct rig_answer a = rig_allocate(&r, &c);
	struct ip_endpoint relayed, mapped;
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	const struct shm_flow *f;
	struct stun_attr attr;
	uint16_t port;

	cr_assert(a.code == 0 && a.type == (TURN_ALLOCATE_REQUEST | STUN_CLASS_SUCCESS));
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	mapped = rig_get_address(&a, STUN_ATTR_XOR_MAPPED_ADDRESS);
	port = __builtin_bswap16(relayed.port_be);
	cr_assert(ip_address_equal(&relayed.address, &listener.address));
	cr_assert(port >= 50000 && port <= 50099);
	cr_assert(ip_endpoint_equal(&mapped, &c.endpoint));
	cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 600);
	cr_assert(rig_get(&a, STUN_ATTR_SOFTWARE, &attr));
	f = rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0);
	cr_assert(f != NULL && f->from_port_be == relayed.port_be);
	cr_assert_eq(f->expires_at_ns, r.now_ns + 600 * RIG_S);
}

Test(turn_allocate, rfc8656_7_2_retransmission_gets_the_same_answer_for_40_s)
{
	struct rig_client c = client(40000);
	struct rig_request q;
	struct rig_answer a, b;
	size_t n;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	n = rig_sign(&r, &c, &q, true);
	a = rig_send_bytes(&r, &c, q.bytes, n);
	cr_assert_eq(a.code, 0);
	rig_advance(&r, 40);
	b = rig_send_bytes(&r, &c, q.bytes, n);
	cr_assert(a.length_bytes == b.length_bytes &&
		  memcmp(a.bytes, b.bytes, a.length_bytes) == 0);
	rig_advance(&r, 1);
	cr_assert_eq(rig_send_bytes(&r, &c, q.bytes, n).code, 437);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}

Test(turn_allocate, rfc8656_7_2_another_transaction_on_a_live_5_tuple_gets_437)
{
	struct rig_client c = client(40000);
	struct rig_client other = rig_client("203.0.113.5:40000", "other", "other-secret");

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(rig_allocate(&r, &c).code, 437);
	other.serial =
		1; // the first one's transaction, but another's: no answer of the first for him
	cr_assert_eq(rig_allocate(&r, &other).code, 437);
}

Test(turn_allocate, rfc8656_7_2_in_use_comes_before_requested_transport)
{
	struct rig_client c = client(40000);
	struct rig_request q;

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	cr_assert_eq(rig_send(&r, &c, &q).code, 437);
}

Test(turn_allocate, rfc8656_7_2_requested_transport_missing_or_malformed_gets_400)
{
	struct rig_client c = client(40000);
	struct rig_request q;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	stun_build_attr(&q.b, TURN_ATTR_REQUESTED_TRANSPORT, "\x11", 1);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
}

Test(turn_allocate, rfc8656_7_2_other_transports_get_442)
{
	static const uint8_t transports[] = { 0, 6, 16, 18, 132, 255 };

	for (size_t i = 0; i < sizeof(transports); i++) {
		struct rig_client c = client(40000);
		struct rig_request q;

		rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
		rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, (uint32_t)transports[i] << 24);
		rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, 7u << 24);
		cr_assert_eq(rig_send(&r, &c, &q).code, 442, "%u", transports[i]);
	}
}

Test(turn_allocate, rfc8656_7_2_dont_fragment_is_supported)
{
	struct rig_client c = client(40000);
	struct rig_request q;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	stun_build_attr(&q.b, TURN_ATTR_DONT_FRAGMENT, "", 0);
	cr_assert_eq(rig_send(&r, &c, &q).code, 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}

Test(turn_allocate, rfc8656_7_2_family_absent_is_ipv4_and_ipv6_on_request)
{
	struct rig_client c = client(40000), d = client(40001);
	struct rig_answer a = rig_allocate_family(&r, &c, STUN_FAMILY_IPV6);
	struct ip_endpoint relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);

	cr_assert_not(ip_address_is_v4(&relayed.address));
	a = rig_allocate_family(&r, &d, STUN_FAMILY_IPV4);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	cr_assert(ip_address_is_v4(&relayed.address));
}

Test(turn_allocate, rfc8656_7_2_unknown_family_gets_440)
{
	struct rig_client c = client(40000);

	cr_assert_eq(rig_allocate_family(&r, &c, 3).code, 440);
	cr_assert_eq(rig_allocate_family(&r, &c, 255).code, 440);
}

Test(turn_allocate_families, rfc8656_7_2_family_without_relay_address_gets_440)
{
	struct config *config = rig_config();
	struct rig_client c = client(40000);

	config->n_relays = 1; // IPv4 alone
	rig_open(&r, config);
	cr_assert_eq(rig_allocate_family(&r, &c, STUN_FAMILY_IPV6).code, 440);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	rig_close(&r);
}

Test(turn_allocate, rfc8656_7_2_lifetime_is_at_least_600_and_at_most_the_maximum)
{
	static const struct {
		uint32_t asked, granted;
	} cases[] = { { 0, 600 },     { 1, 600 },     { 600, 600 },        { 601, 601 },
		      { 3600, 3600 }, { 3601, 3600 }, { UINT32_MAX, 3600 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig_client c = client((uint16_t)(40000 + i));
		struct rig_request q;
		struct rig_answer a;

		rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
		rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
		rig_add_u32(&q, TURN_ATTR_LIFETIME, cases[i].asked);
		a = rig_send(&r, &c, &q);
		cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), cases[i].granted);
	}
}

Test(turn_allocate, rfc8656_7_2_malformed_lifetime_or_family_gets_400)
{
	static const uint16_t types[] = { TURN_ATTR_LIFETIME, TURN_ATTR_REQUESTED_ADDRESS_FAMILY };

	for (size_t i = 0; i < 2; i++) {
		struct rig_client c = client(40000);
		struct rig_request q;

		rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
		rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
		stun_build_attr(&q.b, types[i], "\1\1", 2);
		cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	}
}

Test(turn_allocate, relayed_addresses_are_unique_and_exhaustion_gets_508_until_one_is_freed)
{
	bool seen[100] = { false };
	uint32_t n_ascending = 0;
	uint16_t last = 0;
	struct rig_client first = client(10000);

	for (uint16_t i = 0; i < 100; i++) {
		struct rig_client c = client((uint16_t)(10000 + i));
		struct rig_answer a = rig_allocate(&r, &c);
		uint16_t port;

		cr_assert_eq(a.code, 0, "allocation %u: %u", i, a.code);
		port = __builtin_bswap16(
			rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS).port_be);
		cr_assert(port >= 50000 && port <= 50099 && !seen[port - 50000]);
		seen[port - 50000] = true;
		n_ascending += port == last + 1;
		last = port;
	}
	cr_assert(n_ascending < 40, "%u of 100 ports follow their predecessor", n_ascending);
	struct rig_client c = client(20000);
	cr_assert_eq(rig_allocate(&r, &c).code, 508);
	cr_assert_eq(rig_refresh(&r, &first, 0).code, 0);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
}

Test(turn_allocate_limits, per_user_quota_gets_486)
{
	struct config *config = rig_config();

	config->quota_per_user = 2;
	rig_open(&r, config);
	struct rig_client a = client(1), b = client(2), c = client(3);
	struct rig_client other = rig_client("203.0.113.5:4", "other", "other-secret");
	cr_assert_eq(rig_allocate(&r, &a).code, 0);
	cr_assert_eq(rig_allocate(&r, &b).code, 0);
	cr_assert_eq(rig_allocate(&r, &c).code, 486);
	cr_assert_eq(rig_allocate(&r, &other).code, 0);
	cr_assert_eq(rig_refresh(&r, &a, 0).code, 0);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	rig_close(&r);
}

Test(turn_allocate_limits, total_quota_gets_486)
{
	struct config *config = rig_config();

	config->quota_total = 1;
	rig_open(&r, config);
	struct rig_client a = client(1);
	struct rig_client other = rig_client("203.0.113.5:4", "other", "other-secret");
	cr_assert_eq(rig_allocate(&r, &a).code, 0);
	cr_assert_eq(rig_allocate(&r, &other).code, 486);
	rig_close(&r);
}

Test(turn_allocate_limits, full_allocation_table_gets_508_and_leaks_no_port)
{
	struct config *config = rig_config();

	config->max_allocations = 3;
	rig_open(&r, config);
	for (uint16_t i = 1; i <= 5; i++) {
		struct rig_client c = client(i);

		cr_assert_eq(rig_allocate(&r, &c).code, i <= 3 ? 0 : 508);
	}
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	int local_idx = table_writer_local_find(&r.engine.tables, &listener.address);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, (uint8_t)local_idx), 97);
	rig_close(&r);
}

Test(turn_allocate, software_may_be_switched_off)
{
	struct rig_client c = client(1);
	struct stun_attr attr;
	struct rig_answer a;

	r.engine.config->software_attribute = false;
	a = rig_allocate(&r, &c);
	cr_assert_eq(a.code, 0);
	cr_assert_not(rig_get(&a, STUN_ATTR_SOFTWARE, &attr));
}

Test(turn_allocate, expiry_frees_port_and_quota_and_withdraws_the_flow)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	int local_idx = table_writer_local_find(&r.engine.tables, &listener.address);
	struct rig_client c = client(40000);

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, (uint8_t)local_idx), 99);
	rig_advance(&r, 599);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	rig_advance(&r, 2);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, (uint8_t)local_idx), 100);
	cr_assert_eq(turn_server_user_allocations(r.engine.turn, "lab", 3), 0);
	cr_assert_null(rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0));
	cr_assert_eq(turn_ended_find_client(r.engine.turn, &c.endpoint)->reason, TURN_END_EXPIRED);
}

Test(turn_allocate, an_expired_allocation_is_gone_before_the_timer_sees_it)
{
	struct rig_client c = client(40000);

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	rig_advance(&r, 600);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 437);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
}

Test(turn_allocate, churn_beyond_all_tables_leaks_nothing)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	int local_idx = table_writer_local_find(&r.engine.tables, &listener.address);
	uint32_t n_free = r.engine.tables.flows.n_free;

	for (uint32_t i = 0; i < 20000; i++) {
		struct rig_client c = client((uint16_t)(i % 60000 + 1));

		cr_assert_eq(rig_allocate(&r, &c).code, 0);
		cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
		cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	}
	table_writer_reclaim(&r.engine.tables, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_assert_eq(r.engine.tables.flows.n_free, n_free);
	cr_assert_eq(r.engine.tables.n_free_allocations, 256);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, (uint8_t)local_idx), 100);
	for (uint32_t i = 1; i < 100; i++)
		cr_assert_eq(r.engine.tables.tables->neighbour[i].n_users, 0);
}

Test(turn_allocate, kill_ends_it_by_the_id_that_operators_see)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct rig_client c = client(40000);
	struct turn_allocation_info info;
	char text[TURN_ALLOCATION_ID_TEXT_MAX];
	uint32_t idx, again, node, slot, serial;

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &c.endpoint, NULL, &idx), 0);
	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &c.endpoint, &listener, &idx), 0);
	cr_assert_eq(turn_allocation_info(r.engine.turn, idx, &info), 0);
	cr_assert(ip_endpoint_equal(&info.client, &c.endpoint));
	cr_assert(info.username_bytes == 3 && memcmp(info.username, "lab", 3) == 0);
	cr_assert_eq(turn_allocation_find_id(r.engine.turn, info.id, &again), 0);
	cr_assert_eq(idx, again);
	// Node, slot and serial, as logs and operators know it.
	cr_assert_eq(sscanf(info.id, "%4x-%6x-%x", &node, &slot, &serial), 3);
	snprintf(text, sizeof(text), "%04x-%06x-%x", node, slot, serial);
	cr_assert_str_eq(info.id, text);
	cr_assert_eq(slot, idx);
	cr_assert_eq(turn_allocation_find_relayed(r.engine.turn, &info.relayed, &again), 0);
	cr_assert_eq(idx, again);
	cr_assert_eq(turn_allocation_kill(r.engine.turn, idx, r.now_ns), 0);
	cr_assert(turn_allocation_kill(r.engine.turn, idx, r.now_ns) < 0);
	cr_assert(turn_allocation_find_id(r.engine.turn, info.id, &again) < 0);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 437);
	cr_assert_eq(turn_ended_at(r.engine.turn, 0)->reason, TURN_END_KILLED);
	// The slot's next user has another id.
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert(turn_allocation_find_id(r.engine.turn, info.id, &again) < 0);
}

// An Allocate with ADDITIONAL-ADDRESS-FAMILY, and EVEN-PORT unless `even` is 0.
static uint16_t additional(uint16_t port, uint32_t family, uint32_t requested, uint8_t even)
{
	struct rig_client c = client(port);
	struct rig_request q;

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	rig_add_u32(&q, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY, family << 24);
	if (requested != 0)
		rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, requested << 24);
	if (even != 0)
		stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT, &even, 1);
	return rig_send(&r, &c, &q).code;
}

Test(turn_allocate, rfc8656_7_2_additional_family_that_makes_no_sense_gets_400)
{
	cr_assert_eq(additional(40000, STUN_FAMILY_IPV6, STUN_FAMILY_IPV4, 0), 400);
	cr_assert_eq(additional(40001, STUN_FAMILY_IPV4, 0, 0), 400);
	cr_assert_eq(additional(40002, STUN_FAMILY_IPV6, 0, 0x80), 400);
	cr_assert_eq(additional(40003, STUN_FAMILY_IPV6, 0, 0), 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}
