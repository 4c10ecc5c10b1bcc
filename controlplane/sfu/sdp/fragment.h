// Trickled candidates and ICE restarts: bodies of type application/trickle-ice-sdpfrag (RFC 8840 §9), as PATCH
// of WHIP and WHEP carries them. Pure, any thread.
#ifndef TP_SFU_SDP_FRAGMENT_H
#define TP_SFU_SDP_FRAGMENT_H

#include "controlplane/sfu/sdp/session.h"

#define SDP_FRAGMENT_BYTES_MAX      16384
#define SDP_FRAGMENT_CANDIDATES_MAX 64

// One bundled transport: every section that stands in the fragment has the same credentials.
struct sdp_fragment {
	struct sdp_text ufrag; // empty: about the session as it is
	struct sdp_text pwd;
	struct sdp_text mid; // of the first section; empty if the fragment has none
	uint8_t n_media;
	uint8_t n_candidates;
	bool has_end_of_candidates;
	struct sdp_candidate candidates[SDP_FRAGMENT_CANDIDATES_MAX];
};

// Strict as sdp_parse; other lines and attributes are left out. 0 or -EINVAL; `text` must outlive `out`.
int sdp_fragment_parse(const char *text, size_t n_bytes, struct sdp_fragment *out,
		       struct sdp_error *error);

#endif
