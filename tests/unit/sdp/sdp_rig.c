// Offers for the tests of SDP. One thread.
#include "tests/unit/sdp/sdp_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define LINES_ICE                                                                                  \
	"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"                                 \
	"a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"                   \
	"10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\na=setup:actpass\r\n"

static const char small_offer[] =
	"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" LINES_ICE
	"a=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n"
	"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
	"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n"
	"m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\n" LINES_ICE
	"a=mid:1\r\na=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
	"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
	"a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
	"a=extmap:3 http://www.ietf.org/id/"
	"draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
	"a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 transport-cc\r\n"
	"a=rtcp-fb:96 goog-remb\r\n"
	"a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
	"a=ssrc-group:FID 11 12\r\na=ssrc:11 cname:x\r\na=ssrc:12 cname:x\r\n";

char sdp_rig_text[SDP_TEXT_BYTES_MAX + 1];
char sdp_rig_answer[SDP_TEXT_BYTES_MAX];
struct sdp_session sdp_rig_offer;
struct sdp_negotiated sdp_rig_kept;
struct sdp_session sdp_rig_answered;
struct sdp_error sdp_rig_error;
struct sdp_policy sdp_rig_policy;

void sdp_rig_start(void)
{
	strcpy(sdp_rig_text, small_offer);
	sdp_policy_default(&sdp_rig_policy, SDP_ROLE_PUBLISHER);
}

void sdp_rig_edit(const char *from, const char *to)
{
	static char copy[sizeof(sdp_rig_text)];
	char *found = strstr(sdp_rig_text, from);
	int n;

	cr_assert_not_null(found, "the offer has no \"%s\"", from);
	n = snprintf(copy, sizeof(copy), "%.*s%s%s", (int)(found - sdp_rig_text), sdp_rig_text, to,
		     found + strlen(from));
	cr_assert_lt(n, (int)sizeof(copy));
	strcpy(sdp_rig_text, copy);
}

void sdp_rig_load(const char *name, enum sdp_role role)
{
	char path[512];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s.sdp", SDP_VECTORS, name);
	file = fopen(path, "r");
	cr_assert_not_null(file, "cannot open %s", path);
	n = fread(sdp_rig_text, 1, SDP_TEXT_BYTES_MAX, file);
	fclose(file);
	sdp_rig_text[n] = '\0';
	sdp_policy_default(&sdp_rig_policy, role);
}

int sdp_rig_parse(void)
{
	return sdp_parse(sdp_rig_text, strlen(sdp_rig_text), &sdp_rig_offer, &sdp_rig_error);
}

int sdp_rig_negotiate(void)
{
	int ret = sdp_rig_parse();

	if (ret < 0)
		return ret;
	return sdp_negotiate(&sdp_rig_offer, &sdp_rig_policy, &sdp_rig_kept, &sdp_rig_error);
}

void sdp_rig_accept(void)
{
	struct ip_endpoint candidates[2];
	struct sdp_answer_params params = {
		.session_id = 7,
		.version = 2,
		.ufrag = "ours",
		.pwd = "ourpasswordourpassword",
		.fingerprint_sha256 = { 0xab, [31] = 0xcd },
		.candidates = candidates,
		.n_candidates = 2,
		.sctp_port = 5000,
		.max_message_size_bytes = 262144,
		.cname = "turnpike",
		.sources = { { 0 }, { 21, 22, "room", "camera" } },
	};
	int n;

	cr_assert_eq(ip_endpoint_parse("192.0.2.1:3478", &candidates[0]), 0);
	cr_assert_eq(ip_endpoint_parse("[2001:db8::1]:3479", &candidates[1]), 0);
	cr_assert_eq(sdp_rig_negotiate(), 0, "line %u: %s", sdp_rig_error.line,
		     sdp_rig_error.reason);
	n = sdp_answer_write(&sdp_rig_kept, &params, sdp_rig_answer, sizeof(sdp_rig_answer));
	cr_assert_eq(n, (int)strlen(sdp_rig_answer));
	cr_assert_eq(sdp_parse(sdp_rig_answer, (size_t)n, &sdp_rig_answered, &sdp_rig_error), 0,
		     "answer, line %u: %s", sdp_rig_error.line, sdp_rig_error.reason);
}

static uint32_t line_of(const char *at)
{
	uint32_t line = 1;

	for (const char *c = sdp_rig_text; c < at; c++)
		line += *c == '\n';
	return line;
}

void sdp_rig_expect_refused(const char *line, const char *reason)
{
	uint32_t expected = 0;

	if (line != NULL) {
		const char *found = strstr(sdp_rig_text, line);

		cr_assert_not_null(found, "the offer has no \"%s\"", line);
		expected = line_of(found);
	}
	cr_assert_lt(sdp_rig_negotiate(), 0, "accepted: %s", reason);
	cr_assert_eq(sdp_rig_error.line, expected, "at line %u, not %u: %s", sdp_rig_error.line,
		     expected, sdp_rig_error.reason);
	cr_assert_not_null(strstr(sdp_rig_error.reason, reason), "for another reason: %s",
			   sdp_rig_error.reason);
}
