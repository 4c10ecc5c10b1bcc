// Reading STUN: the published vectors, and what is no message.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "dataplane/contract/wire/stun.h"
#include "tests/unit/wire/guarded.h"
#include "tests/unit/wire/integrity.h"
#include "tests/vectors/stun_vectors.h"

static struct stun_view parsed(const uint8_t *bytes, size_t n)
{
	struct stun_view m;

	cr_assert_eq(stun_parse(guarded_copy(bytes, n), n, &m), STUN_OK);
	cr_assert_eq(m.length_bytes, n);
	return m;
}

static struct stun_attr found(const struct stun_view *m, uint16_t type)
{
	struct stun_attr a;

	cr_assert(stun_attr_find(m, type, &a), "attribute 0x%04x", type);
	return a;
}

static bool text_is(const struct stun_attr *a, const char *text)
{
	return a->length_bytes == strlen(text) && memcmp(a->value, text, a->length_bytes) == 0;
}

static void check_integrity_and_fingerprint(const struct stun_view *m)
{
	struct stun_attr mi = found(m, STUN_ATTR_MESSAGE_INTEGRITY);
	struct stun_attr fp = found(m, STUN_ATTR_FINGERPRINT);

	cr_assert(integrity_ok(m, &mi, RFC5769_PASSWORD, strlen(RFC5769_PASSWORD)));
	cr_assert(stun_fingerprint_ok(m, &fp));
}

Test(stun, rfc5769_2_1_request)
{
	struct stun_view m = parsed(rfc5769_2_1_request, sizeof(rfc5769_2_1_request));
	static const uint16_t types[] = { STUN_ATTR_SOFTWARE,
					  0x0024,
					  0x8029,
					  STUN_ATTR_USERNAME,
					  STUN_ATTR_MESSAGE_INTEGRITY,
					  STUN_ATTR_FINGERPRINT };
	struct stun_attr a;
	uint16_t offset = 0;

	cr_assert_eq(m.type, STUN_BINDING_REQUEST);
	cr_assert(stun_is_request(m.type));
	cr_assert_eq(bytes_get_be32(m.transaction_id), 0xb7e7a701);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		cr_assert(stun_attr_next(&m, &offset, &a));
		cr_assert_eq(a.type, types[i]);
	}
	cr_assert_not(stun_attr_next(&m, &offset, &a));
	a = found(&m, STUN_ATTR_USERNAME);
	cr_assert(text_is(&a, "evtj:h6vY"));
	a = found(&m, STUN_ATTR_SOFTWARE);
	cr_assert(text_is(&a, "STUN test client"));
	check_integrity_and_fingerprint(&m);
}

static void check_response(const uint8_t *bytes, size_t n, const char *mapped)
{
	struct stun_view m = parsed(bytes, n);
	struct stun_attr a = found(&m, STUN_ATTR_XOR_MAPPED_ADDRESS);
	char text[IP_ENDPOINT_TEXT_MAX];
	struct ip_endpoint e;

	cr_assert_eq(m.type, STUN_BINDING_SUCCESS);
	cr_assert_not(stun_is_request(m.type));
	cr_assert_not(stun_is_indication(m.type));
	cr_assert_eq(stun_xor_address_get(&m, &a, &e), 0);
	cr_assert_str_eq(ip_endpoint_format(&e, text, sizeof(text)), mapped);
	check_integrity_and_fingerprint(&m);
}

Test(stun, rfc5769_2_2_response_v4)
{
	check_response(rfc5769_2_2_response_v4, sizeof(rfc5769_2_2_response_v4), "192.0.2.1:32853");
}

