// Building the generator's frames. Pure but for the pattern and its sums, filled once at start.
#include "bench/blast/frame.h"

#include "bench/blast/frame_private.h"
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/contract/wire/turn.h"

uint8_t frame_pattern[FRAME_PAYLOAD_MAX + 64];
uint32_t frame_pattern_sum[FRAME_PAYLOAD_MAX + 1];

void frame_pattern_init(void)
{
	uint64_t x = 0x9e3779b97f4a7c15ull;

	for (size_t i = 0; i < sizeof(frame_pattern); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		frame_pattern[i] = (uint8_t)(x >> 32);
	}
	for (uint32_t n = FRAME_STAMP_BYTES; n <= FRAME_PAYLOAD_MAX; n++)
		frame_pattern_sum[n] =
			checksum_add(0, frame_pattern + FRAME_STAMP_BYTES, n - FRAME_STAMP_BYTES);
}

// Writes Ethernet, IP and UDP headers with lengths and checksums of 0; returns their size.
static uint16_t headers_write(uint8_t *out, const struct ip_endpoint *source,
			      const struct ip_endpoint *destination, const struct frame_macs *macs,
			      uint8_t ttl)
{
	uint8_t *ip = out + FRAME_ETHER_BYTES;
	uint8_t *udp;

	memcpy(out, macs->destination, 6);
	memcpy(out + 6, macs->source, 6);
	if (ip_address_is_v4(&source->address)) {
		static const uint8_t v4[8] = { 0x45, 0, 0, 0, 0, 0, 0x40, 0 }; // DF

		bytes_put_be16(out + 12, 0x0800);
		memcpy(ip, v4, sizeof(v4));
		ip[8] = ttl;
		ip[9] = 17;
		memcpy(ip + 12, ip_address_v4_bytes(&source->address), 4);
		memcpy(ip + 16, ip_address_v4_bytes(&destination->address), 4);
		udp = ip + 20;
	} else {
		bytes_put_be16(out + 12, 0x86dd);
		ip[0] = 0x60;
		ip[6] = 17;
		ip[7] = ttl;
		memcpy(ip + 8, source->address.bytes, 16);
		memcpy(ip + 24, destination->address.bytes, 16);
		udp = ip + 40;
	}
	memcpy(udp, &source->port_be, 2);
	memcpy(udp + 2, &destination->port_be, 2);
	return (uint16_t)(udp + 8 - out);
}

// The prefix of a Send indication to that peer, with lengths of 0.
static uint16_t send_prefix_write(uint8_t *out, const struct ip_endpoint *peer, uint32_t serial)
{
	uint8_t transaction_id[12] = { 'b', 'l', 'a', 's', 't' };
	uint16_t n;

	memcpy(transaction_id + 8, &serial, sizeof(serial));
	n = turn_data_prefix_write(out, peer, 0, transaction_id);
	bytes_put_be16(out, TURN_SEND_INDICATION);
	bytes_put_be16(out + 2, 0);
	return n;
}

static void expectation_init(struct frame_path *p, const struct ip_endpoint *source,
			     const struct ip_endpoint *destination)
{
	uint32_t n_address = 16;
	uint32_t skip = 0;

	p->rx_is_v4 = ip_address_is_v4(&source->address);
	if (p->rx_is_v4) {
		n_address = 4;
		skip = 12;
	}
	memset(p->rx_tuple, 0, sizeof(p->rx_tuple));
	memcpy(p->rx_tuple, source->address.bytes + skip, n_address);
	memcpy(p->rx_tuple + n_address, destination->address.bytes + skip, n_address);
	memcpy(p->rx_tuple + 2 * n_address, &source->port_be, 2);
	memcpy(p->rx_tuple + 2 * n_address + 2, &destination->port_be, 2);
	p->rx_tuple_sum = checksum_add(0, p->rx_tuple, 2 * n_address + 4);
}

