// IP headers of what is relayed, and what does not fit (RFC 8656 §13, §14, RFC 7915 §4, §5): who is told, of which MTU, and what is
// cut up instead.
#include <criterion/criterion.h>

#include "dataplane/contract/wire/icmp.h"
#include "tests/burst/icmping.h"
#include "tests/burst/relaying.h"
#include "tests/burst/streaming.h"

TestSuite(header, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

static const char *listener_of(const char *client)
{
	return client[0] == '[' ? LISTEN_V6 : LISTEN_V4;
}

// ChannelData of a client with `n` bytes; `df` over IPv4.
static void send_up(const char *client, uint16_t n, uint8_t df)
{
	struct dress d = { .from = client, .to = listener_of(client), .dont_fragment = df };

	data_fill(n);
	sent_bytes = frame_build(sent, &d, message, channel_data(message, CHANNEL, data, n, 0));
	send_bytes(0, sent, sent_bytes);
}

static void send_down(const char *peer, const char *relayed, uint16_t n, uint8_t df)
{
	struct dress d = { .from = peer, .to = relayed, .dont_fragment = df };

	data_fill(n);
	sent_bytes = frame_build(sent, &d, data, n);
	send_bytes(0, sent, sent_bytes);
}

// So many fragments left, and no frame of them is larger than that MTU.
static void expect_fragments(uint32_t n, uint32_t mtu_bytes)
{
	for (uint32_t i = 0; i < n; i++) {
		cr_assert(receive(&out), "%u fragments instead of %u", i, n);
		cr_assert_leq(out.length_bytes - 14, mtu_bytes);
		cr_assert_neq(out.bytes[out.view.l3_offset + 6] & 0x40 && out.view.is_v4, 1, "DF");
	}
	expect_nothing_sent();
	cr_assert_eq(worker->state->counter[DP_COUNTER_FRAGMENTED], 1);
}

// ---- RFC 8656 §14: IPv4 to IPv4

Test(header, rfc8656_14_df_of_the_peer_beats_the_framing_of_channel_data)
{
	hop_client = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_down(PEER_V4, RELAYED_V4, NARROW_MTU - 28, 1);
	expect_only(DP_DROP_TOO_BIG);
	cr_assert_eq(worker->state->counter[DP_COUNTER_ICMP_SENT], 1);
	expect_error(RELAYED_V4, PEER_V4, 3, 4, NARROW_MTU - 4);
	// As large as was told, it passes, with DF.
	send_down(PEER_V4, RELAYED_V4, NARROW_MTU - 4 - 28, 1);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_channel_data(CLIENT_V4, CHANNEL, NARROW_MTU - 32);
	cr_assert_eq(out.view.dont_fragment, 1);
}

Test(header, rfc8656_14_df_of_the_peer_beats_the_framing_of_a_data_indication)
{
	hop_client = HOP_NARROW;
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	// 36 bytes in front; what is told is a multiple of four, for STUN is padded.
	for (uint16_t n = NARROW_MTU - 64 + 1; n < NARROW_MTU - 60; n++) {
		send_down(PEER_V4, RELAYED_V4, n, 1);
		expect_only(DP_DROP_TOO_BIG);
		expect_error(RELAYED_V4, PEER_V4, 3, 4, NARROW_MTU - 36);
	}
	send_down(PEER_V4, RELAYED_V4, NARROW_MTU - 36 - 28, 1);
	expect_only(DP_COUNTER_DOWN_DATA);
	expect_data_indication(CLIENT_V4, PEER_V4, NARROW_MTU - 64);
}

Test(header, rfc8656_14_without_df_of_the_peer_it_is_cut_up)
{
	hop_client = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_down(PEER_V4, RELAYED_V4, NARROW_MTU - 28, 0);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_fragments(2, NARROW_MTU);
	cr_assert_eq(worker->state->counter[DP_COUNTER_ICMP_SENT], 0);
}

Test(header, rfc8656_14_df_of_the_client_is_kept_and_it_is_told)
{
	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_up(CLIENT_V4, NARROW_MTU - 27, 1);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(LISTEN_V4, CLIENT_V4, 3, 4, NARROW_MTU);
	send_up(CLIENT_V4, NARROW_MTU - 28, 1);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, NARROW_MTU - 28);
	cr_assert_eq(out.port_idx, 1);
	cr_assert_eq(out.view.dont_fragment, 1);
}

