// ICMP errors about what relayed ports sent (RFC 8656 §11.5): the client is told by a Data indication, or it is said why not.
#include <criterion/criterion.h>

#include "dataplane/contract/wire/icmp.h"
#include "dataplane/icmp.h"
#include "tests/burst/icmping.h"
#include "tests/burst/streaming.h"

TestSuite(icmp, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

#define ROUTER_V4 "192.0.2.254:0"
#define ROUTER_V6 "[2001:db8::fe]:0"

static uint8_t frame[FRAME_BYTES_MAX];
static uint32_t frame_bytes;

// An error of a router about a datagram that `from` sent to `to`, written by the contract's own hand, whose bytes
// tests/unit/wire holds.
static void error_make(const char *from, const char *to, uint8_t type, uint8_t code,
		       uint32_t mtu_bytes)
{
	struct dress d = { .from = from, .to = to, .ttl = 9 };
	bool v4 = from[0] != '[';
	uint32_t prefix_bytes = v4 ? ICMP_PREFIX_V4_BYTES : ICMP_PREFIX_V6_BYTES;
	struct icmp_reply r = {
		.source = endpoint(v4 ? ROUTER_V4 : ROUTER_V6).address,
		.destination = endpoint(from).address,
		.mtu_bytes = mtu_bytes,
		.type = type,
		.code = code,
	};
	uint8_t about[2048];
	uint32_t n;

	data_fill(20);
	n = frame_build(about, &d, data, 20) - 14;
	memcpy(frame, about, 14);
	memcpy(frame + 14 + prefix_bytes, about + 14, n);
	frame_bytes = 14 + icmp_reply_write(frame + 14, &r, n);
}

static void send_error(const char *from, const char *to, uint8_t type, uint8_t code,
		       uint32_t mtu_bytes)
{
	error_make(from, to, type, code, mtu_bytes);
	send_bytes(0, frame, frame_bytes);
}

Test(icmp, rfc8656_11_5_port_unreachable_byte_for_byte)
{
	uint8_t in[128];
	uint8_t want[128];
	uint32_t n;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	worker->ip_id = 0x1234;
	// The peer's host itself: 203.0.113.20 > 198.51.100.2 about 198.51.100.2:50000 > 203.0.113.20:6000.
	n = from_hex("020000000001 0200000000fe 0800"
		     "45000038 00010000 4001fc9c cb007114 c6336402"
		     "0303a17a 00000000"
		     "4500001f 00000000 4011fca6 c6336402 cb007114"
		     "c3501770 000b0000",
		     in);
	memset(in + 24, 0, 2);
	memcpy(in + 24, &(uint16_t){ ipv4_header_checksum(in + 14, 20) }, 2);
	memset(in + 36, 0, 2);
	memcpy(in + 36, &(uint16_t){ ipv4_header_checksum(in + 34, n - 34) }, 2);
	send_bytes(0, in, n);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	cr_assert(receive(&out));
	// Ethernet, IPv4 and UDP from the listener to the client.
	from_hex("0200000000c1", want);
	cr_assert_arr_eq(out.bytes, want, 6);
	cr_assert_eq(out.view.payload_bytes, 44);
	// Data indication, 24 bytes; its transaction is random.
	from_hex("0017 0018 2112a442", want);
	cr_assert_arr_eq(out.bytes + out.view.payload_offset, want, 8);
	// XOR-PEER-ADDRESS 203.0.113.20:6000, ICMP type 3 (7 bits) code 3 (9 bits), no error data.
	n = from_hex("0012 0008 0001 3662 ea12d556 8004 0008 0000 0603 00000000", want);
	cr_assert_eq(n, 24);
	cr_assert_arr_eq(out.bytes + out.view.payload_offset + 20, want, 24);
	expect_nothing_sent();
}

Test(icmp, rfc8656_18_13_type_has_7_bits_and_code_9)
{
	static const struct {
		const char *bytes;
		bool is_v4;
		uint8_t type;
		uint8_t code;
		uint32_t mtu_bytes;
	} known[] = {
		{ "8004 0008 0000 0604 00000500", true, 3, 4, 1280 },
		{ "8004 0008 0000 060d 00000000", true, 3, 13, 0 },
		{ "8004 0008 0000 1601 00000000", true, 11, 1, 0 },
		{ "8004 0008 0000 0204 00000000", false, 1, 4, 0 },
		{ "8004 0008 0000 0400 00000578", false, 2, 0, 1400 },
		{ "8004 0008 0000 06ff 00000000", false, 3, 255, 0 },
	};
	uint8_t told[DP_ICMP_INDICATION_BYTES_MAX];
	uint8_t want[12];

	for (uint32_t i = 0; i < RTE_DIM(known); i++) {
		struct ip_endpoint peer = endpoint(known[i].is_v4 ? PEER_V4 : PEER_V6);
		uint32_t n = dp_icmp_indication(worker, told, &peer, known[i].type, known[i].code,
						known[i].mtu_bytes);

		cr_assert_eq(from_hex(known[i].bytes, want), sizeof(want));
		cr_assert_arr_eq(told + n - sizeof(want), want, sizeof(want), "%s", known[i].bytes);
	}
}

Test(icmp, rfc8656_11_5_every_type_over_ipv4)
{
	static const struct {
		uint8_t type;
		uint8_t code;
		uint32_t mtu_bytes;
	} error[] = { { 3, 0, 0 }, { 3, 1, 0 },  { 3, 3, 0 },  { 3, 4, 1280 },
		      { 3, 4, 0 }, { 3, 13, 0 }, { 11, 0, 0 }, { 11, 1, 0 } };

	// Permission is enough; a bound channel changes nothing.
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	for (int bound = 0; bound < 2; bound++) {
		if (bound)
			program_channel(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL, true);
		for (uint32_t i = 0; i < RTE_DIM(error); i++) {
			send_error(RELAYED_V4, PEER_V4, error[i].type, error[i].code,
				   error[i].mtu_bytes);
			expect_only(DP_COUNTER_ICMP_RELAYED);
			expect_indication(LISTEN_V4, CLIENT_V4, PEER_V4, error[i].type,
					  error[i].code, error[i].mtu_bytes);
		}
	}
}

Test(icmp, rfc8656_11_5_every_type_over_ipv6)
{
	static const struct {
		uint8_t type;
		uint8_t code;
		uint32_t mtu_bytes;
	} error[] = { { 1, 0, 0 }, { 1, 4, 0 }, { 2, 0, 1280 }, { 2, 0, 70000 }, { 3, 0, 0 } };

	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	for (uint32_t i = 0; i < RTE_DIM(error); i++) {
		send_error(RELAYED_V6, PEER_V6, error[i].type, error[i].code, error[i].mtu_bytes);
		expect_only(DP_COUNTER_ICMP_RELAYED);
		expect_indication(LISTEN_V6, CLIENT_V6, PEER_V6, error[i].type, error[i].code,
				  error[i].mtu_bytes);
	}
}

Test(icmp, rfc8656_11_5_across_families)
{
	program_flow(CLIENT_V4, RELAYED_V6, PEER_V6, CHANNEL);
	send_error(RELAYED_V6, PEER_V6, 2, 0, 1400);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	expect_indication(LISTEN_V4, CLIENT_V4, PEER_V6, 2, 0, 1400);
	program_flow(CLIENT_V6, RELAYED_V4, PEER_V4, CHANNEL);
	send_error(RELAYED_V4, PEER_V4, 3, 4, 1400);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	expect_indication(LISTEN_V6, CLIENT_V6, PEER_V4, 3, 4, 1400);
}

Test(icmp, rfc8656_11_5_error_data_is_zero_where_no_mtu_is_told)
{
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	// The fourth byte on of a time exceeded is unused, and may be anything.
	send_error(RELAYED_V4, PEER_V4, 11, 0, 0x7777);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	expect_indication(LISTEN_V4, CLIENT_V4, PEER_V4, 11, 0, 0);
}

Test(icmp, rfc8656_11_5_the_permission_is_of_the_enclosed_destination)
{
	// The router needs none, and that of the router is none.
	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_permission(CLIENT_V4, RELAYED_V4, ROUTER_V4, true);
	send_error(RELAYED_V4, PEER_V4, 3, 3, 0);
	expect_only(DP_DROP_NO_PERMISSION);
	expect_nothing_sent();
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	send_error(RELAYED_V4, PEER_V4, 3, 3, 0);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	expect_indication(LISTEN_V4, CLIENT_V4, PEER_V4, 3, 3, 0);
	// Whatever the port, as with data.
	send_error(RELAYED_V4, "203.0.113.20:7", 3, 3, 0);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	expect_indication(LISTEN_V4, CLIENT_V4, "203.0.113.20:7", 3, 3, 0);
}

Test(icmp, rfc8656_11_5_without_allocation_or_after_its_time)
{
	send_error(RELAYED_V4, PEER_V4, 3, 3, 0);
	expect_only(DP_DROP_NO_PERMISSION);
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, false);
	send_error(RELAYED_V4, PEER_V4, 3, 3, 0);
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	// Another relayed port of that address.
	program_permission(CLIENT_V4, RELAYED2_V4, PEER_V4, true);
	send_error(RELAYED_V4, PEER_V4, 3, 3, 0);
	expect_only(DP_DROP_PERMISSION_EXPIRED);
	expect_nothing_sent();
}

