// Limits of allocations and users: refused with 508 and counted here, or written for the workers.
#include "tests/unit/controlplane/turn_rig.h"

#include <stdio.h>

#include "controlplane/turn/auth.h"

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

static uint16_t permit(uint32_t n)
{
	char peer[32];

	snprintf(peer, sizeof(peer), "9.9.%u.%u:1", n / 250, n % 250 + 1);
	return rig_permit(&r, &c, peer).code;
}

static const struct shm_limit *limit_of(const struct rig_client *client)
{
	uint32_t idx;

	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &client->endpoint, NULL, &idx), 0);
	return &r.engine.tables.limits[idx];
}

static void reload(struct config *next)
{
	struct turn_auth *auth;
	char error[320];

	cr_assert_eq(table_writer_publish_settings(&r.engine.tables, next, error, sizeof(error)),
		     0);
	cr_assert_eq(turn_auth_new(next, &auth), 0);
	turn_server_reload(r.engine.turn, next, auth);
	config_free(r.engine.config);
	r.engine.config = next;
}

Test(turn_limits, permissions_per_allocation_get_508_and_a_counter)
{
	struct config *config = rig_config();

	config->permissions_per_allocation = 2;
	open_with(config);
	cr_assert_eq(permit(0), 0);
	cr_assert_eq(permit(1), 0);
	cr_assert_eq(permit(2), 508);
	cr_assert_eq(permit(1), 0, "one that is there is refreshed");
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "8.8.8.8:1").code, 508);
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_LIMIT_PERMISSIONS), 2);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 2);
	rig_close(&r);
}

Test(turn_limits, channels_per_allocation_get_508_and_a_counter)
{
	struct config *config = rig_config();

	config->channels_per_allocation = 1;
	open_with(config);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:2").code, 508);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "8.8.8.8:2").code, 508);
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_LIMIT_CHANNELS), 2);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1, "nothing is left over");
	rig_close(&r);
}

Test(turn_limits, new_peers_per_second_get_508_until_time_has_passed)
{
	struct config *config = rig_config();

	config->new_peers_per_s_per_allocation = 4;
	open_with(config);
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(permit(i), 0);
	cr_assert_eq(permit(4), 508);
	cr_assert_eq(permit(0), 0, "an old peer is none");
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_LIMIT_NEW_PEERS), 1);
	r.now_ns += RIG_S / 4;
	cr_assert_eq(permit(4), 0);
	cr_assert_eq(permit(5), 508);
	rig_advance(&r, 10);
	for (uint32_t i = 5; i < 9; i++)
		cr_assert_eq(permit(i), 0);
	cr_assert_eq(permit(9), 508, "a pause saves up no more than a second");
	rig_close(&r);
}

Test(turn_limits, bytes_per_second_reach_the_tables_and_mark_every_flow)
{
	struct rig_client other = rig_client("203.0.113.6:1", "other", "other-secret");
	struct rig_client again = rig_client("203.0.113.7:1", "lab", RIG_PASSWORD);
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct config *config = rig_config();

	config->bytes_per_s_per_allocation = 100000;
	config->bytes_per_s_per_user = 300000;
	open_with(config);
	cr_assert_eq(rig_allocate(&r, &other).code, 0);
	cr_assert_eq(rig_allocate(&r, &again).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	cr_assert(limit_of(&c)->bytes_per_s == 100000 && limit_of(&c)->user_bytes_per_s == 300000);
	cr_assert(limit_of(&c)->user_idx != 0 &&
		  limit_of(&c)->user_idx == limit_of(&again)->user_idx);
	cr_assert(limit_of(&other)->user_idx != 0 &&
		  limit_of(&c)->user_idx != limit_of(&other)->user_idx);
	cr_assert(rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0)->flags &
		  SHM_FLOW_F_LIMITED);
	cr_assert(rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000)->flags &
		  SHM_FLOW_F_LIMITED);
	cr_assert(rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:1", &relayed, 0)->flags &
		  SHM_FLOW_F_LIMITED);
	cr_assert(rig_flow(&r, SHM_FLOW_PERMISSION, "9.9.9.9:1", &relayed, 0)->flags &
		  SHM_FLOW_F_LIMITED);
	rig_close(&r);
}

Test(turn_limits, a_reload_changes_those_of_live_allocations)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct config *limited = rig_config();
	const struct shm_flow *f;

	open_with(rig_config());
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000);
	cr_assert_eq(f->flags, 0);
	limited->bytes_per_s_per_allocation = 5000;
	reload(limited);
	cr_assert_eq(limit_of(&c)->bytes_per_s, 5000);
	cr_assert_eq(f->flags, SHM_FLOW_F_LIMITED);
	reload(rig_config());
	cr_assert_eq(limit_of(&c)->bytes_per_s, 0);
	cr_assert_eq(f->flags, 0);
	rig_close(&r);
}

Test(turn_limits, a_users_bucket_goes_back_with_its_last_allocation)
{
	struct config *config = rig_config();

	config->bytes_per_s_per_user = 300000;
	config->max_allocations = 2;
	open_with(config);
	for (uint32_t i = 0; i < 50; i++) {
		struct rig_client other = rig_client("203.0.113.6:1", "other", "other-secret");

		cr_assert_eq(rig_allocate(&r, &other).code, 0);
		cr_assert(limit_of(&other)->user_idx != 0 &&
			  limit_of(&other)->user_idx != limit_of(&c)->user_idx);
		cr_assert_eq(rig_refresh(&r, &other, 0).code, 0);
	}
	rig_close(&r);
}

Test(turn_limits, a_successor_keeps_them)
{
	struct config *config = rig_config();

	config->bytes_per_s_per_allocation = 5000;
	open_with(config);
	config = rig_config();
	config->bytes_per_s_per_allocation = 6000;
	rig_leave(&r);
	rig_reopen(&r, config);
	cr_assert_eq(limit_of(&c)->bytes_per_s, 6000);
	cr_assert_neq(limit_of(&c)->user_idx, 0);
	rig_close(&r);
}
