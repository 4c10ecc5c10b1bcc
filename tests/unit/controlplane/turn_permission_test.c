// CreatePermission: RFC 8656 §9, §10.2; peer policy: §21.
#include "tests/unit/controlplane/turn_rig.h"

#include "controlplane/turn/state.h"

#include <stdio.h>

static struct rig r;
static struct rig_client c;
static struct ip_endpoint relayed;

static void open_with(struct config *config)
{
	struct rig_answer a;

	rig_open(&r, config);
	c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	a = rig_allocate(&r, &c);
	cr_assert_eq(a.code, 0);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
}

static void setup(void)
{
	open_with(rig_config());
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_permission, .init = setup, .fini = teardown);

Test(turn_permission, rfc8656_9_lasts_300_s_and_ignores_the_port)
{
	const struct shm_flow *f;
	struct rig_answer a;

	a = rig_permit(&r, &c, "9.9.9.9:1234");
	cr_assert(a.code == 0 && a.is_signed);
	f = rig_flow(&r, SHM_FLOW_PERMISSION, "9.9.9.9:0", &relayed, 0);
	cr_assert(f != NULL && f->expires_at_ns == r.now_ns + 300 * RIG_S);
	cr_assert(f->peer_neighbour_idx != 0 && f->neighbour_idx != 0);
	rig_advance(&r, 200);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:77").code, 0);
	cr_assert_eq(f->expires_at_ns, r.now_ns + 300 * RIG_S);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1);
	rig_advance(&r, 299);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1);
	rig_advance(&r, 2);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
}

Test(turn_permission, rfc8656_10_2_without_or_with_malformed_peer_gets_400)
{
	struct rig_request q;

	rig_begin(&q, &c, TURN_CREATE_PERMISSION_REQUEST);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	rig_begin(&q, &c, TURN_CREATE_PERMISSION_REQUEST);
	rig_add_peer(&q, "9.9.9.9:1");
	stun_build_attr(&q.b, TURN_ATTR_XOR_PEER_ADDRESS, "\0\1\0\0", 4);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	rig_begin(&q, &c, TURN_CREATE_PERMISSION_REQUEST);
	stun_build_attr(&q.b, TURN_ATTR_XOR_PEER_ADDRESS, "\0\3\0\0\0\0\0\0", 8);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
}

Test(turn_permission, rfc8656_10_2_several_peers_all_or_nothing)
{
	struct rig_request q;

	rig_begin(&q, &c, TURN_CREATE_PERMISSION_REQUEST);
	rig_add_peer(&q, "9.9.9.9:1");
	rig_add_peer(&q, "10.0.0.1:1");
	rig_add_peer(&q, "8.8.8.8:1");
	cr_assert_eq(rig_send(&r, &c, &q).code, 403);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
	rig_begin(&q, &c, TURN_CREATE_PERMISSION_REQUEST);
	rig_add_peer(&q, "9.9.9.9:1");
	rig_add_peer(&q, "8.8.8.8:1");
	rig_add_peer(&q, "9.9.9.9:2");
	cr_assert_eq(rig_send(&r, &c, &q).code, 0);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 2);
	cr_assert_not_null(rig_flow(&r, SHM_FLOW_PERMISSION, "8.8.8.8:0", &relayed, 0));
}

Test(turn_permission, rfc8656_10_2_family_of_the_peer_must_be_that_of_the_relay_443)
{
	struct rig_client six = rig_client("203.0.113.5:40001", "lab", RIG_PASSWORD);

	cr_assert_eq(rig_permit(&r, &c, "[2620:fe::fe]:1").code, 443);
	cr_assert_eq(rig_allocate_family(&r, &six, STUN_FAMILY_IPV6).code, 0);
	cr_assert_eq(rig_permit(&r, &six, "9.9.9.9:1").code, 443);
	cr_assert_eq(rig_permit(&r, &six, "[2620:fe::fe]:1").code, 0);
}

Test(turn_permission, rfc8656_10_2_more_than_an_allocation_may_have_gets_508)
{
	for (int i = 0; i < TURN_ALLOCATION_PERMISSIONS_MAX; i++) {
		char peer[32];

		snprintf(peer, sizeof(peer), "9.9.%d.%d:1", i / 250, i % 250 + 1);
		cr_assert_eq(rig_permit(&r, &c, peer).code, 0);
	}
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 508);
	cr_assert_eq(rig_permit(&r, &c, "9.9.0.1:1").code, 0);
}

Test(turn_permission_limits, rfc8656_10_2_full_flow_table_gets_508_and_leaves_nothing)
{
	struct config *config = rig_config();
	struct rig_request q;
	uint32_t n_before;

	config->max_allocations = 1;
	config->max_flows = 1; // five entries, the allocation has one
	open_with(config);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.1:1").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.2:1").code, 0);
	n_before = turn_server_n_permissions(r.engine.turn);
	rig_begin(&q, &c, TURN_CREATE_PERMISSION_REQUEST);
	rig_add_peer(&q, "8.8.8.3:1");
	rig_add_peer(&q, "8.8.8.4:1");
	cr_assert_eq(rig_send(&r, &c, &q).code, 508);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), n_before);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "8.8.8.5:1").code, 508);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), n_before);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	table_writer_reclaim(&r.engine.tables, r.now_ns);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.3:1").code, 0);
	rig_close(&r);
}

