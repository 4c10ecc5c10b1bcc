// NAT behaviour discovery (RFC 5780) at the worker: answers from the other address and port, to another port, padded,
// and what a forged source can make of it.
#include <criterion/criterion.h>

#include "dataplane/contract/wire/nat_discovery.h"
#include "tests/burst/pipeline.h"

#define OTHER_LISTEN_V4 "198.51.100.2:3479"
#define OTHER_LISTEN_V6 "[fd00::2]:3479"

static const uint8_t transaction_id[12] = "nat-test-001";
static uint8_t message[4096];
static struct frame out;

// Of each family: {listener, 3478}, {relay, 3479}, {listener, 3479}, {relay, 3478}; the first two are each other's other,
// and so are the last two.
static void discovery_init(void)
{
	static const uint8_t local[] = { LISTENER_V4, RELAY_V4, LISTENER_V6, RELAY_V6 };

	pipeline_init();
	settings.n_listeners = 8;
	for (uint8_t i = 0; i < 8; i++) {
		// The listeners of the pipeline stay the first two.
		uint8_t family = i & 1, what = i >> 1;
		uint8_t is_relay = what == 1 || what == 3;

		settings.listener[i] = (struct shm_listener){
			.local_idx = local[2 * family + is_relay],
			.port_be = __builtin_bswap16(what == 1 || what == 2 ? 3479 : 3478),
			.other_idx = (uint8_t)(i ^ 2),
		};
		settings.local[settings.listener[i].local_idx].flags |= SHM_LOCAL_F_LISTENER;
	}
	settings_publish();
}

TestSuite(nat_discovery, .init = discovery_init, .fini = pipeline_fini, .timeout = 60);

static struct stun_builder begin(void)
{
	struct stun_builder b;

	stun_build_begin(&b, message, sizeof(message), STUN_BINDING_REQUEST, transaction_id);
	return b;
}

static uint32_t send_to(const char *from, const char *to, struct stun_builder *b)
{
	struct dress d = { .from = from, .to = to };
	uint32_t n = (uint32_t)stun_build_end(b);

	cr_assert_gt(n, 0);
	send_datagram(&d, message, n);
	return n;
}

static struct stun_view expect_answer(const char *from, const char *to, uint16_t type)
{
	struct ip_endpoint source = endpoint(from), destination = endpoint(to);
	struct stun_view m;

	cr_assert(receive(&out), "no answer");
	cr_assert(ip_endpoint_equal(&out.view.source, &source), "not from %s", from);
	cr_assert(ip_endpoint_equal(&out.view.destination, &destination), "not to %s", to);
	cr_assert_eq(stun_parse(out.bytes + out.view.payload_offset, out.view.payload_bytes, &m),
		     STUN_OK);
	cr_assert_eq(m.type, type);
	cr_assert_arr_eq(m.transaction_id, transaction_id, 12);
	expect_nothing_sent();
	return m;
}

static uint16_t error_code(const struct stun_view *m)
{
	struct stun_attr a;

	cr_assert(stun_attr_find(m, STUN_ATTR_ERROR_CODE, &a));
	return (uint16_t)(a.value[2] * 100 + a.value[3]);
}

static void expect_says(const struct stun_view *m, uint16_t type, const char *expected)
{
	struct ip_endpoint e = endpoint(expected), told;
	struct stun_attr a;

	cr_assert(stun_attr_find(m, type, &a), "no attribute %04x", type);
	cr_assert_eq(type == STUN_ATTR_XOR_MAPPED_ADDRESS ? stun_xor_address_get(m, &a, &told)
							  : stun_address_get(&a, &told),
		     0);
	cr_assert(ip_endpoint_equal(&told, &e), "attribute %04x is not %s", type, expected);
}

