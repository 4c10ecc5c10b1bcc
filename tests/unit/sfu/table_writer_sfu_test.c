// What workers may rely on while the tables of the SFU change: entries are whole when they are seen, nothing is given out again before
// every worker has passed, serials are never given twice, lists are swapped whole, keys are wiped.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "controlplane/table_writer_sfu.h"
#include "tests/unit/sfu/sfu_rig.h"

static struct table_writer w;

static void setup(void)
{
	sfu_rig_tables_open(&w, sfu_rig_config());
}

static void teardown(void)
{
	sfu_rig_tables_close(&w);
}

TestSuite(table_writer_sfu, .init = setup, .fini = teardown);

static uint32_t transport(void)
{
	struct shm_sfu_transport t = { .ufrag = "abcd", .ufrag_bytes = 4 };
	uint32_t idx = table_writer_transport_reserve(&w);

	cr_assert_neq(idx, 0);
	table_writer_transport_publish(&w, idx, &t, "passwordpasswordpassword");
	return idx;
}

static uint32_t track(uint32_t transport_idx)
{
	struct shm_sfu_track t = { .transport_idx = transport_idx, .n_layers = 1 };
	uint32_t idx = table_writer_track_reserve(&w);

	cr_assert_neq(idx, 0);
	table_writer_track_publish(&w, idx, &t);
	return idx;
}

// A worker that has not passed anything.
static struct shm_worker *worker_online(void)
{
	struct shm_workers *workers = sfu_rig_workers();

	workers->dataplane.phase = SHM_DATAPLANE_RUNNING;
	workers->dataplane.heartbeat_ns = UINT64_MAX / 2;
	workers->worker[0].online = 1;
	workers->worker[0].quiescent_gen = w.tables->grace_generation;
	return &workers->worker[0];
}

Test(table_writer_sfu, a_withdrawn_entry_waits_for_every_worker)
{
	struct shm_worker *worker = worker_online();
	uint32_t idx = transport(), n_free = w.sfu->free_transports.n;

	cr_assert_not_null(shm_sfu_transport_get(table_writer_sfu_view(&w), idx));
	table_writer_transport_withdraw(&w, idx);
	cr_assert_null(shm_sfu_transport_get(table_writer_sfu_view(&w), idx));
	table_writer_reclaim(&w, 1);
	cr_assert_eq(w.sfu->free_transports.n, n_free);
	worker->quiescent_gen = w.tables->grace_generation;
	table_writer_reclaim(&w, 1);
	cr_assert_eq(w.sfu->free_transports.n, n_free + 1);
}

Test(table_writer_sfu, serials_are_never_given_twice)
{
	uint32_t first = transport(), serial = w.sfu->transport[first].serial;
	uint32_t again;

	table_writer_transport_withdraw(&w, first);
	table_writer_reclaim(&w, 1);
	again = transport();
	cr_assert_eq(again, first);
	cr_assert_gt(w.sfu->transport[again].serial, serial);
	serial = w.sfu->transport[again].serial;
	sfu_rig_tables_reopen(&w, sfu_rig_config());
	cr_assert_eq(w.sfu->transport[again].serial, serial, "adopted");
	cr_assert_gt(w.sfu->track[track(again)].serial, serial);
}

Test(table_writer_sfu, tables_that_are_full_give_nothing)
{
	for (uint32_t i = 0; i < SFU_RIG_SESSIONS; i++)
		transport();
	cr_assert_eq(table_writer_transport_reserve(&w), 0);
}

Test(table_writer_sfu, a_list_that_grows_keeps_its_block_and_one_that_shrinks_moves)
{
	uint32_t t = track(transport());
	const uint32_t subs[] = { 5, 6, 7 };
	const uint32_t without[] = { 5, 7 };
	const uint64_t *word = &w.sfu->track[t].list[2];
	const uint32_t *list;
	uint64_t first, second;

	cr_assert_eq(table_writer_list_set(&w, t, 2, subs, 1), 0);
	first = *word;
	cr_assert_eq(table_writer_list_set(&w, t, 2, subs, 3), 0);
	second = *word;
	cr_assert_eq(shm_sfu_list_offset(second), shm_sfu_list_offset(first));
	cr_assert_eq(shm_sfu_list(table_writer_sfu_view(&w), &w.sfu->track[t], 2, &list), 3);
	cr_assert_arr_eq(list, subs, sizeof(subs));
	worker_online();
	cr_assert_eq(table_writer_list_set(&w, t, 2, without, 2), 0);
	cr_assert_neq(shm_sfu_list_offset(*word), shm_sfu_list_offset(second));
	cr_assert_arr_eq(list, subs, sizeof(subs), "a reader of the old word");
	cr_assert_eq(shm_sfu_list(table_writer_sfu_view(&w), &w.sfu->track[t], 2, &list), 2);
	cr_assert_arr_eq(list, without, sizeof(without));
	cr_assert_eq(table_writer_list_set(&w, t, 2, NULL, 0), 0);
	cr_assert_eq(*word, 0);
}

Test(table_writer_sfu, a_full_pool_refuses_growth_but_never_a_removal)
{
	uint32_t t = track(transport());
	uint32_t n = w.sfu->view.n_fanout - 8;
	uint32_t *subs = calloc(n + 16, sizeof(*subs));
	const uint32_t *list = NULL;

	for (uint32_t i = 0; i < n + 16; i++)
		subs[i] = i + 1;
	worker_online();
	cr_assert_eq(table_writer_list_set(&w, t, 0, subs, n), 0);
	cr_assert_eq(table_writer_list_set(&w, t, 0, subs, n + 16), -ENOSPC);
	cr_assert_eq(shm_sfu_list(table_writer_sfu_view(&w), &w.sfu->track[t], 0, &list), n);
	memmove(subs + 3, subs + 4, (n - 4) * sizeof(*subs));
	cr_assert_eq(table_writer_list_set(&w, t, 0, subs, n - 1), 0);
	cr_assert_eq(shm_sfu_list(table_writer_sfu_view(&w), &w.sfu->track[t], 0, &list), n);
	cr_assert_eq(list[2], 3);
	cr_assert_eq(list[3], 0, "a hole, which readers skip");
	cr_assert_eq(list[4], 5);
	free(subs);
}

