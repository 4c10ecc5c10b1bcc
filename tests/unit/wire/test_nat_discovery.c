// NAT behaviour discovery (RFC 5780): its attributes read, its answers built and bounded.
#include <criterion/criterion.h>

#include "dataplane/contract/wire/nat_discovery.h"
#include "tests/unit/wire/guarded.h"

static const uint8_t transaction_id[12] = "discovery-01";
static uint8_t message[4096];
static uint8_t answer_bytes[4096];

static struct ip_endpoint endpoint(const char *text)
{
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(text, &e), 0);
	return e;
}

static struct stun_builder begin(void)
{
	struct stun_builder b;

	stun_build_begin(&b, message, sizeof(message), STUN_BINDING_REQUEST, transaction_id);
	return b;
}

static struct stun_view view(struct stun_builder *b)
{
	size_t n = stun_build_end(b);
	struct stun_view m;

	cr_assert_gt(n, 0);
	cr_assert_eq(stun_parse(guarded_copy(message, n), n, &m), STUN_OK);
	return m;
}

static struct nat_discovery_addresses addresses(bool v4)
{
	return (struct nat_discovery_addresses){
		.mapped = endpoint(v4 ? "203.0.113.9:40001" : "[2001:db8::9]:40001"),
		.origin = endpoint(v4 ? "198.51.100.1:3478" : "[2001:db8:1::1]:3478"),
		.other = endpoint(v4 ? "198.51.100.2:3479" : "[2001:db8:1::2]:3479"),
	};
}

static struct stun_view build(const struct stun_view *request, bool v4)
{
	struct nat_discovery_addresses a = addresses(v4);
	struct nat_discovery_request asked;
	struct stun_view m;
	size_t n;

	cr_assert_eq(nat_discovery_parse(request, &asked), 0);
	n = nat_discovery_build(request, &asked, &a, answer_bytes, sizeof(answer_bytes));
	cr_assert_gt(n, 0);
	cr_assert_eq(stun_parse(answer_bytes, n, &m), STUN_OK);
	cr_assert_eq(m.type, STUN_BINDING_SUCCESS);
	cr_assert_arr_eq(m.transaction_id, transaction_id, 12);
	return m;
}

static bool says(const struct stun_view *m, uint16_t type, const struct ip_endpoint *expected)
{
	struct ip_endpoint told;
	struct stun_attr a;

	if (!stun_attr_find(m, type, &a))
		return false;
	if (type == STUN_ATTR_XOR_MAPPED_ADDRESS)
		cr_assert_eq(stun_xor_address_get(m, &a, &told), 0);
	else
		cr_assert_eq(stun_address_get(&a, &told), 0);
	cr_assert(ip_endpoint_equal(&told, expected), "attribute %04x", type);
	return true;
}

Test(nat_discovery, rfc5780_7_2_change_request_flags)
{
	for (uint32_t flags = 0; flags < 16; flags++) {
		struct stun_builder b = begin();
		struct nat_discovery_request asked;
		struct stun_view m;

		stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, flags);
		m = view(&b);
		cr_assert_eq(nat_discovery_parse(&m, &asked), 0);
		cr_assert_eq(asked.changes_address, (flags & 4) != 0);
		cr_assert_eq(asked.changes_port, (flags & 2) != 0);
		cr_assert_not(asked.is_padded);
		cr_assert_eq(asked.response_port_be, 0);
	}
}

Test(nat_discovery, rfc5780_7_5_response_port_with_and_without_its_padding)
{
	for (uint16_t length = 0; length <= 8; length++) {
		static const uint8_t value[8] = { 0x12, 0x34, 0xff, 0xff };
		struct stun_builder b = begin();
		struct nat_discovery_request asked;
		struct stun_view m;

		stun_build_attr(&b, STUN_ATTR_RESPONSE_PORT, value, length);
		m = view(&b);
		if (length != 2 && length != 4) {
			cr_assert_eq(nat_discovery_parse(&m, &asked), 400, "%u bytes", length);
			continue;
		}
		cr_assert_eq(nat_discovery_parse(&m, &asked), 0);
		cr_assert_eq(bytes_get_be16(&asked.response_port_be), 0x1234);
	}
}

Test(nat_discovery, rfc5780_7_2_malformed_change_request_is_400)
{
	for (uint16_t length = 0; length <= 8; length++) {
		static const uint8_t value[8] = { 0, 0, 0, 6 };
		struct stun_builder b = begin();
		struct nat_discovery_request asked;
		struct stun_view m;

		stun_build_attr(&b, STUN_ATTR_CHANGE_REQUEST, value, length);
		m = view(&b);
		cr_assert_eq(nat_discovery_parse(&m, &asked), length == 4 ? 0 : 400);
	}
}

Test(nat_discovery, response_port_zero_is_400)
{
	struct stun_builder b = begin();
	struct nat_discovery_request asked;
	struct stun_view m;

	stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, 0);
	m = view(&b);
	cr_assert_eq(nat_discovery_parse(&m, &asked), 400);
}

Test(nat_discovery, rfc5780_6_1_padding_with_response_port_is_400)
{
	struct stun_builder b = begin();
	struct nat_discovery_request asked;
	struct stun_view m;

	stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, 5000u << 16);
	stun_build_attr(&b, STUN_ATTR_PADDING, answer_bytes, 64);
	m = view(&b);
	cr_assert_eq(nat_discovery_parse(&m, &asked), 400);
}

