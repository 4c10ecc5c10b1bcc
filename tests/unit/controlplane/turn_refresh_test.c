// Refresh: RFC 8656 §8.2.
#include "tests/unit/controlplane/turn_rig.h"

static struct rig r;
static struct rig_client c;

static void setup(void)
{
	rig_open(&r, rig_config());
	c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_refresh, .init = setup, .fini = teardown);

Test(turn_refresh, rfc8656_8_2_sets_the_time_to_expiry)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct rig_answer a;

	rig_advance(&r, 500);
	a = rig_refresh(&r, &c, 1800);
	cr_assert(a.code == 0 && a.type == (TURN_REFRESH_REQUEST | STUN_CLASS_SUCCESS));
	cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 1800);
	rig_advance(&r, 1799);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_not_null(rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0));
	rig_advance(&r, 1);
	cr_assert_null(rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0));
}

Test(turn_refresh, rfc8656_8_2_bounds_are_those_of_allocate)
{
	struct rig_answer a = rig_refresh(&r, &c, 1);

	cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 600);
	a = rig_refresh(&r, &c, 1000000);
	cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 3600);
}

Test(turn_refresh, rfc8656_8_2_lifetime_0_deletes_at_once)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct rig_answer a;

	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:9").code, 0);
	a = rig_refresh(&r, &c, 0);
	cr_assert(a.code == 0 && a.is_signed);
	cr_assert_eq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 0);
	cr_assert_null(rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0));
	cr_assert_null(rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000));
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 437);
}

Test(turn_refresh, rfc8656_8_2_mismatching_family_gets_443)
{
	struct rig_request q;

	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)STUN_FAMILY_IPV6 << 24);
	rig_add_u32(&q, TURN_ATTR_LIFETIME, 0);
	cr_assert_eq(rig_send(&r, &c, &q).code, 443);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)STUN_FAMILY_IPV4 << 24);
	cr_assert_eq(rig_send(&r, &c, &q).code, 0);
}

Test(turn_refresh, rfc8656_8_2_malformed_lifetime_gets_400)
{
	struct rig_request q;

	rig_begin(&q, &c, TURN_REFRESH_REQUEST);
	stun_build_attr(&q.b, TURN_ATTR_LIFETIME, "\0\0", 2);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
}

Test(turn_refresh, channels_and_permissions_live_no_longer_than_their_allocation)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	const struct shm_flow *f;

	rig_advance(&r, 550);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:9").code, 0);
	f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000);
	cr_assert(f != NULL && f->expires_at_ns == r.now_ns + 50 * RIG_S);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 0);
	cr_assert_eq(f->expires_at_ns, r.now_ns + 300 * RIG_S);
}
