// One transport for all sections: RFC 9143 (BUNDLE), 5761 and 8858 (rtcp-mux), 8285 (ids), 8839, 8122, 8842.
#include "tests/unit/sdp/sdp_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(rfc9143, .init = sdp_rig_start);
TestSuite(rfc5761, .init = sdp_rig_start);
TestSuite(rfc8285, .init = sdp_rig_start);
TestSuite(rfc8839, .init = sdp_rig_start);
TestSuite(rfc8842, .init = sdp_rig_start);

Test(rfc9143, an_offer_without_bundle_is_refused)
{
	sdp_rig_edit("a=group:BUNDLE 0 1\r\n", "");
	sdp_rig_expect_refused(NULL, "no BUNDLE group");
}

Test(rfc9143, another_group_is_not_bundle)
{
	sdp_rig_edit("a=group:BUNDLE 0 1", "a=group:LS 0 1");
	sdp_rig_expect_refused(NULL, "no BUNDLE group");
}

Test(rfc9143, a_section_outside_the_group_is_refused)
{
	sdp_rig_edit("BUNDLE 0 1", "BUNDLE 0");
	sdp_rig_expect_refused("m=video", "not in the BUNDLE group");
}

Test(rfc9143, a_member_without_a_section_is_refused)
{
	sdp_rig_edit("BUNDLE 0 1", "BUNDLE 0 1 2");
	sdp_rig_expect_refused("a=group", "no section has that mid");
}

Test(rfc9143, a_mid_used_twice_is_refused)
{
	sdp_rig_edit("a=mid:1", "a=mid:0");
	sdp_rig_expect_refused("m=video", "mid \"0\" is that of line");
}

Test(rfc9143, a_second_bundle_group_is_refused)
{
	sdp_rig_edit("BUNDLE 0 1", "BUNDLE 0\r\na=group:BUNDLE 1");
	sdp_rig_expect_refused("a=group:BUNDLE 1", "second BUNDLE group");
}

// §9.1: across the bundle, a payload type is one codec in one configuration.
Test(rfc9143, a_payload_type_with_two_codecs_is_refused)
{
	sdp_rig_edit("SAVPF 96 97", "SAVPF 96 97 111");
	sdp_rig_edit("a=rtpmap:96", "a=rtpmap:111 VP9/90000\r\na=rtpmap:96");
	sdp_rig_expect_refused("a=rtpmap:111 VP9", "payload type 111 is another codec at line");
}

Test(rfc9143, bundle_only_sections_are_offered_with_port_0)
{
	sdp_rig_edit("m=video 9", "m=video 0");
	sdp_rig_edit("a=mid:1", "a=bundle-only\r\na=mid:1");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[1].use, SDP_USE_RTP);
	cr_assert_not_null(strstr(sdp_rig_answer, "a=group:BUNDLE 0 1\r\n"));
	cr_assert_not_null(strstr(sdp_rig_answer, "m=video 3478 "));
}

Test(rfc9143, rejected_sections_leave_the_group)
{
	sdp_rig_edit("m=video 9", "m=video 0");
	sdp_rig_edit("BUNDLE 0 1", "BUNDLE 0");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[1].use, SDP_USE_REJECTED);
	cr_assert_not_null(strstr(sdp_rig_answer, "a=group:BUNDLE 0\r\n"));
	cr_assert_not_null(strstr(sdp_rig_answer, "m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\n"));
}

Test(rfc9143, what_is_bundle_only_does_not_stand_without_its_transport)
{
	sdp_policy_default(&sdp_rig_policy, SDP_ROLE_WATCHER);
	sdp_rig_policy.audio_max = 0;
	sdp_rig_edit("m=video 9", "m=video 0");
	sdp_rig_edit("a=mid:1", "a=bundle-only\r\na=mid:1");
	sdp_rig_expect_refused("a=group", "bundle-only");
}

Test(rfc5761, a_section_without_rtcp_mux_is_refused)
{
	sdp_rig_edit("a=rtcp-mux\r\n", "");
	sdp_rig_expect_refused("m=audio", "without rtcp-mux");
}

