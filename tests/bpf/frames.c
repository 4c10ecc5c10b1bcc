// Builds frames and STUN messages for the filter's tests; see frames.h.
#include "tests/bpf/frames.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/wire/stun.h"

static const uint8_t transaction_id[12] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
					    0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae };

static uint8_t *append(struct frame *f, const void *bytes, uint32_t n)
{
	uint8_t *at = f->bytes + f->n_bytes;

	assert(f->n_bytes + n <= FRAME_BYTES_MAX);
	if (bytes)
		memcpy(at, bytes, n);
	else
		memset(at, 0, n);
	f->n_bytes += n;
	return at;
}

static void append_ethernet(struct frame *f, const struct frame_spec *spec, bool is_v4)
{
	uint16_t ethertype = spec->ethertype;
	uint8_t *at;

	if (!ethertype)
		ethertype = is_v4 ? 0x0800 : 0x86dd;
	append(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x10", 12);
	if (spec->multicast_link)
		f->bytes[0] |= 1;
	for (uint32_t i = 0; i < spec->n_vlan_tags; i++) {
		at = append(f, NULL, 4);
		bytes_put_be16(at, 0x8100);
		bytes_put_be16(at + 2, spec->vlan_tci);
	}
	bytes_put_be16(append(f, NULL, 2), ethertype);
}

static void append_ip4(struct frame *f, const struct frame_spec *spec,
		       const struct ip_endpoint *source, const struct ip_endpoint *destination,
		       uint32_t l4_bytes)
{
	uint32_t header_bytes = 20 + spec->options_bytes;
	uint8_t *ip = append(f, NULL, header_bytes);

	ip[0] = (uint8_t)(0x40 | header_bytes / 4);
	bytes_put_be16(ip + 2,
		       (uint16_t)(header_bytes + l4_bytes + (uint32_t)spec->ip_length_error));
	bytes_put_be16(ip + 4, (uint16_t)spec->identification);
	bytes_put_be16(ip + 6, spec->fragment);
	ip[8] = 61;
	ip[9] = spec->protocol ? spec->protocol : IPPROTO_UDP;
	memcpy(ip + 12, source->address.bytes + 12, 4);
	memcpy(ip + 16, destination->address.bytes + 12, 4);
	memset(ip + 20, 1, spec->options_bytes); // no-operation
	uint16_t check = ipv4_header_checksum(ip, header_bytes);
	memcpy(ip + 10, &check, 2);
	if (spec->bad_ip_checksum)
		ip[10] ^= 0x40;
}

static void append_ip6(struct frame *f, const struct frame_spec *spec,
		       const struct ip_endpoint *source, const struct ip_endpoint *destination,
		       uint32_t l4_bytes)
{
	uint32_t extras_bytes = spec->n_extensions * 8 + (spec->has_fragment_header ? 8 : 0);
	uint8_t protocol = spec->protocol ? spec->protocol : IPPROTO_UDP;
	uint8_t *ip = append(f, NULL, 40);
	uint8_t *next = ip + 6;

	ip[0] = 0x60;
	bytes_put_be16(ip + 4,
		       (uint16_t)(extras_bytes + l4_bytes + (uint32_t)spec->ip_length_error));
	ip[7] = 61;
	memcpy(ip + 8, source->address.bytes, 16);
	memcpy(ip + 24, destination->address.bytes, 16);
	for (uint32_t i = 0; i < spec->n_extensions; i++) {
		*next = spec->extensions[i];
		next = append(f, NULL, 8);
		next[2] = 1; // PadN
		next[3] = 4;
	}
	if (spec->has_fragment_header) {
		*next = IPPROTO_FRAGMENT;
		next = append(f, NULL, 8);
		bytes_put_be16(next + 2, spec->fragment);
		bytes_put_be32(next + 4, spec->identification);
	}
	*next = protocol;
}

static struct ip_endpoint endpoint_of(const char *text)
{
	struct ip_endpoint e;

	if (ip_endpoint_parse(text, &e) < 0)
		abort();
	return e;
}

void frame_build(struct frame *f, const struct frame_spec *spec)
{
	const char *destination_text = spec->destination ? spec->destination : RELAY_V4;
	const char *source_text = spec->source;
	struct ip_endpoint destination = endpoint_of(destination_text), source;
	uint32_t l4_bytes = spec->payload_bytes + (spec->no_udp_header ? 0 : 8);
	uint8_t *udp;
	bool is_v4;

	f->n_bytes = 0;
	is_v4 = ip_address_is_v4(&destination.address);
	if (!source_text)
		source_text = is_v4 ? CLIENT_V4 : CLIENT_V6;
	source = endpoint_of(source_text);

	append_ethernet(f, spec, is_v4);
	if (is_v4)
		append_ip4(f, spec, &source, &destination, l4_bytes);
	else
		append_ip6(f, spec, &source, &destination, l4_bytes);
	if (spec->no_udp_header) {
		append(f, spec->payload, spec->payload_bytes);
		return;
	}
	udp = append(f, NULL, 8);
	memcpy(udp, &source.port_be, 2);
	memcpy(udp + 2, &destination.port_be, 2);
	bytes_put_be16(udp + 4, (uint16_t)(l4_bytes + (uint32_t)spec->udp_length_error));
	append(f, spec->payload, spec->payload_bytes);
	if (!spec->zero_udp_checksum) {
		uint16_t check = udp_checksum(&source.address, &destination.address, udp,
					      (uint16_t)l4_bytes);

		memcpy(udp + 6, &check, 2);
	}
}

void message_begin(struct message *m, uint16_t type)
{
	m->n_bytes = 20;
	bytes_put_be16(m->bytes, type);
	bytes_put_be16(m->bytes + 2, 0);
	bytes_put_be32(m->bytes + 4, STUN_MAGIC_COOKIE);
	memcpy(m->bytes + 8, transaction_id, 12);
}

void message_attr(struct message *m, uint16_t type, const void *value, uint16_t length)
{
	uint32_t padded = (length + 3u) & ~3u;

	assert(m->n_bytes + 4 + padded <= sizeof(m->bytes));
	bytes_put_be16(m->bytes + m->n_bytes, type);
	bytes_put_be16(m->bytes + m->n_bytes + 2, length);
	memset(m->bytes + m->n_bytes + 4, 0, padded);
	if (length)
		memcpy(m->bytes + m->n_bytes + 4, value, length);
	m->n_bytes += 4 + padded;
	bytes_put_be16(m->bytes + 2, (uint16_t)(m->n_bytes - 20));
}

// Bitwise, because a table is what the filter itself uses.
static uint32_t crc32_bitwise(const uint8_t *at, uint32_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	return ~crc;
}

void message_fingerprint(struct message *m)
{
	uint8_t value[4] = {};
	uint32_t before = m->n_bytes;

	message_attr(m, STUN_ATTR_FINGERPRINT, value, 4);
	bytes_put_be32(m->bytes + before + 4,
		       crc32_bitwise(m->bytes, before) ^ STUN_FINGERPRINT_XOR);
}

void message_binding(struct message *m)
{
	message_begin(m, STUN_BINDING_REQUEST);
}
