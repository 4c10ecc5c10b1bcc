// RFC 8840: trickled candidates and ICE restarts in a PATCH.
#include "controlplane/sfu/sdp/fragment.h"
#include "tests/unit/sdp/sdp_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define HEAD  "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
#define UFRAG "a=ice-ufrag:EsAw\r\n"
#define PWD   "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
#define CANDIDATE                                                                                  \
	"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n"

static struct sdp_fragment fragment;

static int parse(const char *text)
{
	return sdp_fragment_parse(text, strlen(text), &fragment, &sdp_rig_error);
}

// The example of RFC 9725 §4.3.1.
Test(rfc8840, candidates_of_a_section)
{
	cr_assert_eq(parse("a=group:BUNDLE 0 1\r\n" HEAD UFRAG PWD CANDIDATE
			   "a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n"
			   "a=end-of-candidates\r\n"),
		     0, "line %u: %s", sdp_rig_error.line, sdp_rig_error.reason);
	cr_assert(sdp_text_is(fragment.mid, "0"));
	cr_assert(sdp_text_is(fragment.ufrag, "EsAw"));
	cr_assert(sdp_text_is(fragment.pwd, "P2uYro0UCOQ4zxjKXaWCBui1"));
	cr_assert_eq(fragment.n_candidates, 2);
	cr_assert(fragment.candidates[0].is_udp && !fragment.candidates[1].is_udp);
	cr_assert(fragment.has_end_of_candidates);
}

Test(rfc8840, credentials_may_stand_at_session_level_or_not_at_all)
{
	cr_assert_eq(parse(UFRAG PWD HEAD CANDIDATE), 0);
	cr_assert(sdp_text_is(fragment.ufrag, "EsAw"));
	cr_assert_eq(parse(HEAD CANDIDATE), 0);
	cr_assert_eq(fragment.ufrag.n, 0);
	cr_assert_not(fragment.has_end_of_candidates);
}

Test(rfc8840, an_ice_restart_needs_no_candidate)
{
	cr_assert_eq(parse(UFRAG PWD), 0);
	cr_assert_eq(fragment.n_candidates, 0);
	cr_assert_eq(parse(HEAD "a=end-of-candidates\r\n"), 0);
}

Test(rfc8840, what_is_malformed_is_refused_with_its_line)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *reason;
	} cases[] = {
		{ "", 0, "nothing about ICE" },
		{ HEAD, 0, "nothing about ICE" },
		{ UFRAG, 0, "go together" },
		{ HEAD UFRAG, 0, "go together" },
		{ CANDIDATE, 1, "before any m=" },
		{ "a=mid:0\r\n" HEAD, 1, "before any m=" },
		{ "m=audio\r\n", 1, "<media> <port>" },
		{ HEAD "candidate\r\n", 3, "<letter>=<value>" },
		{ HEAD "a=candidate:1 1 udp\r\n", 3, "priority" },
		{ HEAD UFRAG PWD "m=video 9 X 0\r\na=ice-ufrag:Other\r\n", 6, "differs" },
		{ HEAD "a=ice-ufrag:abc\r\n", 3, "4 to 256" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_lt(parse(cases[i].text), 0, "accepted: %s", cases[i].text);
		cr_assert_eq(sdp_rig_error.line, cases[i].line, "at line %u: %s",
			     sdp_rig_error.line, sdp_rig_error.reason);
		cr_assert_not_null(strstr(sdp_rig_error.reason, cases[i].reason),
				   "for another reason: %s", sdp_rig_error.reason);
	}
}

Test(rfc8840, candidates_beyond_the_bound_are_left_out)
{
	char text[SDP_FRAGMENT_BYTES_MAX] = HEAD;

	for (uint32_t i = 0; i < SDP_FRAGMENT_CANDIDATES_MAX + 5; i++)
		strcat(text, CANDIDATE);
	cr_assert_eq(parse(text), 0);
	cr_assert_eq(fragment.n_candidates, SDP_FRAGMENT_CANDIDATES_MAX);
}

// RFC 9725 §4.3.3: what answers a restart.
Test(rfc8840, the_answer_to_a_restart_holds_our_candidates)
{
	struct ip_endpoint candidate;
	const struct sdp_answer_params params = {
		.ufrag = "ours",
		.pwd = "ourpasswordourpassword",
		.candidates = &candidate,
		.n_candidates = 1,
	};
	char text[1024];
	int n;

	cr_assert_eq(ip_endpoint_parse("192.0.2.1:3478", &candidate), 0);
	sdp_rig_start();
	cr_assert_eq(sdp_rig_negotiate(), 0);
	n = sdp_answer_fragment_write(&sdp_rig_kept, &params, text, sizeof(text));
	cr_assert_eq(n, (int)strlen(text));
	cr_assert_str_eq(text, "a=ice-lite\r\na=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\n"
			       "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:ours\r\n"
			       "a=ice-pwd:ourpasswordourpassword\r\n"
			       "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host\r\n"
			       "a=end-of-candidates\r\n");
	cr_assert_eq(parse(text), 0);
}
