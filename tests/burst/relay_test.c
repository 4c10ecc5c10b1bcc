// Relaying: ChannelData and Send upward, ChannelData and Data downward, in all family combinations,
// with the headers that RFC 8656 §13–16 wants.
#include <criterion/criterion.h>

#include "tests/burst/relaying.h"

TestSuite(relay, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

// ---- golden frames: bytes in, bytes out

Test(relay, rfc8656_12_5_channel_data_up_byte_for_byte)
{
	uint8_t in[128];
	uint8_t expected[128];
	uint32_t n;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	n = from_hex("020000000001 0200000000aa 0800"
		     "45b8 0027 1234 4000 4011 dfd7 c000020a c6336401"
		     "1388 0d96 0013 0000 4001 0006 68656c6c6f21 00",
		     in);
	// Header checksum of the input, for it is written by hand.
	memset(in + 24, 0, 2);
	memcpy(in + 24, &(uint16_t){ ipv4_header_checksum(in + 14, 20) }, 2);
	send_bytes(0, in, n);
	expect_only(DP_COUNTER_UP_CHANNEL);

	n = from_hex("0200000000fe 000000000000 0800"
		     "45b8 0022 0000 4000 3f11 0000 c6336402 cb007114"
		     "c350 1770 000e 0000 68656c6c6f21",
		     expected);
	memcpy(expected + 24, &(uint16_t){ ipv4_header_checksum(expected + 14, 20) }, 2);
	cr_assert(receive(&out));
	cr_assert_eq(out.length_bytes, n);
	// The source MAC is the port's.
	memcpy(expected + 6, worker->shared->port[0].mac, 6);
	cr_assert_arr_eq(out.bytes, expected, n);
}

Test(relay, rfc8656_12_6_channel_data_down_byte_for_byte)
{
	uint8_t in[128];
	uint8_t expected[128];
	uint32_t n;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	n = from_hex("020000000001 0200000000aa 0800"
		     "4502 0021 0001 4000 0a11 0000 cb007114 c6336402"
		     "1770 c350 000d 0000 776f726c64",
		     in);
	memcpy(in + 24, &(uint16_t){ ipv4_header_checksum(in + 14, 20) }, 2);
	send_bytes(0, in, n);
	expect_only(DP_COUNTER_DOWN_CHANNEL);

	n = from_hex("0200000000c1 000000000000 0800"
		     "4502 0025 0000 4000 0911 0000 c6336401 c000020a"
		     "0d96 1388 0011 0000 4001 0005 776f726c64",
		     expected);
	memcpy(expected + 24, &(uint16_t){ ipv4_header_checksum(expected + 14, 20) }, 2);
	memcpy(expected + 6, worker->shared->port[0].mac, 6);
	cr_assert(receive(&out));
	cr_assert_eq(out.length_bytes, n);
	cr_assert_arr_eq(out.bytes, expected, n);
}

// ---- every family combination, every small length

static const struct {
	const char *client;
	const char *relayed;
	const char *peer;
	uint16_t channel;
} combination[] = {
	{ "192.0.2.30:5000", "198.51.100.2:50010", PEER_V4, 0x4010 },
	{ "[2001:db8:c::30]:5000", "[fd00::2]:50010", PEER_V6, 0x4011 },
	{ "192.0.2.31:5000", "[fd00::2]:50012", PEER_V6, 0x4012 },
	{ "[2001:db8:c::31]:5000", "198.51.100.2:50012", PEER_V4, 0x4fff },
};

static const uint16_t length[] = { 0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 199, 200, 1199, 1200 };

static void program_combinations(void)
{
	for (uint32_t c = 0; c < RTE_DIM(combination); c++)
		program_flow(combination[c].client, combination[c].relayed, combination[c].peer,
			     combination[c].channel);
}

Test(relay, rfc8656_12_5_channel_data_up_all_families_and_lengths)
{
	program_combinations();
	for (uint32_t c = 0; c < RTE_DIM(combination); c++) {
		for (uint32_t i = 0; i < RTE_DIM(length); i++) {
			send_channel(combination[c].client, combination[c].channel, length[i]);
			expect_only(DP_COUNTER_UP_CHANNEL);
			expect_datagram(&out, combination[c].relayed, combination[c].peer, data,
					length[i]);
			cr_assert_neq(out.view.udp_checksum_be, 0);
		}
	}
}

Test(relay, rfc8656_12_6_channel_data_down_all_families_and_lengths)
{
	program_combinations();
	for (uint32_t c = 0; c < RTE_DIM(combination); c++) {
		for (uint32_t i = 0; i < RTE_DIM(length); i++) {
			send_from_peer(combination[c].peer, combination[c].relayed, length[i]);
			expect_only(DP_COUNTER_DOWN_CHANNEL);
			expect_channel_data(combination[c].client, combination[c].channel,
					    length[i]);
		}
	}
}

Test(relay, rfc8656_11_2_send_all_families_and_lengths)
{
	program_combinations();
	for (uint32_t c = 0; c < RTE_DIM(combination); c++) {
		const char *client = combination[c].client;
		struct dress d = { .from = client, .to = client[0] == '[' ? LISTEN_V6 : LISTEN_V4 };

		for (uint32_t i = 0; i < RTE_DIM(length); i++) {
			data_fill(length[i]);
			send_datagram(
				&d, message,
				send_indication(message, combination[c].peer, data, length[i]));
			expect_only(DP_COUNTER_UP_SEND);
			expect_datagram(&out, combination[c].relayed, combination[c].peer, data,
					length[i]);
		}
	}
}

Test(relay, rfc8656_11_3_data_indication_all_families_and_lengths)
{
	for (uint32_t c = 0; c < RTE_DIM(combination); c++) {
		program_allocation(combination[c].client, combination[c].relayed, true);
		program_permission(combination[c].client, combination[c].relayed,
				   combination[c].peer, true);
	}
	for (uint32_t c = 0; c < RTE_DIM(combination); c++) {
		for (uint32_t i = 0; i < RTE_DIM(length); i++) {
			send_from_peer(combination[c].peer, combination[c].relayed, length[i]);
			expect_only(DP_COUNTER_DOWN_DATA);
			expect_data_indication(combination[c].client, combination[c].peer,
					       length[i]);
		}
	}
}

Test(relay, rfc8656_11_3_permission_covers_every_port_of_the_peer)
{
	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	send_from_peer("203.0.113.20:1", RELAYED_V4, 10);
	expect_only(DP_COUNTER_DOWN_DATA);
	expect_data_indication(CLIENT_V4, "203.0.113.20:1", 10);
}

Test(relay, transaction_ids_of_data_indications_differ)
{
	uint8_t first[12];

	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	send_from_peer(PEER_V4, RELAYED_V4, 10);
	cr_assert(receive(&out));
	memcpy(first, out.bytes + out.view.payload_offset + 8, sizeof(first));
	send_from_peer(PEER_V4, RELAYED_V4, 10);
	cr_assert(receive(&out));
	cr_assert_arr_neq(out.bytes + out.view.payload_offset + 8, first, sizeof(first));
}

// ---- framing

Test(relay, rfc8656_12_5_padding_of_channel_data_is_not_relayed)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint16_t n = 0; n < 9; n++) {
		for (uint32_t pad = 0; pad < 6; pad++) {
			data_fill(n);
			send_datagram(&d, message, channel_data(message, CHANNEL, data, n, pad));
			expect_only(DP_COUNTER_UP_CHANNEL);
			expect_datagram(&out, RELAYED_V4, PEER_V4, data, n);
		}
	}
}

