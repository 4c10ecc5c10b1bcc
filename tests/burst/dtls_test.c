// TURN over DTLS at the worker (RFC 7350): records of clients to the control plane and back, within the rate of their source. With
// an SFU on the same listener only those of strangers to it are TURN's.
#include <criterion/criterion.h>

#include "tests/burst/streaming.h"

TestSuite(turn_dtls, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);
TestSuite(turn_dtls_beside_sfu, .init = pipeline_sfu_init, .fini = pipeline_fini, .timeout = 60);

// A handshake record of epoch 0, and application data of epoch 1.
static const uint8_t hello[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xaa };
static const uint8_t record[] = { 23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 0xbb, 0xcc };

static void dtls_allow(void)
{
	settings.flags |= SHM_SETTINGS_F_DTLS;
	settings_publish();
	poll_once();
}

static void send_from(const char *from, const char *to, const void *bytes, uint32_t n)
{
	struct dress d = { .from = from, .to = to };

	send_datagram(&d, bytes, n);
}

static void expect_punted(const char *from, const void *bytes, uint16_t n)
{
	struct ip_endpoint e = endpoint(from);
	const struct shm_datagram *d;
	uint16_t there;

	d = punted(0, &there);
	cr_assert_not_null(d);
	cr_assert_eq(d->kind, SHM_DATAGRAM_DTLS);
	cr_assert_eq(d->transport_idx, 0);
	cr_assert_eq(d->flags, 0);
	cr_assert_eq(d->local_idx, from[0] == '[' ? LISTENER_V6 : LISTENER_V4);
	cr_assert_eq(d->local_port_be, endpoint(LISTEN_V4).port_be);
	cr_assert_eq(d->remote_port_be, e.port_be);
	cr_assert_arr_eq(d->remote_address, e.address.bytes, 16);
	cr_assert_neq(d->l2_word >> 16, 0);
	cr_assert_eq(there, n);
	cr_assert_arr_eq(d->data, bytes, n);
	cr_assert_null(punted(0, &there));
}

Test(turn_dtls, rfc7350_3_records_of_clients_are_punted)
{
	dtls_allow();
	send_from(CLIENT_V4, LISTEN_V4, hello, sizeof(hello));
	expect_only(DP_COUNTER_TURN_DTLS);
	expect_punted(CLIENT_V4, hello, sizeof(hello));
	send_from(CLIENT_V6, LISTEN_V6, record, sizeof(record));
	expect_only(DP_COUNTER_TURN_DTLS);
	expect_punted(CLIENT_V6, record, sizeof(record));
	expect_nothing_sent();
	cr_assert_eq(n_received(), n_outcomes());
}

Test(turn_dtls, where_it_is_not_configured_it_is_dropped)
{
	uint16_t n;

	send_from(CLIENT_V4, LISTEN_V4, hello, sizeof(hello));
	expect_only(DP_DROP_UNKNOWN_FIRST_BYTE);
	cr_assert_null(punted(0, &n));
	// RTP has no meaning to TURN with it either.
	dtls_allow();
	send_from(CLIENT_V4, LISTEN_V4, "\x80\x60", 2);
	expect_only(DP_DROP_UNKNOWN_FIRST_BYTE);
}

// What a peer sends to a relayed address is data, whatever it looks like.
Test(turn_dtls, rfc8656_11_3_records_of_peers_are_data)
{
	dtls_allow();
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	send_from(PEER_V4, RELAYED_V4, hello, sizeof(hello));
	expect_only(DP_COUNTER_DOWN_CHANNEL);
	cr_assert(receive(&out));
}

Test(turn_dtls, larger_than_a_slot)
{
	static uint8_t large[SHM_DATAGRAM_BYTES_MAX + 1] = { 23, 0xfe, 0xfd, 0, 1 };

	dtls_allow();
	send_from(CLIENT_V4, LISTEN_V4, large, sizeof(large) - 1);
	expect_only(DP_COUNTER_TURN_DTLS);
	send_from(CLIENT_V4, LISTEN_V4, large, sizeof(large));
	expect_only(DP_DROP_PUNT_TOO_BIG);
}

static uint32_t send_many(const char *from, const void *bytes, uint32_t size, uint32_t n)
{
	uint16_t length;

	forget_counted();
	for (uint32_t i = 0; i < n; i++) {
		send_from(from, LISTEN_V4, bytes, size);
		while (punted(0, &length) != NULL)
			;
	}
	cr_assert_eq(counted(DP_COUNTER_TURN_DTLS) + counted(DP_DROP_PUNT_RATE), n);
	return (uint32_t)counted(DP_COUNTER_TURN_DTLS);
}

// A handshake costs what a request costs; the records of an association come at the rate of media. One source does not take
// from another.
Test(turn_dtls, each_source_has_a_rate)
{
	uint32_t n;

	settings.punt_per_source_per_sec = 1;
	settings.punt_burst_pkts = 10;
	dtls_allow();
	n = send_many(CLIENT_V4, hello, sizeof(hello), 200);
	cr_assert(n >= 10 && n <= 12, "%u handshakes", n);
	n = send_many(OTHER_V4, record, sizeof(record), 2000);
	cr_assert(n >= 640 && n <= 800, "%u records", n);
	n = send_many("192.0.2.77:7", hello, sizeof(hello), 5);
	cr_assert_eq(n, 5);
}

