// Next hops of flows that were not known at first, and walks through all allocations: after route
// changes and reloads.
#include "tests/unit/controlplane/turn_rig.h"

#include "controlplane/turn/state.h"

#define N_CLIENTS 600u // more than one slice of a walk

static struct rig r;
static bool knows_hops;
static uint32_t n_asked;

static uint16_t hop_of(const char *text)
{
	struct ip_address a;

	n_asked++;
	cr_assert_eq(ip_address_parse(text, &a), 0);
	return knows_hops ? table_writer_neighbour_acquire(&r.engine.tables, &a, 3) : 0;
}

static uint16_t client_hop(void *arg, const struct ip_address *client, uint64_t l2_word)
{
	return hop_of("192.0.2.1");
}

static uint16_t peer_hop(void *arg, const struct ip_address *peer)
{
	return hop_of("192.0.2.2");
}

static void setup(void)
{
	struct config *config = rig_config();

	config->max_allocations = 2000;
	config->max_flows = 2000;
	config->relay_port_max = 59999;
	rig_open(&r, config);
	r.engine.turn->hops = (struct turn_next_hops){ .client = client_hop, .peer = peer_hop };
	knows_hops = false;
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_hops, .init = setup, .fini = teardown);

static struct rig_client client(uint32_t i)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);

	c.endpoint.port_be = __builtin_bswap16((uint16_t)(10000 + i));
	return c;
}

Test(turn_hops, a_peer_without_next_hop_is_asked_about_with_the_next_refresh)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER), relayed;
	struct rig_client c = client(0);
	struct rig_answer a = rig_allocate(&r, &c);
	const struct shm_flow *channel, *permission;

	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	channel = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:10000", &listener, 0x4000);
	permission = rig_flow(&r, SHM_FLOW_PERMISSION, "9.9.9.9:0", &relayed, 0);
	cr_assert(channel->neighbour_idx == 0 && permission->peer_neighbour_idx == 0);
	knows_hops = true;
	cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 0);
	cr_assert_neq(permission->peer_neighbour_idx, 0);
	cr_assert_eq(channel->neighbour_idx, permission->peer_neighbour_idx);
	cr_assert_eq(table_writer_neighbour(&r.engine.tables, channel->neighbour_idx)->n_users, 2);
	// And all of it is given back.
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	for (uint32_t i = 1; i < 10; i++)
		cr_assert_eq(r.engine.tables.tables->neighbour[i].n_users, 0);
}

static void allocate_all(void)
{
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		struct rig_client c = client(i);

		cr_assert_eq(rig_allocate(&r, &c).code, 0);
		cr_assert_eq(rig_permit(&r, &c, "9.9.9.9:1").code, 0);
	}
}

Test(turn_hops, a_route_change_during_a_sweep_reaches_the_flows_it_has_passed)
{
	allocate_all();
	turn_server_renew_next_hops(r.engine.turn);
	n_asked = 0;
	cr_assert(turn_server_expire(r.engine.turn, r.now_ns), "one slice is not enough");
	cr_assert(n_asked > 0 && n_asked < 2 * N_CLIENTS);
	// The second change: everything is asked about again, also what the first slice has seen.
	turn_server_renew_next_hops(r.engine.turn);
	n_asked = 0;
	while (turn_server_expire(r.engine.turn, r.now_ns))
		;
	cr_assert_eq(n_asked, 2 * N_CLIENTS);
}

Test(turn_hops, a_reload_rechecks_peers_in_slices)
{
	struct config *strict = rig_config();
	struct turn_auth *auth;
	char error[320];

	allocate_all();
	rig_config_add_rule(strict, "9.9.9.0/24", SHM_PEER_DENY);
	cr_assert_eq(table_writer_publish_settings(&r.engine.tables, strict, error, sizeof(error)),
		     0);
	cr_assert_eq(turn_auth_new(strict, &auth), 0);
	turn_server_reload(r.engine.turn, strict, auth);
	config_free(r.engine.config);
	r.engine.config = strict;
	cr_assert(turn_server_n_permissions(r.engine.turn) > 0);
	cr_assert(turn_server_n_permissions(r.engine.turn) < N_CLIENTS);
	while (turn_server_expire(r.engine.turn, r.now_ns))
		;
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
}