Test(nat_discovery, rfc5780_6_1_plain_binding_names_the_other_address)
{
	struct stun_builder b = begin();
	struct stun_view m;

	send_to(CLIENT_V4, LISTEN_V4, &b);
	expect_only(DP_COUNTER_BINDING);
	m = expect_answer(LISTEN_V4, CLIENT_V4, STUN_BINDING_SUCCESS);
	expect_says(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, CLIENT_V4);
	expect_says(&m, STUN_ATTR_OTHER_ADDRESS, OTHER_LISTEN_V4);
	expect_says(&m, STUN_ATTR_RESPONSE_ORIGIN, LISTEN_V4);

	b = begin();
	send_to(CLIENT_V4, OTHER_LISTEN_V4, &b);
	m = expect_answer(OTHER_LISTEN_V4, CLIENT_V4, STUN_BINDING_SUCCESS);
	expect_says(&m, STUN_ATTR_OTHER_ADDRESS, LISTEN_V4);
}

// RFC 5780 §6.1, table 1: the four combinations, asked at each of the four addresses.
Test(nat_discovery, rfc5780_6_1_change_request_chooses_whence_the_answer_comes)
{
	static const char *const v4[] = { LISTEN_V4, "198.51.100.1:3479", "198.51.100.2:3478",
					  OTHER_LISTEN_V4 };
	static const char *const v6[] = { LISTEN_V6, "[fd00::1]:3479", "[fd00::2]:3478",
					  OTHER_LISTEN_V6 };

	for (uint32_t family = 0; family < 2; family++) {
		const char *const *at = family ? v6 : v4;
		const char *client = family ? CLIENT_V6 : CLIENT_V4;

		for (uint32_t to = 0; to < 4; to++) {
			// More questions than a prefix has credit for at once.
			dp_source_limit_init(&worker->sources, 1);
			for (uint32_t flags = 0; flags < 4; flags++) {
				struct stun_builder b = begin();
				struct stun_view m;

				// Index bits as the flags are: 1 the port, 2 the address.
				stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, flags << 1);
				send_to(client, at[to], &b);
				expect_only(DP_COUNTER_BINDING);
				m = expect_answer(at[to ^ flags], client, STUN_BINDING_SUCCESS);
				expect_says(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, client);
				expect_says(&m, STUN_ATTR_RESPONSE_ORIGIN, at[to ^ flags]);
				expect_says(&m, STUN_ATTR_OTHER_ADDRESS, at[to ^ 3]);
			}
		}
	}
}

Test(nat_discovery, rfc5780_6_1_response_port)
{
	struct stun_builder b = begin();
	struct stun_view m;

	stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, 6001u << 16);
	send_to(CLIENT_V4, LISTEN_V4, &b);
	expect_only(DP_COUNTER_BINDING);
	m = expect_answer(LISTEN_V4, "192.0.2.10:6001", STUN_BINDING_SUCCESS);
	expect_says(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, CLIENT_V4);
}

Test(nat_discovery, rfc5780_6_1_padding_is_answered_with_padding_in_fragments)
{
	static uint8_t filler[1500];
	struct stun_builder b = begin();
	uint32_t request_bytes, n_fragments = 0, ip_bytes = 0;
	uint8_t frame[FRAME_BYTES_MAX];
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	stun_build_attr(&b, STUN_ATTR_PADDING, filler, sizeof(filler));
	request_bytes = (uint32_t)stun_build_end(&b);
	send_bytes(0, frame, frame_build(frame, &d, message, request_bytes));
	expect_only(DP_COUNTER_BINDING);
	while (receive(&out)) {
		n_fragments++;
		cr_assert_leq(out.length_bytes, 14 + 1500);
		ip_bytes += out.length_bytes - 14 - 20;
	}
	cr_assert_eq(n_fragments, 2);
	cr_assert_eq(ip_bytes, 8 + request_bytes, "as much as was sent, and no more");
}

// As long as it is no longer than its request, an answer may come to each of them.
Test(nat_discovery, rfc5780_6_1_padded_requests_pay_for_their_answers)
{
	static uint8_t filler[1400];
	uint64_t bytes_in = 0, bytes_out = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 100; i++) {
		struct stun_builder b = begin();

		stun_build_attr(&b, STUN_ATTR_PADDING, filler, sizeof(filler));
		bytes_in += send_to(CLIENT_V4, LISTEN_V4, &b);
		while (receive(&out)) {
			bytes_out += out.view.payload_bytes;
			n++;
		}
	}
	cr_assert_eq(n, 100);
	cr_assert_leq(bytes_out, bytes_in);
}