Test(table_writer_sfu, adopted_lists_keep_their_blocks_and_damaged_words_are_cleared)
{
	uint32_t t = track(transport()), other;
	const uint32_t subs[] = { 1, 2, 3 };
	uint64_t word;

	cr_assert_eq(table_writer_list_set(&w, t, 0, subs, 3), 0);
	word = w.sfu->track[t].list[0];
	w.sfu->track[t].list[1] = shm_sfu_list_word(UINT32_MAX - 4, 9);
	w.sfu->track[t].list[2] = word;
	sfu_rig_tables_reopen(&w, sfu_rig_config());
	cr_assert_eq(w.sfu->track[t].list[0], word);
	cr_assert_eq(w.sfu->track[t].list[1], 0, "outside the pool");
	cr_assert_eq(w.sfu->track[t].list[2], 0, "somebody else's block");
	other = track(transport());
	cr_assert_eq(table_writer_list_set(&w, other, 0, subs, 2), 0);
	cr_assert_neq(shm_sfu_list_offset(w.sfu->track[other].list[0]), shm_sfu_list_offset(word));
}

Test(table_writer_sfu, keys_stand_under_the_transport_and_are_wiped_with_it)
{
	uint32_t idx = transport();
	const uint8_t key[16] = { 1, 2, 3 }, salt[12] = { 4, 5 };
	const struct table_writer_srtp keys = { .profile = 2,
						.rx_key = key,
						.tx_key = key,
						.rx_salt = salt,
						.tx_salt = salt,
						.key_bytes = 16,
						.salt_bytes = 12 };
	struct shm_srtp_keys *k = shm_srtp_record(w.srtp_segment.base, idx);
	const struct shm_srtp_keys none = { 0 };

	cr_assert_eq(k->ice_serial, w.sfu->transport[idx].serial);
	cr_assert_eq(table_writer_srtp_generation(&w, idx), 0);
	table_writer_srtp_set(&w, idx, &keys);
	table_writer_srtp_set(&w, idx, &keys);
	cr_assert_eq(table_writer_srtp_generation(&w, idx), 2);
	cr_assert_arr_eq(k->tx_key, key, sizeof(key));
	table_writer_transport_withdraw(&w, idx);
	cr_assert_arr_eq(k->rx_key, none.rx_key, sizeof(none.rx_key));
	cr_assert_arr_eq(k->ice_pwd, none.ice_pwd, sizeof(none.ice_pwd));
	cr_assert_eq(k->ice_serial, 0);
	cr_assert_eq(k->srtp_serial, 0);
}

Test(table_writer_sfu, rfc8445_section_9_a_restart_keeps_the_old_credentials_until_it_settles)
{
	uint32_t idx = transport();
	struct shm_srtp_keys *k = shm_srtp_record(w.srtp_segment.base, idx);
	uint32_t version = k->ice_version;

	table_writer_ice_restart(&w, idx, "wxyz", "another-password-another");
	cr_assert_arr_eq(w.sfu->transport[idx].ufrag, "wxyz", 5);
	cr_assert_eq(w.sfu->transport[idx].is_ice_restarted, 1);
	cr_assert_arr_eq(k->old_ufrag, "abcd", 5);
	cr_assert_arr_eq(k->old_ice_pwd, "passwordpasswordpassword", 24);
	cr_assert_gt(k->ice_version, version);
	cr_assert_eq(k->ice_serial, w.sfu->transport[idx].serial);
	table_writer_ice_settle(&w, idx);
	cr_assert_eq(w.sfu->transport[idx].is_ice_restarted, 0);
	cr_assert_eq(k->old_ice_pwd_bytes, 0);
	cr_assert_eq(k->old_ice_pwd[0], 0);
}

Test(table_writer_sfu, worker_state_of_a_predecessor_is_void)
{
	uint32_t idx = transport();
	struct shm_sfu_state_view state = sfu_rig_state(&w);

	cr_assert_null(table_writer_transport_state(&w, idx));
	state.transport[idx].serial = w.sfu->transport[idx].serial;
	state.transport[idx].owner = 3;
	cr_assert_eq(table_writer_transport_owner(&w, idx), 3);
	state.transport[idx].owner = SHM_WORKERS_MAX + 1;
	cr_assert_eq(table_writer_transport_owner(&w, idx), 0, "no such worker");
	state.transport[idx].serial++;
	cr_assert_null(table_writer_transport_state(&w, idx));
}

Test(table_writer_sfu,
     other_sizes_are_refused_while_sessions_live_and_taken_when_nobody_misses_them)
{
	struct config *c = sfu_rig_config();
	char error[320];

	transport();
	c->sfu.max_sessions++;
	table_writer_close(&w);
	cr_assert_eq(table_writer_open(&w, c, error, sizeof(error)), -EPROTO);
	cr_assert_not_null(strstr(error, "max_sessions"), "%s", error);
	sfu_rig_tables_open_again(&w, sfu_rig_config());
	table_writer_transport_withdraw(&w, 1);
	sfu_rig_tables_reopen(&w, c);
	cr_assert_eq(w.sfu->view.n_transports, SFU_RIG_SESSIONS + 2);
}
