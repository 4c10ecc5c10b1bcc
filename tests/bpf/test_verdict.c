// What the filter steers, drops and passes, each with its counter; what it passes or steers leaves
// byte for byte as it came.
#include <netinet/in.h>

#include "dataplane/contract/wire/stun.h"
#include "tests/bpf/harness.h"

TestSuite(verdict, .init = harness_open, .fini = harness_close);

static struct frame build(const struct frame_spec *spec)
{
	struct frame f;

	frame_build(&f, spec);
	return f;
}

#define FRAME(...) build(&(struct frame_spec){ __VA_ARGS__ })

static const uint8_t channel_data[] = { 0x40, 0x00, 0x00, 0x04, 'd', 'a', 't', 'a' };

static struct message request_of(uint16_t type)
{
	struct message m;

	message_begin(&m, type);
	return m;
}

Test(verdict, arp_and_other_ethertypes_pass)
{
	static const uint16_t ethertypes[] = { 0x0806, 0x88cc, 0x0001, 0x88a8, 0xffff };

	for (size_t i = 0; i < sizeof(ethertypes) / sizeof(ethertypes[0]); i++) {
		struct frame f = FRAME(.ethertype = ethertypes[i], .payload = channel_data,
				       .payload_bytes = 8);

		harness_expect_passed(&f, XDP_COUNTER_PASSED_NOT_IP);
	}
}

Test(verdict, one_vlan_tag_is_seen_through_and_two_pass)
{
	struct frame one = FRAME(.n_vlan_tags = 1, .payload = channel_data, .payload_bytes = 8);
	struct frame two = FRAME(.n_vlan_tags = 2, .payload = channel_data, .payload_bytes = 8);

	harness_expect_steered(&one, XDP_COUNTER_STEERED_LISTENER);
	harness_expect_passed(&two, XDP_COUNTER_PASSED_NOT_IP);
}

Test(verdict, wrong_ip_version_passes)
{
	struct frame v4 = FRAME(.payload = channel_data, .payload_bytes = 8);
	struct frame v6 =
		FRAME(.destination = RELAY_V6, .payload = channel_data, .payload_bytes = 8);

	v4.bytes[14] = 0x65;
	v6.bytes[14] = 0x40;
	harness_expect_passed(&v4, XDP_COUNTER_PASSED_NOT_IP);
	harness_expect_passed(&v6, XDP_COUNTER_PASSED_NOT_IP);
}

Test(verdict, other_addresses_pass)
{
	static const char *const destinations[] = { "198.18.0.4:3478",   "198.18.0.4:50000",
						    "224.0.0.1:3478",    "255.255.255.255:3478",
						    "[fd00:18::3]:3478", "[ff02::1]:3478" };

	for (size_t i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++) {
		struct frame f = FRAME(.destination = destinations[i], .payload = channel_data,
				       .payload_bytes = 8);

		harness_expect_passed(&f, XDP_COUNTER_PASSED_NOT_LOCAL);
	}
}

Test(verdict, tcp_icmp_and_others_to_our_address_pass)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_ICMPV6,
					     IPPROTO_GRE, IPPROTO_SCTP, IPPROTO_UDPLITE,
					     IPPROTO_ESP, IPPROTO_AH,   IPPROTO_NONE };
	static const uint8_t hop_by_hop[] = { IPPROTO_HOPOPTS };

	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct frame v4 = FRAME(.protocol = protocols[i], .payload = channel_data,
					.payload_bytes = 8);
		struct frame v6 = FRAME(.destination = RELAY_V6, .protocol = protocols[i],
					.payload = channel_data, .payload_bytes = 8);
		struct frame behind = FRAME(.destination = RELAY_V6, .protocol = protocols[i],
					    .extensions = hop_by_hop, .n_extensions = 1,
					    .payload = channel_data, .payload_bytes = 8);

		harness_expect_passed(&v4, XDP_COUNTER_PASSED_NOT_UDP);
		harness_expect_passed(&v6, XDP_COUNTER_PASSED_NOT_UDP);
		harness_expect_passed(&behind, XDP_COUNTER_PASSED_NOT_UDP);
	}
}