// RFC 8858 §4.1, §4.3: it goes beside rtcp-mux, and never into an answer.
Test(rfc5761, rfc8858_rtcp_mux_only_is_honoured)
{
	sdp_rig_edit("a=rtcp-mux\r\n", "a=rtcp-mux-only\r\n");
	sdp_rig_expect_refused("m=audio", "rtcp-mux-only without rtcp-mux");
	sdp_rig_edit("a=rtcp-mux-only\r\n", "a=rtcp-mux-only\r\na=rtcp-mux\r\n");
	sdp_rig_accept();
	cr_assert(sdp_rig_answered.media[0].has_rtcp_mux);
	cr_assert_not(sdp_rig_answered.media[0].has_rtcp_mux_only);
}

// §4: payload types 64 to 95 look like RTCP.
Test(rfc5761, payload_types_64_to_95_are_refused)
{
	static const uint8_t edges[] = { 63, 64, 95, 98 };
	char text[64];

	for (size_t i = 0; i < sizeof(edges); i++) {
		sdp_rig_start();
		snprintf(text, sizeof(text), "SAVPF 96 97 %u", edges[i]);
		sdp_rig_edit("SAVPF 96 97", text);
		snprintf(text, sizeof(text), "a=rtpmap:%u VP9/90000\r\na=rtpmap:96", edges[i]);
		sdp_rig_edit("a=rtpmap:96", text);
		text[strlen("a=rtpmap:64")] = '\0';
		if (edges[i] >= 64 && edges[i] <= 95)
			sdp_rig_expect_refused(text, "is RTCP's");
		else
			sdp_rig_accept();
	}
	sdp_rig_start();
	sdp_rig_edit("SAVPF 96 97", "SAVPF 96 97 95");
	sdp_rig_expect_refused("m=video", "payload type 95 is RTCP's");
}

Test(rfc8285, an_id_with_two_uris_is_refused)
{
	sdp_rig_edit("a=extmap:10", "a=extmap:5");
	sdp_rig_edit("a=extmap:4", "a=extmap:5 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
				   "a=extmap:4");
	sdp_rig_expect_refused("a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
			       "extension id 5 is another URI at line");
}

// §4.2, §4.3: ids from 15 need the two-byte form, which needs a=extmap-allow-mixed beside one-byte ids.
Test(rfc8285, ids_of_the_two_byte_form_need_allow_mixed)
{
	sdp_rig_edit("a=extmap:3 http", "a=extmap:15 http");
	sdp_rig_accept();
	cr_assert_eq(sdp_kept_extension_id(&sdp_rig_kept.media[1], SDP_EXT_TWCC), 0);
	cr_assert_null(strstr(sdp_rig_answer, "extmap-allow-mixed"));
	sdp_rig_edit("t=0 0\r\n", "t=0 0\r\na=extmap-allow-mixed\r\n");
	sdp_rig_accept();
	cr_assert_eq(sdp_kept_extension_id(&sdp_rig_kept.media[1], SDP_EXT_TWCC), 15);
	cr_assert_not_null(strstr(sdp_rig_answer, "a=extmap-allow-mixed\r\n"));
}

Test(rfc8285, directions_are_turned_and_those_the_wrong_way_are_left_out)
{
	sdp_rig_edit("a=extmap:10 ", "a=extmap:10/sendonly ");
	sdp_rig_edit("a=extmap:3 ", "a=extmap:3/recvonly ");
	sdp_rig_accept();
	cr_assert_not_null(strstr(sdp_rig_answer, "a=extmap:10/recvonly urn:"));
	cr_assert_null(strstr(sdp_rig_answer, "transport-wide-cc"));
}

Test(rfc8839, credentials_of_the_session_level_hold_for_every_section)
{
	sdp_rig_edit("a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n", "");
	sdp_rig_edit("a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n", "");
	sdp_rig_expect_refused("m=audio", "no ice-ufrag");
	sdp_rig_edit("t=0 0\r\n",
		     "t=0 0\r\na=ice-ufrag:EFGH\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n");
	sdp_rig_accept();
	cr_assert(sdp_text_is(sdp_rig_kept.transport->ufrag, "EFGH"));
}

