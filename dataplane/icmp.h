// ICMP of the relay: what the network says of relayed datagrams goes on to the client (RFC 8656 §11.5), and what the relay itself
// cannot send on is told to whom it came from (RFC 8656 §13).
#ifndef TP_DP_ICMP_H
#define TP_DP_ICMP_H

#include "dataplane/contract/wire/icmp.h"
#include "dataplane/worker.h"

// A Data indication with ICMP in place of DATA: header, XOR-PEER-ADDRESS, ICMP.
#define DP_ICMP_INDICATION_BYTES_MAX (20 + 24 + 12)

// Of a packet that is IP, but not UDP, to `p->local_idx`: whether it is an error about what a relayed port of that address sent.
bool dp_icmp_is_relayed(const struct dp_worker *w, const struct dp_packet *p);

// Writes the Data indication that tells of `type`, `code` and `error_data` about what was sent to `peer`; returns its length.
uint32_t dp_icmp_indication(struct dp_worker *w, uint8_t *out, const struct ip_endpoint *peer,
			    uint8_t type, uint8_t code, uint32_t error_data);

// Whether a packet that is larger than the MTU of its way out must not be cut up, so that its sender is to be told.
bool dp_icmp_must_tell(const struct dp_packet *p, bool to_v4);

// Drops a packet, not touched yet, that is larger than the `mtu_bytes` of its way out and must not be cut up, or that has come to the
// end of its hops; its sender is told, as far as the limit allows.
void dp_icmp_too_big(struct dp_worker *w, struct dp_packet *p, uint32_t mtu_bytes);
void dp_icmp_time_exceeded(struct dp_worker *w, struct dp_packet *p);

#endif
