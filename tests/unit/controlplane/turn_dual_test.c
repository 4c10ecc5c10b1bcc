// Two relayed addresses in one allocation: RFC 8656 §7.2 ADDITIONAL-ADDRESS-FAMILY, §8, §18.11, §18.12.
#include "tests/unit/controlplane/turn_rig.h"

#include <string.h>

static struct rig r;
static struct rig_client c;
static struct ip_endpoint v4, v6, listener;
static struct rig_answer allocated;
static struct rig_request allocate;
static size_t allocate_bytes;

// The n-th attribute of that type.
static bool get_nth(const struct rig_answer *a, uint16_t type, uint32_t n, struct stun_attr *out)
{
	struct stun_view msg;
	uint16_t offset = 0;

	cr_assert(stun_parse(a->bytes, a->length_bytes, &msg) == STUN_OK);
	while (stun_attr_next(&msg, &offset, out)) {
		if (out->type == type && n-- == 0)
			return true;
	}
	return false;
}

static struct ip_endpoint relayed_nth(const struct rig_answer *a, uint32_t n)
{
	struct ip_endpoint e;
	struct stun_view msg;
	struct stun_attr attr;

	cr_assert(get_nth(a, TURN_ATTR_XOR_RELAYED_ADDRESS, n, &attr), "relayed address %u", n);
	cr_assert(stun_parse(a->bytes, a->length_bytes, &msg) == STUN_OK);
	cr_assert(stun_xor_address_get(&msg, &attr, &e) == 0);
	return e;
}

static struct rig_answer allocate_dual(struct rig_client *who, uint16_t type)
{
	rig_begin(&allocate, who, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&allocate, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	rig_add_u32(&allocate, type, (uint32_t)STUN_FAMILY_IPV6 << 24);
	allocate_bytes = rig_sign(&r, who, &allocate, false);
	return rig_send_bytes(&r, who, allocate.bytes, allocate_bytes);
}

static void open_with(struct config *config)
{
	rig_open(&r, config);
	listener = rig_endpoint(RIG_LISTENER);
	c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	allocated = allocate_dual(&c, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY);
	cr_assert_eq(allocated.code, 0);
}

static void setup(void)
{
	open_with(rig_config());
	v4 = relayed_nth(&allocated, 0);
	v6 = relayed_nth(&allocated, 1);
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_dual, .init = setup, .fini = teardown);

static uint32_t free_ports(const char *address)
{
	struct ip_address a;

	cr_assert(ip_address_parse(address, &a) == 0);
	return turn_server_free_ports(r.engine.turn,
				      (uint8_t)table_writer_local_find(&r.engine.tables, &a));
}

static struct rig_answer refresh_family(uint8_t family, uint32_t lifetime_s)
{
	struct rig_request q;

	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	rig_add_u32(&q, TURN_ATTR_LIFETIME, lifetime_s);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)family << 24);
	return rig_send(&r, &c, &q);
}

static const struct shm_flow *allocation_flow(void)
{
	return rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0);
}

Test(turn_dual, rfc8656_7_2_both_families_in_one_allocation)
{
	const struct shm_flow *f = allocation_flow();

	cr_assert(ip_address_is_v4(&v4.address) && !ip_address_is_v4(&v6.address));
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_server_user_allocations(r.engine.turn, "lab", 3), 1);
	cr_assert(f != NULL && f->from_port_be == v4.port_be && f->to_port_be == v6.port_be);
	cr_assert_eq(f->to_address[15], table_writer_local_find(&r.engine.tables, &v6.address));
}

Test(turn_dual, the_drafts_number_of_the_attribute_is_understood)
{
	struct rig_client d = rig_client("203.0.113.5:40001", "lab", RIG_PASSWORD);
	struct rig_answer a = allocate_dual(&d, TURN_ATTR_DRAFT_ADDITIONAL_FAMILY);
	struct ip_endpoint second;

	cr_assert_eq(a.code, 0);
	second = relayed_nth(&a, 1);
	cr_assert_not(ip_address_is_v4(&second.address));
}

