// What the control plane needs of ICE-lite (RFC 8445 §2.5, 8839): credentials and host candidates. The checks
// themselves are answered by the workers (dataplane/contract/wire/ice.h). Any thread.
#ifndef TP_SFU_ICE_H
#define TP_SFU_ICE_H

#include "dataplane/contract/wire/ice.h"

struct ice_credentials {
	char ufrag[ICE_UFRAG_CHARS + 1];
	char pwd[ICE_PWD_CHARS + 1];
};

// Fresh ones, from OpenSSL's private generator; again at each ICE restart, for that changes both (RFC 8445
// §9). The ufrag names the transport and this node. -EINVAL: no such index; -EIO: no randomness.
int ice_credentials_make(uint32_t transport_idx, uint16_t node_id, struct ice_credentials *out);

// The host candidates that these listeners make, best first: the families take turns, IPv6 ahead (RFC 8421
// §4), otherwise in the order given; sdp/answer.h derives the priorities from the place. Left out are
// addresses that no peer can reach or that RFC 8445 §5.1.1.1 forbids (unspecified, loopback, link-local,
// multicast, IPv4-compatible, site-local) and duplicates. Returns how many were written, at most `max`.
uint32_t ice_host_candidates(const struct ip_endpoint *listeners, uint32_t n_listeners,
			     struct ip_endpoint *out, uint32_t max);

#endif