Test(relay, attributes_behind_the_data_of_a_send_indication_are_not_relayed)
{
	static const uint8_t id[12] = "id";
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	struct ip_endpoint peer = endpoint(PEER_V4);

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint16_t n = 0; n < 6; n++) {
		struct stun_builder b;

		data_fill(n);
		stun_build_begin(&b, message, sizeof(message), TURN_SEND_INDICATION, id);
		stun_build_attr(&b, TURN_ATTR_DATA, data, n);
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &peer);
		stun_build_attr(&b, STUN_ATTR_SOFTWARE, "abc", 3);
		stun_build_fingerprint(&b);
		send_datagram(&d, message, (uint32_t)stun_build_end(&b));
		expect_only(DP_COUNTER_UP_SEND);
		expect_datagram(&out, RELAYED_V4, PEER_V4, data, n);
	}
}

Test(relay, ethernet_padding_is_not_relayed)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint8_t frame[128] = { 0 };
	uint32_t n;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(3);
	n = frame_build(frame, &d, message, channel_data(message, CHANNEL, data, 3, 0));
	memset(frame + n, 0xee, 60 - n);
	send_bytes(0, frame, 60);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 3);
}

// ---- checksums

Test(relay, zero_ipv4_checksum_stays_zero)
{
	struct dress up = { .from = CLIENT_V4, .to = LISTEN_V4, .no_checksum = 1 };
	struct dress down = { .from = PEER_V4, .to = RELAYED_V4, .no_checksum = 1 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(33);
	send_datagram(&up, message, channel_data(message, CHANNEL, data, 33, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 33);
	cr_assert_eq(out.view.udp_checksum_be, 0);
	send_datagram(&down, data, 33);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_channel_data(CLIENT_V4, CHANNEL, 33);
	cr_assert_eq(out.view.udp_checksum_be, 0);
}

Test(relay, rfc7915_4_5_zero_ipv4_checksum_is_computed_toward_ipv6)
{
	struct dress up = { .from = CLIENT_V4, .to = LISTEN_V4, .no_checksum = 1 };

	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	data_fill(33);
	send_datagram(&up, message, channel_data(message, CHANNEL, data, 33, 3));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, 33);
	cr_assert_neq(out.view.udp_checksum_be, 0);
}

Test(relay, rfc8200_8_1_zero_ipv6_checksum_is_dropped)
{
	struct dress up = { .from = CLIENT_V6, .to = LISTEN_V6, .no_checksum = 1 };

	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	send_datagram(&up, message, channel_data(message, CHANNEL, data, 33, 0));
	expect_only(DP_DROP_BAD_HEADER);
	expect_nothing_sent();
}

// What was corrupt on its way in is so on its way out: the relay does not launder it.
Test(relay, corruption_stays_detectable)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint8_t frame[256];
	const uint8_t *udp;
	struct rte_mbuf *m;
	uint32_t n;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(40);
	n = frame_build(frame, &d, message, channel_data(message, CHANNEL, data, 40, 0));
	frame[n - 5] ^= 0x10;
	send_bytes(0, frame, n);
	expect_only(DP_COUNTER_UP_CHANNEL);
	m = take_raw(0);
	cr_assert_not_null(m);
	cr_assert_eq(ip_udp_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, &out.view),
		     IP_UDP_OK);
	udp = rte_pktmbuf_mtod_offset(m, uint8_t *, out.view.l4_offset);
	cr_assert_neq(
		udp_checksum(&out.view.source.address, &out.view.destination.address, udp, 48),
		out.view.udp_checksum_be);
	rte_pktmbuf_free(m);
}