Test(turn_dual, rfc8656_7_2_retransmission_gets_the_same_answer)
{
	struct rig_answer a = rig_send_bytes(&r, &c, allocate.bytes, allocate_bytes);

	cr_assert(a.length_bytes == allocated.length_bytes &&
		  memcmp(a.bytes, allocated.bytes, a.length_bytes) == 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}

Test(turn_dual, rfc8656_10_2_permissions_and_channels_take_the_address_of_their_peers_family)
{
	const struct shm_flow *f;

	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "[2620:fe::fe]:1").code, 0);
	cr_assert_not_null(rig_flow(&r, SHM_FLOW_PERMISSION, "9.9.9.9:1", &v4, 0));
	cr_assert_not_null(rig_flow(&r, SHM_FLOW_PERMISSION, "[2620:fe::fe]:1", &v6, 0));
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "[2620:fe::fe]:7").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:7").code, 0);
	f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000);
	cr_assert(f != NULL && f->from_port_be == v6.port_be &&
		  f->from_local_idx == table_writer_local_find(&r.engine.tables, &v6.address));
	f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4001);
	cr_assert(f != NULL && f->from_port_be == v4.port_be);
	cr_assert_not_null(rig_flow(&r, SHM_FLOW_PEER, "[2620:fe::fe]:7", &v6, 0));
	cr_assert_eq(rig_bind(&r, &c, 0x4002, "[2620:fe::fe]:7").code, 400);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 2);
}

Test(turn_dual, rfc8656_8_2_refresh_of_one_family_deletes_that_one_alone)
{
	const struct shm_flow *f;

	cr_assert_eq(rig_bind(&r, &c, 0x4000, "[2620:fe::fe]:7").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:7").code, 0);
	cr_assert_eq(refresh_family(STUN_FAMILY_IPV4, 0).code, 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1);
	cr_assert_eq(free_ports("198.51.100.1"), 100);
	cr_assert_eq(free_ports("2001:4860::1"), 99);
	cr_assert_null(rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:7", &v4, 0));
	f = allocation_flow();
	cr_assert(f != NULL && f->from_port_be == v6.port_be && f->to_port_be == 0);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 443);
	cr_assert_eq(rig_permit(&r, &c, "[2620:fe::fe]:1").code, 0);
	cr_assert_eq(refresh_family(STUN_FAMILY_IPV4, 0).code, 443);
	cr_assert_eq(refresh_family(STUN_FAMILY_IPV6, 0).code, 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(free_ports("2001:4860::1"), 100);
}

Test(turn_dual, rfc8656_8_2_each_family_expires_for_itself)
{
	const struct shm_flow *f;

	cr_assert_eq(rig_bind(&r, &c, 0x4000, "[2620:fe::fe]:7").code, 0);
	rig_advance(&r, 300);
	cr_assert_eq(refresh_family(STUN_FAMILY_IPV4, 1800).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "[2620:fe::fe]:7").code, 0);
	f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000);
	cr_assert(f != NULL && f->expires_at_ns <= r.now_ns + 300 * RIG_S);
	f = allocation_flow();
	cr_assert(f != NULL && f->expires_at_ns == r.now_ns + 1800 * RIG_S);
	rig_advance(&r, 302);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_assert_eq(free_ports("2001:4860::1"), 100);
	cr_assert_eq(rig_permit(&r, &c, "[2620:fe::fe]:1").code, 443);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 0);
	rig_advance(&r, 1500);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(free_ports("198.51.100.1"), 100);
}

Test(turn_dual, rfc8656_8_2_refresh_without_a_family_is_for_both)
{
	rig_advance(&r, 500);
	cr_assert_eq(rig_refresh(&r, &c, 1000).code, 0);
	rig_advance(&r, 998);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(free_ports("198.51.100.1") + free_ports("2001:4860::1"), 198);
	rig_advance(&r, 3);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(free_ports("198.51.100.1") + free_ports("2001:4860::1"), 200);
}