// Half of the ring is for requests of clients with an allocation, and a quarter for records of associations, whatever floods it.
Test(turn_dtls, a_flood_of_handshakes_leaves_room)
{
	char from[32];

	dtls_allow();
	for (uint32_t i = 0; i < SHM_RING_SLOTS; i++) {
		snprintf(from, sizeof(from), "192.0.%u.%u:9", 3 + i / 200, 1 + i % 200);
		send_from(from, LISTEN_V4, hello, sizeof(hello));
	}
	cr_assert_eq(counted(DP_COUNTER_TURN_DTLS), SHM_RING_SLOTS / 2);
	cr_assert_eq(counted(DP_DROP_PUNT_FULL), SHM_RING_SLOTS / 2);
	forget_counted();
	for (uint32_t i = 0; i < SHM_RING_SLOTS; i++) {
		snprintf(from, sizeof(from), "192.0.%u.%u:9", 3 + i / 200, 1 + i % 200);
		send_from(from, LISTEN_V4, record, sizeof(record));
	}
	cr_assert_eq(counted(DP_COUNTER_TURN_DTLS), SHM_RING_SLOTS / 4);
	cr_assert_eq(shm_ring_room(worker->punt), SHM_RING_SLOTS / 4);
}

// ---- back to the client

static struct shm_datagram *inject(const char *to, const void *bytes, uint16_t n)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x77 };
	struct shm_datagram *d = shm_ring_reserve(worker->inject);
	struct ip_endpoint e = endpoint(to);

	*d = (struct shm_datagram){
		.kind = SHM_DATAGRAM_DTLS,
		.local_idx = to[0] == '[' ? LISTENER_V6 : LISTENER_V4,
		.local_port_be = endpoint(LISTEN_V4).port_be,
		.remote_port_be = e.port_be,
		.l2_word = shm_neighbour_word(mac, 0, 0),
		.length_bytes = n,
	};
	memcpy(d->remote_address, e.address.bytes, 16);
	memcpy(d->data, bytes, n);
	shm_ring_commit(worker->inject);
	return d;
}

static void expect_injected(void)
{
	inject(CLIENT_V4, record, sizeof(record));
	poll_once();
	cr_assert_eq(counted(DP_COUNTER_INJECT), 1);
	expect_datagram(&out, LISTEN_V4, CLIENT_V4, record, sizeof(record));
	cr_assert_eq(out.bytes[5], 0x77, "not on the path that was named");
	inject(CLIENT_V6, record, sizeof(record));
	poll_once();
	expect_datagram(&out, LISTEN_V6, CLIENT_V6, record, sizeof(record));
	forget_counted();
}

Test(turn_dtls, rfc7350_3_answers_leave_from_the_listener)
{
	expect_injected();
	// Only from a listener, over a path that exists.
	inject(CLIENT_V4, record, sizeof(record))->local_port_be = 0x5000;
	poll_once();
	cr_assert_eq(counted(DP_DROP_BAD_INJECT), 1);
	inject(CLIENT_V4, record, sizeof(record))->l2_word = 0;
	poll_once();
	cr_assert_eq(counted(DP_DROP_BAD_INJECT), 2);
	// Without an SFU there are no transports.
	inject(CLIENT_V4, record, sizeof(record))->transport_idx = 1;
	poll_once();
	cr_assert_eq(counted(DP_DROP_BAD_INJECT), 3);
	expect_nothing_sent();
}

// ---- beside an SFU

Test(turn_dtls_beside_sfu, rfc7350_3_strangers_to_the_sfu_are_punted)
{
	dtls_allow();
	send_from(CLIENT_V4, LISTEN_V4, hello, sizeof(hello));
	expect_only(DP_COUNTER_TURN_DTLS);
	expect_punted(CLIENT_V4, hello, sizeof(hello));
	send_from(CLIENT_V6, LISTEN_V6, record, sizeof(record));
	expect_only(DP_COUNTER_TURN_DTLS);
	expect_punted(CLIENT_V6, record, sizeof(record));
	expect_injected();
}

Test(turn_dtls_beside_sfu, where_it_is_not_configured_strangers_are_nobody)
{
	send_from(CLIENT_V4, LISTEN_V4, hello, sizeof(hello));
	expect_only(DP_DROP_SFU_NO_CLIENT);
}

// RFC 8656 §21: TURN is not reached through the relay, over DTLS neither.
Test(turn_dtls_beside_sfu, rfc8656_21_not_through_the_relay)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint16_t n;

	settings.local[LISTENER_V4].flags |= SHM_LOCAL_F_SFU;
	dtls_allow();
	program_flow(CLIENT_V4, RELAYED_V4, LISTEN_V4, CHANNEL);
	send_datagram(&d, message, channel_data(message, CHANNEL, hello, sizeof(hello), 0));
	cr_assert_eq(counted(DP_DROP_SFU_NO_CLIENT), 1);
	cr_assert_null(punted(0, &n));
}

Test(turn_dtls, only_bursts_of_which_something_left_count_for_the_latency)
{
	uint64_t n = 0;
	uint8_t bytes[64];
	uint32_t n_bytes;

	dtls_allow();
	for (uint32_t i = 0; i < DP_LATENCY_SAMPLE; i++)
		send_from(CLIENT_V4, LISTEN_V4, hello, sizeof(hello));
	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		n += worker->state->latency[i];
	cr_assert_eq(n, 0);
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	n_bytes = channel_data(bytes, CHANNEL, "hello!", 6, 0);
	for (uint32_t i = 0; i < DP_LATENCY_SAMPLE; i++)
		send_from(CLIENT_V4, LISTEN_V4, bytes, n_bytes);
	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		n += worker->state->latency[i];
	cr_assert_eq(n, 1);
}
