// Building STUN: what was built reads back, padding is zero, overflow is told and harmless.
#include <criterion/criterion.h>

#include "dataplane/contract/wire/stun.h"
#include "tests/unit/wire/guarded.h"
#include "tests/unit/wire/integrity.h"
#include "tests/vectors/stun_vectors.h"

static const uint8_t id[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

// RFC 5769 §2.2, rebuilt by hand from its parts. The vector pads SOFTWARE with a space, as RFC 5769 §2
// warns, so everything but that byte and what is computed over it must be the same.
Test(stun_build, rfc5769_2_2_rebuilt)
{
	uint8_t buf[sizeof(rfc5769_2_2_response_v4)];
	struct ip_endpoint mapped;
	struct stun_attr mi;
	struct stun_view m;
	struct stun_builder b;
	size_t covered_bytes;
	uint8_t *tag;

	cr_assert_eq(ip_endpoint_parse("192.0.2.1:32853", &mapped), 0);
	stun_build_begin(&b, buf, sizeof(buf), STUN_BINDING_SUCCESS, rfc5769_2_2_response_v4 + 8);
	stun_build_attr(&b, STUN_ATTR_SOFTWARE, "test vector", 11);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &mapped);
	cr_assert_eq(memcmp(buf + 4, rfc5769_2_2_response_v4 + 4, 31), 0);
	cr_assert_eq(buf[35], 0);
	buf[35] = ' ';
	tag = stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);
	cr_assert_not_null(tag);
	HMAC(EVP_sha1(), RFC5769_PASSWORD, (int)strlen(RFC5769_PASSWORD), buf, covered_bytes, tag,
	     NULL);
	stun_build_fingerprint(&b);
	cr_assert_eq(stun_build_end(&b), sizeof(buf));
	cr_assert_arr_eq(buf, rfc5769_2_2_response_v4, sizeof(buf));
	cr_assert_eq(stun_parse(buf, sizeof(buf), &m), STUN_OK);
	cr_assert(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &mi));
	cr_assert(integrity_ok(&m, &mi, RFC5769_PASSWORD, strlen(RFC5769_PASSWORD)));
}

Test(stun_build, rfc5769_2_3_xor_address_v6)
{
	uint8_t buf[64];
	struct ip_endpoint mapped;
	struct stun_builder b;

	cr_assert_eq(ip_endpoint_parse("[2001:db8:1234:5678:11:2233:4455:6677]:32853", &mapped), 0);
	stun_build_begin(&b, buf, sizeof(buf), STUN_BINDING_SUCCESS, rfc5769_2_3_response_v6 + 8);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &mapped);
	cr_assert_eq(stun_build_end(&b), 44);
	cr_assert_arr_eq(buf + 20, rfc5769_2_3_response_v6 + 36, 24);
}

// RFC 8489 §14.6: SHA-256 tags may be cut to 16 bytes and more; a length that leaves padding is padded.
Test(stun_build, rfc8489_14_6_truncated_sha256)
{
	for (uint16_t tag_bytes = 16; tag_bytes <= 32; tag_bytes += 4) {
		uint8_t full[EVP_MAX_MD_SIZE];
		struct stun_builder b;
		struct stun_attr mi;
		struct stun_view m;
		size_t covered_bytes;
		uint8_t buf[128];
		uint8_t *tag;
		size_t n;

		memset(buf, 0xee, sizeof(buf));
		stun_build_begin(&b, buf, sizeof(buf), TURN_ALLOCATE_REQUEST, id);
		stun_build_u32(&b, TURN_ATTR_LIFETIME, 600);
		tag = stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, tag_bytes,
					   &covered_bytes);
		cr_assert_eq(covered_bytes, 28);
		cr_assert_eq(bytes_get_be16(buf + 2), 8 + 4 + tag_bytes);
		HMAC(EVP_sha256(), "key", 3, buf, covered_bytes, full, NULL);
		memcpy(tag, full, tag_bytes);
		stun_build_fingerprint(&b);
		n = stun_build_end(&b);
		cr_assert_eq(stun_parse(buf, n, &m), STUN_OK);
		cr_assert(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, &mi));
		cr_assert_eq(mi.length_bytes, tag_bytes);
		cr_assert(integrity_ok(&m, &mi, "key", 3));
	}
}

