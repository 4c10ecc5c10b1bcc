// Clients over TCP, TLS and DTLS, whose sockets the control plane has: their messages through the inject ring to peers, and what
// peers send into the stream ring. Hostile rings included.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/burst/streaming.h"

TestSuite(stream, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

#define CLIENT2_V4 "192.0.2.12:5002"

static uint32_t dont_fragment_add(uint8_t *m, uint32_t n)
{
	static const uint8_t attribute[4] = { 0, TURN_ATTR_DONT_FRAGMENT };

	memcpy(m + n, attribute, sizeof(attribute));
	n += sizeof(attribute);
	bytes_put_be16(m + 2, (uint16_t)(n - STUN_HEADER_BYTES));
	return n;
}

static struct shm_usage stream_usage(enum shm_flow_kind kind, uint16_t channel)
{
	struct shm_flow_key key = {
		.local_idx = SHM_LOCAL_STREAM,
		.kind = kind,
		.channel_be = __builtin_bswap16(channel),
	};

	memcpy(key.address, endpoint(STREAM).address.bytes, 16);
	return usage_of(&key);
}

// ---- from the client

Test(stream, the_address_of_a_stream_is_what_tests_say)
{
	uint8_t address[16];

	shm_stream_address(7, 9, address);
	cr_assert_arr_eq(address, endpoint(STREAM).address.bytes, 16);
}

Test(stream, rfc8656_12_5_channel_data_up_byte_for_byte)
{
	uint8_t in[64];
	uint8_t expected[128];
	uint32_t n;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	worker->ip_id = 0x1234;
	stream_traffic_class = 0xbb; // RFC 8656 §15: the DSCP stays, ECN is Not-ECT
	n = from_hex("4001 0006 68656c6c6f21 0000", in);
	stream_send(STREAM, in, (uint16_t)n);
	expect_only(DP_COUNTER_UP_CHANNEL);
	cr_assert_eq(worker->state->counter[DP_COUNTER_STREAM_IN], 1);

	n = from_hex("0200000000fe 000000000000 0800"
		     "45b8 0022 1234 0000 4011 0000 c6336402 cb007114"
		     "c350 1770 000e 0000 68656c6c6f21",
		     expected);
	memcpy(expected + 24, &(uint16_t){ ipv4_header_checksum(expected + 14, 20) }, 2);
	memcpy(expected + 6, worker->shared->port[0].mac, 6);
	cr_assert(receive(&out));
	cr_assert_neq(out.view.udp_checksum_be, 0, "no UDP checksum");
	memcpy(expected + 40, &out.view.udp_checksum_be, 2); // verified by receive()
	cr_assert_eq(out.length_bytes, n);
	cr_assert_arr_eq(out.bytes, expected, n);
	expect_nothing_sent();
}

Test(stream, rfc8656_12_5_channel_data_of_every_length_padded_or_not)
{
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(STREAM2, RELAYED_V6, PEER_V6, CHANNEL);
	for (uint16_t n = 0; n < 9; n++) {
		uint16_t unpadded;

		stream_send_channel(STREAM, CHANNEL, n);
		expect_only(DP_COUNTER_UP_CHANNEL);
		expect_datagram(&out, RELAYED_V4, PEER_V4, data, n);
		cr_assert_eq(out.view.ttl, 64);
		cr_assert_eq(out.view.dont_fragment, 0);
		unpadded = (uint16_t)channel_data(message, CHANNEL, data, n, 0);
		stream_send(STREAM2, message, unpadded);
		expect_only(DP_COUNTER_UP_CHANNEL);
		expect_datagram(&out, RELAYED_V6, PEER_V6, data, n);
		cr_assert_eq(out.view.ttl, 64);
		cr_assert_neq(out.view.udp_checksum_be, 0);
	}
	cr_assert_eq(stream_usage(SHM_FLOW_CHANNEL, CHANNEL).pkts, 9);
	cr_assert_eq(stream_usage(SHM_FLOW_CHANNEL, CHANNEL).bytes, 36);
}

Test(stream, rfc8656_11_2_send_indication_up)
{
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint16_t n = 0; n < 9; n++) {
		data_fill(n);
		stream_send(STREAM, message, (uint16_t)send_indication(message, PEER_V4, data, n));
		expect_only(DP_COUNTER_UP_SEND);
		expect_datagram(&out, RELAYED_V4, PEER_V4, data, n);
		cr_assert_eq(out.view.ttl, 64);
		cr_assert_eq(out.view.dont_fragment, 0);
		cr_assert_neq(out.view.udp_checksum_be, 0);
	}
	cr_assert_eq(stream_usage(SHM_FLOW_ALLOCATION, 0).pkts, 9);
}