// A Send indication with DONT-FRAGMENT behind its data.
static uint32_t send_with_df(const char *peer, uint16_t n)
{
	static const uint8_t dont_fragment[4] = { 0, TURN_ATTR_DONT_FRAGMENT };
	uint32_t bytes;

	data_fill(n);
	bytes = send_indication(message, peer, data, n);
	memcpy(message + bytes, dont_fragment, sizeof(dont_fragment));
	bytes += (uint32_t)sizeof(dont_fragment);
	bytes_put_be16(message + 2, (uint16_t)(bytes - STUN_HEADER_BYTES));
	return bytes;
}

Test(header, rfc8656_14_send_with_dont_fragment_sets_df_and_is_told_of_the_path)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_datagram(&d, message, send_with_df(PEER_V4, 100));
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 100);
	cr_assert_eq(out.view.dont_fragment, 1);
	send_datagram(&d, message, send_with_df(PEER_V4, NARROW_MTU - 27));
	expect_only(DP_DROP_TOO_BIG);
	expect_indication(LISTEN_V4, CLIENT_V4, PEER_V4, 3, 4, NARROW_MTU);
}

Test(header, rfc8656_13_dont_fragment_is_not_for_translations)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	struct dress d6 = { .from = CLIENT_V6, .to = LISTEN_V6 };

	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	send_datagram(&d, message, send_with_df(PEER_V6, 1300));
	expect_only(DP_COUNTER_UP_SEND);
	expect_fragments(2, NARROW_MTU);
	program_flow(CLIENT_V6, RELAYED_V4, PEER_V4, CHANNEL);
	send_datagram(&d6, message, send_with_df(PEER_V4, 100));
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 100);
	cr_assert_eq(out.view.dont_fragment, 0);
}

// ---- RFC 8656 §13.2: IPv6 to IPv6

Test(header, rfc8656_13_2_packet_too_big_toward_the_peer_leaves_room_for_a_data_indication)
{
	// Framed, it is larger than 1500 bytes. 48 less, also where a channel is bound.
	for (int bound = 0; bound < 2; bound++) {
		if (bound)
			program_channel(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL, true);
		else
			program_permission(CLIENT_V6, RELAYED_V6, PEER_V6, true);
		send_down(PEER_V6, RELAYED_V6, 1452, 0);
		expect_only(DP_DROP_TOO_BIG);
		expect_error(RELAYED_V6, PEER_V6, 2, 0, 1500 - 48);
		send_down(PEER_V6, RELAYED_V6, 1452 - 48, 0);
		expect_only(bound ? DP_COUNTER_DOWN_CHANNEL : DP_COUNTER_DOWN_DATA);
		if (bound)
			expect_channel_data(CLIENT_V6, CHANNEL, 1404);
		else
			expect_data_indication(CLIENT_V6, PEER_V6, 1404);
	}
}

Test(header, rfc8656_13_2_packet_too_big_toward_the_client_names_the_mtu)
{
	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	send_up(CLIENT_V6, NARROW_MTU - 47, 0);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(LISTEN_V6, CLIENT_V6, 2, 0, NARROW_MTU);
	send_up(CLIENT_V6, NARROW_MTU - 48, 0);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, NARROW_MTU - 48);
}

