// ICMP errors: what they are about, and their making. Pure, any thread; writes only through out-parameters.
#include "dataplane/contract/wire/icmp.h"

#define IPV4_HEADER_BYTES   20
#define IPV6_HEADER_BYTES   40
#define UDP_HEADER_BYTES    8
#define ICMP4_BYTES_MAX     576
#define ICMP6_BYTES_MAX     1280
#define IPV4_OFFSET_MASK    0x1fff
#define IPV4_MORE_OR_OFFSET 0x3fff
#define IPV6_OFFSET_MASK    0xfff8
#define IPV6_EXTENSIONS_MAX 8 // as ip_udp.c takes them

// RFC 1812 §4.3.2.5: precedence of internetwork control.
#define ICMP4_TOS 0xc0
#define ICMP_TTL  64

// The ports of a UDP header at `at`; false if it is cut off.
static bool enclosed_udp(const uint8_t *at, const uint8_t *end, struct icmp_error *out)
{
	if (end - at < UDP_HEADER_BYTES)
		return false;
	memcpy(&out->source.port_be, at, 2);
	memcpy(&out->destination.port_be, at + 2, 2);
	return true;
}

static bool enclosed_v4(const uint8_t *ip, const uint8_t *end, struct icmp_error *out)
{
	size_t header_bytes;

	if (end - ip < IPV4_HEADER_BYTES)
		return false;
	header_bytes = (ip[0] & 0x0fu) * 4u;
	if (ip[0] >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES ||
	    header_bytes > (size_t)(end - ip) || ip[9] != IP_PROTOCOL_UDP ||
	    (bytes_get_be16(ip + 6) & IPV4_OFFSET_MASK) != 0)
		return false;
	out->source.address = ip_address_from_v4(ip + 12);
	out->destination.address = ip_address_from_v4(ip + 16);
	return enclosed_udp(ip + header_bytes, end, out);
}

static bool enclosed_v6(const uint8_t *ip, const uint8_t *end, struct icmp_error *out)
{
	const uint8_t *at = ip + IPV6_HEADER_BYTES;
	uint8_t protocol;

	if (end - ip < IPV6_HEADER_BYTES || ip[0] >> 4 != 6)
		return false;
	out->source.address = ip_address_from_v6(ip + 8);
	out->destination.address = ip_address_from_v6(ip + 24);
	if (ip_address_is_v4(&out->source.address) || ip_address_is_v4(&out->destination.address))
		return false;
	protocol = ip[6];
	for (uint32_t n = 0; protocol != IP_PROTOCOL_UDP; n++) {
		size_t header_bytes = 8;

		if ((protocol != IP_PROTOCOL_HOP_BY_HOP && protocol != IP_PROTOCOL_ROUTING &&
		     protocol != IP_PROTOCOL_FRAGMENT && protocol != IP_PROTOCOL_DESTINATION) ||
		    n == IPV6_EXTENSIONS_MAX || end - at < 8)
			return false;
		if (protocol != IP_PROTOCOL_FRAGMENT)
			header_bytes += at[1] * 8u;
		else if (bytes_get_be16(at + 2) & IPV6_OFFSET_MASK)
			return false;
		if ((size_t)(end - at) < header_bytes)
			return false;
		protocol = at[0];
		at += header_bytes;
	}
	return enclosed_udp(at, end, out);
}

static bool is_wanted(bool is_v4, uint8_t type)
{
	if (is_v4)
		return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED;
	return type == ICMP6_UNREACHABLE || type == ICMP6_PACKET_TOO_BIG ||
	       type == ICMP6_TIME_EXCEEDED;
}

// Of an ICMPv6 message, the pseudo header (RFC 4443 §2.3).
static uint32_t sum_pseudo_v6(const struct ip_address *source, const struct ip_address *destination,
			      uint32_t icmp_bytes)
{
	uint8_t tail[8] = { 0 };

	bytes_put_be32(tail, icmp_bytes);
	tail[7] = IP_PROTOCOL_ICMPV6;
	return checksum_add(
		checksum_add(checksum_add(0, source->bytes, 16), destination->bytes, 16), tail,
		sizeof(tail));
}