Test(stream, rfc8656_15_df_only_by_dont_fragment)
{
	uint16_t n;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(1480);
	n = (uint16_t)dont_fragment_add(message, send_indication(message, PEER_V4, data, 100));
	stream_send(STREAM, message, n);
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 100);
	cr_assert_eq(out.view.dont_fragment, 1);
	// Larger than the path: with the attribute it is lost, without it is cut up.
	n = (uint16_t)dont_fragment_add(message, send_indication(message, PEER_V4, data, 1480));
	stream_send(STREAM, message, n);
	expect_only(DP_DROP_TOO_BIG);
	expect_nothing_sent();
	stream_send(STREAM, message, (uint16_t)send_indication(message, PEER_V4, data, 1480));
	expect_only(DP_COUNTER_UP_SEND);
	for (uint32_t i = 0; i < 2; i++)
		cr_assert(receive(&out));
	expect_nothing_sent();
}

// 32 in one poll, in order, and no more.
Test(stream, a_burst_of_messages_in_one_poll)
{
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(STREAM2, RELAYED_V6, PEER_V6, CHANNEL);
	for (uint32_t i = 0; i < DP_BURST + 1; i++) {
		data_fill((uint16_t)i);
		stream_put(i % 2 ? STREAM2 : STREAM, message,
			   (uint16_t)channel_data(message, CHANNEL, data, (uint16_t)i, -i & 3));
	}
	poll_once();
	for (uint32_t i = 0; i < DP_BURST; i++) {
		cr_assert(receive(&out));
		cr_assert_eq(out.view.payload_bytes, i);
		cr_assert_arr_eq(out.bytes + out.view.payload_offset, data, i);
	}
	expect_nothing_sent();
	poll_once();
	cr_assert(receive(&out));
}

// ---- to the client

Test(stream, rfc8656_12_6_peer_data_becomes_padded_channel_data)
{
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(STREAM2, RELAYED_V6, PEER_V6, CHANNEL + 1);
	for (uint16_t n = 0; n < 9; n++) {
		send_from_peer(PEER_V4, RELAYED_V4, n);
		expect_only(DP_COUNTER_DOWN_CHANNEL);
		expect_streamed_channel_data(STREAM, CHANNEL, n);
		send_from_peer(PEER_V6, RELAYED_V6, n);
		expect_only(DP_COUNTER_DOWN_CHANNEL);
		expect_streamed_channel_data(STREAM2, CHANNEL + 1, n);
	}
	expect_nothing_sent();
	cr_assert_eq(worker->state->counter[DP_COUNTER_STREAM_OUT], 18);
	cr_assert_eq(n_received(), n_outcomes());
}

Test(stream, rfc8656_12_6_channel_data_down_byte_for_byte)
{
	struct dress d = { .from = PEER_V4, .to = RELAYED_V4 };
	uint8_t expected[16];
	uint32_t n;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	send_datagram(&d, "world", 5);
	n = from_hex("4001 0005 776f726c64 000000", expected);
	expect_streamed(STREAM, expected, (uint16_t)n);
}

Test(stream, rfc8656_11_4_peer_data_becomes_a_data_indication)
{
	program_allocation(STREAM, RELAYED_V4, true);
	program_permission(STREAM, RELAYED_V4, PEER_V4, true);
	program_allocation(STREAM2, RELAYED_V6, true);
	program_permission(STREAM2, RELAYED_V6, PEER_V6, true);
	for (uint16_t n = 0; n < 9; n++) {
		send_from_peer(PEER_V4, RELAYED_V4, n);
		expect_only(DP_COUNTER_DOWN_DATA);
		expect_streamed_data(STREAM, PEER_V4, n);
		send_from_peer(PEER_V6, RELAYED_V6, n);
		expect_only(DP_COUNTER_DOWN_DATA);
		expect_streamed_data(STREAM2, PEER_V6, n);
	}
	expect_nothing_sent();
}

