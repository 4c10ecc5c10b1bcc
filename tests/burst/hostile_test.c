// Bad input of every kind: cut, bent, random. Nothing disappears uncounted, nothing is answered
// with more than was asked, and an established flow goes on.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/burst/pipeline.h"

TestSuite(hostile, .init = pipeline_init, .fini = pipeline_fini, .timeout = 280);

#define CHANNEL 0x4001

static uint8_t message[4096];
static uint8_t frame[FRAME_BYTES_MAX];
static struct frame out;

// xorshift64*: the same packets in every run.
static uint64_t random_state = 88172645463325252ull;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 2685821657736338717ull) >> 33) % n;
}

static uint32_t receive_all(void)
{
	uint32_t n = 0;

	for (uint32_t port = 0; port < 2; port++) {
		for (struct rte_mbuf *m = take_raw(port); m != NULL; m = take_raw(port)) {
			rte_pktmbuf_free(m);
			n++;
		}
	}
	return n;
}

// One frame of each kind that the worker knows; returns its length.
#define SEEDS 10
static uint32_t seed_frame(uint32_t seed, uint8_t *to)
{
	static const uint8_t id[12] = "hostile-seed";
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint8_t data[64];
	struct stun_builder b;

	memset(data, 0x42, sizeof(data));
	switch (seed) {
	case 0:
		return frame_build(to, &d, message, channel_data(message, CHANNEL, data, 61, 3));
	case 1:
		return frame_build(to, &d, message, send_indication(message, PEER_V4, data, 33));
	case 2:
		stun_build_begin(&b, message, sizeof(message), STUN_BINDING_REQUEST, id);
		stun_build_fingerprint(&b);
		return frame_build(to, &d, message, (uint32_t)stun_build_end(&b));
	case 3:
		stun_build_begin(&b, message, sizeof(message), TURN_ALLOCATE_REQUEST, id);
		stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
		return frame_build(to, &d, message, (uint32_t)stun_build_end(&b));
	case 4:
		d = (struct dress){ .from = PEER_V4, .to = RELAYED_V4, .vlan_id = 3 };
		return frame_build(to, &d, data, 50);
	case 5:
		d = (struct dress){ .from = CLIENT_V6, .to = LISTEN_V6, .option_bytes = 16 };
		return frame_build(to, &d, message, channel_data(message, CHANNEL, data, 61, 0));
	case 6:
		d = (struct dress){ .from = CLIENT_V6, .to = LISTEN_V6 };
		return frame_build(to, &d, message, send_indication(message, PEER_V6, data, 33));
	case 7:
		d = (struct dress){ .from = PEER_V6, .to = RELAYED_V6 };
		return frame_build(to, &d, data, 64);
	case 8:
		d = (struct dress){ .from = CLIENT_V4, .to = LISTEN_V4, .option_bytes = 20 };
		return frame_build(to, &d, message, channel_data(message, CHANNEL, data, 1, 0));
	default:
		// A first fragment.
		d = (struct dress){ .from = CLIENT_V4, .to = LISTEN_V4 };
		frame_build(to, &d, message, channel_data(message, CHANNEL, data, 60, 0));
		to[20] = 0x20;
		memset(to + 24, 0, 2);
		memcpy(to + 24, &(uint16_t){ ipv4_header_checksum(to + 14, 20) }, 2);
		return 14 + 20 + 8 + 64;
	}
}

static void program_flows(void)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
}

static void expect_relaying(void)
{
	uint64_t before = worker->state->counter[DP_COUNTER_UP_CHANNEL];

	receive_all();
	send_bytes(0, frame, seed_frame(0, frame));
	cr_assert_eq(worker->state->counter[DP_COUNTER_UP_CHANNEL], before + 1,
		     "the established flow is not relayed any more");
	cr_assert(receive(&out));
	cr_assert_eq(out.view.payload_bytes, 61);
}

