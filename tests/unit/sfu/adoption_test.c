// What the next control plane makes of the segments: whole sessions go on as they were, half-made ones are undone.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sfu/sfu_rig.h"

static struct sfu_rig r;

static void setup(void)
{
	sfu_rig_open(&r, sfu_rig_config());
}

static void teardown(void)
{
	sfu_rig_close(&r);
}

TestSuite(adoption, .init = setup, .fini = teardown);

static const struct shm_sfu_view *view(void)
{
	return table_writer_sfu_view(&r.tables);
}

Test(adoption, sessions_rooms_lists_and_keys_are_as_they_were)
{
	char publisher[SFU_SESSION_ID_BYTES], watcher[SFU_SESSION_ID_BYTES];
	uint32_t p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann",
				    "chromium_publish_simulcast", publisher);
	uint32_t w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", watcher);
	uint32_t track = sfu_rig_track(&r, p, SHM_SFU_VIDEO), slot = sfu_rig_slot(&r, w, 1);
	struct sfu_publisher_info info;
	char room[SFU_ROOM_BYTES_MAX];
	struct sfu_reply reply;
	enum sfu_role role;
	uint64_t word;

	sfu_rig_own(&r, w, 1);
	word = view()->track[track].list[1];
	cr_assert_neq(word, 0);
	sfu_rig_reopen(&r, sfu_rig_config());
	cr_assert_eq(sfu_counters(r.sfu)->n_adopted, 2);
	cr_assert_eq(sfu_counters(r.sfu)->n_undone, 0);
	cr_assert_eq(sfu_counters(r.sfu)->n_plan_ops, 0, "nothing had to change");
	cr_assert_eq(view()->track[track].list[1], word);
	cr_assert(sfu_session_find(r.sfu, publisher, &role, room));
	cr_assert_eq(role, SFU_ROLE_PUBLISH);
	cr_assert_str_eq(room, "room");
	cr_assert_eq(sfu_room_publishers(r.sfu, "room", &info, 1), 1);
	cr_assert_str_eq(info.participant, "ann");
	cr_assert(info.has_video);
	sfu_rig_join(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", &reply);
	cr_assert_eq(reply.status, SFU_TAKEN);
	// DELETE works on old sessions, and new ones join.
	sfu_leave(r.sfu, publisher, &reply);
	cr_assert_eq(reply.status, SFU_DELETED);
	cr_assert_eq(view()->subscription[slot].track_idx, 0);
	cr_assert_eq(sfu_rig_count_lists(&r, slot), 0);
	p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "bob", "chromium_publish", NULL);
	cr_assert(sfu_rig_lists(&r, sfu_rig_track(&r, p, SHM_SFU_VIDEO), 1, slot));
}

Test(adoption, etags_and_restarts_go_on)
{
	const char *fragment = "a=ice-ufrag:wxyz\r\na=ice-pwd:zyxwvutsrqponmlkjihgfe\r\n";
	char id[SFU_SESSION_ID_BYTES], etag[SFU_ETAG_BYTES];
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", id);
	struct sfu_reply reply;

	strcpy(etag, table_writer_session(&r.tables, t)->etag);
	sfu_rig_reopen(&r, sfu_rig_config());
	sfu_patch(r.sfu, id, etag, fragment, strlen(fragment), &reply);
	cr_assert_eq(reply.status, SFU_TRICKLED, "%s", reply.reason);
	sfu_patch(r.sfu, id, "*", fragment, strlen(fragment), &reply);
	cr_assert_eq(reply.status, SFU_RESTARTED, "%s", reply.reason);
	cr_assert_not_null(strstr(reply.body, "a=group:BUNDLE 0 1"), "%s", reply.body);
	cr_assert_not_null(strstr(reply.body, view()->transport[t].ufrag));
	free(reply.body);
	strcpy(etag, reply.etag);
	sfu_rig_reopen(&r, sfu_rig_config());
	sfu_patch(r.sfu, id, etag, fragment, strlen(fragment), &reply);
	cr_assert_eq(reply.status, SFU_TRICKLED);
}

