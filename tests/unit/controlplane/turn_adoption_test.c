// A control plane that starts takes over what its predecessor left, whole or half-finished (DESIGN
// of the contract, adoption).
#include "tests/unit/controlplane/turn_rig.h"

#include <errno.h>
#include <string.h>

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
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1234").code, 0);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 0);
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_adoption, .init = setup, .fini = teardown);

static void restart(void)
{
	rig_leave(&r);
	rig_reopen(&r, rig_config());
}

static const struct turn_adoption *adoption(void)
{
	return turn_server_adoption(r.engine.turn);
}

static uint32_t flow_idx(uint8_t kind, const char *far, const struct ip_endpoint *own,
			 uint16_t channel)
{
	const struct shm_flow *f = rig_flow(&r, kind, far, own, channel);

	cr_assert_not_null(f);
	return (uint32_t)(f - r.engine.tables.flows.view.entries);
}

Test(turn_adoption, everything_is_taken_over_and_flows_stay_published)
{
	uint32_t before = flow_idx(SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000);

	restart();
	cr_assert_eq(r.engine.tables.origin, TABLE_WRITER_ADOPTED);
	cr_assert_eq(adoption()->n_allocations, 1);
	cr_assert_eq(adoption()->n_permissions, 2);
	cr_assert_eq(adoption()->n_channels, 1);
	cr_assert_eq(adoption()->n_repaired, 0);
	cr_assert_eq(adoption()->n_ended, 0);
	cr_assert_eq(flow_idx(SHM_FLOW_CHANNEL, "203.0.113.5:40000", &listener, 0x4000), before);
	cr_assert_not_null(rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:1234", &relayed, 0));
}

Test(turn_adoption, refresh_with_the_same_key_and_the_old_nonce_succeeds)
{
	struct rig_answer a;

	restart();
	a = rig_refresh(&r, &c, 1200);
	cr_assert(a.code == 0 && a.is_signed);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1234").code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4001, "9.9.9.9:1234").code, 400);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 0);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 2);
}

Test(turn_adoption, retransmitted_allocate_is_answered_by_the_successor)
{
	struct rig_client d = rig_client("203.0.113.5:40001", "lab", RIG_PASSWORD);
	struct rig_request q;
	struct rig_answer a, b;
	size_t n;

	rig_begin(&q, &d, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	n = rig_sign(&r, &d, &q, false);
	a = rig_send_bytes(&r, &d, q.bytes, n);
	restart();
	b = rig_send_bytes(&r, &d, q.bytes, n);
	cr_assert(a.code == 0 && a.length_bytes == b.length_bytes &&
		  memcmp(a.bytes, b.bytes, a.length_bytes) == 0);
}

Test(turn_adoption, ports_stay_taken_and_quota_stays_counted)
{
	uint16_t port = __builtin_bswap16(relayed.port_be);

	restart();
	cr_assert_eq(turn_server_user_allocations(r.engine.turn, "lab", 3), 1);
	for (uint16_t i = 0; i < 99; i++) {
		struct rig_client d = rig_client("203.0.113.6:1", "lab", RIG_PASSWORD);
		struct rig_answer a;

		d.endpoint.port_be = __builtin_bswap16((uint16_t)(1000 + i));
		a = rig_allocate(&r, &d);
		cr_assert_eq(a.code, 0);
		cr_assert(rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS).port_be !=
			  __builtin_bswap16(port));
	}
	struct rig_client d = rig_client("203.0.113.6:1", "lab", RIG_PASSWORD);
	cr_assert_eq(rig_allocate(&r, &d).code, 508);
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	cr_assert_eq(rig_allocate(&r, &d).code, 0);
}

Test(turn_adoption, ids_stay_the_same)
{
	struct turn_allocation_info before, after;
	uint32_t idx;

	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &c.endpoint, NULL, &idx), 0);
	cr_assert_eq(turn_allocation_info(r.engine.turn, idx, &before), 0);
	restart();
	cr_assert_eq(turn_allocation_find_id(r.engine.turn, before.id, &idx), 0);
	cr_assert_eq(turn_allocation_info(r.engine.turn, idx, &after), 0);
	cr_assert_eq(after.created_at_ns, before.created_at_ns);
	cr_assert_eq(after.expires_at_ns, before.expires_at_ns);
	cr_assert(after.n_permissions == 2 && after.n_channels == 1);
}

