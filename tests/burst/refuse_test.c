// Every reason not to relay, each with its counter.
#include <criterion/criterion.h>

#include "tests/burst/relaying.h"

TestSuite(refuse, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

Test(refuse, rfc8656_12_6_client_without_allocation)
{
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	expect_nothing_sent();
}

Test(refuse, another_client_on_the_same_channel_has_no_allocation)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_channel(OTHER_V4, CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	send_channel("192.0.2.10:5001", CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	expect_nothing_sent();
}

Test(refuse, rfc8656_12_6_channel_that_is_not_bound)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_channel(CLIENT_V4, CHANNEL + 1, 5);
	expect_only(DP_DROP_NO_CHANNEL);
	expect_nothing_sent();
}

Test(refuse, rfc8656_12_channel_numbers_out_of_range)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_channel(CLIENT_V4, 0x4fff, 5);
	expect_only(DP_DROP_NO_CHANNEL);
	send_channel(CLIENT_V4, 0x5000, 5);
	expect_only(DP_DROP_UNKNOWN_FIRST_BYTE);
	expect_nothing_sent();
}

Test(refuse, rfc8656_12_5_channel_data_shorter_than_it_says)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	channel_data(message, CHANNEL, data, 10, 0);
	for (uint32_t n = 1; n < 14; n++) {
		send_datagram(&d, message, n);
		expect_only(DP_DROP_BAD_CHANNEL_DATA);
	}
	send_datagram(&d, message, 0);
	expect_only(DP_DROP_UNKNOWN_FIRST_BYTE);
	expect_nothing_sent();
}

Test(refuse, rfc8656_5_allocation_that_has_expired)
{
	program_allocation(CLIENT_V4, RELAYED_V4, false);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, false);
	program_channel(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL, false);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_ALLOCATION_EXPIRED);
	send_channel(CLIENT_V4, CHANNEL + 1, 5);
	expect_only(DP_DROP_ALLOCATION_EXPIRED);
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	expect_nothing_sent();
}

Test(refuse, rfc8656_9_permission_that_has_expired)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, false);
	program_channel(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL, false);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	send_datagram(&d, message, send_indication(message, PEER_V4, data, 5));
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	expect_nothing_sent();
}

Test(refuse, rfc8656_12_channel_that_has_expired_leaves_the_permission)
{
	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	program_channel(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL, false);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_CHANNEL_EXPIRED);
	expect_nothing_sent();
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_COUNTER_DOWN_DATA);
	expect_data_indication(CLIENT_V4, PEER_V4, 5);
}

Test(refuse, rfc8656_9_no_permission_for_this_peer)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_from_peer("203.0.113.21:6000", RELAYED_V4, 5);
	expect_only(DP_DROP_NO_PERMISSION);
	send_datagram(&d, message, send_indication(message, "203.0.113.21:6000", data, 5));
	expect_only(DP_DROP_NO_PERMISSION);
	send_from_peer(PEER_V4, "198.51.100.2:50001", 5);
	expect_only(DP_DROP_NO_PERMISSION);
	expect_nothing_sent();
}

Test(refuse, rfc8656_11_2_send_from_a_client_without_allocation)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	send_datagram(&d, message, send_indication(message, PEER_V4, data, 5));
	expect_only(DP_DROP_NO_ALLOCATION);
	program_allocation(CLIENT_V4, RELAYED_V4, false);
	send_datagram(&d, message, send_indication(message, PEER_V4, data, 5));
	expect_only(DP_DROP_ALLOCATION_EXPIRED);
	expect_nothing_sent();
}

Test(refuse, rfc8656_11_2_send_to_a_peer_of_the_other_family)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_datagram(&d, message, send_indication(message, PEER_V6, data, 5));
	expect_only(DP_DROP_FAMILY_MISMATCH);
	expect_nothing_sent();
}

Test(refuse, rfc8656_11_2_send_without_peer_data_or_with_what_is_unknown)
{
	static const uint8_t id[12] = "id";
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	struct ip_endpoint peer = endpoint(PEER_V4);
	struct stun_builder b;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	stun_build_begin(&b, message, sizeof(message), TURN_SEND_INDICATION, id);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &peer);
	send_datagram(&d, message, (uint32_t)stun_build_end(&b));
	expect_only(DP_DROP_BAD_SEND);
	stun_build_begin(&b, message, sizeof(message), TURN_SEND_INDICATION, id);
	stun_build_attr(&b, TURN_ATTR_DATA, data, 5);
	send_datagram(&d, message, (uint32_t)stun_build_end(&b));
	expect_only(DP_DROP_BAD_SEND);
	stun_build_begin(&b, message, sizeof(message), TURN_SEND_INDICATION, id);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &peer);
	stun_build_attr(&b, TURN_ATTR_DATA, data, 5);
	stun_build_u32(&b, 0x7ff0, 1);
	send_datagram(&d, message, (uint32_t)stun_build_end(&b));
	expect_only(DP_DROP_BAD_SEND);
	send_datagram(&d, message, send_indication(message, "203.0.113.20:0", data, 5));
	expect_only(DP_DROP_BAD_SEND);
	expect_nothing_sent();
}

