// Fragments: put together before they are classified (RFC 791, RFC 8200 §4.5), cut up where the MTU
// asks for it. where the MTU asks for it.
#include <criterion/criterion.h>
#include <rte_cycles.h>

#include "tests/burst/pipeline.h"

TestSuite(fragment, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

#define CHANNEL    0x4001
#define PIECES_MAX 16

struct piece {
	uint32_t length_bytes;
	uint8_t bytes[2048];
};

static uint8_t data[12000];
static uint8_t message[12100];
static uint8_t whole[FRAME_BYTES_MAX];
static struct piece piece[PIECES_MAX];
static struct frame out;

static void data_fill(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i * 13 + 5);
}

// Cuts a frame without options into pieces of `step` bytes of IP payload.
static uint32_t cut(const uint8_t *frame, uint32_t n, uint32_t step, uint32_t id)
{
	bool v4 = frame[12] == 0x08;
	uint32_t head = 14 + (v4 ? 20 : 40);
	uint32_t n_pieces = 0;

	for (uint32_t at = head; at < n; at += step) {
		uint32_t take = n - at < step ? n - at : step;
		bool more = at + take < n;
		struct piece *p = &piece[n_pieces++];
		uint8_t *ip = p->bytes + 14;
		uint32_t extra = v4 ? 0 : 8;

		cr_assert_lt(n_pieces, PIECES_MAX);
		memcpy(p->bytes, frame, head);
		memcpy(p->bytes + head + extra, frame + at, take);
		p->length_bytes = head + extra + take;
		if (v4) {
			uint16_t checksum;

			bytes_put_be16(ip + 2, (uint16_t)(20 + take));
			bytes_put_be16(ip + 4, (uint16_t)id);
			bytes_put_be16(ip + 6, (uint16_t)((at - head) / 8 | (more ? 0x2000 : 0)));
			memset(ip + 10, 0, 2);
			checksum = ipv4_header_checksum(ip, 20);
			memcpy(ip + 10, &checksum, 2);
		} else {
			bytes_put_be16(ip + 4, (uint16_t)(8 + take));
			ip[40] = ip[6];
			ip[6] = 44;
			ip[41] = 0;
			bytes_put_be16(ip + 42, (uint16_t)((at - head) | more));
			bytes_put_be32(ip + 44, id);
		}
	}
	return n_pieces;
}

static uint32_t cut_channel(const char *client, uint16_t n, uint32_t step, uint32_t id)
{
	struct dress d = { .from = client, .to = client[0] == '[' ? LISTEN_V6 : LISTEN_V4 };

	data_fill(n);
	return cut(whole,
		   frame_build(whole, &d, message, channel_data(message, CHANNEL, data, n, 0)),
		   step, id);
}

// Puts the fragments that left together again; returns the payload behind the UDP header and checks
// the checksum.
static uint32_t join(uint8_t *udp, struct ip_udp_view *view, uint32_t *n_frames)
{
	uint32_t total = 0;

	*n_frames = 0;
	while (receive(&out)) {
		const uint8_t *ip = out.bytes + out.view.l3_offset;
		uint32_t offset;
		uint32_t n;

		cr_assert_leq(out.length_bytes - 14, NARROW_MTU);
		if (out.view.is_v4) {
			offset = (bytes_get_be16(ip + 6) & 0x1fffu) * 8;
			n = bytes_get_be16(ip + 2) - 20u;
			memcpy(udp + offset, ip + 20, n);
		} else {
			cr_assert_eq(ip[6], 44);
			offset = bytes_get_be16(ip + 42) & 0xfff8u;
			n = bytes_get_be16(ip + 4) - 8u;
			memcpy(udp + offset, ip + 48, n);
		}
		*view = out.view;
		total += n;
		(*n_frames)++;
	}
	return total;
}

