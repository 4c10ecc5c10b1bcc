// ChannelBind: RFC 8656 §12.
#include "tests/unit/controlplane/turn_rig.h"

#include <stdio.h>

static struct rig r;
static struct rig_client c;
static struct ip_endpoint relayed, listener;

static void setup(void)
{
	struct rig_answer a;

	rig_open(&r, rig_config());
	listener = rig_endpoint(RIG_LISTENER);
	c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	a = rig_allocate(&r, &c);
	cr_assert_eq(a.code, 0);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_channel, .init = setup, .fini = teardown);

static const struct shm_flow *channel_flow(uint16_t channel)
{
	return rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, channel);
}

Test(turn_channel, rfc8656_12_2_programs_both_directions_and_a_permission)
{
	struct ip_endpoint peer = rig_endpoint("9.9.9.9:1234");
	const struct shm_flow *f;
	struct rig_answer a = rig_bind(&r, &c, 0x4001, "9.9.9.9:1234");

	cr_assert(a.code == 0 && a.is_signed);
	f = channel_flow(0x4001);
	cr_assert_not_null(f);
	cr_assert(memcmp(f->to_address, peer.address.bytes, 16) == 0);
	cr_assert(f->to_port_be == peer.port_be && f->from_port_be == relayed.port_be);
	cr_assert(f->neighbour_idx != 0);
	f = rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:1234", &relayed, 0);
	cr_assert_not_null(f);
	cr_assert(memcmp(f->to_address, c.endpoint.address.bytes, 16) == 0);
	cr_assert(f->to_port_be == c.endpoint.port_be && f->from_port_be == listener.port_be);
	cr_assert(f->channel_be == __builtin_bswap16(0x4001) && f->neighbour_idx != 0);
	f = rig_flow(&r, SHM_FLOW_PERMISSION, "9.9.9.9:0", &relayed, 0);
	cr_assert(f != NULL && f->expires_at_ns == r.now_ns + 300 * RIG_S);
}

Test(turn_channel, rfc8656_12_numbers_are_0x4000_to_0x4fff)
{
	static const uint16_t bad[] = { 0, 0x0001, 0x3fff, 0x5000, 0x7fff, 0x8000, 0xffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(rig_bind(&r, &c, bad[i], "9.9.9.9:1").code, 400, "0x%04x", bad[i]);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4fff, "9.9.9.9:2").code, 0);
}

Test(turn_channel, rfc8656_12_2_missing_or_malformed_attributes_get_400)
{
	struct rig_request q;

	rig_begin(&q, &c, TURN_CHANNEL_BIND_REQUEST);
	rig_add_peer(&q, "9.9.9.9:1");
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	rig_begin(&q, &c, TURN_CHANNEL_BIND_REQUEST);
	rig_add_u32(&q, TURN_ATTR_CHANNEL_NUMBER, 0x40000000);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	rig_begin(&q, &c, TURN_CHANNEL_BIND_REQUEST);
	stun_build_attr(&q.b, TURN_ATTR_CHANNEL_NUMBER, "\x40\0", 2);
	rig_add_peer(&q, "9.9.9.9:1");
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:0").code, 400);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
}

Test(turn_channel, rfc8656_12_2_number_bound_to_another_peer_gets_400)
{
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:2").code, 400);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "8.8.8.8:1").code, 400);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1);
}

Test(turn_channel, rfc8656_12_2_peer_bound_to_another_number_gets_400)
{
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:1").code, 400);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:2").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:1").code, 400);
}

Test(turn_channel, rfc8656_12_2_same_binding_refreshes_it_and_the_permission)
{
	const struct shm_flow *f;

	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	f = channel_flow(0x4000);
	rig_advance(&r, 250);
	cr_assert_eq(rig_refresh(&r, &c, 3600).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(f->expires_at_ns, r.now_ns + 300 * RIG_S);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
}

Test(turn_channel, rfc8656_12_binding_lasts_600_s_but_passes_only_with_a_permission)
{
	cr_assert_eq(rig_refresh(&r, &c, 3600).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	rig_advance(&r, 301);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_null(channel_flow(0x4000));
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
	// Still bound: the number is not free for another peer.
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "8.8.8.8:1").code, 400);
	// A new permission makes it pass again, until its own 600 s are over.
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:5").code, 0);
	cr_assert_not_null(channel_flow(0x4000));
	rig_advance(&r, 300);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_null(channel_flow(0x4000));
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
}

Test(turn_channel, rfc8656_12_expired_number_may_be_bound_again_before_the_timer_sees_it)
{
	cr_assert_eq(rig_refresh(&r, &c, 3600).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	rig_advance(&r, 600);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "8.8.8.8:1").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:1").code, 0);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 2);
}

Test(turn_channel, rfc8656_12_2_forbidden_and_other_family_peers)
{
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "10.0.0.1:1").code, 403);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "[2620:fe::fe]:1").code, 443);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
}

Test(turn_channel, rfc8656_12_2_more_than_an_allocation_may_have_gets_508)
{
	for (int i = 0; i < TURN_ALLOCATION_CHANNELS_MAX; i++) {
		char peer[32];

		snprintf(peer, sizeof(peer), "9.9.9.9:%d", 1000 + i);
		cr_assert_eq(rig_bind(&r, &c, (uint16_t)(0x4000 + i), peer).code, 0);
	}
	cr_assert_eq(rig_bind(&r, &c, 0x4f00, "9.9.9.9:1").code, 508);
}

Test(turn_channel, the_same_number_in_two_allocations_is_two_channels)
{
	struct rig_client d = rig_client("203.0.113.5:40001", "lab", RIG_PASSWORD);

	cr_assert_eq(rig_allocate(&r, &d).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_bind(&r, &d, 0x4000, "8.8.8.8:1").code, 0);
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	cr_assert_not_null(rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40001", &listener, 0x4000));
}
