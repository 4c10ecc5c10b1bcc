// Who sits in which section of a watcher, as pages ask for it.
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

TestSuite(seats, .init = setup, .fini = teardown);

static uint32_t seats(const char *session_id, struct sfu_seat out[4])
{
	memset(out, 0, 4 * sizeof(*out));
	return sfu_session_seats(r.sfu, session_id, out, 4);
}

// The worker that has the watcher has spoken, so that the room is laid out for it.
static void watch(const char *publisher, char session_id[SFU_SESSION_ID_BYTES])
{
	sfu_rig_own(
		&r,
		sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", publisher, "chromium_watch", session_id),
		0);
}

Test(seats, a_watcher_sees_whom_it_asked_for)
{
	char session_id[SFU_SESSION_ID_BYTES];
	struct sfu_seat seat[4];

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "bob", "chromium_publish", NULL);
	watch("bob", session_id);
	cr_assert_eq(seats(session_id, seat), 2);
	for (uint32_t i = 0; i < 2; i++) {
		cr_expect_str_eq(seat[i].participant, "bob");
		cr_expect_eq(seat[i].index, 0, "the first of its kind");
	}
	cr_expect_neq(seat[0].is_video, seat[1].is_video);
}

Test(seats, who_leaves_leaves_the_seat)
{
	char publisher[SFU_SESSION_ID_BYTES], watcher[SFU_SESSION_ID_BYTES];
	struct sfu_reply reply;
	struct sfu_seat seat[4];

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", publisher);
	watch("", watcher);
	cr_assert_eq(seats(watcher, seat), 2);
	cr_expect_str_eq(seat[0].participant, "ann");
	sfu_leave(r.sfu, publisher, &reply);
	cr_assert_eq(reply.status, SFU_DELETED);
	free(reply.body);
	cr_expect_eq(seats(watcher, seat), 0);
}

Test(seats, no_more_are_written_than_there_is_room_for)
{
	char session_id[SFU_SESSION_ID_BYTES];
	struct sfu_seat seat[4];

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	watch("", session_id);
	memset(seat, 0, sizeof(seat));
	cr_expect_eq(sfu_session_seats(r.sfu, session_id, seat, 1), 2);
	cr_expect_str_eq(seat[0].participant, "ann");
	cr_expect_str_eq(seat[1].participant, "");
}

Test(seats, only_watchers_have_seats)
{
	char session_id[SFU_SESSION_ID_BYTES];
	struct sfu_seat seat[4];

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", session_id);
	cr_expect_eq(seats(session_id, seat), 0);
	cr_expect_eq(seats("00000000000000000000000000000000", seat), 0);
}
