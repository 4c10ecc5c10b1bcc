// Ethernet, IP and UDP headers in front of a payload. Inline, because relaying writes them for
// every packet.
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

// A sum of 32-bit words as they lie in memory, down to what checksum_fold and checksum_update take.
static inline uint32_t checksum_fold64(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

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

// Composed in registers and stored once: what was written in pieces could not be read back at once
// for the checksum.
static inline void dp_header_write_v4(uint8_t *ip, const struct dp_header *h)
{
	uint64_t front;
	uint64_t middle;
	uint32_t source;
	uint32_t destination;
	uint64_t sum;

	front = 0x45u | (uint32_t)h->traffic_class << 8 |
		(uint32_t)__builtin_bswap16((uint16_t)(IPV4_BYTES + h->udp_bytes)) << 16;
	// RFC 6864 §4.1: the identification of a packet that cannot be fragmented means nothing.
	front |= (h->dont_fragment ? 0x40ull << 16 : __builtin_bswap16(h->ip_id)) << 32;
	memcpy(&source, ip_address_v4_bytes(&h->source->address), 4);
	memcpy(&destination, ip_address_v4_bytes(&h->destination->address), 4);
	middle = h->ttl | IP_PROTOCOL_UDP << 8;
	sum = (front >> 32) + (uint32_t)front + middle + source + destination;
	middle |= (uint64_t)(uint16_t)~checksum_fold(checksum_fold64(sum)) << 16;
	middle |= (uint64_t)source << 32;
	memcpy(ip, &front, sizeof(front));
	memcpy(ip + 8, &middle, sizeof(middle));
	memcpy(ip + 16, &destination, sizeof(destination));
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
	uint64_t udp;

	// The MAC stands in the upper six bytes of the word, so in the first six of it in network
	// order.
	bytes_put_be64(frame, h->l2_word);
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
	udp = h->source->port_be | (uint64_t)h->destination->port_be << 16 |
	      (uint64_t)__builtin_bswap16(h->udp_bytes) << 32 | (uint64_t)h->udp_checksum << 48;
	memcpy(p, &udp, sizeof(udp));
}

#endif
