// STUN Binding requests answered by the filter (RFC 8489 §6.3.1): which are, which are not, and
// what the answers hold, read by the contract's parsers.
#include <errno.h>

#include "dataplane/contract/wire/nat_discovery.h"
#include "tests/bpf/harness.h"

TestSuite(answer, .init = harness_open, .fini = harness_close);

// The whole answer: link and network turned round, checksums right, the mapped address the
// request's source.
static void check_answer(const struct frame *request, const struct frame *answer,
			 bool with_fingerprint, const char *software)
{
	struct ip_udp_view was, now;
	struct stun_view asked, message;
	struct stun_attr a;
	struct ip_endpoint mapped;
	uint32_t link_bytes, expected_bytes;

	cr_assert_eq(ip_udp_parse(request->bytes, request->n_bytes, &was), IP_UDP_OK);
	cr_assert_eq(ip_udp_parse(answer->bytes, answer->n_bytes, &now), IP_UDP_OK);
	cr_assert_arr_eq(answer->bytes, request->bytes + 6, 6);
	cr_assert_arr_eq(answer->bytes + 6, request->bytes, 6);
	cr_assert_eq(now.vlan_tci, was.vlan_tci);
	cr_assert(ip_endpoint_equal(&now.source, &was.destination));
	cr_assert(ip_endpoint_equal(&now.destination, &was.source));
	cr_assert_eq(now.ttl, 64);
	cr_assert_eq(now.traffic_class, 0);
	cr_assert_eq(now.dont_fragment, 1);
	cr_assert_neq(now.udp_checksum_be, 0);
	cr_assert_eq(now.udp_checksum_be,
		     udp_checksum(&now.source.address, &now.destination.address,
				  answer->bytes + now.l4_offset,
				  (uint16_t)(now.payload_bytes + 8)));
	link_bytes = request->bytes[12] == 0x81 ? 18 : 14;
	cr_assert_eq(now.l3_offset, link_bytes);
	if (now.is_v4)
		cr_assert_eq(ipv4_header_checksum(answer->bytes + now.l3_offset, 20), 0);

	cr_assert_eq(stun_parse(request->bytes + was.payload_offset, was.payload_bytes, &asked),
		     STUN_OK);
	cr_assert_eq(stun_parse(answer->bytes + now.payload_offset, now.payload_bytes, &message),
		     STUN_OK);
	cr_assert_eq(message.type, STUN_BINDING_SUCCESS);
	cr_assert_arr_eq(message.transaction_id, asked.transaction_id, 12);
	cr_assert(stun_attr_find(&message, STUN_ATTR_XOR_MAPPED_ADDRESS, &a));
	cr_assert_eq(stun_xor_address_get(&message, &a, &mapped), 0);
	cr_assert(ip_endpoint_equal(&mapped, &was.source));

	expected_bytes = link_bytes + (now.is_v4 ? 20 : 40) + 8 + 20 + (now.is_v4 ? 12 : 24);
	if (software) {
		cr_assert(stun_attr_find(&message, STUN_ATTR_SOFTWARE, &a));
		cr_assert_eq(a.length_bytes, strlen(software));
		cr_assert_arr_eq(a.value, software, a.length_bytes);
		for (uint32_t i = a.length_bytes; i & 3; i++)
			cr_assert_eq(a.value[i], 0, "padding is not zero");
		expected_bytes += 4 + ((a.length_bytes + 3u) & ~3u);
	} else {
		cr_assert_not(stun_attr_find(&message, STUN_ATTR_SOFTWARE, &a));
	}
	cr_assert_eq(stun_attr_find(&message, STUN_ATTR_FINGERPRINT, &a), with_fingerprint);
	if (with_fingerprint) {
		cr_assert(stun_fingerprint_ok(&message, &a));
		expected_bytes += 8;
	}
	cr_assert_eq(answer->n_bytes, expected_bytes, "%u bytes, expected %u", answer->n_bytes,
		     expected_bytes);
}