Test(icmp, a_wrong_checksum_tells_nobody)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	error_make(RELAYED_V4, PEER_V4, 3, 3, 0);
	frame[frame_bytes - 1] ^= 1;
	send_bytes(0, frame, frame_bytes);
	expect_only(DP_DROP_ICMP_MALFORMED);
	error_make(RELAYED_V6, PEER_V6, 1, 4, 0);
	frame[frame_bytes - 1] ^= 1;
	send_bytes(0, frame, frame_bytes);
	expect_only(DP_DROP_ICMP_MALFORMED);
	expect_nothing_sent();
}

Test(icmp, errors_about_listeners_and_strangers_are_not_ours)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	// What we sent to a client.
	send_error(LISTEN_V4, CLIENT_V4, 3, 3, 0);
	expect_only(DP_DROP_ICMP_UNWANTED);
	// A port that relays nothing.
	send_error("198.51.100.2:80", PEER_V4, 3, 3, 0);
	expect_only(DP_DROP_ICMP_UNWANTED);
	// It came to another address of ours than the datagram was from.
	error_make(RELAYED_V4, PEER_V4, 3, 3, 0);
	memcpy(frame + 14 + 16, endpoint(LISTEN_V4).address.bytes + 12, 4);
	memset(frame + 14 + 10, 0, 2);
	memcpy(frame + 14 + 10, &(uint16_t){ ipv4_header_checksum(frame + 14, 20) }, 2);
	send_bytes(0, frame, frame_bytes);
	expect_only(DP_DROP_ICMP_UNWANTED);
	// And ping.
	error_make(RELAYED_V4, PEER_V4, 8, 0, 0);
	send_bytes(0, frame, frame_bytes);
	expect_only(DP_DROP_OTHER_PROTOCOL);
	expect_nothing_sent();
}