Test(stun, rfc5769_2_3_response_v6)
{
	check_response(rfc5769_2_3_response_v6, sizeof(rfc5769_2_3_response_v6),
		       "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

Test(stun, rfc5769_2_4_long_term)
{
	struct stun_view m = parsed(rfc5769_2_4_long_term, sizeof(rfc5769_2_4_long_term));
	struct stun_attr mi = found(&m, STUN_ATTR_MESSAGE_INTEGRITY);
	struct stun_attr a = found(&m, STUN_ATTR_USERNAME);
	uint8_t key[EVP_MAX_MD_SIZE];
	unsigned int key_bytes;

	cr_assert(text_is(&a, VECTOR_LONG_TERM_USER));
	a = found(&m, STUN_ATTR_NONCE);
	cr_assert(text_is(&a, "f//499k954d6OL34oL9FSTvy64sA"));
	a = found(&m, STUN_ATTR_REALM);
	cr_assert(text_is(&a, "example.org"));
	EVP_Digest(VECTOR_LONG_TERM_KEY, strlen(VECTOR_LONG_TERM_KEY), key, &key_bytes, EVP_md5(),
		   NULL);
	cr_assert(integrity_ok(&m, &mi, key, key_bytes));
	key[0] ^= 1;
	cr_assert_not(integrity_ok(&m, &mi, key, key_bytes));
}

Test(stun, rfc8489_b_1_sha256_and_userhash)
{
	struct stun_view m = parsed(rfc8489_b_1_sha256, sizeof(rfc8489_b_1_sha256));
	struct stun_attr mi = found(&m, STUN_ATTR_MESSAGE_INTEGRITY_SHA256);
	struct stun_attr a = found(&m, STUN_ATTR_USERHASH);
	static const char user_realm[] = VECTOR_LONG_TERM_USER ":example.org";
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int n;

	EVP_Digest(user_realm, strlen(user_realm), digest, &n, EVP_sha256(), NULL);
	cr_assert_eq(a.length_bytes, 32);
	cr_assert_arr_eq(a.value, digest, 32);
	a = found(&m, STUN_ATTR_NONCE);
	cr_assert(text_is(&a, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"));
	a = found(&m, STUN_ATTR_PASSWORD_ALGORITHM);
	cr_assert_eq(bytes_get_be16(a.value), 2);
	EVP_Digest(VECTOR_LONG_TERM_KEY, strlen(VECTOR_LONG_TERM_KEY), digest, &n, EVP_sha256(),
		   NULL);
	cr_assert(integrity_ok(&m, &mi, digest, n));
}

Test(stun, rfc8489_5_truncated_and_extended)
{
	uint8_t longer[sizeof(rfc5769_2_1_request) + 4] = { 0 };
	struct stun_view m;

	for (size_t n = 0; n < sizeof(rfc5769_2_1_request); n++)
		cr_assert_eq(stun_parse(guarded_copy(rfc5769_2_1_request, n), n, &m),
			     STUN_ERROR_SHORT, "%zu", n);
	memcpy(longer, rfc5769_2_1_request, sizeof(rfc5769_2_1_request));
	for (size_t extra = 1; extra <= 4; extra++)
		cr_assert_eq(stun_parse(longer, sizeof(rfc5769_2_1_request) + extra, &m),
			     STUN_ERROR_LENGTH);
}

Test(stun, rfc8489_5_first_bits_and_cookie)
{
	uint8_t bad[sizeof(rfc5769_2_1_request)];
	struct stun_view m;

	for (uint32_t bit = 0; bit < 34; bit++) {
		memcpy(bad, rfc5769_2_1_request, sizeof(bad));
		if (bit < 2)
			bad[0] |= (uint8_t)(0x40 << bit);
		else
			bad[4 + (bit - 2) / 8] ^= (uint8_t)(1u << (bit - 2) % 8);
		cr_assert_eq(stun_parse(bad, sizeof(bad), &m), STUN_ERROR_NOT_STUN, "%u", bit);
	}
}

// Every announced length but the true one is refused.
Test(stun, rfc8489_5_forged_lengths)
{
	uint8_t bad[sizeof(rfc5769_2_2_response_v4)];
	struct stun_view m;

	memcpy(bad, rfc5769_2_2_response_v4, sizeof(bad));
	for (uint32_t length = 0; length <= UINT16_MAX; length++) {
		bytes_put_be16(bad + 2, (uint16_t)length);
		if (length + 20 != sizeof(bad))
			cr_assert_neq(stun_parse(bad, sizeof(bad), &m), STUN_OK, "%u", length);
	}
}

// Every length of every attribute: accepted messages are walked to their end, and not past it.
Test(stun, rfc8489_14_forged_attribute_lengths)
{
	static const size_t at[] = { 20, 40, 48, 60, 76, 100 };
	uint32_t accepted = 0;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		for (uint32_t length = 0; length <= UINT16_MAX; length++) {
			uint8_t bad[sizeof(rfc5769_2_1_request)];
			struct stun_view m;
			struct stun_attr a;
			uint16_t offset = 0;
			size_t end = 20;

			memcpy(bad, rfc5769_2_1_request, sizeof(bad));
			bytes_put_be16(bad + at[i] + 2, (uint16_t)length);
			if (stun_parse(guarded_copy(bad, sizeof(bad)), sizeof(bad), &m) != STUN_OK)
				continue;
			accepted++;
			while (stun_attr_next(&m, &offset, &a)) {
				cr_assert_eq(a.offset_bytes, end);
				end += 4 + ((a.length_bytes + 3u) & ~3u);
				cr_assert_leq(a.value + a.length_bytes, m.msg + m.length_bytes);
			}
			cr_assert_eq(end, sizeof(bad));
		}
	}
	// At least the true lengths, each with the others that round up to the same padding.
	cr_assert_geq(accepted, 6 * 4);
}

Test(stun, empty_message_has_no_attributes)
{
	const uint8_t bare[20] = { 0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
	struct stun_view m = parsed(bare, sizeof(bare));
	struct stun_attr a;
	uint16_t offset = 0;

	cr_assert_not(stun_attr_next(&m, &offset, &a));
	cr_assert_not(stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a));
}

// A message of attributes with 4-byte values, told by their types.
static struct stun_view message_of(const uint16_t *types, size_t n)
{
	static uint8_t buf[512];
	static const uint8_t id[12];
	struct stun_builder b;

	stun_build_begin(&b, buf, sizeof(buf), TURN_ALLOCATE_REQUEST, id);
	for (size_t i = 0; i < n; i++)
		stun_build_u32(&b, types[i], (uint32_t)i);
	return parsed(buf, stun_build_end(&b));
}

Test(stun, rfc8489_14_5_attributes_behind_integrity_are_ignored)
{
	static const uint16_t types[] = {
		STUN_ATTR_USERNAME, STUN_ATTR_MESSAGE_INTEGRITY, STUN_ATTR_USERNAME,
		TURN_ATTR_LIFETIME, STUN_ATTR_MESSAGE_INTEGRITY, STUN_ATTR_MESSAGE_INTEGRITY_SHA256,
		TURN_ATTR_LIFETIME, STUN_ATTR_FINGERPRINT
	};
	struct stun_view m = message_of(types, sizeof(types) / sizeof(types[0]));
	struct stun_attr a;

	a = found(&m, STUN_ATTR_USERNAME);
	cr_assert_eq(bytes_get_be32(a.value), 0);
	a = found(&m, STUN_ATTR_MESSAGE_INTEGRITY);
	cr_assert_eq(bytes_get_be32(a.value), 1);
	a = found(&m, STUN_ATTR_MESSAGE_INTEGRITY_SHA256);
	cr_assert_eq(bytes_get_be32(a.value), 5);
	a = found(&m, STUN_ATTR_FINGERPRINT);
	cr_assert_eq(bytes_get_be32(a.value), 7);
	cr_assert_not(stun_attr_find(&m, TURN_ATTR_LIFETIME, &a));
}

Test(stun, rfc8489_14_6_attributes_behind_sha256_are_ignored)
{
	static const uint16_t types[] = { STUN_ATTR_MESSAGE_INTEGRITY_SHA256,
					  STUN_ATTR_MESSAGE_INTEGRITY, TURN_ATTR_LIFETIME,
					  STUN_ATTR_FINGERPRINT };
	struct stun_view m = message_of(types, sizeof(types) / sizeof(types[0]));
	struct stun_attr a;

	cr_assert_not(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a));
	cr_assert_not(stun_attr_find(&m, TURN_ATTR_LIFETIME, &a));
	cr_assert(stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a));
}

Test(stun, rfc8489_14_7_attributes_behind_fingerprint_are_ignored)
{
	static const uint16_t types[] = { STUN_ATTR_FINGERPRINT, TURN_ATTR_LIFETIME,
					  STUN_ATTR_MESSAGE_INTEGRITY };
	struct stun_view m = message_of(types, sizeof(types) / sizeof(types[0]));
	struct stun_attr a;

	cr_assert_not(stun_attr_find(&m, TURN_ATTR_LIFETIME, &a));
	cr_assert_not(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a));
}