static void expect_answered(const struct frame_spec *spec, bool with_fingerprint,
			    const char *software)
{
	struct frame request, answer;

	frame_build(&request, spec);
	harness_expect(&request, &answer, XDP_TX, XDP_COUNTER_ANSWERED_BINDING);
	check_answer(&request, &answer, with_fingerprint, software);
}

// Runs a request with these bytes as message, by IPv4, IPv6 and under a VLAN tag.
static void expect_answered_everywhere(const struct message *m, bool with_fingerprint,
				       const char *software)
{
	static const char *const destinations[] = { RELAY_V4, RELAY_V6 };

	for (int i = 0; i < 2; i++) {
		for (uint32_t tags = 0; tags < 2; tags++) {
			struct frame_spec spec = { .destination = destinations[i],
						   .payload = m->bytes,
						   .payload_bytes = m->n_bytes,
						   .n_vlan_tags = tags,
						   .vlan_tci = 0x6123 };

			expect_answered(&spec, with_fingerprint, software);
		}
	}
}

Test(answer, rfc8489_6_3_1_plain_request)
{
	struct message m;

	message_binding(&m);
	expect_answered_everywhere(&m, false, NULL);
}

Test(answer, rfc8489_14_7_fingerprint_when_asked_with_one)
{
	struct message m;

	message_binding(&m);
	message_fingerprint(&m);
	expect_answered_everywhere(&m, true, NULL);
}

Test(answer, rfc8489_14_7_fingerprint_behind_optional_attributes)
{
	for (uint16_t length = 0; length <= 80; length++) {
		struct message m;
		uint8_t text[80];

		memset(text, 'x', sizeof(text));
		message_binding(&m);
		message_attr(&m, STUN_ATTR_SOFTWARE, text, length);
		message_fingerprint(&m);
		expect_answered_everywhere(&m, true, NULL);
	}
}

Test(answer, answer_shorter_than_its_request)
{
	struct message m;
	uint8_t text[80] = {};

	message_binding(&m);
	message_attr(&m, STUN_ATTR_SOFTWARE, text, sizeof(text));
	expect_answered_everywhere(&m, false, NULL);
}