Test(verdict, udp_to_the_kernels_ports_passes)
{
	static const char *const destinations[] = { "198.18.0.2:53",    "198.18.0.2:3479",
						    "198.18.0.2:49151", "198.18.0.3:3478",
						    "198.18.0.3:49151", "[fd00:18::2]:49151",
						    "[fd00:18::2]:546" };

	for (size_t i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++) {
		struct frame f = FRAME(.destination = destinations[i], .payload = channel_data,
				       .payload_bytes = 8);
		struct frame tagged = FRAME(.destination = destinations[i], .n_vlan_tags = 1,
					    .payload = channel_data, .payload_bytes = 8);

		harness_expect_passed(&f, XDP_COUNTER_PASSED_OTHER_PORT);
		harness_expect_passed(&tagged, XDP_COUNTER_PASSED_OTHER_PORT);
	}
}

Test(verdict, relayed_ports_are_steered_whatever_they_carry)
{
	static const char *const destinations[] = { "198.18.0.2:49152",   "198.18.0.2:65535",
						    "198.18.0.3:50000",   "[fd00:18::2]:49152",
						    "[fd00:18::2]:65535", RELAYED_V6 };

	for (size_t i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++) {
		for (uint32_t first = 0; first < 256; first += 5) {
			uint8_t payload[8] = { (uint8_t)first };
			struct frame f = FRAME(.destination = destinations[i], .payload = payload,
					       .payload_bytes = sizeof(payload));

			harness_expect_steered(&f, XDP_COUNTER_STEERED_RELAY);
		}
		struct frame empty = FRAME(.destination = destinations[i]);

		harness_expect_steered(&empty, XDP_COUNTER_STEERED_RELAY);
	}
}

Test(verdict, rfc7983_first_byte_decides_at_a_listener)
{
	for (uint32_t first = 0; first < 256; first++) {
		uint8_t payload[64] = { (uint8_t)first };
		struct frame f = FRAME(.payload = payload, .payload_bytes = sizeof(payload));

		if (first <= 3)
			harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_STUN);
		else if (first >= 64 && first <= 79)
			harness_expect_steered(&f, XDP_COUNTER_STEERED_LISTENER);
		else
			harness_expect_dropped(&f, XDP_COUNTER_DROPPED_UNWANTED);
	}
}

Test(verdict, rfc7983_a_listener_gets_what_it_accepts_and_no_more)
{
	static const struct {
		uint32_t accept;
		uint8_t first[4];
	} kinds[] = { { XDP_ACCEPT_ZRTP, { 16, 17, 18, 19 } },
		      { XDP_ACCEPT_DTLS, { 20, 22, 32, 63 } },
		      { XDP_ACCEPT_CHANNEL, { 64, 65, 78, 79 } },
		      { XDP_ACCEPT_QUIC, { 80, 127, 192, 255 } },
		      { XDP_ACCEPT_RTP, { 128, 144, 190, 191 } },
		      { 0, { 4, 5, 14, 15 } } };
	const size_t n_kinds = sizeof(kinds) / sizeof(kinds[0]);
	struct xdp_filter_config_listener listener = {};
	struct xdp_filter_config config = harness_config();

	ip_endpoint_parse(RELAY_V4, &listener.endpoint);
	config.listeners = &listener;
	config.n_listeners = 1;
	for (size_t wanted = 0; wanted < n_kinds; wanted++) {
		listener.accept = kinds[wanted].accept;
		harness_configure(&config);
		for (size_t sent = 0; sent < n_kinds * 4; sent++) {
			uint8_t payload[16] = { kinds[sent / 4].first[sent % 4] };
			struct frame f = FRAME(.payload = payload, .payload_bytes = 16);

			if (sent / 4 == wanted && listener.accept)
				harness_expect_steered(&f, XDP_COUNTER_STEERED_LISTENER);
			else
				harness_expect_dropped(&f, XDP_COUNTER_DROPPED_UNWANTED);
		}
	}
}

