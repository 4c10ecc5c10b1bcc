// One frame at a time, in full. Pure, any thread.
#include "bench/blast/datagram.h"

#include "dataplane/contract/wire/ip_udp.h"

uint16_t datagram_write(uint8_t out[DATAGRAM_FRAME_MAX], const struct frame_macs *macs,
			const struct ip_endpoint *source, const struct ip_endpoint *destination,
			const void *data, uint16_t data_bytes)
{
	bool is_v4 = ip_address_is_v4(&source->address);
	uint16_t ip_bytes = is_v4 ? 20 : 40;
	uint16_t udp_bytes = (uint16_t)(8 + data_bytes);
	uint8_t *ip = out + FRAME_ETHER_BYTES;
	uint8_t *udp = ip + ip_bytes;
	uint16_t checksum;

	if (is_v4 != ip_address_is_v4(&destination->address) ||
	    (uint32_t)FRAME_ETHER_BYTES + ip_bytes + 8 + data_bytes > DATAGRAM_FRAME_MAX)
		return 0;
	memcpy(out, macs->destination, 6);
	memcpy(out + 6, macs->source, 6);
	memset(ip, 0, ip_bytes + 8u);
	if (is_v4) {
		bytes_put_be16(out + 12, 0x0800);
		ip[0] = 0x45;
		bytes_put_be16(ip + 2, (uint16_t)(20 + udp_bytes));
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = 17;
		memcpy(ip + 12, ip_address_v4_bytes(&source->address), 4);
		memcpy(ip + 16, ip_address_v4_bytes(&destination->address), 4);
		checksum = ipv4_header_checksum(ip, 20);
		memcpy(ip + 10, &checksum, 2);
	} else {
		bytes_put_be16(out + 12, 0x86dd);
		ip[0] = 0x60;
		bytes_put_be16(ip + 4, udp_bytes);
		ip[6] = 17;
		ip[7] = 64;
		memcpy(ip + 8, source->address.bytes, 16);
		memcpy(ip + 24, destination->address.bytes, 16);
	}
	memcpy(udp, &source->port_be, 2);
	memcpy(udp + 2, &destination->port_be, 2);
	bytes_put_be16(udp + 4, udp_bytes);
	memcpy(udp + 8, data, data_bytes);
	checksum = udp_checksum(&source->address, &destination->address, udp, udp_bytes);
	memcpy(udp + 6, &checksum, 2);
	return (uint16_t)(FRAME_ETHER_BYTES + ip_bytes + udp_bytes);
}

// Clients are in 198.19.0.0/16 and fd00:18:2::/64, peers in 198.18.128.0/17 and fd00:18:3::/64.
static bool address_is_generators_v4(const uint8_t a[4])
{
	return a[0] == 198 && (a[1] == 19 || (a[1] == 18 && a[2] >= 128));
}

static bool address_is_generators_v6(const uint8_t a[16])
{
	static const uint8_t prefix[5] = { 0xfd, 0x00, 0x00, 0x18, 0x00 };

	return memcmp(a, prefix, 5) == 0 && (a[5] == 2 || a[5] == 3) && a[6] == 0 && a[7] == 0;
}

static uint16_t arp_answer_write(const uint8_t *frame, uint32_t frame_bytes, const uint8_t mac[6],
				 uint8_t *out)
{
	static const uint8_t request[8] = { 0, 1, 0x08, 0, 6, 4, 0, 1 };
	const uint8_t *arp = frame + FRAME_ETHER_BYTES;
	uint8_t *answer = out + FRAME_ETHER_BYTES;

	if (frame_bytes < FRAME_ETHER_BYTES + 28 || memcmp(arp, request, 8) != 0 ||
	    !address_is_generators_v4(arp + 24))
		return 0;
	memcpy(out, arp + 8, 6);
	memcpy(out + 6, mac, 6);
	bytes_put_be16(out + 12, 0x0806);
	memcpy(answer, request, 7);
	answer[7] = 2;
	memcpy(answer + 8, mac, 6);
	memcpy(answer + 14, arp + 24, 4);
	memcpy(answer + 18, arp + 8, 10);
	return FRAME_ETHER_BYTES + 28;
}

static uint16_t advertisement_write(const uint8_t *frame, uint32_t frame_bytes,
				    const uint8_t mac[6], uint8_t *out)
{
	const uint8_t *ip = frame + FRAME_ETHER_BYTES;
	const uint8_t *solicitation = ip + 40;
	uint8_t *ip_out = out + FRAME_ETHER_BYTES;
	uint8_t *icmp = ip_out + 40;
	uint16_t checksum;
	uint32_t sum;

	if (frame_bytes < FRAME_ETHER_BYTES + 40 + 24 || ip[6] != 58 || ip[7] != 255 ||
	    solicitation[0] != 135 || !address_is_generators_v6(solicitation + 8))
		return 0;
	memset(ip_out, 0, 40 + 32);
	memcpy(out, frame + 6, 6);
	memcpy(out + 6, mac, 6);
	bytes_put_be16(out + 12, 0x86dd);
	ip_out[0] = 0x60;
	bytes_put_be16(ip_out + 4, 32);
	ip_out[6] = 58;
	ip_out[7] = 255;
	memcpy(ip_out + 8, solicitation + 8, 16);
	memcpy(ip_out + 24, ip + 8, 16);
	icmp[0] = 136;
	icmp[4] = 0x60; // solicited, override
	memcpy(icmp + 8, solicitation + 8, 16);
	icmp[24] = 2;
	icmp[25] = 1;
	memcpy(icmp + 26, mac, 6);
	sum = checksum_add((uint32_t)(58u << 8) + __builtin_bswap16(32), ip_out + 8, 32);
	checksum = (uint16_t)~checksum_fold(checksum_add(sum, icmp, 32));
	memcpy(icmp + 2, &checksum, 2);
	return FRAME_ETHER_BYTES + 40 + 32;
}

uint16_t neighbour_answer_write(const uint8_t *frame, uint32_t frame_bytes, const uint8_t mac[6],
				uint8_t out[DATAGRAM_FRAME_MAX])
{
	if (frame_bytes < FRAME_ETHER_BYTES)
		return 0;
	switch (bytes_get_be16(frame + 12)) {
	case 0x0806:
		return arp_answer_write(frame, frame_bytes, mac, out);
	case 0x86dd:
		return advertisement_write(frame, frame_bytes, mac, out);
	default:
		return 0;
	}
}
