// Ethernet, IP and UDP headers in front of a payload. Inline, because relaying writes them for every packet.
#ifndef TP_DP_HEADER_H
#define TP_DP_HEADER_H

#include "dataplane/contract/shm/neighbour_table.h"
#include "dataplane/contract/wire/ip_udp.h"

#define ETHERNET_BYTES    14
#define VLAN_BYTES        4
#define IPV4_BYTES        20
#define IPV6_BYTES        40
#define UDP_BYTES         8
#define HEADERS_BYTES_MAX (ETHERNET_BYTES + VLAN_BYTES + IPV6_BYTES + UDP_BYTES)

#define IP_PROTOCOL_UDP 17
#define ANSWER_TTL      64 // RFC 1700; what hosts use

struct dp_header {
	const struct ip_endpoint *source; // both of one family
	const struct ip_endpoint *destination;
	uint64_t l2_word; // as in neighbour_table.h: destination MAC and VLAN
	const uint8_t *source_mac;
	uint32_t flow_label;   // IPv6; 20 bits
	uint16_t ip_id;        // IPv4 without DF
	uint16_t udp_bytes;    // UDP header and payload
	uint16_t udp_checksum; // as it goes into memory
	uint8_t ttl;
	uint8_t traffic_class;
	uint8_t dont_fragment; // IPv4
	uint8_t is_v4;
};

static inline uint32_t dp_header_l2_bytes(uint64_t l2_word)
{
	return shm_neighbour_vlan(l2_word) != 0 ? ETHERNET_BYTES + VLAN_BYTES : ETHERNET_BYTES;
}

static inline uint32_t dp_header_bytes(uint64_t l2_word, bool is_v4)
{
	return dp_header_l2_bytes(l2_word) + (is_v4 ? IPV4_BYTES : IPV6_BYTES) + UDP_BYTES;
}

static inline void dp_header_write_v4(uint8_t *ip, const struct dp_header *h)
{
	uint16_t checksum;

	ip[0] = 0x45;
	ip[1] = h->traffic_class;
	bytes_put_be16(ip + 2, (uint16_t)(IPV4_BYTES + h->udp_bytes));
	// RFC 6864 §4.1: the identification of a packet that cannot be fragmented means nothing.
	bytes_put_be16(ip + 4, h->dont_fragment ? 0 : h->ip_id);
	bytes_put_be16(ip + 6, h->dont_fragment ? 0x4000 : 0);
	ip[8] = h->ttl;
	ip[9] = IP_PROTOCOL_UDP;
	memset(ip + 10, 0, 2);
	memcpy(ip + 12, ip_address_v4_bytes(&h->source->address), 4);
	memcpy(ip + 16, ip_address_v4_bytes(&h->destination->address), 4);
	checksum = ipv4_header_checksum(ip, IPV4_BYTES);
	memcpy(ip + 10, &checksum, 2);
}

static inline void dp_header_write_v6(uint8_t *ip, const struct dp_header *h)
{
	bytes_put_be32(ip, 6u << 28 | (uint32_t)h->traffic_class << 20 | (h->flow_label & 0xfffff));
	bytes_put_be16(ip + 4, h->udp_bytes);
	ip[6] = IP_PROTOCOL_UDP;
	ip[7] = h->ttl;
	memcpy(ip + 8, h->source->address.bytes, 16);
	memcpy(ip + 24, h->destination->address.bytes, 16);
}

// Writes dp_header_bytes() bytes at `frame`.
static inline void dp_header_write(uint8_t *frame, const struct dp_header *h)
{
	uint16_t vlan_id = shm_neighbour_vlan(h->l2_word);
	uint8_t *p = frame + 2 * 6;

	shm_neighbour_mac(h->l2_word, frame);
	memcpy(frame + 6, h->source_mac, 6);
	if (vlan_id != 0) {
		bytes_put_be16(p, 0x8100);
		bytes_put_be16(p + 2, vlan_id);
		p += VLAN_BYTES;
	}
	bytes_put_be16(p, h->is_v4 ? 0x0800 : 0x86dd);
	p += 2;
	if (h->is_v4) {
		dp_header_write_v4(p, h);
		p += IPV4_BYTES;
	} else {
		dp_header_write_v6(p, h);
		p += IPV6_BYTES;
	}
	memcpy(p, &h->source->port_be, 2);
	memcpy(p + 2, &h->destination->port_be, 2);
	bytes_put_be16(p + 4, h->udp_bytes);
	memcpy(p + 6, &h->udp_checksum, 2);
}

#endif