// The control plane never made such a flow; the worker does not take its word for it.
Test(refuse, peer_that_policy_denies_is_dropped_here_too)
{
	static const char *const denied[] = { DENIED_V4, "10.0.0.1:80", "127.0.0.1:80",
					      "169.254.169.254:80", "198.51.100.1:3478" };
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_allocation(CLIENT_V4, RELAYED_V4, true);
	for (uint32_t i = 0; i < RTE_DIM(denied); i++) {
		program_permission(CLIENT_V4, RELAYED_V4, denied[i], true);
		program_channel(CLIENT_V4, RELAYED_V4, denied[i], (uint16_t)(CHANNEL + i), true);
		for (int again = 0; again < 2; again++) {
			send_channel(CLIENT_V4, (uint16_t)(CHANNEL + i), 5);
			expect_only(DP_DROP_PEER_DENIED);
			send_datagram(&d, message, send_indication(message, denied[i], data, 5));
			expect_only(DP_DROP_PEER_DENIED);
		}
	}
	expect_nothing_sent();
}

Test(refuse, new_settings_take_effect_on_known_flows)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_COUNTER_UP_CHANNEL);
	cr_assert(receive(&out));
	settings.peer_rule[0].action = SHM_PEER_DENY;
	settings_publish();
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_PEER_DENIED);
	expect_nothing_sent();
	// Settings that make no sense leave the old ones in force.
	settings.peer_rule[0].action = SHM_PEER_ALLOW;
	settings.n_locals = SHM_LOCALS_MAX + 1;
	settings_publish();
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_PEER_DENIED);
	settings.n_locals = LOCALS;
	settings_publish();
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_COUNTER_UP_CHANNEL);
	cr_assert(receive(&out));
}

Test(refuse, next_hop_that_is_unknown_or_unresolved)
{
	hop_peer = HOP_UNRESOLVED;
	hop_client = HOP_NONE;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_NO_NEXT_HOP);
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_DROP_NO_NEXT_HOP);
	expect_nothing_sent();
}

Test(refuse, ports_and_addresses_that_are_not_ours)
{
	static const char *const elsewhere[] = { "198.51.100.1:3479", "198.51.100.2:3478",
						 "198.51.100.2:49151", "198.51.100.9:3478",
						 "198.51.100.1:50000" };

	for (uint32_t i = 0; i < RTE_DIM(elsewhere); i++) {
		send_from_peer(PEER_V4, elsewhere[i], 5);
		expect_only(DP_DROP_NOT_OURS);
	}
	expect_nothing_sent();
}

Test(refuse, sources_that_cannot_be)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_from_peer("203.0.113.20:0", RELAYED_V4, 5);
	expect_only(DP_DROP_BAD_SOURCE);
	send_from_peer(RELAYED2_V4, RELAYED_V4, 5);
	expect_only(DP_DROP_BAD_SOURCE);
	expect_nothing_sent();
}

Test(refuse, sources_that_no_host_has)
{
	static const char *const v4[] = { "0.1.2.3:9",         "127.0.0.1:9", "224.0.0.1:9",
					  "239.255.255.250:9", "240.0.0.1:9", "255.255.255.255:9" };
	static const char *const v6[] = { "[::]:9", "[::1]:9", "[ff02::1]:9", "[ff0e::9]:9" };
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint8_t frame[256];
	uint32_t n;

	for (uint32_t i = 0; i < RTE_DIM(v4); i++) {
		send_channel(v4[i], CHANNEL, 5);
		expect_only(DP_DROP_BAD_SOURCE);
		send_from_peer(v4[i], RELAYED_V4, 5);
		expect_only(DP_DROP_BAD_SOURCE);
	}
	for (uint32_t i = 0; i < RTE_DIM(v6); i++) {
		send_channel(v6[i], CHANNEL, 5);
		expect_only(DP_DROP_BAD_SOURCE);
	}
	// The neighbours of those blocks are only strangers.
	send_channel("1.0.0.0:9", CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	send_channel("223.255.255.255:9", CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	send_channel("[::2]:9", CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	// A group as the sender on the link.
	n = frame_build(frame, &d, message, channel_data(message, CHANNEL, data, 5, 0));
	frame[6] |= 1;
	send_bytes(0, frame, n);
	expect_only(DP_DROP_BAD_SOURCE);
	expect_nothing_sent();
}