Test(answer, rfc8489_14_7_wrong_fingerprint_is_dropped)
{
	for (uint32_t bit = 0; bit < 32; bit++) {
		struct message m;
		struct frame request;

		message_binding(&m);
		message_fingerprint(&m);
		m.bytes[24 + bit / 8] ^= (uint8_t)(1u << (bit % 8));
		frame_build(&request,
			    &(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
		harness_expect_dropped(&request, XDP_COUNTER_DROPPED_FINGERPRINT);
	}
}

Test(answer, rfc8489_14_7_fingerprint_must_be_last)
{
	struct message m;
	struct frame request;

	message_binding(&m);
	message_fingerprint(&m);
	message_attr(&m, STUN_ATTR_SOFTWARE, "late", 4);
	frame_build(&request,
		    &(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
	harness_expect_dropped(&request, XDP_COUNTER_DROPPED_MALFORMED_STUN);
}

Test(answer, rfc8489_14_14_software_of_every_length)
{
	struct xdp_filter_config config = harness_config();
	char software[XDP_FILTER_SOFTWARE_MAX + 1] = "";

	for (uint32_t n = 1; n <= XDP_FILTER_SOFTWARE_MAX; n++) {
		struct message plain, marked;

		software[n - 1] = (char)('a' + n % 26);
		config.software = software;
		harness_configure(&config);
		message_binding(&plain);
		expect_answered_everywhere(&plain, false, software);
		message_binding(&marked);
		message_fingerprint(&marked);
		expect_answered_everywhere(&marked, true, software);
	}
}

Test(answer, udp_checksum_is_right_for_every_port)
{
	struct message m;

	message_binding(&m);
	message_fingerprint(&m);
	for (uint32_t port = 1; port < 65536; port += 97) {
		char source[32];

		snprintf(source, sizeof(source), "203.0.113.%u:%u", 1 + port % 250, port);
		expect_answered(&(struct frame_spec){ .source = source,
						      .payload = m.bytes,
						      .payload_bytes = m.n_bytes },
				true, NULL);
		snprintf(source, sizeof(source), "[2001:db8::%x]:%u", port, port);
		expect_answered(&(struct frame_spec){ .source = source,
						      .destination = RELAY_V6,
						      .payload = m.bytes,
						      .payload_bytes = m.n_bytes },
				true, NULL);
	}
}

Test(answer, ethernet_padding_and_bytes_behind_the_datagram_are_no_part_of_it)
{
	struct message m;
	struct frame request, answer;

	message_binding(&m);
	frame_build(&request,
		    &(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
	for (uint32_t extra = 1; extra <= 64; extra++) {
		struct frame padded = request;

		memset(padded.bytes + padded.n_bytes, 0xaa, extra);
		padded.n_bytes += extra;
		harness_expect(&padded, &answer, XDP_TX, XDP_COUNTER_ANSWERED_BINDING);
		check_answer(&request, &answer, false, NULL);
	}
}

Test(answer, without_a_worker_too)
{
	struct message m;

	harness_attach_worker(false);
	message_binding(&m);
	expect_answered_everywhere(&m, false, NULL);
}

Test(answer, zero_ipv4_udp_checksum_is_legal)
{
	struct message m;

	message_binding(&m);
	expect_answered(&(struct frame_spec){ .payload = m.bytes,
					      .payload_bytes = m.n_bytes,
					      .zero_udp_checksum = true },
			false, NULL);
}

// What the worker answers instead, so the filter must hand it over as it is.
static void expect_left_to_worker(const struct frame_spec *spec)
{
	struct frame request;

	frame_build(&request, spec);
	harness_expect_steered(&request, XDP_COUNTER_STEERED_LISTENER);
}

Test(answer, rfc8489_6_3_comprehension_required_attributes_are_the_workers)
{
	static const uint16_t types[] = { STUN_ATTR_USERNAME,          STUN_ATTR_MESSAGE_INTEGRITY,
					  0x0003 /* CHANGE-REQUEST */, 0x0024 /* PRIORITY */,
					  0x0025 /* USE-CANDIDATE */,  0x7fff };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint8_t value[20] = {};
		struct message m;

		message_binding(&m);
		message_attr(&m, STUN_ATTR_SOFTWARE, "before", 6);
		message_attr(&m, types[i], value, sizeof(value));
		message_fingerprint(&m);
		expect_left_to_worker(
			&(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
		expect_left_to_worker(&(struct frame_spec){
			.destination = RELAY_V6, .payload = m.bytes, .payload_bytes = m.n_bytes });
	}
}

Test(answer, eight_attributes_are_answered_and_nine_are_the_workers)
{
	struct message m;
	struct frame request;

	message_binding(&m);
	for (int i = 0; i < 8; i++)
		message_attr(&m, STUN_ATTR_SOFTWARE, "", 0);
	expect_answered_everywhere(&m, false, NULL);
	message_attr(&m, STUN_ATTR_SOFTWARE, "", 0);
	frame_build(&request,
		    &(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
	harness_expect_steered(&request, XDP_COUNTER_STEERED_LISTENER);
}

Test(answer, long_requests_are_the_workers)
{
	struct message m;
	uint8_t text[512] = {};

	message_binding(&m);
	message_attr(&m, STUN_ATTR_SOFTWARE, text, sizeof(text));
	expect_left_to_worker(
		&(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
}

Test(answer, ip_options_and_extension_headers_are_the_workers)
{
	static const uint8_t extensions[] = { 0, 60, 43, 60 };
	struct message m;

	message_binding(&m);
	for (uint32_t bytes = 4; bytes <= 40; bytes += 4)
		expect_left_to_worker(&(struct frame_spec){
			.payload = m.bytes, .payload_bytes = m.n_bytes, .options_bytes = bytes });
	for (uint32_t n = 1; n <= 4; n++)
		expect_left_to_worker(&(struct frame_spec){ .destination = RELAY_V6,
							    .payload = m.bytes,
							    .payload_bytes = m.n_bytes,
							    .extensions = extensions,
							    .n_extensions = n });
}

Test(answer, multicast_on_the_link_is_not_turned_round)
{
	struct message m;

	message_binding(&m);
	expect_left_to_worker(&(struct frame_spec){
		.payload = m.bytes, .payload_bytes = m.n_bytes, .multicast_link = true });
}

Test(answer, switched_off_all_requests_are_the_workers)
{
	struct xdp_filter_config config = harness_config();
	struct message m;

	config.answer_binding = false;
	harness_configure(&config);
	message_binding(&m);
	expect_left_to_worker(
		&(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
}

Test(answer, broken_ipv4_header_checksum_is_dropped)
{
	struct message m;
	struct frame request;

	message_binding(&m);
	frame_build(&request, &(struct frame_spec){ .payload = m.bytes,
						    .payload_bytes = m.n_bytes,
						    .bad_ip_checksum = true });
	harness_expect_dropped(&request, XDP_COUNTER_DROPPED_MALFORMED_UDP);
}

Test(answer, rfc8489_6_truncated_at_every_length_gets_no_answer)
{
	static const char *const destinations[] = { RELAY_V4, RELAY_V6 };
	struct message m;

	message_binding(&m);
	message_attr(&m, STUN_ATTR_SOFTWARE, "abcde", 5);
	message_fingerprint(&m);
	for (int i = 0; i < 2; i++) {
		struct frame whole, out;

		frame_build(&whole, &(struct frame_spec){ .destination = destinations[i],
							  .payload = m.bytes,
							  .payload_bytes = m.n_bytes });
		for (uint32_t n = 14; n < whole.n_bytes; n++) {
			struct frame cut = whole;
			uint64_t before = harness_counters_total();
			uint32_t verdict;

			cut.n_bytes = n;
			verdict = harness_run(&cut, &out);
			cr_assert(verdict == XDP_DROP || verdict == XDP_PASS,
				  "cut to %u bytes: verdict %u", n, verdict);
			if (n < 14 + (i ? 40u : 20u))
				cr_assert_eq(verdict, XDP_PASS, "%u bytes", n);
			else
				cr_assert_eq(verdict, XDP_DROP, "%u bytes", n);
			cr_assert_eq(harness_counters_total(), before + 1);
		}
	}
}

// ---- NAT behaviour discovery (RFC 5780)

static const char *const other_text[] = { "198.18.0.3:3479", "[fd00:18::3]:3479" };

static void discovery_configure(const char *software)
{
	static struct xdp_filter_config_listener listeners[2];
	struct xdp_filter_config config = harness_config();

	memcpy(listeners, config.listeners, sizeof(listeners));
	for (int i = 0; i < 2; i++)
		cr_assert_eq(ip_endpoint_parse(other_text[i], &listeners[i].other), 0);
	config.listeners = listeners;
	config.software = software;
	harness_configure(&config);
}

// Filter and worker answer with the same bytes, for every length of request that the filter takes.
Test(answer, rfc5780_6_1_the_same_bytes_as_the_workers_builder)
{
	static const char *const destinations[] = { RELAY_V4, RELAY_V6 };

	discovery_configure(NULL);
	for (uint32_t how = 0; how < 4; how++) {
		for (uint16_t length = 0; length <= 96; length++) {
			static const uint8_t text[96];
			struct nat_discovery_addresses addresses;
			struct nat_discovery_request asked;
			struct frame request, answer;
			struct ip_udp_view was, now;
			uint8_t expected[512];
			struct stun_view view;
			struct message m;
			size_t n;

			message_binding(&m);
			if (length > 0)
				message_attr(&m, STUN_ATTR_SOFTWARE, text, length);
			if (how & 2)
				message_fingerprint(&m);
			frame_build(&request,
				    &(struct frame_spec){ .destination = destinations[how & 1],
							  .payload = m.bytes,
							  .payload_bytes = m.n_bytes });
			harness_expect(&request, &answer, XDP_TX, XDP_COUNTER_ANSWERED_BINDING);
			cr_assert_eq(ip_udp_parse(request.bytes, request.n_bytes, &was), IP_UDP_OK);
			cr_assert_eq(ip_udp_parse(answer.bytes, answer.n_bytes, &now), IP_UDP_OK);
			cr_assert(ip_endpoint_equal(&now.source, &was.destination));
			cr_assert(ip_endpoint_equal(&now.destination, &was.source));
			cr_assert_eq(now.udp_checksum_be,
				     udp_checksum(&now.source.address, &now.destination.address,
						  answer.bytes + now.l4_offset,
						  (uint16_t)(now.payload_bytes + 8)));

			addresses.mapped = was.source;
			addresses.origin = was.destination;
			ip_endpoint_parse(other_text[how & 1], &addresses.other);
			cr_assert_eq(stun_parse(m.bytes, m.n_bytes, &view), STUN_OK);
			cr_assert_eq(nat_discovery_parse(&view, &asked), 0);
			// What FINGERPRINT can be computed over in the filter.
			n = nat_discovery_build(&view, &asked, &addresses, expected,
						sizeof(expected));
			cr_assert_eq(now.payload_bytes, n, "way %u, %u bytes of SOFTWARE", how,
				     length);
			cr_assert_arr_eq(answer.bytes + now.payload_offset, expected, n);
			cr_assert_leq((now.payload_bytes + 8 + (how & 1 ? 40u : 20u)) * 10,
				      (m.n_bytes + 8 + (how & 1 ? 40u : 20u)) * 19);
		}
	}
}

Test(answer, rfc5780_6_1_software_leaves_less_room)
{
	static const char *const destinations[] = { RELAY_V4, RELAY_V6 };

	discovery_configure("Turnpike");
	for (uint32_t v6 = 0; v6 < 2; v6++) {
		struct frame request, answer;
		struct ip_udp_view view;
		struct stun_view stun;
		struct stun_attr a;
		struct message m;

		message_binding(&m);
		frame_build(&request, &(struct frame_spec){ .destination = destinations[v6],
							    .payload = m.bytes,
							    .payload_bytes = m.n_bytes });
		harness_expect(&request, &answer, XDP_TX, XDP_COUNTER_ANSWERED_BINDING);
		cr_assert_eq(ip_udp_parse(answer.bytes, answer.n_bytes, &view), IP_UDP_OK);
		cr_assert_eq(
			stun_parse(answer.bytes + view.payload_offset, view.payload_bytes, &stun),
			STUN_OK);
		cr_assert(stun_attr_find(&stun, STUN_ATTR_SOFTWARE, &a));
		cr_assert(stun_attr_find(&stun, STUN_ATTR_OTHER_ADDRESS, &a));
		cr_assert_not(stun_attr_find(&stun, STUN_ATTR_RESPONSE_ORIGIN, &a));
		cr_assert_leq(answer.n_bytes - 14, (request.n_bytes - 14) * 19 / 10);
	}
}

Test(answer, rfc5780_6_1_change_request_response_port_and_padding_are_the_workers)
{
	static const uint16_t types[] = { STUN_ATTR_CHANGE_REQUEST, STUN_ATTR_RESPONSE_PORT,
					  STUN_ATTR_PADDING };

	discovery_configure(NULL);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		static const uint8_t value[4] = { 0, 0, 0, 6 };
		struct message m;

		message_binding(&m);
		message_attr(&m, types[i], value, sizeof(value));
		expect_left_to_worker(
			&(struct frame_spec){ .payload = m.bytes, .payload_bytes = m.n_bytes });
		expect_left_to_worker(&(struct frame_spec){
			.destination = RELAY_V6, .payload = m.bytes, .payload_bytes = m.n_bytes });
	}
}

Test(answer, rfc5780_counterpart_of_the_other_family_is_refused)
{
	struct xdp_filter_config config = harness_config();
	struct xdp_filter_config_listener listener = config.listeners[0];
	struct xdp_filter_error err;

	ip_endpoint_parse(other_text[1], &listener.other);
	config.listeners = &listener;
	config.n_listeners = 1;
	cr_assert_eq(xdp_filter_configure(harness.filter, &config, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "other family"));
}