// RFC 8656 §16: what comes in fragments leaves whole, and a TTL that is used up does not matter, for there is no next hop.
Test(stream, rfc8656_16_fragments_and_ttl_do_not_matter)
{
	struct dress d = { .from = PEER_V4, .to = RELAYED_V4, .ttl = 1, .ip_id = 7 };
	uint8_t whole[2048];
	uint8_t part[2048];
	uint32_t n;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(1600);
	n = frame_build(whole, &d, data, 1600);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t from = i * 800;
		uint32_t bytes = i == 0 ? 800 : n - 34 - 800;

		memcpy(part, whole, 34);
		memcpy(part + 34, whole + 34 + from, bytes);
		bytes_put_be16(part + 16, (uint16_t)(20 + bytes));
		bytes_put_be16(part + 20, (uint16_t)((i == 0 ? 0x2000 : 0) | from / 8));
		memset(part + 24, 0, 2);
		memcpy(part + 24, &(uint16_t){ ipv4_header_checksum(part + 14, 20) }, 2);
		send_bytes(0, part, 34 + bytes);
	}
	cr_assert_eq(counted(DP_COUNTER_DOWN_CHANNEL), 1);
	expect_streamed_channel_data(STREAM, CHANNEL, 1600);
	expect_nothing_sent();
}

Test(stream, a_full_ring_drops_and_says_so)
{
	uint16_t n;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < SHM_STREAM_RING_SLOTS; i++)
		send_from_peer(PEER_V4, RELAYED_V4, 5);
	cr_assert_eq(counted(DP_COUNTER_DOWN_CHANNEL), SHM_STREAM_RING_SLOTS);
	forget_counted();
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_DROP_STREAM_FULL);
	cr_assert_not_null(streamed(&n));
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	cr_assert_eq(n_received(), n_outcomes());
}

// RFC 8656 §12.5 with its padding, §11.4 with its header: what fits a slot to the byte, and one byte more.
Test(stream, larger_than_a_slot_drops_and_says_so)
{
	uint16_t most = SHM_DATAGRAM_BYTES_MAX - TURN_CHANNEL_HEADER_BYTES;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	program_allocation(STREAM2, RELAYED2_V4, true);
	program_permission(STREAM2, RELAYED2_V4, PEER_V4, true);
	send_from_peer(PEER_V4, RELAYED_V4, most);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_streamed_channel_data(STREAM, CHANNEL, most);
	send_from_peer(PEER_V4, RELAYED_V4, most + 1);
	expect_only(DP_DROP_STREAM_TOO_BIG);
	most = SHM_DATAGRAM_BYTES_MAX - TURN_DATA_PREFIX_V4_BYTES;
	send_from_peer(PEER_V4, RELAYED2_V4, most);
	expect_only(DP_COUNTER_DOWN_DATA);
	expect_streamed_data(STREAM2, PEER_V4, most);
	send_from_peer(PEER_V4, RELAYED2_V4, most + 1);
	expect_only(DP_DROP_STREAM_TOO_BIG);
	expect_nothing_streamed();
}

Test(stream, the_control_plane_is_woken_once_per_burst_and_only_when_it_sleeps)
{
	struct dress d = { .from = PEER_V4, .to = RELAYED_V4 };
	uint8_t frame[256];
	uint8_t woken[8];
	uint32_t n;
	int fd[2];

	cr_assert_eq(pipe2(fd, O_NONBLOCK), 0);
	worker->shared->wake_fd = fd[1];
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	n = frame_build(frame, &d, "x", 1);
	put_bytes(0, frame, n);
	poll_once();
	cr_assert_eq(read(fd[0], woken, sizeof(woken)), -1, "woken although it does not sleep");
	worker->stream->consumer_sleeping = 1;
	for (uint32_t i = 0; i < 5; i++)
		put_bytes(0, frame, n);
	poll_once();
	cr_assert_eq(read(fd[0], woken, sizeof(woken)), 1);
	worker->shared->wake_fd = -1;
	close(fd[0]);
	close(fd[1]);
}

// ---- between two allocations of our own

Test(stream, hairpin_from_udp_to_a_stream)
{
	program_flow(CLIENT_V4, RELAYED_V4, RELAYED2_V4, CHANNEL);
	program_flow(STREAM, RELAYED2_V4, RELAYED_V4, CHANNEL + 5);
	for (uint16_t n = 0; n < 9; n++) {
		send_channel(CLIENT_V4, CHANNEL, n);
		cr_assert_eq(counted(DP_COUNTER_HAIRPIN), 1);
		expect_only(DP_COUNTER_DOWN_CHANNEL);
		expect_streamed_channel_data(STREAM, CHANNEL + 5, n);
	}
	expect_nothing_sent();
}

