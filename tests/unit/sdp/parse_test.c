// RFC 8866: what a description is, and what is refused of it with its line and the reason.
#include "tests/unit/sdp/sdp_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(rfc8866, .init = sdp_rig_start);

// An edit of the small offer, the line that is refused (as it then stands), and words of the reason.
static const struct {
	const char *from;
	const char *to;
	const char *line;
	const char *reason;
} refusals[] = {
	{ "v=0", "v=1", "v=1", "version" },
	{ "v=0\r\n", "", "o=", "must be v=" },
	{ "s=-\r\n", "", "t=0 0", "must be s=" },
	{ "t=0 0\r\n", "", "m=audio", "before any t=" },
	{ "t=0 0", "t=0", "t=0", "two numbers" },
	{ "o=- 1 1 IN", "o=- 1 IN", "o=", "six fields" },
	{ "t=0 0\r\n", "t=0 0\r\ns=x\r\n", "s=x", "twice" },
	{ "t=0 0\r\n", "t=0 0\r\nx=1\r\n", "x=1", "no meaning" },
	{ "t=0 0\r\n", "t=0 0\r\n=1\r\n", "=1\r", "<letter>=<value>" },
	{ "t=0 0\r\n", "t=0 0\r\n\r\n", "\r\na=group", "<letter>=<value>" },
	{ "t=0 0\r\n", "t=0 0\r\na=x:\001\r\n", "a=x", "control character 0x01" },
	{ "c=IN IP4 0.0.0.0", "c=IN IP4", "c=IN", "three fields" },
	{ "m=audio 9", "m=audio 65536", "m=audio", "port" },
	{ "m=audio 9", "m=audio", "m=audio", "port" },
	{ "SAVPF 111", "SAVPF", "m=audio", "no format" },
	{ "SAVPF 111", "SAVPF 128", "m=audio", "payload type" },
	{ "SAVPF 111", "SAVPF 111 111", "m=audio", "twice" },
	{ "a=mid:0\r\n", "a=mid:0\r\na=mid:0\r\n", "a=mid:0\r\na=sendonly", "second a=mid" },
	{ "a=mid:0", "a=mid:", "a=mid:", "not a token" },
	{ "a=mid:0", "a=mid:12345678901234567", "a=mid:12345", "longer than 16" },
	{ "a=sendonly\r\n", "a=sendonly\r\na=recvonly\r\n", "a=recvonly", "second direction" },
	{ "a=rtcp-mux", "a=rtcp-mux:1", "a=rtcp-mux:1", "has a value" },
	{ "a=rtcp-mux", "a=rtcp mux", "a=rtcp mux", "not a token" },
	{ "a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus", "a=rtpmap:111", "clock rate" },
	{ "a=rtpmap:111 opus/48000/2", "a=rtpmap:111", "a=rtpmap:111", "nothing follows" },
	{ "a=fmtp:111 minptime=10", "a=fmtp:x minptime=10", "a=fmtp:x", "not a payload type" },
	{ "a=extmap:4", "a=extmap:0", "a=extmap:0", "not an extension's id" },
	{ "a=extmap:4", "a=extmap:256", "a=extmap:256", "not an extension's id" },
	{ "a=extmap:4", "a=extmap:4/up", "a=extmap:4", "unknown direction" },
	{ "a=extmap:10", "a=extmap:4", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:rtp-",
	  "second extmap with id 4" },
	{ "a=ssrc:11 cname", "a=ssrc:4294967296 cname", "a=ssrc:4294967296", "not an SSRC" },
	{ "FID 11 12", "FID 11", "a=ssrc-group", "two SSRCs" },
	{ "a=ice-ufrag:abcd", "a=ice-ufrag:abc", "a=ice-ufrag:abc\r", "4 to 256" },
	{ "a=ice-pwd:abc", "a=ice-pwd:", "a=ice-pwd", "22 to 256" },
	{ "a=setup:actpass", "a=setup:both", "a=setup", "none of" },
	{ ":1F\r\n", "\r\n", "a=fingerprint", "32 bytes of sha-256" },
	{ ":1F\r\n", ":1G\r\n", "a=fingerprint", "hexadecimal" },
};

Test(rfc8866, refuses_what_is_malformed_with_its_line_and_the_reason)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		sdp_rig_start();
		sdp_rig_edit(refusals[i].from, refusals[i].to);
		if (strcmp(refusals[i].line, "\r\na=group") == 0) {
			cr_assert_lt(sdp_rig_parse(), 0);
			cr_assert_eq(sdp_rig_error.line, 5);
			continue;
		}
		sdp_rig_expect_refused(refusals[i].line, refusals[i].reason);
	}
}

Test(rfc8866, the_small_offer_is_accepted)
{
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_offer.n_media, 2);
	cr_assert_eq(sdp_rig_kept.media[1].n_codecs, 1);
}

Test(rfc8866, lines_may_end_with_lf_alone)
{
	char *out = sdp_rig_text;

	for (const char *in = sdp_rig_text; *in != '\0'; in++)
		if (*in != '\r')
			*out++ = *in;
	*out = '\0';
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_offer.n_media, 2);
}

Test(rfc8866, unknown_attributes_are_left_out)
{
	sdp_rig_edit("t=0 0\r\n", "t=0 0\r\na=unheard-of:1 2 3\r\na=flag\r\n");
	sdp_rig_edit("a=mid:1\r\n", "a=mid:1\r\na=unheard-of:1\r\na=rtcp-fb:96 unheard of\r\n");
	sdp_rig_accept();
	cr_assert_null(strstr(sdp_rig_answer, "unheard"));
}

// Firefox keeps such lines after a change of the codecs.
Test(rfc8866, lines_about_payload_types_that_are_not_listed_are_left_out)
{
	sdp_rig_edit("a=mid:1\r\n", "a=mid:1\r\na=rtpmap:120 H264/90000\r\na=rtcp-fb:120 nack\r\n"
				    "a=fmtp:120 x=1\r\n");
	sdp_rig_accept();
	cr_assert_null(strstr(sdp_rig_answer, "120"));
}

Test(rfc8866, nothing_but_the_head_is_too_little)
{
	strcpy(sdp_rig_text, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n");
	cr_assert_lt(sdp_rig_parse(), 0);
	strcpy(sdp_rig_text, "");
	cr_assert_lt(sdp_rig_parse(), 0);
}

Test(rfc8866, what_is_out_of_bounds_is_refused)
{
	static char large[SDP_TEXT_BYTES_MAX + 1];
	char section[64];

	memset(large, 'a', sizeof(large));
	cr_assert_lt(sdp_parse(large, sizeof(large), &sdp_rig_offer, &sdp_rig_error), 0);
	cr_assert_not_null(strstr(sdp_rig_error.reason, "longer than 65536"));
	for (uint32_t i = 2; i <= SDP_MEDIA_MAX; i++) {
		snprintf(section, sizeof(section), "m=audio 0 RTP/AVP %u\r\n", i);
		strcat(sdp_rig_text, section);
	}
	sdp_rig_expect_refused("m=audio 0 RTP/AVP 32\r\n", "more than 32 media sections");
}

Test(rfc8866, what_cannot_be_printed_is_not_repeated)
{
	sdp_rig_edit("SAVPF 111", "SAVPF \xff\xfe");
	cr_assert_lt(sdp_rig_parse(), 0);
	cr_assert_not_null(strstr(sdp_rig_error.reason, "\"?\?\""));
}