void frame_path_init(struct frame_path *p, const struct flow_addresses *a,
		     const struct flow_addresses *other, bool is_down, const struct frame_use *use,
		     const struct frame_macs *macs)
{
	uint8_t scratch[FRAME_HEADER_MAX] = { 0 };
	const struct ip_endpoint *source = is_down ? &a->peer : &a->client;
	const struct ip_endpoint *destination = is_down ? &a->relayed : &a->listener;
	uint16_t n = headers_write(scratch, source, destination, macs, use->ttl);
	uint16_t n_before = n;
	uint32_t ip_bytes = ip_address_is_v4(&source->address) ? 20 : 40;

	memset(p, 0, sizeof(*p));
	p->is_down = is_down;
	p->tx_is_v4 = ip_bytes == 20;
	if (is_down) {
		p->tx_form = FRAME_PLAIN;
	} else if (use->use_indications) {
		uint32_t serial;

		memcpy(&serial, a->client.address.bytes + 12, sizeof(serial));
		p->tx_form = FRAME_INDICATION;
		n += send_prefix_write(scratch + n, &a->peer, serial);
	} else {
		p->tx_form = FRAME_CHANNEL;
		bytes_put_be16(scratch + n, a->channel);
		n += TURN_CHANNEL_HEADER_BYTES;
	}
	p->header_bytes = n;
	p->prefix_bytes = (uint8_t)(n - n_before);
	memcpy(p->header + FRAME_HEADER_MAX - n, scratch, n);
	// Behind Ethernet: addresses, and from the UDP header on; the protocol number of the pseudo header.
	p->tx_udp_sum =
		checksum_add(17u << 8, scratch + FRAME_ETHER_BYTES + (ip_bytes == 20 ? 12 : 8),
			     n - FRAME_ETHER_BYTES - (ip_bytes == 20 ? 12u : 8u));
	if (p->tx_is_v4)
		p->tx_ip_sum = checksum_add(0, scratch + FRAME_ETHER_BYTES, 20);

	if (use->is_echo || use->is_reflected) {
		expectation_init(p, use->is_echo ? source : destination,
				 use->is_echo ? destination : source);
		p->rx_form = p->tx_form;
		bytes_put_be16(&p->rx_channel_be, a->channel);
		memcpy(p->rx_peer, a->peer.address.bytes, 16);
		p->rx_peer_port_be = a->peer.port_be;
	} else if (is_down || other != NULL) {
		const struct flow_addresses *to = is_down ? a : other;
		const struct ip_endpoint *from = is_down ? &a->peer : &a->relayed;

		expectation_init(p, &to->listener, &to->client);
		p->rx_form = use->use_indications ? FRAME_INDICATION : FRAME_CHANNEL;
		bytes_put_be16(&p->rx_channel_be, to->channel);
		memcpy(p->rx_peer, from->address.bytes, 16);
		p->rx_peer_port_be = from->port_be;
	} else {
		expectation_init(p, &a->relayed, &a->peer);
		p->rx_form = FRAME_PLAIN;
	}
}

uint16_t frame_payload_bytes(const struct frame_path *p, uint32_t frame_bytes)
{
	uint32_t n = frame_bytes > p->header_bytes ? frame_bytes - p->header_bytes : 0;

	if (n < FRAME_STAMP_BYTES)
		n = FRAME_STAMP_BYTES;
	if (n > FRAME_PAYLOAD_MAX)
		n = FRAME_PAYLOAD_MAX;
	// Attributes are padded to four bytes: whole words need no padding.
	if (p->tx_form == FRAME_INDICATION)
		n &= ~3u;
	return (uint16_t)n;
}

uint16_t frame_write(struct frame_path *p, uint32_t flow_idx, uint8_t *payload,
		     uint16_t payload_bytes, uint64_t tsc)
{
	struct frame_stamp stamp = {
		.flow = flow_idx | (uint32_t)p->is_down << 31,
		.seq = p->next_seq++,
	};
	uint16_t udp_bytes = (uint16_t)(8 + p->prefix_bytes + payload_bytes);
	uint8_t *udp = payload - p->prefix_bytes - 8;
	uint32_t sum = p->tx_udp_sum;
	uint16_t checksum;

	stamp.tsc_check = tsc << 16 | frame_stamp_check(stamp.flow, stamp.seq, tsc << 16);
	memcpy(payload, &stamp, sizeof(stamp));
	if (p->header_bytes > 64)
		memcpy(payload - 128, p->header, 64);
	memcpy(payload - 64, p->header + 64, 64);

	sum += 2u * __builtin_bswap16(udp_bytes);
	if (p->tx_form != FRAME_PLAIN) {
		bytes_put_be16(payload - 2, payload_bytes);
		sum += __builtin_bswap16(payload_bytes);
	}
	if (p->tx_form == FRAME_INDICATION) {
		uint16_t stun_bytes =
			(uint16_t)(p->prefix_bytes - STUN_HEADER_BYTES + payload_bytes);

		bytes_put_be16(payload - p->prefix_bytes + 2, stun_bytes);
		sum += __builtin_bswap16(stun_bytes);
	}
	sum += frame_stamp_sum(&stamp) + frame_pattern_sum[payload_bytes];
	bytes_put_be16(udp + 4, udp_bytes);
	checksum = (uint16_t)~checksum_fold(sum);
	if (checksum == 0)
		checksum = 0xffff;
	memcpy(udp + 6, &checksum, 2);
	if (p->tx_is_v4) {
		uint8_t *ip = udp - 20;
		uint16_t ip_bytes = (uint16_t)(20 + udp_bytes);

		bytes_put_be16(ip + 2, ip_bytes);
		checksum = (uint16_t)~checksum_fold(p->tx_ip_sum + __builtin_bswap16(ip_bytes));
		memcpy(ip + 10, &checksum, 2);
	} else {
		bytes_put_be16(udp - 40 + 4, udp_bytes);
	}
	return (uint16_t)(p->header_bytes + payload_bytes);
}