Test(stream, hairpin_from_a_stream_to_udp)
{
	program_flow(STREAM, RELAYED_V4, RELAYED2_V4, CHANNEL);
	program_flow(CLIENT_V4, RELAYED2_V4, RELAYED_V4, CHANNEL + 5);
	for (uint16_t n = 0; n < 9; n++) {
		stream_send_channel(STREAM, CHANNEL, n);
		cr_assert_eq(counted(DP_COUNTER_HAIRPIN), 1);
		expect_only(DP_COUNTER_DOWN_CHANNEL);
		expect_channel_data(CLIENT_V4, CHANNEL + 5, n);
		cr_assert_neq(out.view.udp_checksum_be, 0);
	}
	cr_assert_eq(stream_usage(SHM_FLOW_CHANNEL, CHANNEL).pkts, 9);
	expect_nothing_streamed();
}

Test(stream, hairpin_between_two_streams)
{
	program_flow(STREAM, RELAYED_V4, RELAYED2_V4, CHANNEL);
	program_allocation(STREAM2, RELAYED2_V4, true);
	program_permission(STREAM2, RELAYED2_V4, RELAYED_V4, true);
	for (uint16_t n = 0; n < 9; n++) {
		stream_send_channel(STREAM, CHANNEL, n);
		cr_assert_eq(counted(DP_COUNTER_HAIRPIN), 1);
		expect_only(DP_COUNTER_DOWN_DATA);
		expect_streamed_data(STREAM2, RELAYED_V4, n);
		data_fill(n);
		stream_send(STREAM2, message,
			    (uint16_t)send_indication(message, RELAYED_V4, data, n));
		expect_only(DP_COUNTER_DOWN_CHANNEL);
		expect_streamed_channel_data(STREAM, CHANNEL, n);
	}
	expect_nothing_sent();
}

Test(stream, hairpin_of_the_largest_message_to_udp)
{
	uint16_t most = SHM_DATAGRAM_BYTES_MAX - TURN_DATA_PREFIX_V6_BYTES;

	program_flow(STREAM, RELAYED_V6, "[fd00::2]:50002", CHANNEL);
	program_allocation(CLIENT_V6, "[fd00::2]:50002", true);
	program_permission(CLIENT_V6, "[fd00::2]:50002", RELAYED_V6, true);
	stream_send_channel(STREAM, CHANNEL, most);
	expect_only(DP_COUNTER_DOWN_DATA);
	cr_assert_eq(counted(DP_DROP_NO_MBUF), 0);
	for (uint32_t i = 0; i < 2; i++)
		cr_assert(receive(&out));
	expect_nothing_sent();
}

// ---- what is refused

// RFC 8656 §12.5, §11.2: the same reasons as over UDP.
Test(stream, rfc8656_12_5_lifetimes_permissions_and_policy_hold)
{
	program_allocation(STREAM, RELAYED_V4, true);
	program_permission(STREAM, RELAYED_V4, PEER_V4, false);
	program_channel(STREAM, RELAYED_V4, PEER_V4, CHANNEL, false);
	program_channel(STREAM, RELAYED_V4, DENIED_V4, CHANNEL + 1, true);
	stream_send_channel(STREAM, CHANNEL, 5);
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	stream_send_channel(STREAM, CHANNEL + 1, 5);
	expect_only(DP_DROP_PEER_DENIED);
	stream_send_channel(STREAM, CHANNEL + 2, 5);
	expect_only(DP_DROP_NO_CHANNEL);
	stream_send(STREAM, message, (uint16_t)send_indication(message, PEER_V4, data, 5));
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	stream_send(STREAM, message, (uint16_t)send_indication(message, "203.0.113.99:1", data, 5));
	expect_only(DP_DROP_NO_PERMISSION);
	stream_send(STREAM, message, (uint16_t)send_indication(message, PEER_V6, data, 5));
	expect_only(DP_DROP_FAMILY_MISMATCH);
	send_from_peer(PEER_V4, RELAYED_V4, 5);
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	expect_nothing_sent();
	expect_nothing_streamed();
}