Test(turn_permission, rfc8656_21_special_blocks_are_forbidden_by_default)
{
	static const char *const v4[] = {
		"0.0.0.0",   "0.1.2.3",         "10.0.0.1",   "100.64.0.1",     "127.0.0.1",
		"127.1.2.3", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1",
		"192.0.2.1", "192.168.1.1",     "198.18.0.1", "198.51.100.7",   "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1",  "255.255.255.255"
	};
	static const char *const v6[] = { "::",
					  "::1",
					  "::ffff:0:127.0.0.1",
					  "::127.0.0.1",
					  "64:ff9b::7f00:1",
					  "64:ff9b::a00:1",
					  "64:ff9b:1::1",
					  "100::1",
					  "2001:db8::1",
					  "2002:7f00:1::",
					  "2002:a00:1::",
					  "2001:0:7f00:1::",
					  "fc00::1",
					  "fd00::1",
					  "fe80::1",
					  "fec0::1",
					  "ff02::1",
					  "3fff::1",
					  "5f00::1" };
	struct rig_client six = rig_client("203.0.113.5:40001", "lab", RIG_PASSWORD);
	char peer[80];

	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		snprintf(peer, sizeof(peer), "%s:1", v4[i]);
		cr_expect_eq(rig_permit(&r, &c, peer).code, 403, "%s", peer);
		cr_expect_eq(rig_bind(&r, &c, 0x4000, peer).code, 403, "%s", peer);
	}
	cr_assert_eq(rig_allocate_family(&r, &six, STUN_FAMILY_IPV6).code, 0);
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
		snprintf(peer, sizeof(peer), "[%s]:1", v6[i]);
		cr_expect_eq(rig_permit(&r, &six, peer).code, 403, "%s", peer);
		cr_expect_eq(rig_bind(&r, &six, 0x4000, peer).code, 403, "%s", peer);
	}
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
}

Test(turn_permission, an_ipv4_mapped_peer_in_an_ipv6_attribute_is_no_way_around)
{
	// On the wire an IPv6 address ::ffff:10.0.0.1; it is the IPv4 address in our form.
	cr_assert_eq(rig_permit(&r, &c, "[::ffff:10.0.0.1]:1").code, 403);
	cr_assert_eq(rig_permit(&r, &c, "[::ffff:127.0.0.1]:1").code, 403);
}

Test(turn_permission_rules, operators_open_and_close_ranges)
{
	struct config *config = rig_config();

	rig_config_add_rule(config, "198.18.0.0/15", SHM_PEER_ALLOW);
	rig_config_add_rule(config, "198.18.7.0/24", SHM_PEER_DENY);
	rig_config_add_rule(config, "9.9.9.0/24", SHM_PEER_DENY);
	rig_config_add_rule(config, "127.0.0.0/8", SHM_PEER_ALLOW);
	open_with(config);
	cr_assert_eq(rig_permit(&r, &c, "198.18.0.20:1").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "198.18.7.1:1").code, 403);
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 403);
	cr_assert_eq(rig_permit(&r, &c, "9.9.8.9:1").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "127.0.0.1:1").code, 403, "loopback cannot be opened");
	rig_close(&r);
}

Test(turn_permission_rules, a_reload_with_stricter_rules_ends_what_it_denies)
{
	struct config *strict = rig_config();
	struct turn_auth *auth;
	char error[320];

	open_with(rig_config());
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 0);
	rig_config_add_rule(strict, "9.9.9.0/24", SHM_PEER_DENY);
	cr_assert_eq(table_writer_publish_settings(&r.engine.tables, strict, error, sizeof(error)),
		     0);
	cr_assert_eq(turn_auth_new(strict, &auth), 0);
	turn_server_reload(r.engine.turn, strict, auth);
	config_free(r.engine.config);
	r.engine.config = strict;
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1);
	cr_assert_null(rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:1", &relayed, 0));
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 403);
	rig_close(&r);
}

Test(turn_permission, between_two_of_our_own_allocations_the_flow_is_marked_hairpin)
{
	char peer[IP_ENDPOINT_TEXT_MAX];
	const struct shm_flow *f;

	ip_endpoint_format(&relayed, peer, sizeof(peer));
	cr_assert_eq(rig_bind(&r, &c, 0x4000, peer).code, 0);
	f = rig_flow(&r, SHM_FLOW_PERMISSION, peer, &relayed, 0);
	cr_assert(f != NULL && (f->flags & SHM_FLOW_F_HAIRPIN) && f->peer_neighbour_idx == 0);
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000);
	cr_assert(f != NULL && (f->flags & SHM_FLOW_F_HAIRPIN));
}

Test(turn_permission_limits, permissions_leave_room_for_the_allocations_of_others)
{
	struct config *config = rig_config();
	struct rig_client other = rig_client("203.0.113.6:1", "other", "other-secret");

	// Entries for two allocations and three more.
	config->max_allocations = 2;
	config->max_flows = 1;
	open_with(config);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 508);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:2").code, 508);
	cr_assert_eq(rig_allocate(&r, &other).code, 0);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1);
	rig_close(&r);
}

Test(turn_permission, rfc8656_9_channels_follow_the_permissions_of_one_request)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	const struct shm_flow *f;
	struct rig_request q;

	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "8.8.8.8:1").code, 0);
	rig_advance(&r, 200);
	rig_begin(&q, &c, TURN_CREATE_PERMISSION_REQUEST);
	rig_add_peer(&q, "9.9.9.9:1");
	rig_add_peer(&q, "8.8.8.8:1");
	cr_assert_eq(rig_send(&r, &c, &q).code, 0);
	for (uint16_t channel = 0x4000; channel <= 0x4001; channel++) {
		f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, channel);
		cr_assert(f != NULL && f->expires_at_ns == r.now_ns + 300 * RIG_S);
	}
}