Test(fragment, rfc791_3_2_fragments_in_any_order_are_one_datagram)
{
	static const uint32_t order[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 }, { 2, 0, 1 } };
	static const char *const client[] = { CLIENT_V4, CLIENT_V6 };

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	for (uint32_t c = 0; c < 2; c++) {
		for (uint32_t o = 0; o < RTE_DIM(order); o++) {
			cr_assert_eq(cut_channel(client[c], 1000, 400, 100 + o), 3);
			for (uint32_t i = 0; i < 3; i++) {
				const struct piece *p = &piece[order[o][i]];

				expect_nothing_sent();
				send_bytes(0, p->bytes, p->length_bytes);
			}
			expect_datagram(&out, c ? RELAYED_V6 : RELAYED_V4, c ? PEER_V6 : PEER_V4,
					data, 1000);
		}
	}
	cr_assert_eq(counted(DP_COUNTER_REASSEMBLED), 8);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 8);
	cr_assert_eq(counted(DP_COUNTER_FRAGMENT_HELD), 16);
	cr_assert_eq(n_received(), n_outcomes());
	cr_assert_eq(worker->n_fragments_waiting, 0);
}

Test(fragment, fragments_in_one_burst_beside_other_packets)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint32_t n;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	n = cut_channel(CLIENT_V4, 900, 200, 7);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t frame[256];

		put_bytes(0, piece[i].bytes, piece[i].length_bytes);
		put_bytes(0, frame,
			  frame_build(frame, &d, message,
				      channel_data(message, CHANNEL, data, 9, 0)));
	}
	poll_once();
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), n + 1);
	cr_assert_eq(counted(DP_COUNTER_TX_PKTS), n + 1);
	cr_assert_eq(n_received(), n_outcomes());
	while (receive(&out))
		;
}

Test(fragment, datagram_larger_than_a_packet_buffer)
{
	static uint8_t udp[FRAME_BYTES_MAX];
	struct ip_udp_view view;
	uint32_t n_frames;
	uint32_t total;
	uint32_t n;

	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	n = cut_channel(CLIENT_V4, 9000, 1480, 9);
	cr_assert_eq(n, 7);
	for (uint32_t i = 0; i < n; i++)
		send_bytes(0, piece[i].bytes, piece[i].length_bytes);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 1);
	total = join(udp, &view, &n_frames);
	cr_assert_eq(total, 8 + 9000);
	cr_assert_eq(n_frames, (9008 + 1255) / 1256);
	cr_assert_arr_eq(udp + 8, data, 9000);
	memcpy(&view.udp_checksum_be, udp + 6, 2);
	cr_assert_eq(udp_checksum(&view.source.address, &view.destination.address, udp, 9008),
		     view.udp_checksum_be);
}

Test(fragment, large_buffers_are_for_large_datagrams)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	// More than there are large buffers, all of them waiting to leave.
	for (uint32_t id = 0; id < 300; id++) {
		uint32_t n = cut_channel(CLIENT_V4, 1000, 800, id);

		for (uint32_t i = 0; i < n; i++)
			send_bytes(0, piece[i].bytes, piece[i].length_bytes);
	}
	cr_assert_eq(counted(DP_DROP_NO_MBUF), 0);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 300);
	while (receive(&out))
		;
}

Test(fragment, rfc8656_14_ipv4_without_df_is_fragmented_to_the_mtu)
{
	static uint8_t udp[FRAME_BYTES_MAX];
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4, .ip_id = 3 };
	struct ip_udp_view view;
	uint32_t n_frames;

	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(1400);
	send_datagram(&d, message, channel_data(message, CHANNEL, data, 1400, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	cr_assert_eq(worker->state->counter[DP_COUNTER_FRAGMENTED], 1);
	cr_assert_eq(join(udp, &view, &n_frames), 1408);
	cr_assert_eq(n_frames, 2);
	cr_assert_arr_eq(udp + 8, data, 1400);
	memcpy(&view.udp_checksum_be, udp + 6, 2);
	cr_assert_eq(udp_checksum(&view.source.address, &view.destination.address, udp, 1408),
		     view.udp_checksum_be);
}

Test(fragment, rfc8656_13_3_rfc7915_5_1_df_from_ipv6_by_size)
{
	struct dress d = { .from = CLIENT_V6, .to = LISTEN_V6 };

	program_flow(CLIENT_V6, RELAYED_V4, PEER_V4, CHANNEL);
	data_fill(1300);
	send_datagram(&d, message, channel_data(message, CHANNEL, data, 1232, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 1232);
	cr_assert_eq(out.view.dont_fragment, 0);
	send_datagram(&d, message, channel_data(message, CHANNEL, data, 1233, 0));
	expect_only(DP_COUNTER_UP_CHANNEL);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 1233);
	cr_assert_eq(out.view.dont_fragment, 1);
}

Test(fragment, rfc8656_13_3_rfc7915_5_1_1_fragments_from_ipv6_may_be_fragments_again)
{
	static uint8_t udp[FRAME_BYTES_MAX];
	struct ip_udp_view view;
	uint32_t n_frames;
	uint32_t n;

	hop_peer = HOP_NARROW;
	program_flow(CLIENT_V6, RELAYED_V4, PEER_V4, CHANNEL);
	n = cut_channel(CLIENT_V6, 1400, 800, 3);
	for (uint32_t i = 0; i < n; i++)
		send_bytes(0, piece[i].bytes, piece[i].length_bytes);
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 1);
	cr_assert_eq(join(udp, &view, &n_frames), 1408);
	cr_assert_eq(n_frames, 2);
	cr_assert_arr_eq(udp + 8, data, 1400);
}

