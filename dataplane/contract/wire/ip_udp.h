// IPv4, IPv6 and UDP headers as bytes, and checksum arithmetic (RFC 1071, RFC 1624). Pure, any thread.
#ifndef TP_WIRE_IP_UDP_H
#define TP_WIRE_IP_UDP_H

#include "dataplane/contract/wire/address.h"
#include "dataplane/contract/wire/bytes.h"

#define ETHERTYPE_BE_IPV4 0x0008
#define ETHERTYPE_BE_IPV6 0xdd86
#define ETHERTYPE_BE_VLAN 0x0081

#define IP_PROTOCOL_HOP_BY_HOP  0
#define IP_PROTOCOL_ICMP        1
#define IP_PROTOCOL_UDP         17
#define IP_PROTOCOL_ROUTING     43
#define IP_PROTOCOL_FRAGMENT    44
#define IP_PROTOCOL_ICMPV6      58
#define IP_PROTOCOL_DESTINATION 60

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
	uint8_t protocol; // of what is neither IP_UDP_OK nor a fragment
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

// Parses frame[0..len): at most one VLAN tag, IPv4 options, IPv6 hop-by-hop, destination and routing
// headers, and atomic fragments (RFC 6946, parsed as whole). The UDP length rules over trailing padding.
// IPv6 from or to an IPv4-mapped address is BAD_HEADER: such packets do not exist on the wire, and here
// they would pass for IPv4. The UDP checksum is not verified.
//
// Fields that are filled besides those of OK: l3_offset (0: unknown) and vlan_tci always; is_v4, ttl,
// traffic_class, dont_fragment, both addresses and l4_offset (the fragment header of an IPv6 fragment,
// else the first byte behind the IP headers) for FRAGMENT and OTHER_PROTOCOL; protocol for
// OTHER_PROTOCOL (that of an IPv6 fragment: 44).
enum ip_udp_verdict ip_udp_parse(const uint8_t *frame, size_t len_bytes, struct ip_udp_view *out);

// One's-complement sum of len bytes added to `sum` (16-bit words as they lie in memory; a last odd byte
// is padded with zero, so only the last piece of a sum may be odd). The result is below 2^17.
uint32_t checksum_add(uint32_t sum, const void *buf, size_t len_bytes);
// Folds to 16 bits, not complemented. Both halves at once: the upper one of a sum with itself turned round has the carry.
static inline uint16_t checksum_fold(uint32_t sum)
{
	return (uint16_t)((sum + (sum << 16 | sum >> 16)) >> 16);
}
// A sum of 32-bit words as they lie in memory, down to what checksum_fold and checksum_update take.
static inline uint32_t checksum_fold64(uint64_t sum)
{
	return (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);
}
// RFC 1624 eqn. 3: the checksum field after the words summing to `old_sum` were replaced by words summing
// to `new_sum` (sums from checksum_add). Fields are as they lie in memory. For UDP the caller keeps a zero
// field of IPv4 (no checksum) as it is, and writes 0xffff where the result is 0.
uint16_t checksum_update(uint16_t field, uint32_t old_sum, uint32_t new_sum);
// Full UDP checksum over pseudo header, UDP header (its checksum field taken as 0) and payload; never 0
// (0xffff instead). As it lies in memory; udp_bytes at least 8.
uint16_t udp_checksum(const struct ip_address *src, const struct ip_address *dst,
		      const uint8_t *udp, uint16_t udp_bytes);
// Header checksum of an IPv4 header, its field taken as it stands: 0 there gives the value to fill in, and
// a header with the right value gives 0.
uint16_t ipv4_header_checksum(const uint8_t *ip, size_t header_bytes);

#endif