// CVE-2020-4067: padding shows nothing of what lay in the buffer before.
Test(stun_build, padding_is_zero)
{
	for (uint16_t n = 0; n < 64; n++) {
		uint8_t buf[128];
		uint8_t value[64];
		struct stun_builder b;
		size_t total;

		memset(buf, 0xee, sizeof(buf));
		memset(value, 0x55, sizeof(value));
		stun_build_begin(&b, buf, sizeof(buf), STUN_BINDING_REQUEST, id);
		stun_build_attr(&b, STUN_ATTR_SOFTWARE, value, n);
		total = stun_build_end(&b);
		cr_assert_eq(total, 24 + ((n + 3u) & ~3u));
		for (size_t i = 24 + n; i < total; i++)
			cr_assert_eq(buf[i], 0);
		cr_assert_eq(buf[total], 0xee);
	}
}

Test(stun_build, rfc8489_14_8_error_codes)
{
	for (uint16_t code = 300; code < 700; code++) {
		static const char *const reasons[] = { "", "x", "Unauthorized" };
		const char *reason = reasons[code % 3];
		struct stun_builder b;
		struct stun_attr a;
		struct stun_view m;
		uint8_t buf[64];

		memset(buf, 0xee, sizeof(buf));
		stun_build_begin(&b, buf, sizeof(buf), STUN_BINDING_ERROR, id);
		stun_build_error_code(&b, code, reason);
		cr_assert_eq(stun_parse(buf, stun_build_end(&b), &m), STUN_OK);
		cr_assert(stun_attr_find(&m, STUN_ATTR_ERROR_CODE, &a));
		cr_assert_eq(a.length_bytes, 4 + strlen(reason));
		cr_assert_eq(bytes_get_be16(a.value), 0);
		cr_assert_eq(a.value[2] * 100 + a.value[3], code);
		cr_assert_eq(memcmp(a.value + 4, reason, strlen(reason)), 0);
	}
}

// A complete answer with every kind of attribute, into every size of buffer.
static size_t build_all(void *buf, size_t room)
{
	struct stun_builder b;
	struct ip_endpoint v4;
	struct ip_endpoint v6;
	size_t covered_bytes;

	ip_endpoint_parse("192.0.2.1:1", &v4);
	ip_endpoint_parse("[2001:db8::1]:2", &v6);
	stun_build_begin(&b, buf, room, STUN_BINDING_SUCCESS, id);
	stun_build_error_code(&b, 437, "Allocation Mismatch");
	stun_build_xor_address(&b, TURN_ATTR_XOR_RELAYED_ADDRESS, &v4);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &v6);
	stun_build_u32(&b, TURN_ATTR_LIFETIME, 600);
	stun_build_attr(&b, STUN_ATTR_SOFTWARE, "turnpike", 8);
	stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);
	stun_build_fingerprint(&b);
	return stun_build_end(&b);
}

Test(stun_build, overflow_at_every_size)
{
	uint8_t whole[512];
	size_t whole_bytes = build_all(whole, sizeof(whole));

	cr_assert_eq(whole_bytes, 20 + 28 + 12 + 24 + 8 + 12 + 24 + 8);
	for (size_t room = 0; room < whole_bytes; room++)
		cr_assert_eq(build_all(guarded_copy(whole, room), room), 0, "%zu", room);
	cr_assert_eq(build_all(guarded_copy(whole, whole_bytes), whole_bytes), whole_bytes);
}

// What the length field cannot tell is refused.
Test(stun_build, message_longer_than_its_length_field)
{
	static uint8_t buf[80000];
	static uint8_t value[65500];
	struct stun_builder b;

	stun_build_begin(&b, buf, sizeof(buf), STUN_BINDING_REQUEST, id);
	stun_build_attr(&b, STUN_ATTR_SOFTWARE, value, 65500);
	cr_assert_eq(stun_build_end(&b), 65524);
	stun_build_attr(&b, STUN_ATTR_SOFTWARE, value, 24);
	cr_assert_eq(stun_build_end(&b), 65552);
	cr_assert_eq(bytes_get_be16(buf + 2), 65532);
	stun_build_u32(&b, TURN_ATTR_LIFETIME, 1);
	cr_assert_eq(stun_build_end(&b), 0);
}