static bool knows_lifetime(uint16_t type)
{
	return type == TURN_ATTR_LIFETIME || type == STUN_ATTR_MESSAGE_INTEGRITY;
}

Test(stun, rfc8489_6_3_1_unknown_attributes)
{
	static const uint16_t types[] = {
		0x7777, TURN_ATTR_LIFETIME,          0x8888, 0x0030, 0x7777,
		0x7fff, STUN_ATTR_MESSAGE_INTEGRITY, 0x0031
	};
	struct stun_view m = message_of(types, sizeof(types) / sizeof(types[0]));
	uint16_t unknown[4] = { 0 };

	cr_assert_eq(stun_unknown_attrs(&m, knows_lifetime, unknown, 4), 3);
	cr_assert_eq(unknown[0], 0x7777);
	cr_assert_eq(unknown[1], 0x0030);
	cr_assert_eq(unknown[2], 0x7fff);
	unknown[2] = 0;
	cr_assert_eq(stun_unknown_attrs(&m, knows_lifetime, unknown, 2), 2);
	cr_assert_eq(unknown[2], 0);
	cr_assert_eq(stun_unknown_attrs(&m, knows_lifetime, unknown, 0), 0);
}

// stun_parse notes what a message does not have by the low bits of the types: those that have them in common must not hide
// each other, nor be found for each other.
Test(stun, rfc8489_14_finds_each_attribute_that_is_there)
{
	for (uint32_t first = 1; first < 0x10000; first += 61) {
		const uint16_t types[] = { (uint16_t)first, (uint16_t)(first + 0x40),
					   TURN_ATTR_LIFETIME };
		struct stun_view m = message_of(types, 3);

		for (uint32_t type = first & 63; type < 0x10000; type += 64) {
			uint16_t offset = 0;
			bool is_there = false;
			struct stun_attr a;

			while (!is_there && stun_attr_next(&m, &offset, &a)) {
				is_there = a.type == type;
				// What follows does not count.
				if (a.type == STUN_ATTR_MESSAGE_INTEGRITY ||
				    a.type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256 ||
				    a.type == STUN_ATTR_FINGERPRINT)
					break;
			}
			cr_assert_eq(stun_attr_find(&m, (uint16_t)type, &a), is_there,
				     "types %04x and %04x, looked for %04x", types[0], types[1],
				     type);
		}
	}
}

