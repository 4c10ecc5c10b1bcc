// From an Ethernet frame to a UDP datagram (RFC 791, RFC 8200, RFC 768). Pure, any thread; writes only
// through `out`.
#include "dataplane/contract/wire/ip_udp.h"

#define ETHERNET_BYTES    14
#define VLAN_TAG_BYTES    4
#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define UDP_HEADER_BYTES  8

#define IPV4_DONT_FRAGMENT  0x4000
#define IPV4_MORE_OR_OFFSET 0x3fff

// More than the order recommended by RFC 8200 §4.1 needs; a longer chain is an attack.
#define IPV6_EXTENSIONS_MAX 8

// The UDP header at l4_offset, in an IP payload that ends at `end`.
static enum ip_udp_verdict parse_udp(const uint8_t *frame, size_t l4, size_t end,
				     struct ip_udp_view *out)
{
	const uint8_t *udp = frame + l4;
	uint16_t udp_bytes;

	if (end - l4 < UDP_HEADER_BYTES)
		return IP_UDP_TRUNCATED;
	memcpy(&out->source.port_be, udp, 2);
	memcpy(&out->destination.port_be, udp + 2, 2);
	memcpy(&out->udp_checksum_be, udp + 6, 2);
	udp_bytes = bytes_get_be16(udp + 4);
	if (udp_bytes < UDP_HEADER_BYTES)
		return IP_UDP_BAD_HEADER;
	if (udp_bytes > end - l4)
		return IP_UDP_TRUNCATED;
	out->payload_offset = (uint16_t)(l4 + UDP_HEADER_BYTES);
	out->payload_bytes = (uint16_t)(udp_bytes - UDP_HEADER_BYTES);
	return IP_UDP_OK;
}

// Whether the IPv4 header sums to all ones. Nearly every header has 20 bytes, and every packet comes by here.
static inline bool header_checksum_ok(const uint8_t *ip, size_t header_bytes)
{
	uint64_t first;
	uint64_t second;
	uint32_t third;
	uint64_t sum;

	if (header_bytes != IPV4_HEADER_BYTES)
		return ipv4_header_checksum(ip, header_bytes) == 0;
	memcpy(&first, ip, 8);
	memcpy(&second, ip + 8, 8);
	memcpy(&third, ip + 16, 4);
	sum = (first & 0xffffffff) + (first >> 32) + (second & 0xffffffff) + (second >> 32) + third;
	return checksum_fold(checksum_fold64(sum)) == 0xffff;
}

static enum ip_udp_verdict parse_v4(const uint8_t *frame, size_t l3, size_t len_bytes,
				    struct ip_udp_view *out)
{
	const uint8_t *ip = frame + l3;
	size_t left = len_bytes - l3;
	size_t header_bytes;
	size_t total_bytes;
	uint16_t fragment;

	if (left < IPV4_HEADER_BYTES)
		return IP_UDP_TRUNCATED;
	header_bytes = (ip[0] & 0x0fu) * 4u;
	total_bytes = bytes_get_be16(ip + 2);
	if (ip[0] >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES || total_bytes < header_bytes)
		return IP_UDP_BAD_HEADER;
	if (total_bytes > left)
		return IP_UDP_TRUNCATED;
	if (!header_checksum_ok(ip, header_bytes))
		return IP_UDP_BAD_HEADER;
	fragment = bytes_get_be16(ip + 6);
	out->is_v4 = 1;
	out->traffic_class = ip[1];
	out->ttl = ip[8];
	out->dont_fragment = (fragment & IPV4_DONT_FRAGMENT) != 0;
	out->source.address = ip_address_from_v4(ip + 12);
	out->destination.address = ip_address_from_v4(ip + 16);
	out->l4_offset = (uint16_t)(l3 + header_bytes);
	if (ip[9] != IP_PROTOCOL_UDP) {
		out->protocol = ip[9];
		return IP_UDP_OTHER_PROTOCOL;
	}
	if (fragment & IPV4_MORE_OR_OFFSET)
		return IP_UDP_FRAGMENT;
	return parse_udp(frame, l3 + header_bytes, l3 + total_bytes, out);
}

static bool may_lead_to_udp(uint8_t protocol)
{
	return protocol == IP_PROTOCOL_UDP || protocol == IP_PROTOCOL_DESTINATION ||
	       protocol == IP_PROTOCOL_ROUTING;
}

