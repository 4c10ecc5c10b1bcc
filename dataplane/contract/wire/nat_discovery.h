// NAT behaviour discovery (RFC 5780): what a Binding request asks for beyond RFC 8489, and the answer. Pure, any thread.
//
// No answer is larger than NAT_DISCOVERY_TENTHS_MAX / 10 of its request, counted in bytes of the IP packets, so that a
// forged source gains nothing worth having: what is not needed to be understood stays away when it does not fit, the
// least useful first (MAPPED-ADDRESS, RESPONSE-ORIGIN, OTHER-ADDRESS). To the shortest request, 20 bytes, that is
//
//   bytes of IP packets            request  XOR-MAPPED  +OTHER     +ORIGIN    +MAPPED
//   IPv4                              48     60 (1.25)   72 (1.50)  84 (1.75)  96 (2.00)
//   IPv6                              68     92 (1.35)  116 (1.71) 140 (2.06) 164 (2.41)
//
// so that over IPv6 RESPONSE-ORIGIN comes only to a request with an attribute or more (CHANGE-REQUEST, FINGERPRINT with
// SOFTWARE), and MAPPED-ADDRESS, which RFC 5780 §6.1 wants beside XOR-MAPPED-ADDRESS, only to one that is longer still.
#ifndef TP_WIRE_NAT_DISCOVERY_H
#define TP_WIRE_NAT_DISCOVERY_H

#include "dataplane/contract/wire/stun.h"

#define NAT_DISCOVERY_TENTHS_MAX 19 // of the request's bytes

#define CHANGE_REQUEST_ADDRESS 0x04
#define CHANGE_REQUEST_PORT    0x02

struct nat_discovery_request {
	bool changes_address;      // CHANGE-REQUEST: answer from the other address
	bool changes_port;         // and from the other port
	bool is_padded;            // PADDING: the answer is padded too
	uint16_t response_port_be; // RESPONSE-PORT, 0 = to where the request came from
};

// 0, or the error code to answer with: 400 for a malformed attribute and for PADDING together with RESPONSE-PORT (RFC
// 5780 §6.1).
uint16_t nat_discovery_parse(const struct stun_view *request, struct nat_discovery_request *out);

struct nat_discovery_addresses {
	struct ip_endpoint mapped; // the request's source
	struct ip_endpoint origin; // whence the answer goes
	struct ip_endpoint
		other; // OTHER-ADDRESS: other address and other port than the request came to
};

// The success answer. One with PADDING, and one to a RESPONSE-PORT but for its XOR-MAPPED-ADDRESS, is at most as long as
// the request: both can be turned against somebody who did not ask. FINGERPRINT if the request had one. Returns the
// message's length, 0 when it did not fit into out_bytes.
size_t nat_discovery_build(const struct stun_view *request,
			   const struct nat_discovery_request *asked,
			   const struct nat_discovery_addresses *addresses, void *out,
			   size_t out_bytes);

#endif
