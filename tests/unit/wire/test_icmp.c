// ICMP errors: RFC 792, RFC 4443, RFC 1191, RFC 8201, and what RFC 8656 §11.5 wants of them.
#include "dataplane/contract/wire/icmp.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "tests/unit/wire/frames.h"
#include "tests/unit/wire/guarded.h"

// The ICMP message of a frame that is complete, with the checksum filled in by the RFCs' words.
static void icmp_end(struct frame *f)
{
	uint8_t *icmp = f->bytes + f->l4;
	size_t n = f->len_bytes - f->l4;
	bool v4 = f->bytes[f->l3] >> 4 == 4;
	uint8_t pseudo[40] = { 0 };
	uint16_t checksum;
	uint32_t sum = 0;

	frame_end(f);
	if (!v4) {
		memcpy(pseudo, f->bytes + f->l3 + 8, 32);
		bytes_put_be32(pseudo + 32, (uint32_t)n);
		pseudo[39] = 58;
		sum = checksum_add(0, pseudo, sizeof(pseudo));
	}
	memset(icmp + 2, 0, 2);
	checksum = (uint16_t)~checksum_fold(checksum_add(sum, icmp, n));
	memcpy(icmp + 2, &checksum, 2);
}

// An error from 192.0.2.1 (or 2001:db8::1) to 192.0.2.2 about a datagram 192.0.2.2:1111 > 198.51.100.9:2222.
static void error_begin(struct frame *f, bool v4, uint8_t type, uint8_t code, uint32_t rest)
{
	uint8_t icmp[8] = { type, code };

	bytes_put_be32(icmp + 4, rest);
	frame_begin(f, 0, v4 ? 0x0800 : 0x86dd);
	if (v4)
		frame_v4(f, 1, 0);
	else
		frame_v6(f, 58);
	frame_append(f, icmp, sizeof(icmp));
}

static void enclose_v4(struct frame *f, size_t option_bytes, uint16_t fragment, uint8_t protocol)
{
	uint8_t ip[60] = { (uint8_t)(0x45 + option_bytes / 4),
			   0,
			   0x05,
			   0xdc,
			   0,
			   1,
			   0,
			   0,
			   63,
			   protocol,
			   0,
			   0,
			   192,
			   0,
			   2,
			   2,
			   198,
			   51,
			   100,
			   9 };

	bytes_put_be16(ip + 6, fragment);
	frame_append(f, ip, 20 + option_bytes);
}

static void enclose_v6(struct frame *f, uint8_t next)
{
	uint8_t ip[40] = { 0x60, 0,    0,    0,        0x05,        0xb4, next, 63,   0x20,
			   0x01, 0x0d, 0xb8, [23] = 2, [24] = 0x20, 0x01, 0x0d, 0xb8, [39] = 9 };

	frame_append(f, ip, sizeof(ip));
}

static void enclose_udp(struct frame *f, size_t n)
{
	uint8_t udp[8] = { 0x04, 0x57, 0x08, 0xae, 0x05, 0xb4, 0xab, 0xcd };

	frame_append(f, udp, sizeof(udp));
	for (size_t i = 0; i < n; i++)
		frame_append(f, "x", 1);
	icmp_end(f);
}

static enum icmp_verdict parse(const struct frame *f, struct icmp_error *e)
{
	const uint8_t *copy = guarded_copy(f->bytes, f->len_bytes);
	struct ip_udp_view v;

	cr_assert_eq(ip_udp_parse(copy, f->len_bytes, &v), IP_UDP_OTHER_PROTOCOL);
	memset(e, 0xee, sizeof(*e));
	return icmp_error_parse(copy, &v, e);
}

static void check_ok(const struct frame *f, uint8_t type, uint8_t code, uint32_t mtu_bytes)
{
	bool v4 = f->bytes[f->l3] >> 4 == 4;
	struct ip_endpoint source;
	struct ip_endpoint destination;
	struct icmp_error e;

	ip_endpoint_parse(v4 ? "192.0.2.2:1111" : "[2001:db8::2]:1111", &source);
	ip_endpoint_parse(v4 ? "198.51.100.9:2222" : "[2001:db8::9]:2222", &destination);
	cr_assert_eq(parse(f, &e), ICMP_OK);
	cr_assert(ip_endpoint_equal(&e.source, &source));
	cr_assert(ip_endpoint_equal(&e.destination, &destination));
	cr_assert_eq(e.type, type);
	cr_assert_eq(e.code, code);
	cr_assert_eq(e.mtu_bytes, mtu_bytes);
	cr_assert_eq(e.is_v4, v4);
}

