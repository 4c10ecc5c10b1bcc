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

#define ANSWER_TTL 64 // RFC 1700; what hosts use

// An IP address in two words, as it lies in memory: what relaying keeps in registers.
struct dp_address {
	uint64_t high;
	uint64_t low;
};

static inline struct dp_address dp_address_of(const void *bytes)
{
	struct dp_address a;

	memcpy(&a.high, bytes, sizeof(a.high));
	memcpy(&a.low, (const uint8_t *)bytes + sizeof(a.high), sizeof(a.low));
	return a;
}

static inline bool dp_address_is_v4(struct dp_address a)
{
	return a.high == 0 && (uint32_t)a.low == __builtin_bswap32(0xffff);
}

// The four bytes of an IPv4 address; only if dp_address_is_v4.
static inline uint32_t dp_address_v4(struct dp_address a)
{
	return (uint32_t)(a.low >> 32);
}

// Two ports side by side, as they stand in a UDP header.
static inline uint32_t dp_ports(uint16_t source_be, uint16_t destination_be)
{
	return source_be | (uint32_t)destination_be << 16;
}

// Of a value below 2^16, what lies in memory in network order. (GCC swaps 16 bits through memory.)
static inline uint32_t dp_be16(uint32_t value)
{
	return __builtin_bswap32(value) >> 16;
}

// In whole words, so that it stays in registers where it is composed and written at once.
struct dp_header {
	struct dp_address source; // both of one family
	struct dp_address destination;
	uint64_t l2_word; // as in neighbour_table.h: destination MAC and VLAN
	const uint8_t *source_mac;
	uint32_t ports;        // dp_ports
	uint32_t flow_label;   // IPv6; 20 bits
	uint32_t ip_id;        // IPv4 without DF; 16 bits
	uint32_t udp_bytes;    // UDP header and payload; 16 bits
	uint32_t udp_checksum; // as it goes into memory; 16 bits
	uint32_t ttl;
	uint32_t traffic_class;
	bool dont_fragment; // IPv4
	bool is_v4;
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
	uint32_t source = dp_address_v4(h->source);
	uint32_t destination = dp_address_v4(h->destination);
	uint64_t front;
	uint64_t middle;
	uint64_t sum;

	// RFC 6864 §4.1: the identification of a packet that cannot be fragmented means nothing.
	front = __builtin_bswap64(0x45ull << 56 | (uint64_t)h->traffic_class << 48 |
				  (uint64_t)(IPV4_BYTES + h->udp_bytes) << 32 |
				  (h->dont_fragment ? 0x4000 : h->ip_id << 16));
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
	bytes_put_be32(ip, 6u << 28 | h->traffic_class << 20 | (h->flow_label & 0xfffff));
	bytes_put_be32(ip + 4, h->udp_bytes << 16 | IP_PROTOCOL_UDP << 8 | h->ttl);
	memcpy(ip + 8, &h->source.high, 8);
	memcpy(ip + 16, &h->source.low, 8);
	memcpy(ip + 24, &h->destination.high, 8);
	memcpy(ip + 32, &h->destination.low, 8);
}

// Untagged. `next_hop` as in neighbour_table.h; of `source_mac`, which is in a struct dp_port, more
// bytes are read than a MAC has.
static inline void dp_ethernet_write(uint8_t *frame, uint64_t next_hop, const uint8_t *source_mac,
				     uint16_t ethertype_be)
{
	uint64_t behind;

	memcpy(&behind, source_mac, sizeof(behind));
	behind = (behind & 0xffffffffffff) | (uint64_t)ethertype_be << 48;
	// The MAC stands in the upper six bytes of the word, so in the first six of it in network
	// order.
	bytes_put_be64(frame, next_hop);
	memcpy(frame + 6, &behind, sizeof(behind));
}

// Writes dp_header_bytes() bytes at `frame`.
static inline void dp_header_write(uint8_t *frame, const struct dp_header *h)
{
	uint16_t vlan_id = shm_neighbour_vlan(h->l2_word);
	uint16_t ethertype_be;
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
	ethertype_be = h->is_v4 ? ETHERTYPE_BE_IPV4 : ETHERTYPE_BE_IPV6;
	memcpy(p, &ethertype_be, sizeof(ethertype_be));
	p += 2;
	if (h->is_v4) {
		dp_header_write_v4(p, h);
		p += IPV4_BYTES;
	} else {
		dp_header_write_v6(p, h);
		p += IPV6_BYTES;
	}
	udp = h->ports | (uint64_t)dp_be16(h->udp_bytes) << 32 | (uint64_t)h->udp_checksum << 48;
	memcpy(p, &udp, sizeof(udp));
}

#endif