Test(stun, rfc8489_14_2_xor_address_refuses)
{
	uint8_t value[24] = { 0 };
	struct stun_view m = { .msg = rfc5769_2_1_request,
			       .length_bytes = sizeof(rfc5769_2_1_request) };
	struct ip_endpoint e;

	for (uint32_t family = 0; family < 256; family++) {
		for (uint16_t n = 0; n <= 24; n++) {
			struct stun_attr a = { .type = STUN_ATTR_XOR_MAPPED_ADDRESS };
			bool good = (family == 1 && n == 8) || (family == 2 && n == 20);

			value[1] = (uint8_t)family;
			a.value = guarded_copy(value, n);
			a.length_bytes = n;
			cr_assert_eq(stun_xor_address_get(&m, &a, &e), good ? 0 : -EINVAL,
				     "family %u, %u bytes", family, n);
		}
	}
}

// An IPv6 attribute that carries ::ffff:127.0.0.1 means 127.0.0.1 (CVE-2020-26262).
Test(stun, rfc8489_14_2_mapped_address_is_ipv4)
{
	uint8_t value[20] = { 0, 2, 0, 0, [14] = 0xff, [15] = 0xff, 127, 0, 0, 1 };
	struct stun_view m = { .msg = rfc5769_2_1_request,
			       .length_bytes = sizeof(rfc5769_2_1_request) };
	struct stun_attr a = { .value = value, .length_bytes = sizeof(value) };
	struct ip_endpoint e;

	for (uint32_t i = 0; i < 16; i++)
		value[4 + i] ^= rfc5769_2_1_request[4 + i];
	cr_assert_eq(stun_xor_address_get(&m, &a, &e), 0);
	cr_assert(ip_address_is_v4(&e.address));
	cr_assert_eq(ip_address_classify(&e.address), IP_CLASS_LOOPBACK);
}

