// Layers of a publisher: RFC 8851 (rid), 8852 (its header extension), 8853 (simulcast), 5576 (SSRC groups).
#include "tests/unit/sdp/sdp_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define THREE "a=mid:1\r\na=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send "

static void start(void)
{
	sdp_rig_start();
	sdp_rig_edit("a=mid:1\r\n", THREE "q;h;f\r\n");
}

TestSuite(rfc8851, .init = start);
TestSuite(rfc8852, .init = start);
TestSuite(rfc8853, .init = start);
TestSuite(rfc5576, .init = sdp_rig_start);

static const struct sdp_kept_media *video(void)
{
	sdp_rig_accept();
	return &sdp_rig_kept.media[1];
}

Test(rfc8853, layers_come_in_the_order_of_the_attribute)
{
	const struct sdp_kept_media *m = video();

	cr_assert(m->is_simulcast);
	cr_assert_eq(m->n_layers, 3);
	cr_assert(sdp_text_is(m->layers[0].rid, "q") && sdp_text_is(m->layers[2].rid, "f"));
	cr_assert_not_null(strstr(sdp_rig_answer, "a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\n"
						  "a=simulcast:recv q;h;f\r\n"));
	start();
	sdp_rig_edit("send q;h;f", "send f;q;h");
	video();
	cr_assert_not_null(strstr(sdp_rig_answer, "a=simulcast:recv f;q;h\r\n"));
}

Test(rfc8853, paused_streams_and_alternatives)
{
	const struct sdp_kept_media *m;

	sdp_rig_edit("send q;h;f", "send ~q;h,f");
	m = video();
	cr_assert_eq(m->n_layers, 2);
	cr_assert(m->layers[0].is_paused && !m->layers[1].is_paused);
	cr_assert_not_null(strstr(sdp_rig_answer, "a=simulcast:recv q;h\r\n"));
}

// §5.2: what no a=rid describes is no stream; the next alternative takes its place.
Test(rfc8853, streams_without_a_rid_line_are_left_out)
{
	sdp_rig_edit("send q;h;f", "send x;y,h;f");
	video();
	cr_assert_not_null(strstr(sdp_rig_answer, "a=simulcast:recv h;f\r\n"));
}

Test(rfc8853, more_layers_than_configured_are_left_out)
{
	sdp_rig_policy.layers_max = 2;
	cr_assert_eq(video()->n_layers, 2);
	cr_assert_not_null(strstr(sdp_rig_answer, "a=simulcast:recv q;h\r\n"));
	sdp_rig_edit("send q;h;f", "send q;h;f;1;2;3");
	sdp_rig_edit("a=rid:f send",
		     "a=rid:f send\r\na=rid:1 send\r\na=rid:2 send\r\na=rid:3 send");
	sdp_rig_policy.layers_max = UINT8_MAX;
	cr_assert_eq(video()->n_layers, SDP_LAYERS_MAX);
}

Test(rfc8853, malformed_lines_are_refused)
{
	static const char *const cases[][2] = {
		{ "a=simulcast:sending q", "neither send nor recv" },
		{ "a=simulcast:send", "lists no stream" },
		{ "a=simulcast:send q;!", "not a rid" },
		{ "a=simulcast:send q send h", "same direction twice" },
		{ "a=simulcast:send q recv h more", "something follows" },
		{ "a=simulcast:send 1;2;3;4;5;6;7;8;9", "more than 8" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start();
		sdp_rig_edit("a=simulcast:send q;h;f", cases[i][0]);
		sdp_rig_expect_refused("a=simulcast", cases[i][1]);
	}
}

Test(rfc8851, malformed_lines_are_refused)
{
	static const char *const cases[][2] = {
		{ "a=rid:q", "neither send nor recv" },
		{ "a=rid:q.1 send", "letters, digits" },
		{ "a=rid:12345678901234567 send", "letters, digits" },
		{ "a=rid:q send pt=", "lists nothing" },
		{ "a=rid:q send pt=x", "not a payload type" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start();
		sdp_rig_edit("a=rid:q send", cases[i][0]);
		sdp_rig_expect_refused("a=rid:", cases[i][1]);
	}
	start();
	sdp_rig_edit("a=rid:h send", "a=rid:q recv");
	sdp_rig_expect_refused("a=rid:q recv", "second rid");
}

// §6.3: an answer restricts a rid to what is left of its payload types.
Test(rfc8851, payload_types_of_a_rid)
{
	sdp_rig_edit("SAVPF 96 97", "SAVPF 96 97 98 99");
	sdp_rig_edit("a=rtpmap:96",
		     "a=rtpmap:98 VP9/90000\r\na=rtpmap:99 XYZ/90000\r\na=rtpmap:96");
	sdp_rig_edit("a=rid:q send", "a=rid:q send max-width=320;pt=98,99");
	sdp_rig_edit("a=rid:h send", "a=rid:h send pt=99");
	cr_assert_eq(video()->n_layers, 2);
	cr_assert_not_null(strstr(sdp_rig_answer, "a=rid:q recv pt=98\r\na=rid:f recv\r\n"
						  "a=simulcast:recv q;f\r\n"));
}

Test(rfc8851, one_rid_without_simulcast)
{
	const struct sdp_kept_media *m;

	sdp_rig_edit("a=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n", "");
	m = video();
	cr_assert(!m->is_simulcast && m->n_layers == 1);
	cr_assert(sdp_text_is(m->layers[0].rid, "q"));
	cr_assert_null(strstr(sdp_rig_answer, "simulcast"));
}

// Without the header extension the layers could not be told apart.
Test(rfc8852, simulcast_needs_the_header_extension)
{
	const struct sdp_kept_media *m;

	sdp_rig_policy.extensions &= ~SDP_EXT_BIT(SDP_EXT_RID);
	m = video();
	cr_assert(!m->is_simulcast && m->n_layers == 1);
	cr_assert_eq(m->layers[0].rid.n, 0);
	cr_assert_null(strstr(sdp_rig_answer, "a=rid"));
	cr_assert_null(strstr(sdp_rig_answer, "a=simulcast"));
}

Test(rfc5576, sources_and_their_retransmission)
{
	const struct sdp_kept_media *m = video();

	cr_assert_eq(m->n_layers, 1);
	cr_assert_eq(m->layers[0].ssrc, 11);
	cr_assert_eq(m->layers[0].rtx_ssrc, 12);
}

Test(rfc5576, a_sim_group_gives_the_layers)
{
	const struct sdp_kept_media *m;

	sdp_rig_edit("a=ssrc-group:FID 11 12",
		     "a=ssrc-group:SIM 21 11\r\na=ssrc-group:FID 21 22\r\na=ssrc-group:FID 11 12");
	m = video();
	cr_assert_eq(m->n_layers, 2);
	cr_assert(m->layers[0].ssrc == 21 && m->layers[0].rtx_ssrc == 22);
	cr_assert(m->layers[1].ssrc == 11 && m->layers[1].rtx_ssrc == 12);
	cr_assert_not(m->is_simulcast);
}