// The table in the header: what fits into 1.9 times the plain request.
Test(nat_discovery, rfc5780_6_1_first_answer_to_a_plain_request)
{
	for (uint32_t v4 = 0; v4 < 2; v4++) {
		struct nat_discovery_addresses a = addresses(v4);
		struct stun_builder b = begin();
		struct stun_view request = view(&b);
		struct stun_view m = build(&request, v4);

		cr_assert(says(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, &a.mapped));
		cr_assert(says(&m, STUN_ATTR_OTHER_ADDRESS, &a.other));
		cr_assert_eq(says(&m, STUN_ATTR_RESPONSE_ORIGIN, &a.origin), v4);
		cr_assert_not(says(&m, STUN_ATTR_MAPPED_ADDRESS, &a.mapped));
		cr_assert_eq(m.length_bytes, v4 ? 56 : 68);
	}
}

Test(nat_discovery, rfc5780_6_1_answer_to_a_change_request_says_all_that_fits)
{
	for (uint32_t v4 = 0; v4 < 2; v4++) {
		struct nat_discovery_addresses a = addresses(v4);
		struct stun_builder b = begin();
		struct stun_view request, m;

		stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, CHANGE_REQUEST_ADDRESS);
		request = view(&b);
		m = build(&request, v4);
		cr_assert(says(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, &a.mapped));
		cr_assert(says(&m, STUN_ATTR_OTHER_ADDRESS, &a.other));
		cr_assert(says(&m, STUN_ATTR_RESPONSE_ORIGIN, &a.origin));
		cr_assert_eq(says(&m, STUN_ATTR_MAPPED_ADDRESS, &a.mapped), v4);
	}
}

// Every length of request, with and without each attribute: never beyond the bound.
Test(nat_discovery, no_first_answer_amplifies)
{
	static const uint8_t text[1600];

	for (uint32_t n = 0; n < sizeof(text); n += n < 128 ? 1 : 37) {
		for (uint32_t how = 0; how < 16; how++) {
			bool v4 = how & 1, is_padded = (how & 6) == 4;
			uint32_t headers = v4 ? 28 : 48, fewest;
			struct stun_builder b = begin();
			struct stun_view request, m;
			struct stun_attr attr;

			if ((how & 6) == 2)
				stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, 6);
			if ((how & 6) == 6)
				stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, 5000u << 16);
			stun_build_attr(&b, is_padded ? STUN_ATTR_PADDING : STUN_ATTR_SOFTWARE,
					text, (uint16_t)n);
			if (how & 8)
				stun_build_fingerprint(&b);
			request = view(&b);
			m = build(&request, v4);
			fewest = 20 + (v4 ? 12 : 24) + (how & 8 ? 8 : 0);
			cr_assert_leq((headers + m.length_bytes) * 10,
				      (headers + request.length_bytes) * 19);
			if ((how & 6) >= 4 && m.length_bytes > fewest)
				cr_assert_leq(m.length_bytes, request.length_bytes,
					      "%u bytes of %s answered with more", n,
					      is_padded ? "padding" : "software");
			cr_assert_eq(stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &attr),
				     (how & 8) != 0);
			if (how & 8)
				cr_assert(stun_fingerprint_ok(&m, &attr));
			if (!is_padded)
				cr_assert_not(stun_attr_find(&m, STUN_ATTR_PADDING, &attr));
		}
	}
}

Test(nat_discovery, rfc5780_6_1_padded_request_is_answered_padded_to_its_length)
{
	static const uint8_t text[1500];
	struct stun_builder b = begin();
	struct stun_view request, m;
	struct stun_attr padding;

	stun_build_attr(&b, STUN_ATTR_PADDING, text, sizeof(text));
	request = view(&b);
	m = build(&request, true);
	cr_assert_eq(m.length_bytes, request.length_bytes);
	cr_assert(stun_attr_find(&m, STUN_ATTR_PADDING, &padding));
	for (uint32_t i = 0; i < padding.length_bytes; i++)
		cr_assert_eq(padding.value[i], 0, "memory leaks at %u", i);
}

Test(nat_discovery, answer_is_cut_to_the_buffer)
{
	static const uint8_t text[1500];
	struct nat_discovery_addresses a = addresses(true);
	struct nat_discovery_request asked;
	struct stun_builder b = begin();
	struct stun_view request;

	stun_build_attr(&b, STUN_ATTR_PADDING, text, sizeof(text));
	// Not where the answers go.
	cr_assert_eq(stun_parse(message, stun_build_end(&b), &request), STUN_OK);
	cr_assert_eq(nat_discovery_parse(&request, &asked), 0);
	for (size_t n = 0; n < 1600; n++) {
		size_t used =
			nat_discovery_build(&request, &asked, &a, guarded_copy(answer_bytes, n), n);

		if (n < 32)
			cr_assert_eq(used, 0);
		else
			cr_assert(used >= 32 && used <= n, "%zu bytes into %zu", used, n);
	}
}

Test(nat_discovery, rfc8489_14_1_mapped_address_of_either_family_and_nothing_else)
{
	for (uint32_t length = 0; length <= 24; length++) {
		for (uint32_t family = 0; family < 4; family++) {
			uint8_t value[24] = { 0, (uint8_t)family, 0x0d, 0x96, 1, 2, 3, 4 };
			struct stun_attr a = { .length_bytes = (uint16_t)length };
			struct ip_endpoint e;
			bool good = (family == 1 && length == 8) || (family == 2 && length == 20);

			a.value = guarded_copy(value, length);
			cr_assert_eq(stun_address_get(&a, &e) == 0, good);
			if (good)
				cr_assert_eq(bytes_get_be16(&e.port_be), 3478);
		}
	}
}