Test(icmp, rfc8656_11_5_to_a_client_on_a_stream)
{
	const struct shm_datagram *d;
	uint16_t n;

	program_flow(STREAM, RELAYED_V4, PEER_V4, CHANNEL);
	send_error(RELAYED_V4, PEER_V4, 3, 4, 1400);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	expect_nothing_sent();
	d = streamed(&n);
	cr_assert_not_null(d);
	cr_assert_eq(d->kind, SHM_DATAGRAM_STREAM);
	cr_assert_arr_eq(d->remote_address, endpoint(STREAM).address.bytes, 16);
	check_indication(d->data, n, PEER_V4, 3, 4, 1400);
	expect_nothing_streamed();
}

Test(icmp, errors_to_one_client_are_bounded)
{
	uint32_t n_told = 0;

	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(OTHER_V4, RELAYED2_V4, PEER_V4, CHANNEL);
	for (uint32_t i = 0; i < 300; i++) {
		send_error(RELAYED_V4, PEER_V4, 3, 3, 0);
		while (receive(&out))
			n_told++;
	}
	cr_assert_geq(n_told, DP_ICMP_ONE_BURST);
	cr_assert_leq(n_told, DP_ICMP_ONE_BURST + 40);
	cr_assert_eq(counted(DP_COUNTER_ICMP_RELAYED), n_told);
	cr_assert_eq(counted(DP_DROP_ICMP_RATE), 300 - n_told);
	forget_counted();
	// Another one is not held back by it.
	send_error(RELAYED2_V4, PEER_V4, 3, 3, 0);
	expect_only(DP_COUNTER_ICMP_RELAYED);
	expect_indication(LISTEN_V4, OTHER_V4, PEER_V4, 3, 3, 0);
	cr_assert_eq(n_received(), n_outcomes());
}