Test(verdict, empty_datagram_is_unwanted)
{
	struct frame v4 = FRAME(.destination = RELAY_V4);
	struct frame v6 = FRAME(.destination = RELAY_V6);

	harness_expect_dropped(&v4, XDP_COUNTER_DROPPED_UNWANTED);
	harness_expect_dropped(&v6, XDP_COUNTER_DROPPED_UNWANTED);
}

Test(verdict, rfc8656_turn_requests_and_indications_are_steered)
{
	static const uint16_t types[] = { TURN_ALLOCATE_REQUEST,          TURN_REFRESH_REQUEST,
					  TURN_CREATE_PERMISSION_REQUEST, TURN_CHANNEL_BIND_REQUEST,
					  TURN_SEND_INDICATION,           STUN_BINDING_INDICATION };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message m = request_of(types[i]);
		struct frame v4 = FRAME(.payload = m.bytes, .payload_bytes = m.n_bytes);
		struct frame v6 = FRAME(.destination = RELAY_V6, .payload = m.bytes,
					.payload_bytes = m.n_bytes);

		harness_expect_steered(&v4, XDP_COUNTER_STEERED_LISTENER);
		harness_expect_steered(&v6, XDP_COUNTER_STEERED_LISTENER);
	}
}

Test(verdict, responses_are_unwanted_unless_a_listener_asks)
{
	static const uint16_t types[] = { STUN_BINDING_SUCCESS, STUN_BINDING_ERROR, 0x0103,
					  0x0113 };
	struct xdp_filter_config_listener listener = {
		.accept = XDP_ACCEPT_STUN | XDP_ACCEPT_STUN_RESPONSE,
	};
	struct xdp_filter_config config = harness_config();

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message m = request_of(types[i]);
		struct frame f = FRAME(.payload = m.bytes, .payload_bytes = m.n_bytes);

		harness_expect_dropped(&f, XDP_COUNTER_DROPPED_UNWANTED);
	}
	ip_endpoint_parse(RELAY_V4, &listener.endpoint);
	config.listeners = &listener;
	config.n_listeners = 1;
	harness_configure(&config);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct message m = request_of(types[i]);
		struct frame f = FRAME(.payload = m.bytes, .payload_bytes = m.n_bytes);

		harness_expect_steered(&f, XDP_COUNTER_STEERED_LISTENER);
	}
}

Test(verdict, rfc8489_5_wrong_cookie_is_dropped)
{
	for (uint32_t bit = 0; bit < 32; bit++) {
		struct message m = request_of(STUN_BINDING_REQUEST);
		struct frame f;

		m.bytes[4 + bit / 8] ^= (uint8_t)(1u << (bit % 8));
		f = FRAME(.payload = m.bytes, .payload_bytes = m.n_bytes);
		harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_STUN);
	}
}

Test(verdict, rfc8489_5_message_length_must_be_the_datagrams)
{
	struct message m = request_of(TURN_ALLOCATE_REQUEST);

	message_attr(&m, STUN_ATTR_SOFTWARE, "12345678", 8);
	for (uint32_t length = 0; length < 65536; length += length < 64 ? 1 : 977) {
		struct frame f;

		bytes_put_be16(m.bytes + 2, (uint16_t)length);
		f = FRAME(.payload = m.bytes, .payload_bytes = m.n_bytes);
		if (length == m.n_bytes - 20)
			harness_expect_steered(&f, XDP_COUNTER_STEERED_LISTENER);
		else
			harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_STUN);
	}
}

Test(verdict, rfc8489_14_attribute_past_the_end_is_dropped)
{
	struct message m = request_of(STUN_BINDING_REQUEST);
	struct frame f;

	message_attr(&m, STUN_ATTR_SOFTWARE, "1234", 4);
	for (uint32_t length = 5; length < 65536; length += 331) {
		bytes_put_be16(m.bytes + 22, (uint16_t)length);
		f = FRAME(.payload = m.bytes, .payload_bytes = m.n_bytes);
		harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_STUN);
	}
}

