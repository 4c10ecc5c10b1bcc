// Between the files of the negotiation. Pure, any thread.
#ifndef TP_SFU_SDP_NEGOTIATE_PRIVATE_H
#define TP_SFU_SDP_NEGOTIATE_PRIVATE_H

#include "controlplane/sfu/sdp/negotiate.h"

// One transport for all: BUNDLE, rtcp-mux, payload types and extension ids that mean the same everywhere.
int sdp_bundle_check(const struct sdp_session *offer, struct sdp_negotiated *out,
		     struct sdp_error *error);
// ICE and DTLS of that transport, once it is known which sections are taken.
int sdp_transport_keep(struct sdp_negotiated *out, struct sdp_error *error);
// The layers that a publisher will send in a section whose codecs and extensions are settled.
void sdp_layers_keep(const struct sdp_policy *policy, struct sdp_kept_media *m);

#endif
