// The text of our answers. Pure, any thread.
#ifndef TP_SFU_SDP_ANSWER_H
#define TP_SFU_SDP_ANSWER_H

#include "controlplane/sfu/sdp/negotiate.h"

#define SDP_SHA256_BYTES 32

// What we send in one section to a watcher. SSRC 0: nothing yet, and the section is inactive.
struct sdp_answer_source {
	uint32_t ssrc;
	uint32_t rtx_ssrc;     // 0 without
	const char *stream_id; // of a=msid; tokens
	const char *track_id;  // one for each section: Chromium refuses the same pair twice
};

struct sdp_answer_params {
	uint64_t session_id;
	uint64_t version;
	const char *ufrag; // at least 4 ice-chars
	const char *pwd;   // at least 22
	uint8_t fingerprint_sha256[SDP_SHA256_BYTES];
	const struct ip_endpoint *candidates; // UDP host candidates, best first
	uint32_t n_candidates;
	uint16_t sctp_port;
	uint64_t max_message_size_bytes; // that we take
	const char *cname;
	struct sdp_answer_source sources[SDP_MEDIA_MAX]; // by section, for watchers
};

// Writes the answer with NUL into out[out_bytes]. Its length without NUL, or -ENOSPC.
int sdp_answer_write(const struct sdp_negotiated *n, const struct sdp_answer_params *params,
		     char *out, size_t out_bytes);
// The body that answers an ICE restart by PATCH (RFC 9725 §4.3.3): new credentials, all candidates.
int sdp_answer_fragment_write(const struct sdp_negotiated *n,
			      const struct sdp_answer_params *params, char *out, size_t out_bytes);

#endif
