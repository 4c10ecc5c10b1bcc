// What table_writer promises beyond single flows: settings, neighbours, usage, grace.
#include "tests/unit/controlplane/turn_rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

// Larger than any that Linux gives.
#define NO_SUCH_PID 4194305u

static struct rig r;

static void setup(void)
{
	rig_open(&r, rig_config());
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(table_writer, .init = setup, .fini = teardown);

static struct ip_address address(const char *text)
{
	struct ip_address a;

	cr_assert_eq(ip_address_parse(text, &a), 0);
	return a;
}

Test(table_writer, settings_in_force_are_those_of_the_configuration)
{
	const struct shm_tables *t = r.engine.tables.tables;
	const struct shm_settings *s = &t->settings[t->active_settings];
	const char *why;

	cr_assert_eq(shm_settings_check(s, &why), 0, "%s", why);
	cr_assert_eq(t->settings_version, 1);
	cr_assert_str_eq(s->realm[0].name, RIG_REALM);
	cr_assert_eq(s->n_locals, 2);
	cr_assert_eq(s->local[0].flags, SHM_LOCAL_F_LISTENER | SHM_LOCAL_F_RELAY);
	cr_assert_eq(s->local[1].flags, SHM_LOCAL_F_RELAY);
	cr_assert_eq(s->local[0].relay_port_min, 50000);
}

Test(table_writer, the_same_configuration_again_publishes_nothing)
{
	struct config *same = rig_config();
	char error[320];

	cr_assert_eq(table_writer_publish_settings(&r.engine.tables, same, error, sizeof(error)),
		     0);
	cr_assert_eq(r.engine.tables.tables->settings_version, 1);
	rig_config_add_rule(same, "10.0.0.0/8", SHM_PEER_ALLOW);
	cr_assert_eq(table_writer_publish_settings(&r.engine.tables, same, error, sizeof(error)),
		     0);
	cr_assert_eq(r.engine.tables.tables->settings_version, 2);
	config_free(same);
}

Test(table_writer, a_nonce_secret_gives_every_host_the_same_nonces)
{
	struct config *a = rig_config(), *b = rig_config();
	struct shm_settings first;
	char error[320];

	a->nonce_secret = strdup("fleet");
	b->nonce_secret = strdup("fleet");
	cr_assert_eq(table_writer_publish_settings(&r.engine.tables, a, error, sizeof(error)), 0);
	first = r.engine.tables.settings;
	rig_leave(&r);
	shm_instance_remove("unit");
	rig_reopen(&r, b);
	cr_assert_arr_eq(first.challenge_secret, r.engine.tables.settings.challenge_secret, 16);
	config_free(a);
}

Test(table_writer, neighbours_are_shared_counted_and_freed)
{
	struct table_writer *w = &r.engine.tables;
	struct ip_address a = address("192.0.2.1");
	uint16_t i = table_writer_neighbour_acquire(w, &a, 3);

	cr_assert_neq(i, 0);
	cr_assert_eq(table_writer_neighbour_acquire(w, &a, 3), i);
	cr_assert_neq(table_writer_neighbour_acquire(w, &a, 4), i);
	table_writer_neighbour_set_word(w, i, 77);
	cr_assert_eq(table_writer_neighbour(w, i)->word, 77);
	table_writer_neighbour_unref(w, i);
	cr_assert_eq(table_writer_neighbour_find(w, &a, 3), i);
	table_writer_neighbour_unref(w, i);
	cr_assert_eq(table_writer_neighbour_find(w, &a, 3), 0);
	cr_assert_eq(table_writer_neighbour(w, i)->word, 0);
	table_writer_neighbour_unref(w, i);
	table_writer_neighbour_unref(w, 0);
}

Test(table_writer, a_full_neighbour_table_gives_none)
{
	struct table_writer *w = &r.engine.tables;
	struct ip_address a = address("10.0.0.0");

	for (uint32_t i = 1; i < SHM_NEIGHBOURS_MAX; i++) {
		a.bytes[13] = (uint8_t)(i >> 16);
		a.bytes[14] = (uint8_t)(i >> 8);
		a.bytes[15] = (uint8_t)i;
		cr_assert_neq(table_writer_neighbour_acquire(w, &a, 1), 0);
	}
	a = address("11.0.0.1");
	cr_assert_eq(table_writer_neighbour_acquire(w, &a, 1), 0);
}

// The workers' segment as the dataplane maps it.
static struct shm_workers *dataplane_attach(struct shm_segment *segment)
{
	cr_assert_eq(shm_segment_attach("unit", SHM_SEGMENT_WORKERS, true, segment),
		     SHM_ATTACH_READY);
	return segment->base;
}

Test(table_writer, withdrawn_entries_wait_for_every_online_worker)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct table_writer *w = &r.engine.tables;
	struct shm_segment segment;
	struct shm_workers *workers = dataplane_attach(&segment);
	uint32_t n_free;

	workers->dataplane.phase = SHM_DATAPLANE_RUNNING;
	workers->dataplane.pid = (uint32_t)getpid();
	workers->dataplane.n_workers = 1;
	workers->dataplane.heartbeat_ns = r.now_ns;
	workers->worker[0].online = 1;
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	n_free = w->flows.n_free;
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	table_writer_reclaim(w, r.now_ns);
	cr_assert_eq(w->flows.n_free, n_free, "a worker may still hold it");
	workers->worker[0].quiescent_gen = w->tables->grace_generation;
	table_writer_reclaim(w, r.now_ns);
	cr_assert_eq(w->flows.n_free, n_free + 1);

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	table_writer_reclaim(w, r.now_ns);
	cr_assert_eq(w->flows.n_free, n_free);
	// One that is silent for long may be held up, and its workers may be in the middle of a
	// burst.
	table_writer_reclaim(w, r.now_ns + 60 * RIG_S);
	cr_assert_eq(w->flows.n_free, n_free);
	// One that died holds nothing back.
	workers->dataplane.pid = NO_SUCH_PID;
	table_writer_reclaim(w, r.now_ns + 60 * RIG_S);
	cr_assert_eq(w->flows.n_free, n_free + 1);
	shm_segment_detach(&segment);
}