Test(nat_discovery, rfc5780_6_1_padding_and_response_port_are_400)
{
	struct stun_builder b = begin();
	struct stun_view m;

	stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, 6001u << 16);
	stun_build_attr(&b, STUN_ATTR_PADDING, "abcd", 4);
	send_to(CLIENT_V4, LISTEN_V4, &b);
	m = expect_answer(LISTEN_V4, CLIENT_V4, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&m), 400);
}

Test(nat_discovery, rfc5780_6_1_without_a_second_address_the_attributes_are_unknown)
{
	static const uint16_t type[] = { STUN_ATTR_CHANGE_REQUEST, STUN_ATTR_RESPONSE_PORT,
					 STUN_ATTR_PADDING };

	for (uint32_t i = 0; i < settings.n_listeners; i++)
		settings.listener[i].other_idx = SHM_LISTENER_NONE;
	settings_publish();
	for (uint32_t i = 0; i < RTE_DIM(type); i++) {
		struct stun_builder b = begin();
		struct stun_view m;
		struct stun_attr a;

		stun_build_u32(&b, type[i], 6);
		send_to(CLIENT_V4, LISTEN_V4, &b);
		expect_only(DP_COUNTER_BINDING);
		m = expect_answer(LISTEN_V4, CLIENT_V4, STUN_BINDING_ERROR);
		cr_assert_eq(error_code(&m), 420);
		cr_assert(stun_attr_find(&m, STUN_ATTR_UNKNOWN_ATTRIBUTES, &a));
		cr_assert_eq(a.length_bytes, 2);
		cr_assert_eq(bytes_get_be16(a.value), type[i]);
		cr_assert_not(stun_attr_find(&m, STUN_ATTR_OTHER_ADDRESS, &a));
	}
}

// An index of the other process that names a listener of the other family is no counterpart.
Test(nat_discovery, counterpart_of_the_other_family_is_none)
{
	struct stun_builder b = begin();
	struct stun_view m;

	settings.listener[0].other_idx = 1;
	settings_publish();
	stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, 6);
	send_to(CLIENT_V4, LISTEN_V4, &b);
	m = expect_answer(LISTEN_V4, CLIENT_V4, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&m), 420);
}

// ---- RFC 5780 §9: not a weapon

static uint32_t n_answers(void)
{
	uint32_t n = 0;

	while (receive(&out))
		n++;
	return n;
}

// However many ask: such a request pays for a small part of its answer.
Test(nat_discovery, rfc5780_9_response_port_is_no_reflector)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 3000; i++) {
		struct stun_builder b = begin();

		stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, (1024 + i) << 16);
		send_to(CLIENT_V4, LISTEN_V4, &b);
		n += n_answers();
	}
	cr_assert_leq(n, 3000 / 6, "%u of 3000 were reflected", n);
	cr_assert_geq(counted(DP_DROP_CHALLENGE_RATE), 2500);
	// Another prefix is not held responsible.
	struct stun_builder b = begin();
	stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, 6001u << 16);
	send_to(OTHER_V4, LISTEN_V4, &b);
	cr_assert_eq(n_answers(), 1);
}

Test(nat_discovery, rfc5780_9_over_time_no_request_gives_more_than_it_cost)
{
	static uint8_t filler[1400];

	for (uint32_t how = 0; how < 4; how++) {
		char client[32];
		uint64_t bytes_in = 0, bytes_out = 0;

		snprintf(client, sizeof(client), "203.0.113.%u:7000", 30 + how);
		for (uint32_t i = 0; i < 3000; i++) {
			struct stun_builder b = begin();

			if (how == 1)
				stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, 6);
			if (how == 2)
				stun_build_attr(&b, STUN_ATTR_PADDING, filler, sizeof(filler));
			if (how == 3) {
				stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, 6);
				stun_build_u32(&b, STUN_ATTR_RESPONSE_PORT, 6001u << 16);
			}
			bytes_in += 28 + send_to(client, LISTEN_V4, &b);
			while (receive(&out))
				bytes_out += 28 + out.view.payload_bytes;
		}
		cr_assert_leq(bytes_out, bytes_in, "way %u: %lu in, %lu out", how, bytes_in,
			      bytes_out);
		cr_assert_gt(bytes_out, 0);
	}
}
