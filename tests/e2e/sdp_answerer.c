// Answers the offer on its standard input as the SFU would, on its standard output; refusals go to standard error,
// with status 1. One thread, no network.
//
//   sdp_answerer publisher|watcher
#include "controlplane/sfu/sdp/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char offer_text[SDP_TEXT_BYTES_MAX + 1];
static char answer_text[SDP_TEXT_BYTES_MAX];
static struct sdp_session offer;
static struct sdp_negotiated negotiated;
static char tracks[SDP_MEDIA_MAX][16];

static int answer(enum sdp_role role)
{
	struct ip_endpoint candidates[2];
	struct sdp_answer_params params = {
		.session_id = 1,
		.version = 1,
		.ufrag = "turnpike",
		.pwd = "abcdefghijklmnopqrstuvwx",
		.candidates = candidates,
		.n_candidates = 2,
		.sctp_port = 5000,
		.max_message_size_bytes = 262144,
		.cname = "turnpike",
	};
	size_t n_bytes = fread(offer_text, 1, sizeof(offer_text), stdin);
	struct sdp_policy policy;
	struct sdp_error error;

	if (ip_endpoint_parse("192.0.2.1:3478", &candidates[0]) < 0 ||
	    ip_endpoint_parse("[2001:db8::1]:3478", &candidates[1]) < 0)
		return 1;
	for (uint32_t i = 0; i < SDP_MEDIA_MAX; i++) {
		snprintf(tracks[i], sizeof(tracks[i]), "track%u", i);
		params.sources[i] =
			(struct sdp_answer_source){ 1000 + i, 2000 + i, "room", tracks[i] };
	}
	sdp_policy_default(&policy, role);
	if (sdp_parse(offer_text, n_bytes, &offer, &error) < 0 ||
	    sdp_negotiate(&offer, &policy, &negotiated, &error) < 0) {
		fprintf(stderr, "line %u: %s\n", error.line, error.reason);
		return 1;
	}
	if (sdp_answer_write(&negotiated, &params, answer_text, sizeof(answer_text)) < 0)
		return 1;
	return fputs(answer_text, stdout) < 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "publisher") == 0)
		return answer(SDP_ROLE_PUBLISHER);
	if (argc == 2 && strcmp(argv[1], "watcher") == 0)
		return answer(SDP_ROLE_WATCHER);
	fprintf(stderr, "usage: sdp_answerer publisher|watcher\n");
	return 2;
}