// The number of a stream is used again with another serial: what is late is nobody's.
Test(stream, a_reused_number_does_not_reach_its_successor)
{
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	stream_send_channel("[100::7:0:8]:0", CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	stream_send_channel("[100::6:0:9]:0", CHANNEL, 5);
	expect_only(DP_DROP_NO_ALLOCATION);
	stream_send("[100::7:0:a]:0", message,
		    (uint16_t)send_indication(message, PEER_V4, data, 5));
	expect_only(DP_DROP_NO_ALLOCATION);
	expect_nothing_sent();
}

Test(stream, a_packet_of_the_wire_is_no_stream)
{
	struct dress d = { .from = "[100::7:0:9]:1", .to = LISTEN_V6 };
	uint8_t frame[256];
	uint32_t n;

	program_flow(STREAM, RELAYED_V6, PEER_V6, CHANNEL);
	data_fill(8);
	n = frame_build(frame, &d, message, channel_data(message, CHANNEL, data, 8, 0));
	send_bytes(0, frame, n);
	expect_only(DP_DROP_NO_ALLOCATION);
	// Port 0 as in the table.
	memset(frame + 54, 0, 2);
	send_bytes(0, frame, n);
	expect_only(DP_DROP_BAD_SOURCE);
	expect_nothing_sent();
}

Test(stream, hostile_inject_wrong_addresses)
{
	static const char *const from[] = { "[::]:0",    PEER_V4,          "[100::1:0:0:7:9]:0",
					    "[100::]:0", "[200::7:0:9]:0", "[100::9]:0" };
	struct shm_datagram *d;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < RTE_DIM(from); i++) {
		stream_send_channel(from[i], CHANNEL, 5);
		cr_assert_eq(counted(DP_DROP_BAD_INJECT), 1, "%s was taken", from[i]);
		forget_counted();
	}
	d = shm_ring_reserve(worker->inject);
	stream_put(STREAM, message, (uint16_t)channel_data(message, CHANNEL, data, 4, 0));
	d->remote_port_be = 1;
	poll_once();
	cr_assert_eq(counted(DP_DROP_BAD_INJECT), 1);
	expect_nothing_sent();
}

Test(stream, hostile_inject_bad_lengths_and_contents)
{
	static const struct {
		const char *hex;
		enum dp_counter outcome;
	} wrong[] = {
		{ "", DP_DROP_BAD_INJECT },
		{ "40", DP_DROP_BAD_INJECT },
		{ "400100", DP_DROP_BAD_INJECT },
		{ "40010001", DP_DROP_BAD_CHANNEL_DATA },
		{ "40010005 61616161", DP_DROP_BAD_CHANNEL_DATA },
		{ "4001ffff 61616161", DP_DROP_BAD_CHANNEL_DATA },
		{ "40010001 61000000 00", DP_DROP_BAD_CHANNEL_DATA },
		{ "40010001 61000000 40010001 61000000", DP_DROP_BAD_CHANNEL_DATA },
		{ "40010001 6100", DP_DROP_BAD_CHANNEL_DATA },
		{ "50010001 61000000", DP_DROP_BAD_CHANNEL_DATA },
		{ "80600004 61616161", DP_DROP_BAD_CHANNEL_DATA },
		{ "16fefd00 00", DP_DROP_BAD_CHANNEL_DATA },
		// A Send indication that is cut off, an Allocate request, a Data indication.
		{ "00160008 2112a442 000000000000000000000000", DP_DROP_BAD_STUN },
		{ "00160000 2112a442 0000000000000000000000", DP_DROP_BAD_STUN },
		{ "00160000 2112a442 000000000000000000000000", DP_DROP_BAD_SEND },
		{ "00030000 2112a442 000000000000000000000000", DP_DROP_BAD_CHANNEL_DATA },
		{ "00170000 2112a442 000000000000000000000000", DP_DROP_BAD_CHANNEL_DATA },
	};
	uint8_t bytes[64];

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < RTE_DIM(wrong); i++) {
		stream_send(STREAM, bytes, (uint16_t)from_hex(wrong[i].hex, bytes));
		cr_assert_eq(counted(wrong[i].outcome), 1, "%s is not %s", wrong[i].hex,
			     dp_counter_info[wrong[i].outcome].name);
		forget_counted();
		expect_nothing_sent();
	}
}

