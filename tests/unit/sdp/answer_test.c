// RFC 8829 §5.3: our answers, line by line.
#include "tests/unit/sdp/sdp_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

TestSuite(rfc8829, .init = sdp_rig_start);

#define TRANSPORT                                                                                  \
	"a=setup:passive\r\na=ice-ufrag:ours\r\na=ice-pwd:ourpasswordourpassword\r\n"              \
	"a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host\r\n"                               \
	"a=candidate:2 1 udp 2130706175 2001:db8::1 3479 typ host\r\na=end-of-candidates\r\n"
#define TWCC "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"

Test(rfc8829, the_answer_to_a_publisher)
{
	sdp_rig_accept();
	cr_assert_str_eq(
		sdp_rig_answer,
		"v=0\r\no=- 7 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
		"a=msid-semantic: WMS *\r\na=ice-lite\r\na=ice-options:trickle ice2\r\n"
		"a=fingerprint:sha-256 AB:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"
		"00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:CD\r\n"
		"m=audio 3478 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 192.0.2.1\r\na=mid:0\r\n" TRANSPORT
		"a=recvonly\r\na=rtcp-mux\r\n"
		"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
		"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n"
		"m=video 3478 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 "
		"192.0.2.1\r\na=mid:1\r\n" TRANSPORT "a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
		"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
		"a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
		"a=extmap:3 " TWCC "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n"
		"a=rtcp-fb:96 transport-cc\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n");
}

// The FID group is what Firefox needs to show the video; SSRC 0 is a section with nothing to send yet.
Test(rfc8829, the_answer_to_a_watcher)
{
	sdp_policy_default(&sdp_rig_policy, SDP_ROLE_WATCHER);
	sdp_rig_edit("a=sendonly", "a=recvonly");
	sdp_rig_edit("a=sendonly", "a=recvonly");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_answered.media[0].direction, SDP_INACTIVE);
	cr_assert_eq(sdp_rig_answered.media[1].direction, SDP_SENDONLY);
	cr_assert_not_null(strstr(sdp_rig_answer, "a=msid:room camera\r\na=ssrc-group:FID 21 22\r\n"
						  "a=ssrc:21 cname:turnpike\r\n"
						  "a=ssrc:22 cname:turnpike\r\n"));
	cr_assert_null(strstr(sdp_rig_answer, "a=rid"));
}

// RFC 3264 §6.1: the direction answers the offer's.
Test(rfc8829, directions_answer_the_offer)
{
	static const struct {
		enum sdp_role role;
		const char *offered;
		enum sdp_direction answered;
	} cases[] = {
		{ SDP_ROLE_PUBLISHER, "sendrecv", SDP_RECVONLY },
		{ SDP_ROLE_PUBLISHER, "sendonly", SDP_RECVONLY },
		{ SDP_ROLE_PUBLISHER, "recvonly", SDP_INACTIVE },
		{ SDP_ROLE_PUBLISHER, "inactive", SDP_INACTIVE },
		{ SDP_ROLE_WATCHER, "sendrecv", SDP_SENDONLY },
		{ SDP_ROLE_WATCHER, "recvonly", SDP_SENDONLY },
		{ SDP_ROLE_WATCHER, "sendonly", SDP_INACTIVE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[64];

		sdp_rig_start();
		sdp_policy_default(&sdp_rig_policy, cases[i].role);
		snprintf(line, sizeof(line), "a=mid:1\r\na=%s\r\n", cases[i].offered);
		sdp_rig_edit("a=mid:1\r\na=sendonly\r\n", line);
		sdp_rig_accept();
		cr_assert_eq(sdp_rig_answered.media[1].direction, cases[i].answered, "%s",
			     cases[i].offered);
	}
}

Test(rfc8829, a_publisher_with_too_many_sections_is_refused_and_a_watcher_loses_them)
{
	sdp_rig_policy.video_max = 0;
	sdp_rig_expect_refused("m=video", "more than 0 section");
	sdp_policy_default(&sdp_rig_policy, SDP_ROLE_WATCHER);
	sdp_rig_policy.video_max = 0;
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_answered.media[1].port, 0);
	sdp_rig_policy.audio_max = 0;
	sdp_rig_expect_refused(NULL, "no section of the offer can be taken");
}

// RFC 8841: the port of SCTP, and the smaller message size of both sides, where 0 is no limit.
Test(rfc8829, rfc8841_data_channels)
{
	strcpy(sdp_rig_text,
	       "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE d\r\n"
	       "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
	       "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
	       "10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\na=setup:actpass\r\n"
	       "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n"
	       "a=sctp-port:5000\r\na=max-message-size:1000\r\n");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[0].use, SDP_USE_DATA);
	cr_assert_eq(sdp_rig_kept.media[0].max_message_size_bytes, 1000);
	cr_assert_eq(sdp_rig_answered.media[0].sctp_port, 5000);
	cr_assert_eq(sdp_rig_answered.media[0].max_message_size_bytes, 262144);
	sdp_rig_edit("size:1000", "size:0");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[0].max_message_size_bytes, 262144);
	sdp_rig_edit("a=max-message-size:0\r\n", "");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[0].max_message_size_bytes, 65536);
	sdp_rig_edit("a=sctp-port:5000\r\n", "");
	sdp_rig_expect_refused(NULL, "no section of the offer can be taken");
}

Test(rfc8829, an_answer_that_does_not_fit_is_said_for_every_size)
{
	const struct sdp_answer_params params = { .ufrag = "ours", .pwd = "p", .cname = "c" };
	char out[4096];
	int whole;

	cr_assert_eq(sdp_rig_negotiate(), 0);
	whole = sdp_answer_write(&sdp_rig_kept, &params, out, sizeof(out));
	cr_assert_gt(whole, 0);
	for (int size = 0; size <= whole; size++) {
		memset(out, 'x', sizeof(out));
		cr_assert_eq(sdp_answer_write(&sdp_rig_kept, &params, out, (size_t)size), -ENOSPC);
		cr_assert_eq(out[size], 'x');
	}
	cr_assert_eq(sdp_answer_write(&sdp_rig_kept, &params, out, (size_t)whole + 1), whole);
}