Test(turn_dual, a_successor_takes_both_over)
{
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "[2620:fe::fe]:7").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 0);
	rig_leave(&r);
	rig_reopen(&r, rig_config());
	cr_assert_eq(turn_server_adoption(r.engine.turn)->n_repaired, 0);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 2);
	cr_assert_eq(free_ports("198.51.100.1") + free_ports("2001:4860::1"), 198);
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	cr_assert_eq(free_ports("198.51.100.1") + free_ports("2001:4860::1"), 200);
}

Test(turn_dual, a_successor_finishes_giving_one_family_up)
{
	struct shm_allocation *record = table_writer_allocation(&r.engine.tables, 1);
	struct shm_allocation before = *record;

	cr_assert_eq(rig_bind(&r, &c, 0x4000, "[2620:fe::fe]:7").code, 0);
	cr_assert_eq(refresh_family(STUN_FAMILY_IPV4, 0).code, 0);
	// As if it had died before the record was written.
	record->relay_idx = before.relay_idx;
	record->relay_port_be = before.relay_port_be;
	record->relay2_port_be = before.relay2_port_be;
	rig_leave(&r);
	rig_reopen(&r, rig_config());
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
	cr_assert_eq(free_ports("198.51.100.1"), 100);
	cr_assert_eq(free_ports("2001:4860::1"), 99);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 443);
}

Test(turn_dual_partly, rfc8656_7_2_partial_success_carries_address_error_code)
{
	struct config *config = rig_config();
	struct stun_attr attr;
	struct ip_endpoint only;

	config->n_relays = 1; // IPv4 alone
	open_with(config);
	cr_assert(get_nth(&allocated, TURN_ATTR_ADDRESS_ERROR_CODE, 0, &attr));
	cr_assert(attr.length_bytes >= 4 && attr.value[0] == STUN_FAMILY_IPV6 &&
		  attr.value[2] == 4 && attr.value[3] == 40);
	only = relayed_nth(&allocated, 0);
	cr_assert(ip_address_is_v4(&only.address));
	cr_assert_not(get_nth(&allocated, TURN_ATTR_XOR_RELAYED_ADDRESS, 1, &attr));
	cr_assert_eq(rig_permit(&r, &c, "[2620:fe::fe]:1").code, 443);
	rig_close(&r);
}

Test(turn_dual_partly, rfc8656_7_2_the_other_family_alone_is_a_success_too)
{
	struct config *config = rig_config();
	struct ip_endpoint only;
	struct stun_attr attr;

	config->relays[0] = config->relays[1];
	config->n_relays = 1; // IPv6 alone
	open_with(config);
	cr_assert(get_nth(&allocated, TURN_ATTR_ADDRESS_ERROR_CODE, 0, &attr));
	cr_assert(attr.value[0] == STUN_FAMILY_IPV4 && attr.value[2] == 4 && attr.value[3] == 40);
	only = relayed_nth(&allocated, 0);
	cr_assert_not(ip_address_is_v4(&only.address));
	rig_close(&r);
}

Test(turn_dual_partly, rfc8656_7_2_exhausted_ports_of_one_family_are_told_by_508)
{
	struct config *config = rig_config();
	struct stun_attr attr;

	config->relay_port_max = 50001; // two
	open_with(config);
	for (uint16_t i = 1; i <= 2; i++) {
		struct rig_client d = rig_client("203.0.113.6:1", "lab", RIG_PASSWORD);
		struct rig_answer a;

		d.endpoint.port_be = __builtin_bswap16(i);
		a = rig_allocate_family(&r, &d, STUN_FAMILY_IPV6);
		cr_assert_eq(a.code, i == 1 ? 0 : 508);
		d.endpoint.port_be = __builtin_bswap16((uint16_t)(10 + i));
		d.nonce[0] = '\0';
		a = allocate_dual(&d, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY);
		cr_assert_eq(a.code, i == 1 ? 0 : 508);
		cr_assert(i != 1 || (get_nth(&a, TURN_ATTR_ADDRESS_ERROR_CODE, 0, &attr) &&
				     attr.value[0] == STUN_FAMILY_IPV6 && attr.value[2] == 5 &&
				     attr.value[3] == 8));
	}
	rig_close(&r);
}