// Whatever stands in the ring: nothing crashes, nothing is lost uncounted, no buffer leaks (pipeline_fini).
Test(stream, hostile_inject_at_random)
{
	uint8_t bytes[SHM_DATAGRAM_BYTES_MAX];
	uint64_t n_put = 0;
	uint64_t n = 0;

	srandom(5);
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(STREAM2, RELAYED2_V4, RELAYED_V4, CHANNEL);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t length = (uint32_t)random() % (i % 64 ? 80 : sizeof(bytes) + 1);
		struct shm_datagram *d = shm_ring_reserve(worker->inject);

		if (random() % 2)
			send_indication(bytes, PEER_V4, data, 20);
		else
			channel_data(bytes, CHANNEL, data, (uint16_t)(length < 4 ? 0 : length - 4),
				     0);
		for (uint32_t k = 0; k < 2; k++)
			bytes[(uint32_t)random() % 80] = (uint8_t)random();
		stream_put(random() % 2 ? STREAM : STREAM2, bytes, (uint16_t)length);
		if (random() % 8 == 0)
			((uint8_t *)d)[(uint32_t)random() % 16] ^= 1;
		n_put++;
		if (random() % 16 == 0)
			poll_once();
		while (receive(&out) || streamed(&(uint16_t){ 0 }) != NULL)
			;
	}
	while (worker->inject->produced != worker->inject->consumed)
		poll_once();
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++) {
		if (i == DP_COUNTER_UP_CHANNEL || i == DP_COUNTER_UP_SEND ||
		    i == DP_COUNTER_DOWN_CHANNEL || i == DP_COUNTER_DOWN_DATA || i >= DP_DROP_FIRST)
			n += counted((enum dp_counter)i);
	}
	cr_assert_eq(n, n_put, "%lu of %lu messages were accounted for", n, n_put);
	cr_assert_gt(counted(DP_COUNTER_STREAM_IN), n_put / 2);
}

// ---- two relayed addresses

Test(stream, rfc8656_7_2_send_leaves_from_the_address_of_the_peers_family)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	program_allocation2(CLIENT_V4, RELAYED_V4, RELAYED_V6, true);
	program_allocation2(STREAM, RELAYED2_V4, "[fd00::2]:50002", true);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	program_permission(CLIENT_V4, RELAYED_V6, PEER_V6, true);
	program_permission(STREAM, RELAYED2_V4, PEER_V4, true);
	program_permission(STREAM, "[fd00::2]:50002", PEER_V6, true);
	data_fill(7);
	send_datagram(&d, message, send_indication(message, PEER_V4, data, 7));
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 7);
	send_datagram(&d, message, send_indication(message, PEER_V6, data, 7));
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, 7);
	stream_send(STREAM, message, (uint16_t)send_indication(message, PEER_V4, data, 7));
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED2_V4, PEER_V4, data, 7);
	stream_send(STREAM, message, (uint16_t)send_indication(message, PEER_V6, data, 7));
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, "[fd00::2]:50002", PEER_V6, data, 7);
	// Downward each address has its own permissions.
	send_from_peer(PEER_V6, RELAYED_V6, 9);
	expect_only(DP_COUNTER_DOWN_DATA);
	expect_data_indication(CLIENT_V4, PEER_V6, 9);
	send_from_peer(PEER_V6, "[fd00::2]:50002", 9);
	expect_only(DP_COUNTER_DOWN_DATA);
	expect_streamed_data(STREAM, PEER_V6, 9);
}

// A second address that is none of ours, or of the same family, is no address.
Test(stream, rfc8656_7_2_a_second_address_that_makes_no_sense)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	struct dress other = { .from = OTHER_V4, .to = LISTEN_V4 };

	program_allocation2(CLIENT_V4, RELAYED_V4, STREAM_LOCAL, true);
	program_allocation2(OTHER_V4, RELAYED_V4, RELAYED2_V4, true);
	send_datagram(&d, message, send_indication(message, PEER_V6, data, 7));
	expect_only(DP_DROP_FAMILY_MISMATCH);
	send_datagram(&other, message, send_indication(message, PEER_V6, data, 7));
	expect_only(DP_DROP_FAMILY_MISMATCH);
	expect_nothing_sent();
}

// ---- over UDP, what Send may ask for since streams do

Test(stream, rfc8656_14_dont_fragment_of_a_send_over_udp)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint32_t n;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(8);
	n = dont_fragment_add(message, send_indication(message, PEER_V4, data, 8));
	send_datagram(&d, message, n);
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 8);
	cr_assert_eq(out.view.dont_fragment, 1);
}