Test(header, rfc8201_4_no_host_goes_below_1280_so_that_is_cut_up)
{
	hop_client = HOP_NARROW;
	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	// 1280 bytes as they come, 1284 framed.
	send_down(PEER_V6, RELAYED_V6, 1232, 0);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_fragments(2, NARROW_MTU);
	// One more is told, but never of less.
	send_down(PEER_V6, RELAYED_V6, 1233, 0);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(RELAYED_V6, PEER_V6, 2, 0, 1280);
}

Test(header, rfc8656_13_2_hop_limit_that_ends_is_told)
{
	struct dress d = { .from = PEER_V6, .to = RELAYED_V6, .ttl = 1 };
	struct dress up = { .from = CLIENT_V6, .to = LISTEN_V6, .ttl = 1 };

	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	data_fill(50);
	sent_bytes = frame_build(sent, &d, data, 50);
	send_bytes(0, sent, sent_bytes);
	expect_only(DP_DROP_TTL_EXPIRED);
	expect_error(RELAYED_V6, PEER_V6, 3, 0, 0);
	sent_bytes = frame_build(sent, &up, message, channel_data(message, CHANNEL, data, 50, 0));
	send_bytes(0, sent, sent_bytes);
	expect_only(DP_DROP_TTL_EXPIRED);
	expect_error(LISTEN_V6, CLIENT_V6, 3, 0, 0);
}

// ---- RFC 8656 §13.1: IPv4 to IPv6

Test(header, rfc8656_13_1_rfc7915_4_without_df_fragments_fit_the_least_mtu)
{
	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	// 1280 bytes go whole, though the link would take 1500.
	send_up(CLIENT_V4, 1232, 0);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, 1232);
	send_up(CLIENT_V4, 1233, 0);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_fragments(2, 1280);
}

Test(header, rfc8656_13_1_rfc7915_4_with_df_the_link_decides_and_the_sender_is_told)
{
	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	send_up(CLIENT_V4, 1452, 1);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V6, PEER_V6, data, 1452);
	hop_peer = HOP_NARROW;
	program_flow(OTHER_V4, "[fd00::2]:50002", PEER_V6, CHANNEL);
	send_up(OTHER_V4, 1300, 1);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(LISTEN_V4, OTHER_V4, 3, 4, NARROW_MTU - 20);
}

Test(header, rfc8656_13_1_rfc7915_4_1_ttl_that_ends_is_told)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4, .ttl = 1 };

	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	data_fill(9);
	sent_bytes = frame_build(sent, &d, message, channel_data(message, CHANNEL, data, 9, 0));
	send_bytes(0, sent, sent_bytes);
	expect_only(DP_DROP_TTL_EXPIRED);
	expect_error(LISTEN_V4, CLIENT_V4, 11, 0, 0);
}

Test(header, rfc8656_14_ttl_between_ipv4_addresses_ends_in_silence)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4, .ttl = 1 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_datagram(&d, message, channel_data(message, CHANNEL, data, 9, 0));
	expect_only(DP_DROP_TTL_EXPIRED);
	expect_nothing_sent();
}

// ---- RFC 8656 §13.3: IPv6 to IPv4

Test(header, rfc8656_13_3_packet_too_big_counts_the_smaller_header)
{
	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V6, RELAYED_V4, PEER_V4, CHANNEL);
	send_up(CLIENT_V6, 1300, 0);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(LISTEN_V6, CLIENT_V6, 2, 0, NARROW_MTU + 20);
}

Test(header, rfc8656_13_3_packet_too_big_toward_the_peer)
{
	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	send_down(PEER_V6, RELAYED_V6, 1500 - 28, 0);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(RELAYED_V6, PEER_V6, 2, 0, 1500 + 20 - 48);
}

// ---- the errors themselves

Test(header, rfc1812_4_3_2_3_the_error_encloses_what_came_and_no_more_than_576_bytes)
{
	hop_client = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_down(PEER_V4, RELAYED_V4, 1400, 1);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(RELAYED_V4, PEER_V4, 3, 4, NARROW_MTU - 4);
	cr_assert_eq(error_bytes, 14 + 576);
	// Back over the link that it came from, to whom it came from.
	cr_assert_eq(error_port_idx, 0);
	cr_assert_arr_eq(error_frame, sent + 6, 6);
}