Test(turn_adoption, expiries_go_on)
{
	restart();
	rig_advance(&r, 301);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
	rig_advance(&r, 300);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	table_writer_reclaim(&r.engine.tables, r.now_ns);
	cr_assert_eq(r.engine.tables.flows.n_free, r.engine.tables.n_entries - 1);
	for (uint32_t i = 1; i < 100; i++)
		cr_assert_eq(r.engine.tables.tables->neighbour[i].n_users, 0);
}

Test(turn_adoption, allocate_cut_before_its_flow_is_undone)
{
	struct shm_allocation *record;
	uint32_t idx;

	record = table_writer_allocation_take(&r.engine.tables, &idx);
	*record = *table_writer_allocation(&r.engine.tables, 1);
	record->relay_port_be = __builtin_bswap16(50001);
	table_writer_allocation_commit(&r.engine.tables, idx);
	restart();
	cr_assert_eq(adoption()->n_allocations, 1);
	cr_assert_eq(adoption()->n_repaired, 1);
	cr_assert_eq(r.engine.tables.n_free_allocations, 255);
	cr_assert_eq(r.engine.tables.keys->allocation[idx].state, SHM_ALLOCATION_FREE);
}

Test(turn_adoption, end_cut_after_the_allocation_flow_takes_the_rest_with_it)
{
	table_writer_flow_withdraw(
		&r.engine.tables, flow_idx(SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0));
	restart();
	cr_assert_eq(adoption()->n_allocations, 0);
	// The record, CHANNEL, PEER and two permissions.
	cr_assert_eq(adoption()->n_repaired, 5);
	cr_assert_eq(r.engine.tables.flows.n_free, r.engine.tables.n_entries - 1);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
}

Test(turn_adoption, channel_bind_cut_between_its_flows_is_undone)
{
	table_writer_flow_withdraw(&r.engine.tables, flow_idx(SHM_FLOW_CHANNEL, "203.0.113.5:40000",
							      &listener, 0x4000));
	restart();
	cr_assert_eq(adoption()->n_channels, 0);
	cr_assert_eq(adoption()->n_repaired, 1);
	cr_assert_null(rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:1234", &relayed, 0));
	cr_assert_eq(rig_bind(&r, &c, 0x4005, "9.9.9.9:1234").code, 0);
}

Test(turn_adoption, channel_without_its_way_back_is_undone)
{
	table_writer_flow_withdraw(&r.engine.tables,
				   flow_idx(SHM_FLOW_PEER, "9.9.9.9:1234", &relayed, 0));
	restart();
	cr_assert_eq(adoption()->n_channels, 0);
	cr_assert_eq(adoption()->n_repaired, 1);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "8.8.8.8:2").code, 0);
}

Test(turn_adoption, refresh_cut_between_record_and_flows_is_finished)
{
	const struct shm_flow *f;
	uint64_t expires_at_ns = r.now_ns + 3000 * RIG_S;

	table_writer_allocation(&r.engine.tables, 1)->expires_at_ns = expires_at_ns;
	restart();
	f = rig_flow(&r, SHM_FLOW_ALLOCATION, "203.0.113.5:40000", &listener, 0);
	cr_assert(f != NULL && f->expires_at_ns == expires_at_ns);
	rig_advance(&r, 2999);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}

