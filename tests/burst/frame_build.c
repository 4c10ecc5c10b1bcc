// Frames for the tests, written from the RFCs and not with the dataplane's own header code.
#include <criterion/criterion.h>
#include <ctype.h>

#include "tests/burst/pipeline.h"

static const uint8_t ours_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t sender_mac[6] = { 2, 0, 0, 0, 0, 0xaa };

static uint32_t put_v4(uint8_t *ip, const struct dress *d, const struct ip_endpoint *from,
		       const struct ip_endpoint *to, uint32_t udp_bytes)
{
	uint32_t header_bytes = 20 + d->option_bytes;
	uint16_t checksum;

	memset(ip, 0, header_bytes);
	ip[0] = (uint8_t)(0x40 | header_bytes / 4);
	ip[1] = d->traffic_class;
	bytes_put_be16(ip + 2, (uint16_t)(header_bytes + udp_bytes));
	bytes_put_be16(ip + 4, d->ip_id);
	bytes_put_be16(ip + 6, d->dont_fragment ? 0x4000 : 0);
	ip[8] = d->ttl != 0 ? d->ttl : 64;
	ip[9] = 17;
	memcpy(ip + 12, from->address.bytes + 12, 4);
	memcpy(ip + 16, to->address.bytes + 12, 4);
	// No-operation options (RFC 791 §3.1).
	memset(ip + 20, 1, d->option_bytes);
	checksum = ipv4_header_checksum(ip, header_bytes);
	memcpy(ip + 10, &checksum, 2);
	return header_bytes;
}

static uint32_t put_v6(uint8_t *ip, const struct dress *d, const struct ip_endpoint *from,
		       const struct ip_endpoint *to, uint32_t udp_bytes)
{
	bytes_put_be32(ip, 6u << 28 | (uint32_t)d->traffic_class << 20 | 0x12345);
	bytes_put_be16(ip + 4, (uint16_t)(d->option_bytes + udp_bytes));
	ip[6] = d->option_bytes != 0 ? 60 : 17;
	ip[7] = d->ttl != 0 ? d->ttl : 64;
	memcpy(ip + 8, from->address.bytes, 16);
	memcpy(ip + 24, to->address.bytes, 16);
	if (d->option_bytes != 0) {
		uint8_t *extension = ip + 40;

		// A destination header with one PadN option (RFC 8200 §4.2, §4.6).
		memset(extension, 0, d->option_bytes);
		extension[0] = 17;
		extension[1] = (uint8_t)(d->option_bytes / 8 - 1);
		extension[2] = 1;
		extension[3] = (uint8_t)(d->option_bytes - 4);
	}
	return 40u + d->option_bytes;
}

uint32_t frame_build(uint8_t *out, const struct dress *d, const void *payload, uint32_t n)
{
	struct ip_endpoint from = endpoint(d->from);
	struct ip_endpoint to = endpoint(d->to);
	bool v4 = ip_address_is_v4(&from.address);
	uint8_t *at = out;

	memcpy(at, ours_mac, 6);
	memcpy(at + 6, sender_mac, 6);
	at += 12;
	if (d->vlan_id != 0) {
		bytes_put_be16(at, 0x8100);
		bytes_put_be16(at + 2, d->vlan_id);
		at += 4;
	}
	bytes_put_be16(at, v4 ? 0x0800 : 0x86dd);
	at += 2;
	at += v4 ? put_v4(at, d, &from, &to, 8 + n) : put_v6(at, d, &from, &to, 8 + n);
	memcpy(at, &from.port_be, 2);
	memcpy(at + 2, &to.port_be, 2);
	bytes_put_be16(at + 4, (uint16_t)(8 + n));
	memset(at + 6, 0, 2);
	if (n > 0)
		memcpy(at + 8, payload, n);
	if (!d->no_checksum) {
		uint16_t checksum = udp_checksum(&from.address, &to.address, at, (uint16_t)(8 + n));

		memcpy(at + 6, &checksum, 2);
	}
	return (uint32_t)(at - out) + 8 + n;
}

uint32_t from_hex(const char *text, uint8_t *out)
{
	uint32_t n = 0;

	while (*text != 0) {
		unsigned int byte;

		if (isspace((unsigned char)*text)) {
			text++;
			continue;
		}
		cr_assert_eq(sscanf(text, "%2x", &byte), 1);
		out[n++] = (uint8_t)byte;
		text += 2;
	}
	return n;
}

uint32_t channel_data(uint8_t *out, uint16_t channel, const void *data, uint16_t n, uint32_t pad)
{
	bytes_put_be16(out, channel);
	bytes_put_be16(out + 2, n);
	if (n > 0)
		memcpy(out + 4, data, n);
	// Not zero, so that a checksum that forgets the padding is caught.
	memset(out + 4 + n, 0xa5, pad);
	return 4 + n + pad;
}

uint32_t send_indication(uint8_t *out, const char *peer, const void *data, uint16_t n)
{
	static const uint8_t transaction_id[12] = "send-test-id";
	struct ip_endpoint to = endpoint(peer);
	struct stun_builder b;

	stun_build_begin(&b, out, 4096, TURN_SEND_INDICATION, transaction_id);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &to);
	stun_build_attr(&b, TURN_ATTR_DATA, data, n);
	return (uint32_t)stun_build_end(&b);
}