static bool first_channel(void *arg, const struct turn_channel_info *info)
{
	*(struct turn_channel_info *)arg = *info;
	return false;
}

Test(table_writer, usage_counts_from_publication_and_survives_a_restart)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct shm_segment segment;
	struct shm_workers *workers = dataplane_attach(&segment);
	struct shm_usage *usage = (void *)((uint8_t *)workers + workers->usage_offset);
	struct turn_allocation_info info;
	struct turn_channel_info channel;
	const struct shm_flow *f;
	uint32_t idx;

	for (uint32_t i = 0; i < r.engine.tables.n_entries; i++)
		usage[i] = (struct shm_usage){ .pkts = 1000, .bytes = 100000 };
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:9").code, 0);
	f = rig_flow(&r, SHM_FLOW_CHANNEL, "203.0.113.5:1", &listener, 0x4000);
	idx = (uint32_t)(f - r.engine.tables.flows.view.entries);
	usage[idx].pkts += 3;
	usage[idx].bytes += 300;
	rig_leave(&r);
	rig_reopen(&r, rig_config());
	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &c.endpoint, NULL, &idx), 0);
	cr_assert_eq(turn_allocation_info(r.engine.turn, idx, &info), 0);
	cr_assert(info.usage.up_pkts == 3 && info.usage.up_bytes == 300);
	cr_assert(info.usage.down_pkts == 0 && info.usage.down_bytes == 0);
	turn_allocation_channels(r.engine.turn, idx, first_channel, &channel);
	cr_assert(channel.channel == 0x4000 && channel.up_pkts == 3 && channel.down_pkts == 0);
	// What a channel counted stays with its allocation when the channel ends.
	rig_advance(&r, 590);
	cr_assert_eq(rig_refresh(&r, &c, 3600).code, 0);
	rig_advance(&r, 20);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_assert_eq(turn_allocation_info(r.engine.turn, idx, &info), 0);
	cr_assert_eq(info.usage.up_pkts, 3);
	shm_segment_detach(&segment);
}

Test(table_writer, without_a_kernel_peers_go_to_the_gateway_and_clients_too)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct next_hop_info info;
	struct ip_address peer = address("9.9.9.9");

	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	next_hop_explain(r.engine.hops, &peer, &info);
	cr_assert_eq(info.state, NEXT_HOP_STATIC);
	cr_assert_arr_eq(info.mac, r.engine.config->ports[0].gateway_mac, 6);
}

Test(table_writer_hops, without_gateway_clients_are_learned_and_peers_unresolved)
{
	struct config *config = rig_config();
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct turn_allocation_info info;
	struct turn_next_hops hops;
	struct ip_address peer = address("9.9.9.9");
	uint32_t idx;

	config->ports[0].has_gateway_mac = false;
	rig_open(&r, config);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(turn_allocation_find_client(r.engine.turn, &c.endpoint, NULL, &idx), 0);
	cr_assert_eq(turn_allocation_info(r.engine.turn, idx, &info), 0);
	cr_assert_eq(info.client_neighbour_idx, 0, "no path is known");
	hops = next_hops_for_turn(r.engine.hops);
	cr_assert_eq(hops.peer(hops.arg, &peer), 0);
	idx = hops.client(hops.arg, &c.endpoint.address, 0x0200000000050000);
	cr_assert_neq(idx, 0);
	cr_assert_eq(table_writer_neighbour(&r.engine.tables, (uint16_t)idx)->word,
		     0x0200000000050000);
	rig_close(&r);
}

