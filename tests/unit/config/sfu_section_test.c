// The section sfu: off without it, defaults that scale with max_sessions, and what is refused.
#include <criterion/criterion.h>

#include "dataplane/contract/shm/sfu_table.h"
#include "tests/unit/config/section_fixture.h"

const char section_head[] = SECTION_HEAD;

Test(sfu_section, is_off_by_default)
{
	struct config *c = section_parse("");

	cr_assert_not_null(c, "%s", section_error);
	cr_assert_not(c->sfu.is_enabled);
	cr_assert_eq(c->sfu.max_sessions, 0);
	config_free(c);
}

Test(sfu_section, an_empty_one_takes_the_defaults)
{
	struct config *c = section_parse("sfu: {}\n");

	cr_assert_not_null(c, "%s", section_error);
	cr_assert(c->sfu.is_enabled);
	cr_assert_not(c->sfu.wait_for_publisher);
	cr_assert_eq(c->sfu.max_sessions, 1024);
	cr_assert_eq(c->sfu.max_tracks, 4096);
	cr_assert_eq(c->sfu.max_subscriptions, 16384);
	cr_assert_eq(c->sfu.n_codecs, 4);
	cr_assert_eq(c->sfu.codecs[0], SHM_SFU_VP8);
	cr_assert_eq(c->sfu.retransmit_ms, 1000);
	cr_assert_eq(c->sfu.session_timeout_s, 30);
	config_free(c);
}

Test(sfu_section, everything)
{
	struct config *c =
		section_parse("sfu:\n  max_sessions: 10\n  max_tracks: 11\n"
			      "  max_subscriptions: 12\n  max_publishers_per_room: 13\n"
			      "  max_watchers_per_room: 14\n  codecs: [av1, h264]\n"
			      "  wait_for_publisher: true\n  last_n: 3\n  retransmit_ms: 500\n"
			      "  session_timeout_seconds: 60\n  start_kbps: 300\n"
			      "  max_kbps: 4000\n  node_id: 255\n");

	cr_assert_not_null(c, "%s", section_error);
	cr_assert_eq(c->sfu.max_sessions, 10);
	cr_assert_eq(c->sfu.max_tracks, 11);
	cr_assert_eq(c->sfu.max_subscriptions, 12);
	cr_assert_eq(c->sfu.max_publishers_per_room, 13);
	cr_assert_eq(c->sfu.max_watchers_per_room, 14);
	cr_assert_eq(c->sfu.n_codecs, 2);
	cr_assert_eq(c->sfu.codecs[0], SHM_SFU_AV1);
	cr_assert_eq(c->sfu.codecs[1], SHM_SFU_H264);
	cr_assert(c->sfu.wait_for_publisher);
	cr_assert_eq(c->sfu.last_n, 3);
	cr_assert_eq(c->sfu.retransmit_ms, 500);
	cr_assert_eq(c->sfu.session_timeout_s, 60);
	cr_assert_eq(c->sfu.start_kbps, 300);
	cr_assert_eq(c->sfu.max_kbps, 4000);
	cr_assert_eq(c->sfu.node_id, 255);
	config_free(c);
}

Test(sfu_section, refusals)
{
	section_refused("sfu:\n  max_sessions: 0\n", ":8: sfu.max_sessions: 0 is out of range");
	section_refused("sfu:\n  max_sessions: 65537\n", "use 1 to 65536");
	section_refused("sfu:\n  node_id: 256\n", ":8: sfu.node_id: 256 is out of range");
	section_refused("sfu:\n  codecs: [vp8, vp10]\n", "'vp10' is no codec of the SFU");
	section_refused("sfu:\n  codecs: [vp8, vp8]\n", "vp8 stands twice");
	section_refused("sfu:\n  start_kbps: 30000\n", "more than sfu.max_kbps (20000)");
	section_refused("sfu:\n  max_session: 3\n", "max_session");
}
