// ICMP errors and the UDP datagrams that they are about (RFC 792, RFC 4443), as RFC 8656 §11.5 has to read them, and
// those that a relay has to send (RFC 1812 §4.3.2, RFC 4443 §2.4). Pure, any thread.
#ifndef TP_WIRE_ICMP_H
#define TP_WIRE_ICMP_H

#include "dataplane/contract/wire/ip_udp.h"

#define ICMP_HEADER_BYTES 8

#define ICMP4_UNREACHABLE          3
#define ICMP4_PORT_UNREACHABLE     3 // code of it
#define ICMP4_FRAGMENTATION_NEEDED 4 // code of it
#define ICMP4_TIME_EXCEEDED        11
#define ICMP6_UNREACHABLE          1
#define ICMP6_PORT_UNREACHABLE     4 // code of it
#define ICMP6_PACKET_TOO_BIG       2
#define ICMP6_TIME_EXCEEDED        3

// What an error says, and of which datagram.
struct icmp_error {
	struct ip_endpoint source;      // of the datagram: who is told
	struct ip_endpoint destination; // of the datagram: whom it did not reach
	uint32_t mtu_bytes;             // of the next hop, where it was too big for one; else 0
	uint8_t type;
	uint8_t code;
	uint8_t is_v4;
};

enum icmp_verdict {
	ICMP_OK = 0,
	ICMP_NO_ERROR, // not ICMP, a fragment of it, or a type that RFC 8656 §11.5 does not name
	ICMP_NOT_UDP,  // encloses no UDP header: other protocol, later fragment, cut short
	ICMP_BAD_CHECKSUM, // or shorter than its header
	ICMP_VERDICT_COUNT
};

// Reads the error in a frame of which ip_udp_parse said IP_UDP_OTHER_PROTOCOL and filled `v`. The enclosed packet
// may be cut off anywhere behind its UDP header, and may have IP options or extension headers; of a fragment it must
// be the first. Its own checksum is not looked at (routers may have changed what it covers). Whether the error came
// to the address that sent the datagram is the caller's question. ICMP_BAD_CHECKSUM is said only where all else fits,
// and `out` is complete then too.
enum icmp_verdict icmp_error_parse(const uint8_t *frame, const struct ip_udp_view *v,
				   struct icmp_error *out);

// An error about a packet that came in; `source` and `destination` of one family, the error's own.
struct icmp_reply {
	struct ip_address source;
	struct ip_address destination;
	uint32_t mtu_bytes; // for too-big; over IPv4 below 65536
	uint8_t type;
	uint8_t code;
};

// Bytes of IP and ICMP header.
#define ICMP_PREFIX_V4_BYTES (20 + ICMP_HEADER_BYTES)
#define ICMP_PREFIX_V6_BYTES (40 + ICMP_HEADER_BYTES)

// How much of a packet of so many bytes the error encloses: RFC 1812 §4.3.2.3, not more than 576 bytes in all; RFC
// 4443 §2.4 (c), not more than the least MTU.
uint32_t icmp_enclosed_bytes(bool is_v4, uint32_t packet_bytes);

// Writes both headers at `ip`, in front of `enclosed_bytes` of the packet from its IP header on, which stand there
// already. Returns the length of the whole.
uint32_t icmp_reply_write(uint8_t *ip, const struct icmp_reply *r, uint32_t enclosed_bytes);

#endif