// A control plane that starts again with other numbers of workers, while a dataplane lives or after
// it died.
static void restart_with_workers(uint32_t n_workers)
{
	struct config *config = rig_config();

	config->n_workers = n_workers;
	rig_leave(&r);
	rig_reopen(&r, config);
}

Test(table_writer, segments_that_a_living_dataplane_uses_are_not_replaced)
{
	struct shm_segment segment;
	struct shm_workers *workers = dataplane_attach(&segment);

	workers->dataplane.phase = SHM_DATAPLANE_RUNNING;
	workers->dataplane.pid = (uint32_t)getpid();
	restart_with_workers(4);
	cr_assert_not(r.engine.tables.are_workers_new);
	cr_assert_eq(r.engine.tables.n_workers_max, 1);
	cr_assert_eq(r.engine.tables.settings.n_workers, 1);
	workers->dataplane.pid = NO_SUCH_PID;
	restart_with_workers(4);
	cr_assert(r.engine.tables.are_workers_new);
	cr_assert_eq(r.engine.tables.settings.n_workers, 4);
	shm_segment_detach(&segment);
}

Test(table_writer, an_address_that_live_allocations_name_keeps_its_index)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct ip_address relayed = address("2001:4860::1");
	struct config *config = rig_config();
	struct table_writer w;
	char error[320];
	int idx = table_writer_local_find(&r.engine.tables, &relayed);

	cr_assert_eq(rig_allocate_family(&r, &c, STUN_FAMILY_IPV6).code, 0);
	rig_leave(&r);
	// Published without the address, and killed before the allocation was ended.
	config->n_relays = 1;
	cr_assert_eq(table_writer_open(&w, config, error, sizeof(error)), 0);
	table_writer_close(&w);
	config_free(config);
	config = rig_config();
	config->relays[1].address = address("2001:4860::99");
	rig_reopen(&r, config);
	cr_assert_neq(table_writer_local_find(&r.engine.tables, &config->relays[1].address), idx);
	cr_assert_eq(turn_server_adoption(r.engine.turn)->n_ended, 1);
}

Test(table_writer, damaged_settings_are_refused_in_one_sentence)
{
	struct shm_tables *t = r.engine.tables.tables;
	uint32_t *n_locals = &t->settings[t->active_settings].n_locals;
	struct config *config = rig_config();
	uint32_t before = *n_locals;
	struct shm_segment segment;
	struct table_writer w;
	char error[320] = "";

	*n_locals = 4000;
	rig_leave(&r);
	cr_assert_eq(table_writer_open(&w, config, error, sizeof(error)), -EPROTO);
	cr_assert(strstr(error, "n_locals") != NULL && strstr(error, "segment remove") != NULL);
	cr_assert_eq(shm_segment_attach("unit", SHM_SEGMENT_TABLES, true, &segment),
		     SHM_ATTACH_READY);
	t = segment.base;
	t->settings[t->active_settings].n_locals = before;
	shm_segment_detach(&segment);
	rig_reopen(&r, config);
}

Test(table_writer, what_cannot_be_created_leaves_no_files)
{
	struct config *config = rig_config();
	struct table_writer w;
	char error[320], path[128];

	rig_leave(&r);
	shm_instance_remove("unit");
	config->n_ports = SHM_PORTS_MAX + 1;
	cr_assert(table_writer_open(&w, config, error, sizeof(error)) < 0);
	cr_assert_eq(shm_instance_dir("unit", path, sizeof(path)), 0);
	// Removable, so it is empty.
	cr_assert_eq(rmdir(path), 0, "%s", strerror(errno));
	config->n_ports = 1;
	rig_reopen(&r, config);
}

Test(table_writer, an_id_is_not_given_twice_even_if_allocate_is_cut)
{
	struct table_writer *w = &r.engine.tables;
	uint32_t idx, serial;

	cr_assert_not_null(table_writer_allocation_take(w, &idx));
	serial = table_writer_allocation(w, idx)->serial;
	rig_leave(&r);
	rig_reopen(&r, rig_config());
	cr_assert_not_null(table_writer_allocation_take(w, &idx));
	cr_assert_eq(table_writer_allocation(w, idx)->serial, serial + 1);
}
