// Between two allocations of our own: nothing leaves the host but what the other client gets.
#include <criterion/criterion.h>

#include "tests/burst/relaying.h"

TestSuite(hairpin, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

#define CLIENT2_V4 "192.0.2.12:5002"

// Packets that the usage of CLIENT_V4's channel tells.
static uint64_t sent_by_channel(void)
{
	struct ip_endpoint client = endpoint(CLIENT_V4);
	struct shm_flow_key key = {
		.port_be = client.port_be,
		.local_port_be = endpoint(LISTEN_V4).port_be,
		.local_idx = LISTENER_V4,
		.kind = SHM_FLOW_CHANNEL,
		.channel_be = __builtin_bswap16(CHANNEL),
	};

	memcpy(key.address, client.address.bytes, 16);
	return usage_of(&key).pkts;
}

Test(hairpin, between_two_channels)
{
	struct dress up = { .from = CLIENT_V4, .to = LISTEN_V4, .ttl = 10 };

	program_flow(CLIENT_V4, RELAYED_V4, RELAYED2_V4, CHANNEL);
	program_flow(CLIENT2_V4, RELAYED2_V4, RELAYED_V4, CHANNEL + 5);
	for (uint16_t n = 0; n < 9; n++) {
		data_fill(n);
		send_datagram(&up, message, channel_data(message, CHANNEL, data, n, n % 3));
		cr_assert_eq(counted(DP_COUNTER_HAIRPIN), 1);
		expect_only(DP_COUNTER_DOWN_CHANNEL);
		expect_channel_data(CLIENT2_V4, CHANNEL + 5, n);
		// It went through two relays.
		cr_assert_eq(out.view.ttl, 8);
	}
}

Test(hairpin, by_send_becomes_a_data_indication)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, RELAYED2_V4, true);
	program_allocation(CLIENT2_V4, RELAYED2_V4, true);
	program_permission(CLIENT2_V4, RELAYED2_V4, RELAYED_V4, true);
	data_fill(13);
	send_datagram(&d, message, send_indication(message, RELAYED2_V4, data, 13));
	expect_only(DP_COUNTER_DOWN_DATA);
	expect_data_indication(CLIENT2_V4, RELAYED_V4, 13);
}

Test(hairpin, without_permission_on_the_other_side)
{
	program_flow(CLIENT_V4, RELAYED_V4, RELAYED2_V4, CHANNEL);
	program_allocation(CLIENT2_V4, RELAYED2_V4, true);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_NO_PERMISSION);
	expect_nothing_sent();
	// What was not relayed costs nobody.
	cr_assert_eq(sent_by_channel(), 0);
	program_permission(CLIENT2_V4, RELAYED2_V4, RELAYED_V4, true);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_COUNTER_DOWN_DATA);
	cr_assert(receive(&out));
	cr_assert_eq(sent_by_channel(), 1);
}

Test(hairpin, to_itself_and_to_ports_that_are_not_relayed)
{
	program_flow(CLIENT_V4, RELAYED_V4, RELAYED_V4, CHANNEL);
	program_channel(CLIENT_V4, RELAYED_V4, "198.51.100.2:22", CHANNEL + 1, true);
	send_channel(CLIENT_V4, CHANNEL, 5);
	expect_only(DP_DROP_HAIRPIN_LOOP);
	send_channel(CLIENT_V4, CHANNEL + 1, 5);
	expect_only(DP_DROP_NO_RELAY);
	expect_nothing_sent();
}

Test(hairpin, needs_two_hops)
{
	struct dress up = { .from = CLIENT_V4, .to = LISTEN_V4, .ttl = 2 };

	program_flow(CLIENT_V4, RELAYED_V4, RELAYED2_V4, CHANNEL);
	program_flow(CLIENT2_V4, RELAYED2_V4, RELAYED_V4, CHANNEL + 5);
	send_datagram(&up, message, channel_data(message, CHANNEL, data, 5, 0));
	expect_only(DP_DROP_TTL_EXPIRED);
	expect_nothing_sent();
}
