// One's-complement arithmetic: RFC 1071 against a plain loop, RFC 1624 updates against full sums.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/contract/wire/ip_udp.h"
#include "tests/unit/wire/guarded.h"

static void fill_random(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(random() >> 7);
}

// RFC 1071 §4.1, word by word.
static uint16_t plain_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] | p[i + 1] << 8);
	if (n % 2 != 0)
		sum += p[n - 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

Test(checksum, rfc1071_3_example)
{
	const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	cr_assert_eq(checksum_fold(checksum_add(0, bytes, sizeof(bytes))), htons(0xddf2));
}

Test(checksum, rfc1071_every_length_and_alignment)
{
	static uint8_t buf[2200];

	srandom(1071);
	fill_random(buf, sizeof(buf));
	for (size_t n = 0; n <= 2100; n++) {
		const uint8_t *p = guarded_copy(buf + n % 16, n);

		cr_assert_eq(checksum_fold(checksum_add(0, p, n)), plain_sum(p, n), "%zu", n);
	}
}

Test(checksum, rfc1071_worst_sums_do_not_overflow)
{
	static uint8_t ones[65536];
	uint32_t sum = 0;

	memset(ones, 0xff, sizeof(ones));
	cr_assert_eq(checksum_fold(checksum_add(0xffffffff, ones, sizeof(ones))), 0xffff);
	for (uint32_t i = 0; i < 100000; i++) {
		sum = checksum_add(sum, ones, 2);
		cr_assert_lt(sum, 1u << 17);
	}
	for (uint32_t i = 0; i < 32768; i++)
		cr_assert_eq(checksum_fold(i << 16 | 0xffff),
			     plain_sum((uint8_t *)&(uint32_t){ i << 16 | 0xffff }, 4));
}

// Pieces at even offsets add up to the whole.
Test(checksum, rfc1071_2_pieces)
{
	uint8_t buf[301];

	srandom(2);
	fill_random(buf, sizeof(buf));
	for (size_t cut = 0; cut <= sizeof(buf); cut += 2) {
		uint32_t sum = checksum_add(0, buf, cut);

		sum = checksum_add(sum, buf + cut, sizeof(buf) - cut);
		cr_assert_eq(checksum_fold(sum), plain_sum(buf, sizeof(buf)));
	}
}

// A header field is rewritten; the updated checksum verifies as one computed anew would.
Test(checksum, rfc1624_3_incremental_equals_full)
{
	srandom(1624);
	for (uint32_t round = 0; round < 50000; round++) {
		uint8_t header[20];
		uint8_t old[8];
		size_t at = (size_t)(random() % 5) * 2;
		uint16_t checksum;

		fill_random(header, sizeof(header));
		memset(header + 10, 0, 2);
		if (round % 5 == 0)
			memset(header + 12, 0xff, 8);
		if (round % 7 == 0)
			memset(header, 0, 10);
		header[0] = 0x45;
		checksum = ipv4_header_checksum(header, sizeof(header));
		memcpy(header + 10, &checksum, 2);
		cr_assert_eq(ipv4_header_checksum(header, sizeof(header)), 0);

		// 2 bytes behind `at` in the first half, or both addresses.
		if (at >= 4) {
			memcpy(old, header + 12, 8);
			fill_random(header + 12, 8);
			checksum = checksum_update(checksum, checksum_add(0, old, 8),
						   checksum_add(0, header + 12, 8));
		} else {
			memcpy(old, header + at + 2, 2);
			fill_random(header + at + 2, 2);
			checksum = checksum_update(checksum, checksum_add(0, old, 2),
						   checksum_add(0, header + at + 2, 2));
		}
		memcpy(header + 10, &checksum, 2);
		cr_assert_eq(ipv4_header_checksum(header, sizeof(header)), 0);
	}
}

// RFC 1624 §4: the case that RFC 1141's method gets wrong.
Test(checksum, rfc1624_4_example)
{
	uint16_t old_word = htons(0x5555);
	uint16_t new_word = htons(0x3285);

	cr_assert_eq(checksum_update(htons(0xdd2f), checksum_add(0, &old_word, 2),
				     checksum_add(0, &new_word, 2)),
		     htons(0x0000));
}

Test(checksum, udp_v4_reference)
{
	// 192.0.2.1:1234 > 192.0.2.2:5678, "hi!"; the checksum from a capture-independent hand sum.
	const uint8_t udp[] = { 0x04, 0xd2, 0x16, 0x2e, 0x00, 0x0b, 0xde, 0xad, 'h', 'i', '!' };
	const uint8_t pseudo[] = { 192, 0, 2, 1, 192, 0, 2, 2, 0, 17, 0, 11 };
	uint8_t whole[sizeof(pseudo) + sizeof(udp)];
	struct ip_address src = ip_address_from_v4(pseudo);
	struct ip_address dst = ip_address_from_v4(pseudo + 4);

	memcpy(whole, pseudo, sizeof(pseudo));
	memcpy(whole + sizeof(pseudo), udp, sizeof(udp));
	memset(whole + sizeof(pseudo) + 6, 0, 2);
	cr_assert_eq(udp_checksum(&src, &dst, guarded_copy(udp, sizeof(udp)), sizeof(udp)),
		     (uint16_t)~plain_sum(whole, sizeof(whole)));
}

// Both families over random datagrams: with the checksum filled in, the sum over everything is all ones.
Test(checksum, udp_rfc768_rfc8200_verify)
{
	srandom(768);
	for (uint32_t round = 0; round < 20000; round++) {
		uint8_t whole[40 + 200];
		bool v4 = round & 1;
		size_t pseudo_bytes = v4 ? 12 : 40;
		uint16_t udp_bytes = (uint16_t)(8 + random() % 190);
		uint8_t *udp = whole + pseudo_bytes;
		struct ip_address src;
		struct ip_address dst;
		uint16_t checksum;

		fill_random(whole, sizeof(whole));
		if (v4) {
			src = ip_address_from_v4(whole);
			dst = ip_address_from_v4(whole + 4);
			memcpy(whole + 8,
			       (uint8_t[4]){ 0, 17, (uint8_t)(udp_bytes >> 8), (uint8_t)udp_bytes },
			       4);
		} else {
			src = ip_address_from_v6(whole);
			dst = ip_address_from_v6(whole + 16);
			bytes_put_be32(whole + 32, udp_bytes);
			bytes_put_be32(whole + 36, 17);
		}
		checksum = udp_checksum(&src, &dst, udp, udp_bytes);
		cr_assert_neq(checksum, 0);
		memcpy(udp + 6, &checksum, 2);
		cr_assert_eq(plain_sum(whole, pseudo_bytes + udp_bytes), 0xffff);
	}
}

// RFC 768: a computed zero is sent as all ones.
Test(checksum, udp_never_zero)
{
	uint8_t udp[10] = { 0, 0, 0, 0, 0, 10, 0, 0, 0, 0 };
	struct ip_address zero = ip_address_from_v4((uint8_t[4]){ 0, 0, 0, 0 });
	uint16_t rest;

	// protocol 17 + length 10 twice + rest = 0xffff
	rest = htons(0xffff - 17 - 10 - 10);
	memcpy(udp + 8, &rest, 2);
	cr_assert_eq(udp_checksum(&zero, &zero, udp, sizeof(udp)), 0xffff);
}
