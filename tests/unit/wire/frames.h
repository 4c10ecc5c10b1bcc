// Ethernet frames for tests, built part by part; lengths and checksums are filled in at the end.
#ifndef TP_TESTS_FRAMES_H
#define TP_TESTS_FRAMES_H

#include <stdint.h>
#include <string.h>

#include "dataplane/contract/wire/ip_udp.h"

struct frame {
	uint8_t bytes[2048];
	size_t len_bytes;
	size_t l3;
	size_t l4;
};

static inline void frame_append(struct frame *f, const void *bytes, size_t n)
{
	memcpy(f->bytes + f->len_bytes, bytes, n);
	f->len_bytes += n;
}

// tci 0: no tag.
static inline void frame_begin(struct frame *f, uint16_t tci, uint16_t ethertype)
{
	uint8_t tag[4] = { 0x81, 0x00, (uint8_t)(tci >> 8), (uint8_t)tci };
	uint8_t type[2] = { (uint8_t)(ethertype >> 8), (uint8_t)ethertype };

	memset(f, 0, sizeof(*f));
	frame_append(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	if (tci != 0)
		frame_append(f, tag, 4);
	frame_append(f, type, 2);
	f->l3 = f->len_bytes;
}

// IPv4 192.0.2.1 > 192.0.2.2 with option_bytes (a multiple of 4) of NOPs, TOS 0xb9, TTL 61, DF.
static inline void frame_v4(struct frame *f, uint8_t protocol, size_t option_bytes)
{
	uint8_t ip[20] = { (uint8_t)(0x45 + option_bytes / 4),
			   0xb9,
			   0,
			   0,
			   0x12,
			   0x34,
			   0x40,
			   0,
			   61,
			   protocol,
			   0,
			   0,
			   192,
			   0,
			   2,
			   1,
			   192,
			   0,
			   2,
			   2 };

	frame_append(f, ip, sizeof(ip));
	memset(f->bytes + f->len_bytes, 1, option_bytes);
	f->len_bytes += option_bytes;
	f->l4 = f->len_bytes;
}

// IPv6 2001:db8::1 > 2001:db8::2, traffic class 0xb9, hop limit 61.
static inline void frame_v6(struct frame *f, uint8_t next_header)
{
	uint8_t ip[40] = {
		0x6b, 0x91, 0x23, 0x45,     0,           0,    next_header, 61,   0x20,
		0x01, 0x0d, 0xb8, [23] = 1, [24] = 0x20, 0x01, 0x0d,        0xb8, [39] = 2
	};

	frame_append(f, ip, sizeof(ip));
	f->l4 = f->len_bytes;
}

// An IPv6 extension header of 8 + 8 * more bytes.
static inline void frame_extension(struct frame *f, uint8_t next_header, uint8_t more)
{
	uint8_t head[8] = { next_header, more, 1, 0, 0, 0, 0, 0 };

	frame_append(f, head, sizeof(head));
	f->len_bytes += 8u * more;
	f->l4 = f->len_bytes;
}

// UDP 1111 > 2222 with n bytes of payload.
static inline void frame_udp(struct frame *f, size_t n)
{
	uint8_t udp[8] = { 0x04, 0x57, 0x08, 0xae, (uint8_t)((n + 8) >> 8), (uint8_t)(n + 8),
			   0xab, 0xcd };

	f->l4 = f->len_bytes;
	frame_append(f, udp, sizeof(udp));
	for (size_t i = 0; i < n; i++)
		f->bytes[f->len_bytes++] = (uint8_t)i;
}

// IPv4: fills in the header checksum after a change.
static inline void frame_v4_checksum(struct frame *f)
{
	uint8_t *ip = f->bytes + f->l3;
	uint16_t checksum;

	memset(ip + 10, 0, 2);
	checksum = ipv4_header_checksum(ip, (ip[0] & 15u) * 4u);
	memcpy(ip + 10, &checksum, 2);
}

// Fills in the IP length, and the checksum of an IPv4 header.
static inline void frame_end(struct frame *f)
{
	uint8_t *ip = f->bytes + f->l3;

	if (ip[0] >> 4 == 4) {
		bytes_put_be16(ip + 2, (uint16_t)(f->len_bytes - f->l3));
		frame_v4_checksum(f);
	} else {
		bytes_put_be16(ip + 4, (uint16_t)(f->len_bytes - f->l3 - 40));
	}
}

#endif
