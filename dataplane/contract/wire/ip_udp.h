// IPv4, IPv6 and UDP headers as bytes, and checksum arithmetic (RFC 1071, RFC 1624). Pure, any thread.
#ifndef TP_WIRE_IP_UDP_H
#define TP_WIRE_IP_UDP_H

#include "dataplane/contract/wire/address.h"
#include "dataplane/contract/wire/bytes.h"

#define ETHERTYPE_BE_IPV4 0x0008
#define ETHERTYPE_BE_IPV6 0xdd86
#define ETHERTYPE_BE_VLAN 0x0081

// A datagram as parsed from an Ethernet frame. Offsets are from the frame's start.
struct ip_udp_view {
	struct ip_endpoint source;
	struct ip_endpoint destination;
	uint16_t l3_offset;
	uint16_t l4_offset;
	uint16_t payload_offset;
	uint16_t payload_bytes;
	uint16_t vlan_tci; // host order; 0xffff: untagged
	uint16_t udp_checksum_be;
	uint8_t ttl;
	uint8_t traffic_class; // DSCP and ECN
	uint8_t dont_fragment; // IPv4 DF; 1 for IPv6
	uint8_t is_v4;
};

enum ip_udp_verdict {
	IP_UDP_OK = 0,
	IP_UDP_NOT_IP,         // other ethertype, two VLAN tags
	IP_UDP_TRUNCATED,      // a header or the announced length runs past the frame
	IP_UDP_BAD_HEADER,     // version, IHL, IPv4 header checksum, UDP length < 8
	IP_UDP_FRAGMENT,       // a fragment: to reassembly
	IP_UDP_OTHER_PROTOCOL, // IP, but not UDP (TCP, ICMP, …)
	IP_UDP_VERDICT_COUNT
};

// Parses frame[0..len): one VLAN tag, IPv4 options, IPv6 hop-by-hop/destination/routing headers. The UDP
// length rules over trailing Ethernet padding. Fills l3_offset for every verdict from TRUNCATED on where it is known.
enum ip_udp_verdict ip_udp_parse(const uint8_t *frame, size_t len_bytes, struct ip_udp_view *out);

// One's-complement sum of len bytes added to `sum` (host-order accumulation of 16-bit words as they lie in memory).
uint32_t checksum_add(uint32_t sum, const void *buf, size_t len_bytes);
// Folds to 16 bits, not complemented.
static inline uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}
// RFC 1624 eqn. 3: the checksum field after the words summing to `old_sum` were replaced by words summing to `new_sum`
// (unfolded sums from checksum_add). Fields are as they lie in memory.
uint16_t checksum_update(uint16_t field, uint32_t old_sum, uint32_t new_sum);
// Full UDP checksum over pseudo header, UDP header (its checksum field taken as 0) and payload; never 0 (0xffff instead).
uint16_t udp_checksum(const struct ip_address *src, const struct ip_address *dst,
		      const uint8_t *udp, uint16_t udp_bytes);
// Header checksum of an IPv4 header (field taken as it stands: 0 before filling in; result 0 for verifying).
uint16_t ipv4_header_checksum(const uint8_t *ip, size_t header_bytes);

#endif