Test(turn_adoption, damaged_records_are_not_believed)
{
	struct shm_allocation *record = table_writer_allocation(&r.engine.tables, 1);

	record->username_bytes = UINT16_MAX;
	record->relay_idx = 200;
	restart();
	cr_assert_eq(adoption()->n_allocations, 0);
	cr_assert_eq(r.engine.tables.flows.n_free, r.engine.tables.n_entries - 1);
}

Test(turn_adoption, expired_while_nobody_watched_is_ended)
{
	table_writer_allocation(&r.engine.tables, 1)->expires_at_ns = 1;
	restart();
	cr_assert_eq(adoption()->n_ended, 1);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_adoption, addresses_keep_their_index_when_the_configuration_reorders_them)
{
	struct config *config = rig_config();
	struct ip_address v6 = config->relays[1].address;
	struct config_relay first = config->relays[0];
	int before = table_writer_local_find(&r.engine.tables, &v6);

	config->relays = realloc(config->relays, 3 * sizeof(*config->relays));
	config->relays[2] = first;
	config->relays[0].address = v6;
	cr_assert_eq(ip_address_parse("198.51.100.2", &config->relays[1].address), 0);
	config->n_relays = 3;
	rig_leave(&r);
	rig_reopen(&r, config);
	cr_assert_eq(table_writer_local_find(&r.engine.tables, &v6), before);
	cr_assert_eq(adoption()->n_allocations, 1);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 0);
}

Test(turn_adoption, an_address_that_is_not_configured_any_more_ends_its_allocations)
{
	struct config *config = rig_config();

	cr_assert_eq(ip_address_parse("198.51.100.2", &config->relays[0].address), 0);
	rig_leave(&r);
	rig_reopen(&r, config);
	cr_assert_eq(adoption()->n_ended, 1);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(turn_ended_at(r.engine.turn, 0)->reason, TURN_END_CONFIGURATION);
}

Test(turn_adoption, a_port_range_that_excludes_an_allocation_ends_it)
{
	struct config *config = rig_config();

	config->relay_port_min = 51000;
	config->relay_port_max = 51099;
	rig_leave(&r);
	rig_reopen(&r, config);
	cr_assert_eq(adoption()->n_ended, 1);
}

Test(turn_adoption, peers_denied_meanwhile_are_not_taken_over)
{
	struct config *config = rig_config();

	rig_config_add_rule(config, "9.9.9.0/24", SHM_PEER_DENY);
	rig_leave(&r);
	rig_reopen(&r, config);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 1);
}

Test(turn_adoption, other_table_sizes_are_refused_in_one_sentence)
{
	struct config *config = rig_config();
	struct engine second;
	char error[320] = "";

	config->max_flows *= 2;
	rig_leave(&r);
	cr_assert_eq(engine_open(&second, config, error, sizeof(error)), -EPROTO);
	cr_assert(strstr(error, "segment remove") != NULL && strchr(error, '\n') == NULL);
	rig_reopen(&r, rig_config());
	cr_assert_eq(adoption()->n_allocations, 1);
}

Test(turn_adoption, more_workers_than_before_keep_the_sessions)
{
	struct config *config = rig_config();

	config->n_workers = 4;
	rig_leave(&r);
	rig_reopen(&r, config);
	cr_assert(r.engine.tables.are_workers_new);
	cr_assert_eq(r.engine.tables.workers->n_workers, 4);
	cr_assert_eq(adoption()->n_allocations, 1);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 0);
}

Test(turn_adoption, a_way_back_of_another_client_is_no_half_of_a_channel)
{
	uint32_t down = flow_idx(SHM_FLOW_PEER, "9.9.9.9:1234", &relayed, 0);

	// Right in its key and channel, wrong in where it leads.
	r.engine.tables.flows.entries[down].to_port_be ^= 1;
	restart();
	cr_assert_eq(adoption()->n_channels, 0);
	cr_assert_eq(adoption()->n_repaired, 2);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1234").code, 0);
}