enum icmp_verdict icmp_error_parse(const uint8_t *frame, const struct ip_udp_view *v,
				   struct icmp_error *out)
{
	const uint8_t *ip = frame + v->l3_offset;
	const uint8_t *icmp = frame + v->l4_offset;
	const uint8_t *end = ip + (v->is_v4 ? bytes_get_be16(ip + 2)
					    : IPV6_HEADER_BYTES + bytes_get_be16(ip + 4));
	uint32_t sum = 0;
	bool has_udp;

	if (v->protocol != (v->is_v4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMPV6) ||
	    (v->is_v4 && (bytes_get_be16(ip + 6) & IPV4_MORE_OR_OFFSET) != 0) ||
	    end - icmp < ICMP_HEADER_BYTES || !is_wanted(v->is_v4, icmp[0]))
		return ICMP_NO_ERROR;
	out->is_v4 = v->is_v4;
	out->type = icmp[0];
	out->code = icmp[1];
	out->mtu_bytes = 0;
	if (v->is_v4 && out->type == ICMP4_UNREACHABLE && out->code == ICMP4_FRAGMENTATION_NEEDED)
		out->mtu_bytes = bytes_get_be16(icmp + 6); // RFC 1191 §4
	else if (!v->is_v4 && out->type == ICMP6_PACKET_TOO_BIG)
		out->mtu_bytes = bytes_get_be32(icmp + 4);
	has_udp = v->is_v4 ? enclosed_v4(icmp + ICMP_HEADER_BYTES, end, out)
			   : enclosed_v6(icmp + ICMP_HEADER_BYTES, end, out);
	if (!has_udp)
		return ICMP_NOT_UDP;
	if (!v->is_v4)
		sum = sum_pseudo_v6(&v->source.address, &v->destination.address,
				    (uint32_t)(end - icmp));
	if (checksum_fold(checksum_add(sum, icmp, (size_t)(end - icmp))) != 0xffff)
		return ICMP_BAD_CHECKSUM;
	return ICMP_OK;
}

uint32_t icmp_enclosed_bytes(bool is_v4, uint32_t packet_bytes)
{
	uint32_t room_bytes = is_v4 ? ICMP4_BYTES_MAX - ICMP_PREFIX_V4_BYTES
				    : ICMP6_BYTES_MAX - ICMP_PREFIX_V6_BYTES;

	return packet_bytes < room_bytes ? packet_bytes : room_bytes;
}

uint32_t icmp_reply_write(uint8_t *ip, const struct icmp_reply *r, uint32_t enclosed_bytes)
{
	bool is_v4 = ip_address_is_v4(&r->destination);
	uint32_t ip_header_bytes = is_v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
	uint32_t icmp_bytes = ICMP_HEADER_BYTES + enclosed_bytes;
	uint8_t *icmp = ip + ip_header_bytes;
	uint32_t sum = 0;
	uint16_t checksum;

	memset(ip, 0, ip_header_bytes + ICMP_HEADER_BYTES);
	icmp[0] = r->type;
	icmp[1] = r->code;
	if (is_v4) {
		ip[0] = 0x45;
		ip[1] = ICMP4_TOS;
		bytes_put_be16(ip + 2, (uint16_t)(ip_header_bytes + icmp_bytes));
		ip[8] = ICMP_TTL;
		ip[9] = IP_PROTOCOL_ICMP;
		memcpy(ip + 12, r->source.bytes + 12, 4);
		memcpy(ip + 16, r->destination.bytes + 12, 4);
		checksum = ipv4_header_checksum(ip, IPV4_HEADER_BYTES);
		memcpy(ip + 10, &checksum, sizeof(checksum));
		bytes_put_be16(icmp + 6, (uint16_t)r->mtu_bytes);
	} else {
		ip[0] = 0x60;
		bytes_put_be16(ip + 4, (uint16_t)icmp_bytes);
		ip[6] = IP_PROTOCOL_ICMPV6;
		ip[7] = ICMP_TTL;
		memcpy(ip + 8, r->source.bytes, 16);
		memcpy(ip + 24, r->destination.bytes, 16);
		bytes_put_be32(icmp + 4, r->mtu_bytes);
		sum = sum_pseudo_v6(&r->source, &r->destination, icmp_bytes);
	}
	checksum = (uint16_t)~checksum_fold(checksum_add(sum, icmp, icmp_bytes));
	memcpy(icmp + 2, &checksum, sizeof(checksum));
	return ip_header_bytes + icmp_bytes;
}