// Takes all that one address has.
static void drain(struct dp_icmp_limit *l, const struct ip_endpoint *to)
{
	while (dp_icmp_limit_take(l, to, 1))
		l->all_ns = 0;
}

// The first address other than `to` that has the same bucket.
static struct ip_endpoint sharer_of(struct dp_icmp_limit *l, const struct ip_endpoint *to)
{
	struct ip_endpoint other = *to;
	uint32_t i;

	drain(l, to);
	for (i = 1; i < 100 * DP_ICMP_BUCKETS; i++) {
		uint64_t before[DP_ICMP_BUCKETS];

		bytes_put_be32(other.address.bytes + 12, 0xcb000000u + i);
		memcpy(before, l->one_ns, sizeof(before));
		if (!dp_icmp_limit_take(l, &other, 1))
			break;
		memcpy(l->one_ns, before, sizeof(before));
		l->all_ns = 0;
	}
	cr_assert_lt(i, 100 * DP_ICMP_BUCKETS);
	return other;
}

Test(icmp, nobody_can_choose_who_shares_the_bound_of_errors)
{
	static struct dp_icmp_limit mine = { .hash_key = "one random key.." };
	static struct dp_icmp_limit yours = { .hash_key = "another random k" };
	struct ip_endpoint victim = endpoint(CLIENT_V4);
	struct ip_endpoint other = sharer_of(&mine, &victim);

	drain(&yours, &other);
	cr_assert(dp_icmp_limit_take(&yours, &victim, 1), "the key does not matter");
	// A worker's are random, each its own.
	cr_assert_neq(memcmp(worker->icmp_in.hash_key, mine.hash_key, 16), 0);
	cr_assert_neq(memcmp(worker->icmp_in.hash_key, (uint8_t[16]){ 0 }, 16), 0);
	cr_assert_neq(memcmp(worker->icmp_in.hash_key, worker->icmp_out.hash_key, 16), 0);
}

Test(icmp, without_a_next_hop_it_is_said)
{
	hop_client = HOP_UNRESOLVED;
	program_permission(CLIENT_V4, RELAYED_V4, PEER_V4, true);
	send_error(RELAYED_V4, PEER_V4, 3, 3, 0);
	expect_only(DP_DROP_NO_NEXT_HOP);
	expect_nothing_sent();
}

Test(icmp, cut_and_mutated_errors_are_counted_once_each)
{
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	program_flow(CLIENT_V6, RELAYED_V6, PEER_V6, CHANNEL);
	for (int v4 = 0; v4 < 2; v4++) {
		error_make(v4 ? RELAYED_V4 : RELAYED_V6, v4 ? PEER_V4 : PEER_V6, v4 ? 3 : 1, 3, 0);
		for (uint32_t n = 14; n <= frame_bytes; n++) {
			send_bytes(0, frame, n);
			for (uint32_t bit = 0; bit < 8; bit++) {
				frame[n - 1] ^= (uint8_t)(1u << bit);
				send_bytes(0, frame, frame_bytes);
				frame[n - 1] ^= (uint8_t)(1u << bit);
			}
			while (receive(&out))
				;
		}
	}
	cr_assert_eq(n_received(), n_outcomes());
}