Test(icmp, rfc8656_11_5_types_3_and_11_of_icmpv4)
{
	struct icmp_error e;
	struct frame f;

	for (uint32_t type = 0; type < 256; type++) {
		for (uint8_t code = 0; code < 16; code++) {
			error_begin(&f, true, (uint8_t)type, code, 0x00001388);
			enclose_v4(&f, 0, 0x4000, 17);
			enclose_udp(&f, 0);
			if (type == 3 || type == 11)
				check_ok(&f, (uint8_t)type, code,
					 type == 3 && code == 4 ? 5000 : 0);
			else
				cr_assert_eq(parse(&f, &e), ICMP_NO_ERROR, "type %u", type);
		}
	}
}

Test(icmp, rfc8656_11_5_types_1_2_and_3_of_icmpv6)
{
	struct icmp_error e;
	struct frame f;

	for (uint32_t type = 0; type < 256; type++) {
		error_begin(&f, false, (uint8_t)type, 1, 0x00011388);
		enclose_v6(&f, 17);
		enclose_udp(&f, 100);
		if (type >= 1 && type <= 3)
			check_ok(&f, (uint8_t)type, 1, type == 2 ? 0x11388 : 0);
		else
			cr_assert_eq(parse(&f, &e), ICMP_NO_ERROR, "type %u", type);
	}
}

Test(icmp, rfc792_a_message_of_the_other_family_is_none)
{
	struct icmp_error e;
	struct frame f;

	frame_begin(&f, 0, 0x0800);
	frame_v4(&f, 58, 0);
	frame_append(&f, "\x02\x00\x00\x00\x00\x00\x05\x00", 8);
	enclose_v6(&f, 17);
	enclose_udp(&f, 0);
	cr_assert_eq(parse(&f, &e), ICMP_NO_ERROR);
	error_begin(&f, true, 3, 3, 0);
	enclose_v6(&f, 17);
	enclose_udp(&f, 0);
	cr_assert_eq(parse(&f, &e), ICMP_NOT_UDP);
	error_begin(&f, false, 1, 4, 0);
	enclose_v4(&f, 0, 0, 17);
	enclose_udp(&f, 40);
	cr_assert_eq(parse(&f, &e), ICMP_NOT_UDP);
}

Test(icmp, rfc791_options_of_the_enclosed_packet)
{
	struct frame f;

	for (size_t options = 0; options <= 40; options += 4) {
		error_begin(&f, true, 3, 3, 0);
		enclose_v4(&f, options, 0, 17);
		enclose_udp(&f, 0);
		check_ok(&f, 3, 3, 0);
	}
}

Test(icmp, rfc8200_extension_headers_of_the_enclosed_packet)
{
	static const uint8_t kinds[] = { 0, 60, 43, 60, 44 };
	struct icmp_error e;
	struct frame f;

	error_begin(&f, false, 1, 4, 0);
	enclose_v6(&f, kinds[0]);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		uint8_t header[8] = { i + 1 < sizeof(kinds) ? kinds[i + 1] : 17 };

		// The first fragment: no offset, more to come.
		if (kinds[i] == 44)
			header[3] = 1;
		frame_append(&f, header, 8);
	}
	enclose_udp(&f, 0);
	check_ok(&f, 1, 4, 0);
	// Nine of them.
	error_begin(&f, false, 1, 4, 0);
	enclose_v6(&f, 60);
	for (size_t i = 0; i < 9; i++) {
		uint8_t header[8] = { i < 8 ? 60 : 17 };

		frame_append(&f, header, 8);
	}
	enclose_udp(&f, 0);
	cr_assert_eq(parse(&f, &e), ICMP_NOT_UDP);
}

Test(icmp, only_first_fragments_have_ports)
{
	uint8_t header[8] = { 17, 0, 0, 8 };
	struct icmp_error e;
	struct frame f;

	error_begin(&f, true, 3, 3, 0);
	enclose_v4(&f, 0, 0x2000, 17);
	enclose_udp(&f, 0);
	check_ok(&f, 3, 3, 0);
	error_begin(&f, true, 3, 3, 0);
	enclose_v4(&f, 0, 0x2001, 17);
	enclose_udp(&f, 0);
	cr_assert_eq(parse(&f, &e), ICMP_NOT_UDP);
	error_begin(&f, false, 1, 4, 0);
	enclose_v6(&f, 44);
	frame_append(&f, header, 8);
	enclose_udp(&f, 0);
	cr_assert_eq(parse(&f, &e), ICMP_NOT_UDP);
	// And the error itself must not be a fragment.
	error_begin(&f, true, 3, 3, 0);
	enclose_v4(&f, 0, 0, 17);
	enclose_udp(&f, 0);
	bytes_put_be16(f.bytes + f.l3 + 6, 0x2000);
	frame_v4_checksum(&f);
	cr_assert_eq(parse(&f, &e), ICMP_NO_ERROR);
}