// ---- headers (RFC 8656 §13–16)

Test(relay, rfc8656_14_dscp_ecn_and_df_are_copied_and_ttl_decremented)
{
	for (uint8_t df = 0; df < 2; df++) {
		struct dress up = { .from = CLIENT_V4,
				    .to = LISTEN_V4,
				    .ttl = 17,
				    .traffic_class = 0xbb,
				    .dont_fragment = df };
		struct dress down = { .from = PEER_V4,
				      .to = RELAYED_V4,
				      .ttl = 2,
				      .traffic_class = 0x01,
				      .dont_fragment = df };

		if (df == 0)
			program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
		data_fill(5);
		send_datagram(&up, message, channel_data(message, CHANNEL, data, 5, 0));
		expect_only(DP_COUNTER_UP_CHANNEL);
		expect_datagram(&out, RELAYED_V4, PEER_V4, data, 5);
		cr_assert_eq(out.view.ttl, 16);
		cr_assert_eq(out.view.traffic_class, 0xbb);
		cr_assert_eq(out.view.dont_fragment, df);
		send_datagram(&down, data, 5);
		expect_only(DP_COUNTER_DOWN_CHANNEL);
		expect_channel_data(CLIENT_V4, CHANNEL, 5);
		cr_assert_eq(out.view.ttl, 1);
		cr_assert_eq(out.view.traffic_class, 0x01);
		cr_assert_eq(out.view.dont_fragment, df);
	}
}

Test(relay, rfc8656_13_2_ipv6_gets_a_new_flow_label_and_less_hops)
{
	struct dress up = { .from = CLIENT_V6, .to = LISTEN_V6, .ttl = 9, .traffic_class = 0xb9 };

	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	data_fill(5);
	send_datagram(&up, message, channel_data(message, CHANNEL, data, 5, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, 5);
	cr_assert_eq(out.view.ttl, 8);
	cr_assert_eq(out.view.traffic_class, 0xb9);
	cr_assert_neq(bytes_get_be32(out.bytes + 14) & 0xfffff, 0x12345);
}

Test(relay, rfc8656_13_hop_limit_and_class_cross_families)
{
	struct dress up = { .from = CLIENT_V4, .to = LISTEN_V4, .ttl = 9, .traffic_class = 0x2e };

	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	data_fill(5);
	send_datagram(&up, message, channel_data(message, CHANNEL, data, 5, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, 5);
	cr_assert_eq(out.view.ttl, 8);
	cr_assert_eq(out.view.traffic_class, 0x2e);
}

Test(relay, rfc8656_13_ttl_that_ends_here_is_dropped)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint8_t ttl = 1; ttl < 3; ttl++) {
		struct dress up = { .from = CLIENT_V4, .to = LISTEN_V4, .ttl = ttl };

		send_datagram(&up, message, channel_data(message, CHANNEL, data, 5, 0));
		if (ttl == 1) {
			expect_only(DP_DROP_TTL_EXPIRED);
			expect_nothing_sent();
		} else {
			expect_only(DP_COUNTER_UP_CHANNEL);
			cr_assert(receive(&out));
			cr_assert_eq(out.view.ttl, 1);
		}
	}
}