Test(header, the_vlan_of_the_packet_is_that_of_the_error)
{
	struct dress d = { .from = PEER_V4, .to = RELAYED_V4, .dont_fragment = 1, .vlan_id = 9 };

	hop_client = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(1300);
	sent_bytes = frame_build(sent, &d, data, 1300);
	send_bytes(0, sent, sent_bytes);
	expect_only(DP_DROP_TOO_BIG);
	expect_error(RELAYED_V4, PEER_V4, 3, 4, NARROW_MTU - 4);
	cr_assert_arr_eq(error_frame + 12, sent + 12, 4);
}

Test(header, rfc4443_2_4_f_errors_to_one_address_are_bounded)
{
	uint32_t n_told = 0;

	hop_client = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < 200; i++) {
		struct rte_mbuf *m;

		send_down(PEER_V4, RELAYED_V4, 1300, 1);
		while ((m = take_raw(0)) != NULL) {
			n_told++;
			rte_pktmbuf_free(m);
		}
	}
	cr_assert_geq(n_told, DP_ICMP_ONE_BURST);
	cr_assert_leq(n_told, DP_ICMP_ONE_BURST + 40);
	cr_assert_eq(counted(DP_DROP_TOO_BIG), 200);
	cr_assert_eq(counted(DP_COUNTER_ICMP_SENT), n_told);
	cr_assert_eq(counted(DP_COUNTER_ICMP_HELD), 200 - n_told);
	cr_assert_eq(n_received(), n_outcomes());
}

Test(header, between_two_allocations_the_sending_client_is_told_by_indication)
{
	program_flow(CLIENT_V4, RELAYED_V4, RELAYED2_V4, CHANNEL);
	hop_client = HOP_NARROW;
	program_flow(OTHER_V4, RELAYED2_V4, RELAYED_V4, CHANNEL);
	send_up(CLIENT_V4, NARROW_MTU - 28, 1);
	expect_only(DP_DROP_TOO_BIG);
	expect_indication(LISTEN_V4, CLIENT_V4, RELAYED2_V4, 3, 4, NARROW_MTU - 4);
	send_up(CLIENT_V4, NARROW_MTU - 32, 1);
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	expect_channel_data(OTHER_V4, CHANNEL, NARROW_MTU - 32);
}

// ---- RFC 8656 §15: from streams

Test(header, rfc8656_15_dont_fragment_of_a_stream_is_told_of_the_path)
{
	const struct shm_datagram *d;
	uint16_t n;

	hop_peer = HOP_NARROW;
	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	stream_send(STREAM, message, (uint16_t)send_with_df(PEER_V4, NARROW_MTU - 28));
	expect_only(DP_COUNTER_UP_SEND);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, NARROW_MTU - 28);
	cr_assert_eq(out.view.dont_fragment, 1);
	stream_send(STREAM, message, (uint16_t)send_with_df(PEER_V4, NARROW_MTU - 27));
	expect_only(DP_DROP_TOO_BIG);
	expect_nothing_sent();
	d = streamed(&n);
	cr_assert_not_null(d, "the client is not told");
	cr_assert_arr_eq(d->remote_address, endpoint(STREAM).address.bytes, 16);
	check_indication(d->data, n, PEER_V4, 3, 4, NARROW_MTU);
	expect_nothing_streamed();
}

Test(header, rfc8656_15_without_it_what_a_stream_sent_is_cut_up)
{
	hop_peer = HOP_NARROW;
	program_flow(STREAM, RELAYED_V6, PEER_V6, CHANNEL);
	stream_send_channel(STREAM, CHANNEL, 1400);
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_fragments(2, NARROW_MTU);
	expect_nothing_streamed();
}