Test(icmp, rfc8656_11_5_without_a_udp_header_it_is_nobodys)
{
	struct icmp_error e;
	struct frame f;

	for (uint32_t protocol = 0; protocol < 256; protocol++) {
		if (protocol == 17)
			continue;
		error_begin(&f, true, 3, 3, 0);
		enclose_v4(&f, 0, 0, (uint8_t)protocol);
		enclose_udp(&f, 0);
		cr_assert_eq(parse(&f, &e), ICMP_NOT_UDP);
	}
	// Cut off at every length.
	for (int v4 = 0; v4 < 2; v4++) {
		error_begin(&f, v4, v4 ? 3 : 1, 3, 0);
		if (v4)
			enclose_v4(&f, 8, 0, 17);
		else
			enclose_v6(&f, 17);
		enclose_udp(&f, 0);
		for (size_t n = f.len_bytes - 1; n >= f.l4; n--) {
			struct frame cut = f;

			cut.len_bytes = n;
			if (n >= f.l4 + 4)
				icmp_end(&cut);
			else
				frame_end(&cut);
			cr_assert_eq(parse(&cut, &e),
				     n < f.l4 + ICMP_HEADER_BYTES ? ICMP_NO_ERROR : ICMP_NOT_UDP,
				     "%zu bytes", n);
		}
	}
}

Test(icmp, a_wrong_checksum_is_told_at_every_bit)
{
	struct icmp_error e;
	struct frame f;

	for (int v4 = 0; v4 < 2; v4++) {
		error_begin(&f, v4, v4 ? 3 : 1, 3, 0);
		if (v4)
			enclose_v4(&f, 0, 0, 17);
		else
			enclose_v6(&f, 17);
		enclose_udp(&f, 33);
		for (size_t bit = 0; bit < (f.len_bytes - f.l4) * 8; bit++) {
			struct frame bad = f;

			bad.bytes[f.l4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
			cr_assert_neq(parse(&bad, &e), ICMP_OK, "bit %zu", bit);
		}
		f.bytes[f.l4 + 2] ^= 0x10;
		cr_assert_eq(parse(&f, &e), ICMP_BAD_CHECKSUM);
	}
}

Test(icmp, rfc4443_2_4_a_reply_encloses_as_much_as_fits)
{
	cr_assert_eq(icmp_enclosed_bytes(true, 100), 100);
	cr_assert_eq(icmp_enclosed_bytes(true, 548), 548);
	cr_assert_eq(icmp_enclosed_bytes(true, 1500), 548);
	cr_assert_eq(icmp_enclosed_bytes(false, 1232), 1232);
	cr_assert_eq(icmp_enclosed_bytes(false, 1500), 1232);
}

Test(icmp, rfc1191_4_fragmentation_needed_byte_for_byte)
{
	// 198.51.100.2 says to 203.0.113.20 that of its datagram only 1464 bytes fit.
	static const uint8_t want[] = { 0x45, 0xc0, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00,
					0x40, 0x01, 0x13, 0xd3, 0xc6, 0x33, 0x64, 0x02,
					0xcb, 0x00, 0x71, 0x14, 0x03, 0x04, 0xf1, 0x43,
					0x00, 0x00, 0x05, 0xb8, 0x01, 0x00, 0x05, 0x00 };
	uint8_t ip[32] = { 0 };
	struct icmp_reply r = { .type = 3, .code = 4, .mtu_bytes = 1464 };

	ip_address_parse("198.51.100.2", &r.source);
	ip_address_parse("203.0.113.20", &r.destination);
	memcpy(ip + 28, "\x01\x00\x05\x00", 4);
	cr_assert_eq(icmp_reply_write(ip, &r, 4), sizeof(want));
	cr_assert_arr_eq(ip, want, sizeof(want));
}

Test(icmp, rfc4443_3_2_packet_too_big_reads_back)
{
	struct frame f;
	struct icmp_reply r = { .type = 2, .mtu_bytes = 1452 };
	uint8_t *ip;

	error_begin(&f, false, 0, 0, 0);
	enclose_v6(&f, 17);
	enclose_udp(&f, 60);
	ip = f.bytes + f.l3;
	r.source = ip_address_from_v6(ip + 8);
	r.destination = ip_address_from_v6(ip + 24);
	cr_assert_eq(icmp_reply_write(ip, &r, (uint32_t)(f.len_bytes - f.l4) - ICMP_HEADER_BYTES),
		     f.len_bytes - f.l3);
	check_ok(&f, 2, 0, 1452);
	cr_assert_eq(ip[7], 64);
}