Test(verdict, rfc8656_12_4_channel_data_longer_than_its_datagram_is_dropped)
{
	for (uint32_t length = 0; length < 65536; length += length < 16 ? 1 : 1021) {
		uint8_t payload[12] = { 0x4f, 0xff, (uint8_t)(length >> 8), (uint8_t)length };
		struct frame f = FRAME(.payload = payload, .payload_bytes = sizeof(payload));

		if (length <= 8)
			harness_expect_steered(&f, XDP_COUNTER_STEERED_LISTENER);
		else
			harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_CHANNEL);
	}
	for (uint32_t n = 1; n < 4; n++) {
		struct frame f = FRAME(.payload = channel_data, .payload_bytes = n);

		harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_CHANNEL);
	}
}

Test(verdict, forged_udp_length_is_dropped)
{
	static const char *const destinations[] = { RELAY_V4, RELAY_V6, RELAYED_V4, RELAYED_V6 };
	static const int32_t errors[] = { -16, -15, -9, 1, 2, 100, 20000 };

	for (size_t d = 0; d < 4; d++) {
		for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			struct frame f =
				FRAME(.destination = destinations[d], .payload = channel_data,
				      .payload_bytes = 8, .udp_length_error = errors[i]);

			harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_UDP);
		}
	}
}

Test(verdict, forged_ip_length_is_dropped)
{
	static const char *const destinations[] = { RELAY_V4, RELAY_V6, RELAYED_V4, RELAYED_V6 };
	static const int32_t errors[] = { -1, -8, -16, -30, 1, 100, 20000 };

	for (size_t d = 0; d < 4; d++) {
		for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			struct frame f =
				FRAME(.destination = destinations[d], .payload = channel_data,
				      .payload_bytes = 8, .ip_length_error = errors[i]);

			harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_UDP);
		}
	}
}

Test(verdict, short_ipv4_header_length_is_dropped)
{
	for (uint8_t ihl = 0; ihl < 5; ihl++) {
		struct frame f = FRAME(.payload = channel_data, .payload_bytes = 8);

		f.bytes[14] = 0x40 | ihl;
		harness_expect_dropped(&f, XDP_COUNTER_DROPPED_MALFORMED_UDP);
	}
}

Test(verdict, rfc8200_8_1_zero_udp_checksum_over_ipv6_is_dropped)
{
	struct frame listener = FRAME(.destination = RELAY_V6, .payload = channel_data,
				      .payload_bytes = 8, .zero_udp_checksum = true);
	struct frame relayed = FRAME(.destination = RELAYED_V6, .payload = channel_data,
				     .payload_bytes = 8, .zero_udp_checksum = true);
	struct frame v4 =
		FRAME(.payload = channel_data, .payload_bytes = 8, .zero_udp_checksum = true);

	harness_expect_dropped(&listener, XDP_COUNTER_DROPPED_MALFORMED_UDP);
	harness_expect_dropped(&relayed, XDP_COUNTER_DROPPED_MALFORMED_UDP);
	harness_expect_steered(&v4, XDP_COUNTER_STEERED_LISTENER);
}