Test(fragment, fragments_that_never_complete_are_counted_and_freed)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	cut_channel(CLIENT_V4, 1000, 400, 5);
	send_bytes(0, piece[0].bytes, piece[0].length_bytes);
	send_bytes(0, piece[2].bytes, piece[2].length_bytes);
	cr_assert_eq(worker->n_fragments_waiting, 2);
	cr_assert_eq(n_received(), n_outcomes());
	worker->last_tsc += 3 * worker->tsc_hz;
	dp_reassembly_expire(worker);
	dp_stats_flush(worker);
	cr_assert_eq(counted(DP_DROP_FRAGMENT), 2);
	cr_assert_eq(worker->n_fragments_waiting, 0);
	cr_assert_eq(n_received(), n_outcomes());
}

Test(fragment, flood_of_first_fragments_holds_bounded_memory)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	for (uint32_t id = 0; id < 20000; id++) {
		cut_channel(CLIENT_V4, 100, 64, id);
		send_bytes(0, piece[0].bytes, piece[0].length_bytes);
	}
	cr_assert_leq(worker->n_fragments_waiting, 2048);
	cr_assert_eq(n_received(), n_outcomes());
	// And a whole datagram still passes.
	send_bytes(0, whole,
		   frame_build(whole, &(struct dress){ .from = CLIENT_V4, .to = LISTEN_V4 },
			       message, channel_data(message, CHANNEL, data, 9, 0)));
	cr_assert_eq(counted(DP_COUNTER_UP_CHANNEL), 1);
	expect_datagram(&out, RELAYED_V4, PEER_V4, data, 9);
	worker->last_tsc += 3 * worker->tsc_hz;
	dp_reassembly_expire(worker);
}

Test(fragment, overlapping_and_absurd_fragments_are_never_relayed)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	// The second piece overlaps the first.
	cr_assert_eq(cut_channel(CLIENT_V4, 1000, 400, 5), 3);
	bytes_put_be16(piece[1].bytes + 14 + 6, 0x2000 | 40);
	memset(piece[1].bytes + 24, 0, 2);
	memcpy(piece[1].bytes + 24, &(uint16_t){ ipv4_header_checksum(piece[1].bytes + 14, 20) },
	       2);
	for (uint32_t i = 0; i < 3; i++)
		send_bytes(0, piece[i].bytes, piece[i].length_bytes);
	expect_nothing_sent();
	// More pieces than a datagram may have.
	cr_assert_eq(cut_channel(CLIENT_V4, 1400, 104, 6), 14);
	for (uint32_t i = 0; i < 14; i++)
		send_bytes(0, piece[i].bytes, piece[i].length_bytes);
	expect_nothing_sent();
	worker->last_tsc += 3 * worker->tsc_hz;
	dp_reassembly_expire(worker);
	dp_stats_flush(worker);
	cr_assert_eq(counted(DP_DROP_FRAGMENT), 17);
	cr_assert_eq(n_received(), n_outcomes());
}