Test(relay, ip_options_and_extension_headers_are_left_behind)
{
	struct dress v4 = { .from = CLIENT_V4, .to = LISTEN_V4, .option_bytes = 12 };
	struct dress v6 = { .from = CLIENT_V6, .to = LISTEN_V6, .option_bytes = 16 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	data_fill(21);
	send_datagram(&v4, message, channel_data(message, CHANNEL, data, 21, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 21);
	cr_assert_eq(out.view.l4_offset, 14 + 20);
	send_datagram(&v6, message, channel_data(message, CHANNEL, data, 21, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, 21);
	cr_assert_eq(out.view.l4_offset, 14 + 40);
}

Test(relay, vlan_of_the_next_hop_counts_not_that_of_the_packet)
{
	struct dress up = { .from = CLIENT_V4, .to = LISTEN_V4, .vlan_id = 12 };
	struct dress down = { .from = PEER_V4, .to = RELAYED_V4, .vlan_id = 77 };

	hop_peer = HOP_PEER_VLAN;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(9);
	send_datagram(&up, message, channel_data(message, CHANNEL, data, 9, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 9);
	cr_assert_eq(out.view.vlan_tci, 77);
	send_datagram(&down, data, 9);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_channel_data(CLIENT_V4, CHANNEL, 9);
	cr_assert_eq(out.view.vlan_tci, 0xffff);
}

Test(relay, usage_counts_application_data)
{
	struct shm_flow_key key = { .local_port_be = endpoint(LISTEN_V4).port_be,
				    .port_be = endpoint(CLIENT_V4).port_be,
				    .local_idx = LISTENER_V4,
				    .kind = SHM_FLOW_CHANNEL,
				    .channel_be = __builtin_bswap16(CHANNEL) };
	struct ip_endpoint client = endpoint(CLIENT_V4);

	memcpy(key.address, client.address.bytes, 16);
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_channel(CLIENT_V4, CHANNEL, 100);
	send_channel(CLIENT_V4, CHANNEL, 11);
	cr_assert_eq(usage_of(&key).pkts, 2);
	cr_assert_eq(usage_of(&key).bytes, 111);
}

Test(relay, rfc5766_channel_numbers_only_where_they_are_let_in)
{
	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	program_channel(CLIENT_V4, RELAYED_V4, PEER_V4, 0x7fff, true);
	send_channel(CLIENT_V4, 0x7fff, 5);
	expect_only(DP_DROP_UNKNOWN_FIRST_BYTE);
	expect_nothing_sent();
	settings.flags = SHM_SETTINGS_F_RFC5766_CHANNELS;
	settings_publish();
	send_channel(CLIENT_V4, 0x7fff, 5);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 5);
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_channel_data(CLIENT_V4, 0x7fff, 5);
}

// ---- bursts

Test(relay, a_full_burst_of_all_kinds_keeps_order_per_flow)
{
	uint8_t frame[256];
	uint32_t n_up = 0;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < 64; i++) {
		struct dress up = { .from = i % 3 == 2 ? OTHER_V4 : CLIENT_V4, .to = LISTEN_V4 };
		uint8_t sequence = (uint8_t)i;

		put_bytes(0, frame,
			  frame_build(frame, &up, message,
				      channel_data(message, CHANNEL, &sequence, 1, 0)));
	}
	poll_once();
	poll_once();
	for (int last = -1; receive(&out); n_up++) {
		cr_assert_gt(out.bytes[out.view.payload_offset], last);
		last = out.bytes[out.view.payload_offset];
	}
	cr_assert_eq(n_up, 43);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 43);
	cr_assert_eq(counted(DP_DROP_NO_ALLOCATION), 21);
	cr_assert_eq(counted(DP_COUNTER_TX_PKTS), 43);
	cr_assert_eq(n_received(), n_outcomes());
}