Test(verdict, ip_options_and_extension_headers_are_steered)
{
	static const uint8_t extensions[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					      IPPROTO_DSTOPTS, IPPROTO_DSTOPTS };

	for (uint32_t bytes = 4; bytes <= 40; bytes += 4) {
		struct frame listener =
			FRAME(.payload = channel_data, .payload_bytes = 8, .options_bytes = bytes);
		struct frame relayed = FRAME(.destination = RELAYED_V4, .payload = channel_data,
					     .payload_bytes = 8, .options_bytes = bytes);

		harness_expect_steered(&listener, XDP_COUNTER_STEERED_LISTENER);
		harness_expect_steered(&relayed, XDP_COUNTER_STEERED_RELAY);
	}
	for (uint32_t n = 1; n <= 4; n++) {
		struct frame listener =
			FRAME(.destination = RELAY_V6, .payload = channel_data, .payload_bytes = 8,
			      .extensions = extensions, .n_extensions = n);
		struct frame relayed =
			FRAME(.destination = RELAYED_V6, .payload = channel_data,
			      .payload_bytes = 8, .extensions = extensions, .n_extensions = n);

		harness_expect_steered(&listener, XDP_COUNTER_STEERED_LISTENER);
		harness_expect_steered(&relayed, XDP_COUNTER_STEERED_RELAY);
	}
	struct frame five = FRAME(.destination = RELAY_V6, .payload = channel_data,
				  .payload_bytes = 8, .extensions = extensions, .n_extensions = 5);

	harness_expect_dropped(&five, XDP_COUNTER_DROPPED_MALFORMED_UDP);
}

Test(verdict, ipv4_fragments_of_ours_are_steered)
{
	static const char *const destinations[] = { RELAY_V4, RELAYED_V4 };

	for (uint32_t i = 0; i < 2; i++) {
		struct frame first =
			FRAME(.destination = destinations[i], .payload = channel_data,
			      .payload_bytes = 8, .fragment = 0x2000, .identification = 7 + i);
		struct frame middle = FRAME(.destination = destinations[i], .payload = channel_data,
					    .payload_bytes = 8, .fragment = 0x2002,
					    .identification = 7 + i, .no_udp_header = true);
		struct frame last = FRAME(.destination = destinations[i], .payload = channel_data,
					  .payload_bytes = 8, .fragment = 0x0003,
					  .identification = 7 + i, .no_udp_header = true);

		harness_expect_steered(&first, XDP_COUNTER_STEERED_FRAGMENT);
		harness_expect_steered(&middle, XDP_COUNTER_STEERED_FRAGMENT);
		harness_expect_steered(&last, XDP_COUNTER_STEERED_FRAGMENT);
	}
}

Test(verdict, ipv6_fragments_of_ours_are_steered)
{
	static const char *const destinations[] = { RELAY_V6, RELAYED_V6 };

	for (uint32_t i = 0; i < 2; i++) {
		struct frame first = FRAME(.destination = destinations[i], .payload = channel_data,
					   .payload_bytes = 8, .fragment = 0x0001,
					   .has_fragment_header = true, .identification = 7 + i);
		struct frame last =
			FRAME(.destination = destinations[i], .payload = channel_data,
			      .payload_bytes = 8, .fragment = 0x0010, .has_fragment_header = true,
			      .identification = 7 + i, .no_udp_header = true);
		struct frame atomic = FRAME(.destination = destinations[i], .payload = channel_data,
					    .payload_bytes = 8, .has_fragment_header = true);

		harness_expect_steered(&first, XDP_COUNTER_STEERED_FRAGMENT);
		harness_expect_steered(&last, XDP_COUNTER_STEERED_FRAGMENT);
		harness_expect_steered(&atomic, XDP_COUNTER_STEERED_FRAGMENT);
	}
}