Test(rfc8839, candidates_are_read)
{
	const struct sdp_candidate *c = sdp_rig_offer.media[0].candidates;

	sdp_rig_edit(
		"a=mid:0\r\n",
		"a=mid:0\r\n"
		"a=candidate:1 1 UDP 2122252543 fd00::2 46589 typ host ufrag abcd\r\n"
		"a=candidate:2 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active\r\n"
		"a=candidate:3 1 udp 5 8e2b4a1f-0f1c.local 7 typ srflx raddr 0.0.0.0 rport 0\r\n"
		"a=end-of-candidates\r\n");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_offer.media[0].n_candidates, 3);
	cr_assert(sdp_rig_offer.media[0].has_end_of_candidates);
	cr_assert(c[0].is_udp && !c[0].is_name && sdp_text_is(c[0].ufrag, "abcd"));
	cr_assert_eq(ntohs(c[0].endpoint.port_be), 46589);
	cr_assert_eq(c[0].endpoint.address.bytes[0], 0xfd);
	cr_assert_not(c[1].is_udp);
	cr_assert(c[2].is_name && sdp_text_is(c[2].type, "srflx"));
}

Test(rfc8839, malformed_candidates_are_refused)
{
	static const char *const cases[][2] = {
		{ "a=candidate:\r\n", "foundation" },
		{ "a=candidate:1 0 udp 1 192.0.2.1 1 typ host\r\n", "component" },
		{ "a=candidate:1 1 udp 4294967296 192.0.2.1 1 typ host\r\n", "priority" },
		{ "a=candidate:1 1 udp 1 192.0.2.256 1 typ host\r\n", "address" },
		{ "a=candidate:1 1 udp 1 192.0.2.1 65536 typ host\r\n", "port" },
		{ "a=candidate:1 1 udp 1 192.0.2.1 1 host\r\n", "typ" },
		{ "a=candidate:1 1 udp 1 192.0.2.1 1 typ host raddr\r\n", "pairs" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sdp_rig_start();
		sdp_rig_edit("c=IN IP4 0.0.0.0\r\n", cases[i][0]);
		sdp_rig_expect_refused(cases[i][0], cases[i][1]);
	}
}

Test(rfc8839, two_lite_agents_do_not_meet)
{
	sdp_rig_edit("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n");
	sdp_rig_expect_refused(NULL, "ice-lite");
}

// RFC 8122 §5.1 leaves weak hashes to the endpoint; the strongest that is offered counts.
Test(rfc8842, a_fingerprint_of_sha_1_alone_is_refused)
{
	const char *sha1 = "a=fingerprint:sha-1 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
			   "10:11:12:13\r\na=fingerprint:";

	sdp_rig_edit("a=fingerprint:", sha1);
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.hash, SDP_HASH_SHA256);
	cr_assert_eq(sdp_rig_kept.transport->n_fingerprints, 2);
	cr_assert_eq(sdp_rig_kept.transport->fingerprints[1].bytes[31], 0x1f);
	sdp_rig_edit("a=fingerprint:sha-256", "a=fingerprint:sha-299");
	sdp_rig_expect_refused("a=fingerprint:sha-1", "weaker than sha-256");
}

Test(rfc8842, we_are_passive_unless_the_peer_is)
{
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_answered.media[0].transport.setup, SDP_SETUP_PASSIVE);
	sdp_rig_edit("a=setup:actpass", "a=setup:active");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_answered.media[0].transport.setup, SDP_SETUP_PASSIVE);
	sdp_rig_edit("a=setup:active", "a=setup:passive");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_answered.media[0].transport.setup, SDP_SETUP_ACTIVE);
	sdp_rig_edit("a=setup:passive", "a=setup:holdconn");
	sdp_rig_expect_refused("a=setup:holdconn", "actpass, active or passive");
}