Test(stun, rfc8489_14_7_fingerprint)
{
	uint8_t bad[sizeof(rfc5769_2_1_request)];

	for (size_t bit = 0; bit < 8 * sizeof(bad); bit++) {
		struct stun_attr a;
		struct stun_view m;

		memcpy(bad, rfc5769_2_1_request, sizeof(bad));
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (stun_parse(bad, sizeof(bad), &m) != STUN_OK ||
		    !stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a))
			continue;
		cr_assert_not(stun_fingerprint_ok(&m, &a), "bit %zu", bit);
	}
}

Test(stun, rfc8489_14_7_fingerprint_must_be_last_and_4_bytes)
{
	static const uint8_t id[12];
	struct stun_builder b;
	struct stun_attr a;
	struct stun_view m;
	uint8_t buf[64];
	size_t n;

	stun_build_begin(&b, buf, sizeof(buf), STUN_BINDING_REQUEST, id);
	stun_build_fingerprint(&b);
	n = stun_build_end(&b);
	m = parsed(buf, n);
	a = found(&m, STUN_ATTR_FINGERPRINT);
	cr_assert(stun_fingerprint_ok(&m, &a));
	stun_build_u32(&b, STUN_ATTR_SOFTWARE, 0);
	n = stun_build_end(&b);
	// The CRC is right, only its place is wrong.
	bytes_put_be32(buf + 24, stun_crc32(buf, 20) ^ STUN_FINGERPRINT_XOR);
	m = parsed(buf, n);
	a = found(&m, STUN_ATTR_FINGERPRINT);
	cr_assert_not(stun_fingerprint_ok(&m, &a));

	stun_build_begin(&b, buf, sizeof(buf), STUN_BINDING_REQUEST, id);
	stun_build_attr(&b, STUN_ATTR_FINGERPRINT, "", 0);
	n = stun_build_end(&b);
	m = parsed(buf, n);
	a = found(&m, STUN_ATTR_FINGERPRINT);
	cr_assert_not(stun_fingerprint_ok(&m, &a));
}

// The check value of CRC-32, and every length and alignment against the bit-by-bit definition.
Test(stun, crc32_against_its_definition)
{
	uint8_t buf[300];

	cr_assert_eq(stun_crc32("123456789", 9), 0xcbf43926);
	cr_assert_eq(stun_crc32("", 0), 0);
	srandom(32);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)random();
	for (size_t n = 0; n <= 280; n++) {
		const uint8_t *p = guarded_copy(buf + n % 9, n);
		uint32_t crc = 0xffffffff;

		for (size_t i = 0; i < n; i++) {
			crc ^= p[i];
			for (uint32_t k = 0; k < 8; k++)
				crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
		}
		cr_assert_eq(stun_crc32(p, n), ~crc);
	}
}