// Walks the extension headers from `*at` on, where *protocol tells the first one's kind, and leaves both at
// the header that ends the walk. IP_UDP_OK: that is UDP.
static enum ip_udp_verdict skip_extensions(const uint8_t *frame, size_t end, size_t *at,
					   uint8_t *protocol)
{
	for (uint32_t n = 0; *protocol != IP_PROTOCOL_UDP; n++) {
		const uint8_t *header = frame + *at;
		size_t header_bytes;

		switch (*protocol) {
		case IP_PROTOCOL_HOP_BY_HOP:
			// RFC 8200 §4.1: only directly behind the IPv6 header.
			if (n != 0)
				return IP_UDP_BAD_HEADER;
			break;
		case IP_PROTOCOL_ROUTING:
		case IP_PROTOCOL_FRAGMENT:
		case IP_PROTOCOL_DESTINATION:
			break;
		default:
			return IP_UDP_OTHER_PROTOCOL;
		}
		if (n == IPV6_EXTENSIONS_MAX)
			return IP_UDP_BAD_HEADER;
		if (end - *at < 8)
			return IP_UDP_TRUNCATED;
		header_bytes = 8;
		if (*protocol == IP_PROTOCOL_FRAGMENT) {
			// Offset and M flag; both zero in an atomic fragment.
			if (bytes_get_be16(header + 2) & 0xfff9)
				return may_lead_to_udp(header[0]) ? IP_UDP_FRAGMENT
								  : IP_UDP_OTHER_PROTOCOL;
		} else {
			header_bytes += header[1] * 8u;
			// RFC 5095 §3: with segments left, this host would have to send the packet on.
			if (*protocol == IP_PROTOCOL_ROUTING && header[3] != 0)
				return IP_UDP_BAD_HEADER;
		}
		if (end - *at < header_bytes)
			return IP_UDP_TRUNCATED;
		*protocol = header[0];
		*at += header_bytes;
	}
	return IP_UDP_OK;
}

static enum ip_udp_verdict parse_v6(const uint8_t *frame, size_t l3, size_t len_bytes,
				    struct ip_udp_view *out)
{
	const uint8_t *ip = frame + l3;
	size_t left = len_bytes - l3;
	size_t at = l3 + IPV6_HEADER_BYTES;
	enum ip_udp_verdict verdict;
	size_t payload_bytes;
	uint32_t first_word;
	uint8_t protocol;

	if (left < IPV6_HEADER_BYTES)
		return IP_UDP_TRUNCATED;
	first_word = bytes_get_be32(ip);
	payload_bytes = bytes_get_be16(ip + 4);
	if (first_word >> 28 != 6)
		return IP_UDP_BAD_HEADER;
	if (payload_bytes > left - IPV6_HEADER_BYTES)
		return IP_UDP_TRUNCATED;
	out->is_v4 = 0;
	out->traffic_class = (uint8_t)(first_word >> 20);
	out->ttl = ip[7];
	out->dont_fragment = 1;
	out->source.address = ip_address_from_v6(ip + 8);
	out->destination.address = ip_address_from_v6(ip + 24);
	if (ip_address_is_v4(&out->source.address) || ip_address_is_v4(&out->destination.address))
		return IP_UDP_BAD_HEADER;
	protocol = ip[6];
	verdict = skip_extensions(frame, at + payload_bytes, &at, &protocol);
	out->l4_offset = (uint16_t)at;
	out->protocol = protocol;
	if (verdict != IP_UDP_OK)
		return verdict;
	return parse_udp(frame, at, l3 + IPV6_HEADER_BYTES + payload_bytes, out);
}

enum ip_udp_verdict ip_udp_parse(const uint8_t *frame, size_t len_bytes, struct ip_udp_view *out)
{
	size_t l3 = ETHERNET_BYTES;
	uint16_t ethertype_be;

	out->l3_offset = 0;
	out->vlan_tci = 0xffff;
	if (len_bytes < ETHERNET_BYTES)
		return IP_UDP_TRUNCATED;
	memcpy(&ethertype_be, frame + 12, 2);
	if (ethertype_be == ETHERTYPE_BE_VLAN) {
		if (len_bytes < ETHERNET_BYTES + VLAN_TAG_BYTES)
			return IP_UDP_TRUNCATED;
		out->vlan_tci = bytes_get_be16(frame + 14);
		memcpy(&ethertype_be, frame + 16, 2);
		l3 += VLAN_TAG_BYTES;
	}
	out->l3_offset = (uint16_t)l3;
	if (ethertype_be == ETHERTYPE_BE_IPV4)
		return parse_v4(frame, l3, len_bytes, out);
	if (ethertype_be == ETHERTYPE_BE_IPV6)
		return parse_v6(frame, l3, len_bytes, out);
	return IP_UDP_NOT_IP;
}