Test(verdict, fragments_of_the_kernels_datagrams_pass)
{
	struct frame first = FRAME(.destination = "198.18.0.2:53", .payload = channel_data,
				   .payload_bytes = 8, .fragment = 0x2000, .identification = 99);
	struct frame last =
		FRAME(.destination = "198.18.0.2:53", .payload = channel_data, .payload_bytes = 8,
		      .fragment = 0x0002, .identification = 99, .no_udp_header = true);
	struct frame other =
		FRAME(.destination = "198.18.0.2:53", .payload = channel_data, .payload_bytes = 8,
		      .fragment = 0x0002, .identification = 100, .no_udp_header = true);
	struct frame first6 =
		FRAME(.destination = "[fd00:18::2]:53", .payload = channel_data, .payload_bytes = 8,
		      .fragment = 0x0001, .has_fragment_header = true, .identification = 0x10099);
	struct frame last6 =
		FRAME(.destination = "[fd00:18::2]:53", .payload = channel_data, .payload_bytes = 8,
		      .fragment = 0x0010, .has_fragment_header = true, .identification = 0x10099,
		      .no_udp_header = true);
	struct frame tcp = FRAME(.protocol = IPPROTO_TCP, .payload = channel_data,
				 .payload_bytes = 8, .fragment = 0x0002, .no_udp_header = true);

	harness_expect_passed(&first, XDP_COUNTER_PASSED_OTHER_PORT);
	harness_expect_passed(&last, XDP_COUNTER_PASSED_OTHER_PORT);
	harness_expect_steered(&other, XDP_COUNTER_STEERED_FRAGMENT);
	harness_expect_passed(&first6, XDP_COUNTER_PASSED_OTHER_PORT);
	harness_expect_passed(&last6, XDP_COUNTER_PASSED_OTHER_PORT);
	harness_expect_passed(&tcp, XDP_COUNTER_PASSED_NOT_UDP);
}

Test(verdict, impossible_sources_are_dropped_at_listeners)
{
	static const char *const v4[] = { "198.18.0.10:0",        "198.18.0.2:40000",
					  "0.0.0.0:40000",        "0.1.2.3:40000",
					  "127.0.0.1:40000",      "224.0.0.1:40000",
					  "255.255.255.255:40000" };
	static const char *const v6[] = { "[fd00:18::10]:0", "[fd00:18::2]:40000", "[::]:40000",
					  "[::1]:40000", "[ff02::1]:40000" };
	struct message m = request_of(STUN_BINDING_REQUEST);

	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		struct frame f =
			FRAME(.source = v4[i], .payload = m.bytes, .payload_bytes = m.n_bytes);

		harness_expect_dropped(&f, XDP_COUNTER_DROPPED_SOURCE);
	}
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
		struct frame f = FRAME(.source = v6[i], .destination = RELAY_V6, .payload = m.bytes,
				       .payload_bytes = m.n_bytes);

		harness_expect_dropped(&f, XDP_COUNTER_DROPPED_SOURCE);
	}
}

Test(verdict, without_a_worker_ours_is_dropped_and_the_kernels_still_passes)
{
	struct frame listener = FRAME(.payload = channel_data, .payload_bytes = 8);
	struct frame relayed =
		FRAME(.destination = RELAYED_V6, .payload = channel_data, .payload_bytes = 8);
	struct frame fragment = FRAME(.destination = RELAYED_V4, .payload = channel_data,
				      .payload_bytes = 8, .fragment = 0x2000);
	struct frame dns =
		FRAME(.destination = "198.18.0.2:53", .payload = channel_data, .payload_bytes = 8);
	struct frame tcp =
		FRAME(.protocol = IPPROTO_TCP, .payload = channel_data, .payload_bytes = 8);

	harness_attach_worker(false);
	harness_expect_dropped(&listener, XDP_COUNTER_DROPPED_NO_WORKER);
	harness_expect_dropped(&relayed, XDP_COUNTER_DROPPED_NO_WORKER);
	harness_expect_dropped(&fragment, XDP_COUNTER_DROPPED_NO_WORKER);
	harness_expect_passed(&dns, XDP_COUNTER_PASSED_OTHER_PORT);
	harness_expect_passed(&tcp, XDP_COUNTER_PASSED_NOT_UDP);
	harness_attach_worker(true);
	harness_expect_steered(&listener, XDP_COUNTER_STEERED_LISTENER);
}

Test(verdict, unconfigured_filter_passes_everything)
{
	struct frame f = FRAME(.payload = channel_data, .payload_bytes = 8);
	struct xdp_filter_config nothing = {};

	harness_configure(&nothing);
	harness_expect_passed(&f, XDP_COUNTER_PASSED_NOT_LOCAL);
}
