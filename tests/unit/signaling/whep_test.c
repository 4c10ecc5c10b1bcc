// WHEP as draft-ietf-wish-whep-02 has it, where it differs from WHIP.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/signaling/signaling_rig.h"

#define SDP  "Content-Type: application/sdp\r\n"
#define PATH "/whep/session/" RIG_SESSION

static char fields[4096];

static const char *watcher(const char *more)
{
	snprintf(fields, sizeof(fields), "%s%s", more,
		 rig_bearer(RIG_SECRET, "bob", "lobby", false, true, 60));
	return fields;
}

static void open_rig(void)
{
	rig_open(NULL);
	fake_sfu.session_role = SFU_ROLE_WATCH;
}

TestSuite(whep, .init = open_rig, .fini = rig_close);

Test(whep, draft_4_2_created)
{
	struct rig_answer *a = rig_request("POST", "/whep/lobby", watcher(SDP), RIG_OFFER);

	cr_assert_eq(a->status, 201);
	rig_expect_field(a, "Content-Type", "application/sdp");
	rig_expect_field(a, "Location", PATH);
	rig_expect_field(a, "ETag", "\"abcdef0123456789\"");
	rig_expect_field(a, "Accept-Patch", "application/trickle-ice-sdpfrag");
	cr_expect_not_null(rig_field(a, "Link"));
	cr_expect_eq(fake_sfu.role, SFU_ROLE_WATCH);
	cr_expect_str_eq(fake_sfu.room, "lobby");
	cr_expect_str_eq(fake_sfu.participant, "", "everybody in the room");
}

Test(whep, one_publisher_of_the_room)
{
	cr_expect_eq(rig_request("POST", "/whep/lobby/alice", watcher(SDP), RIG_OFFER)->status,
		     201);
	cr_expect_str_eq(fake_sfu.participant, "alice");
}

Test(whep, draft_4_2_no_publisher_yet)
{
	struct rig_answer *a;

	fake_sfu.next = SFU_NO_PUBLISHER;
	a = rig_request("POST", "/whep/lobby", watcher(SDP), RIG_OFFER);
	cr_expect_eq(a->status, 409);
	rig_expect_field(a, "Retry-After", "2");
	fake_sfu.next_retry_after_s = 5;
	a = rig_request("POST", "/whep/lobby", watcher(SDP), RIG_OFFER);
	rig_expect_field(a, "Retry-After", "5");
}

Test(whep, draft_4_2_cannot_be_processed)
{
	fake_sfu.next = SFU_NOT_ACCEPTABLE;
	cr_expect_eq(rig_request("POST", "/whep/lobby", watcher(SDP), RIG_OFFER)->status, 422);
}

Test(whep, publishing_does_not_let_watch)
{
	snprintf(fields, sizeof(fields), "%s%s", SDP,
		 rig_bearer(RIG_SECRET, "bob", "lobby", true, false, 60));
	cr_expect_eq(rig_request("POST", "/whep/lobby", fields, RIG_OFFER)->status, 403);
	cr_expect_eq(rig_request("POST", "/whep/lobby", SDP, RIG_OFFER)->status, 401);
	cr_expect_eq(fake_sfu.n_joins, 0);
}

Test(whep, draft_4_3_patch_and_delete)
{
	fake_sfu.next = SFU_TRICKLED;
	cr_expect_eq(rig_request("PATCH", PATH,
				 watcher("Content-Type: application/trickle-ice-sdpfrag\r\n"
					 "If-Match: \"e\"\r\n"),
				 "a=end-of-candidates\r\n")
			     ->status,
		     204);
	cr_expect_str_eq(fake_sfu.if_match, "e");
	fake_sfu.next = SFU_DELETED;
	cr_expect_eq(rig_request("DELETE", PATH, watcher(""), "")->status, 200);
	cr_expect_eq(fake_sfu.n_leaves, 1);
	cr_expect_eq(rig_request("GET", PATH, watcher(""), "")->status, 405);
}