Test(hostile, every_frame_cut_at_every_length)
{
	program_flows();
	for (uint32_t seed = 0; seed < SEEDS; seed++) {
		uint32_t n = seed_frame(seed, frame);

		for (uint32_t cut = 0; cut <= n; cut++) {
			uint64_t before = n_outcomes();

			send_bytes(0, frame, cut);
			cr_assert_eq(n_outcomes(), before + 1, "seed %u cut to %u bytes", seed,
				     cut);
			cr_assert_eq(n_received(), n_outcomes());
			if (cut < n && seed != 9)
				cr_assert_eq(receive_all(), 0, "seed %u cut to %u bytes", seed,
					     cut);
			receive_all();
		}
	}
	expect_relaying();
}

// Lengths inside the packet that contradict each other, rather than a short packet.
Test(hostile, every_length_field_with_every_small_error)
{
	program_flows();
	for (uint32_t seed = 0; seed < SEEDS; seed++) {
		uint32_t n = seed_frame(seed, frame);

		for (uint32_t at = 12; at + 2 <= n; at++) {
			static const uint16_t value[] = { 0, 1,      3,      4,      7,
							  8, 0x7fff, 0x8000, 0xfffc, 0xffff };

			for (uint32_t v = 0; v < RTE_DIM(value); v++) {
				uint8_t bent[FRAME_BYTES_MAX];

				memcpy(bent, frame, n);
				bytes_put_be16(bent + at, value[v]);
				send_bytes(0, bent, n);
				receive_all();
			}
		}
		cr_assert_eq(n_received(), n_outcomes());
	}
	expect_relaying();
}

// Repairs the IPv4 header checksum, so that bent packets get past it.
static void repair(uint8_t *bytes, uint32_t n)
{
	uint32_t l3 = bytes[12] == 0x81 ? 18 : 14;
	uint32_t header_bytes;

	if (n < l3 + 20 || bytes[l3] >> 4 != 4)
		return;
	header_bytes = (bytes[l3] & 0xfu) * 4;
	if (header_bytes < 20 || l3 + header_bytes > n)
		return;
	memset(bytes + l3 + 10, 0, 2);
	memcpy(bytes + l3 + 10, &(uint16_t){ ipv4_header_checksum(bytes + l3, header_bytes) }, 2);
}

Test(hostile, mutated_packets_200k)
{
	uint32_t n_packets =
		getenv("BURST_PACKETS") ? (uint32_t)atoi(getenv("BURST_PACKETS")) : 200000;

	program_flows();
	for (uint32_t i = 0; i < n_packets; i++) {
		uint32_t n = seed_frame(random_below(SEEDS), frame);
		uint32_t n_changes = random_below(5);

		for (uint32_t k = 0; k < n_changes; k++)
			frame[random_below(n)] = (uint8_t)random_below(256);
		if (random_below(4) == 0)
			n = random_below(n + 1);
		if (random_below(2) == 0)
			repair(frame, n);
		put_bytes(random_below(2), frame, n);
		if (random_below(8) == 0 || i % 32 == 31) {
			poll_once();
			receive_all();
		}
	}
	poll_once();
	poll_once();
	cr_assert_eq(n_received(), n_packets);
	cr_assert_eq(n_outcomes(), n_packets);
	expect_relaying();
	worker->last_tsc += 3 * worker->tsc_hz;
	dp_reassembly_expire(worker);
}

Test(hostile, random_bytes_of_every_length)
{
	program_flows();
	for (uint32_t i = 0; i < 50000; i++) {
		uint32_t n = random_below(300);

		for (uint32_t k = 0; k < n; k++)
			frame[k] = (uint8_t)random_below(256);
		if (n > 14 && random_below(4) != 0)
			bytes_put_be16(frame + 12, random_below(2) ? 0x0800 : 0x86dd);
		send_bytes(0, frame, n);
	}
	cr_assert_eq(receive_all(), 0);
	cr_assert_eq(n_received(), n_outcomes());
	expect_relaying();
}

Test(hostile, full_transmit_queue_is_counted_and_nothing_leaks)
{
	program_flows();
	for (uint32_t i = 0; i < 3000; i++)
		send_bytes(0, frame, seed_frame(0, frame));
	cr_assert_gt(counted(DP_DROP_TX_FULL), 1000);
	cr_assert_eq(counted(DP_COUNTER_TX_PKTS) + counted(DP_DROP_TX_FULL), 3000);
	cr_assert_eq(receive_all(), counted(DP_COUNTER_TX_PKTS));
	expect_relaying();
}