Test(adoption, the_order_of_joining_is_kept)
{
	uint32_t a = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	uint32_t w;

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "bob", "chromium_publish", NULL);
	sfu_rig_reopen(&r, sfu_rig_config());
	w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, w, 1)].track_idx,
		     sfu_rig_track(&r, a, SHM_SFU_VIDEO));
}

Test(adoption, a_session_that_was_being_made_is_undone)
{
	const struct shm_sfu_track lone = { .transport_idx = 9, .n_layers = 1 };
	const struct shm_sfu_subscription alone = { .transport_idx = 9 };
	const struct shm_sfu_transport unrecorded = { .ufrag = "abcd", .ufrag_bytes = 4 };
	uint32_t n_tracks = r.tables.sfu->free_tracks.n;
	uint32_t t, track, subscription;

	track = table_writer_track_reserve(&r.tables);
	table_writer_track_publish(&r.tables, track, &lone);
	subscription = table_writer_subscription_reserve(&r.tables);
	table_writer_subscription_publish(&r.tables, subscription, &alone);
	t = table_writer_transport_reserve(&r.tables);
	table_writer_transport_publish(&r.tables, t, &unrecorded, "passwordpasswordpassword");
	sfu_rig_reopen(&r, sfu_rig_config());
	cr_assert_eq(sfu_counters(r.sfu)->n_undone, 3);
	cr_assert_null(shm_sfu_track_get(view(), track));
	cr_assert_null(shm_sfu_subscription_get(view(), subscription));
	cr_assert_null(shm_sfu_transport_get(view(), t));
	table_writer_reclaim(&r.tables, r.now_ns);
	cr_assert_eq(r.tables.sfu->free_tracks.n, n_tracks);
}

Test(adoption, a_session_that_was_being_ended_is_ended)
{
	char id[SFU_SESSION_ID_BYTES];
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", id);
	uint32_t w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	char room[SFU_ROOM_BYTES_MAX];
	enum sfu_role role;

	sfu_rig_own(&r, w, 0);
	table_writer_track_withdraw(&r.tables, sfu_rig_track(&r, t, SHM_SFU_VIDEO));
	sfu_rig_reopen(&r, sfu_rig_config());
	cr_assert(!sfu_session_find(r.sfu, id, &role, room));
	cr_assert_null(shm_sfu_transport_get(view(), t));
	cr_assert_eq(sfu_rig_count_lists(&r, sfu_rig_slot(&r, w, 0)), 0);
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, w, 0)].track_idx, 0);
}

Test(adoption, damaged_records_and_chains_end_their_session_alone)
{
	char id[3][SFU_SESSION_ID_BYTES], room[SFU_ROOM_BYTES_MAX];
	struct shm_sfu_session *record;
	enum sfu_role role;
	uint32_t t[3];

	for (uint32_t i = 0; i < 3; i++) {
		snprintf(room, sizeof(room), "room-%u", i);
		t[i] = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, room, "ann", "chromium_publish", id[i]);
	}
	record = shm_sessions_record(r.tables.sessions_segment.base, t[0]);
	memset(record->room, 'x', sizeof(record->room));
	// A chain that leads into itself.
	r.tables.sfu->track[view()->transport[t[1]].first_track].next_track =
		view()->transport[t[1]].first_track;
	sfu_rig_reopen(&r, sfu_rig_config());
	cr_assert(!sfu_session_find(r.sfu, id[0], &role, room));
	cr_assert(!sfu_session_find(r.sfu, id[1], &role, room));
	cr_assert(sfu_session_find(r.sfu, id[2], &role, room));
}

Test(adoption, bandwidth_begins_where_the_predecessor_was)
{
	uint32_t w;

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	sfu_rig_own(&r, w, 0);
	table_writer_transport_set_rates(&r.tables, w, 0, 3000000);
	sfu_rig_reopen(&r, sfu_rig_config());
	sfu_tick(r.sfu, r.now_ns + 100000000ull);
	cr_assert_geq(view()->transport[w].target_bps, 2500000);
}
