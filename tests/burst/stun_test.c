// STUN at the worker: Binding answered, strangers challenged, clients with a valid nonce handed to
// the control plane, and its answers sent.
#include <criterion/criterion.h>
#include <rte_cycles.h>
#include <time.h>

#include "tests/burst/pipeline.h"

TestSuite(stun, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

static const uint8_t transaction_id[12] = "stun-test-01";
static uint8_t message[4096];
static struct frame out;

static void send_message(const char *client, struct stun_builder *b)
{
	struct dress d = { .from = client, .to = client[0] == '[' ? LISTEN_V6 : LISTEN_V4 };
	size_t n = stun_build_end(b);

	cr_assert_gt(n, 0);
	send_datagram(&d, message, (uint32_t)n);
}

static struct stun_builder begin(uint16_t type)
{
	struct stun_builder b;

	stun_build_begin(&b, message, sizeof(message), type, transaction_id);
	return b;
}

// The one answer, back to the client from the listener, as a STUN message of that type with the
// request's transaction id.
static struct stun_view expect_answer(const char *client, uint16_t type)
{
	struct ip_endpoint to = endpoint(client);
	struct ip_endpoint from = endpoint(client[0] == '[' ? LISTEN_V6 : LISTEN_V4);
	static const uint8_t sender_mac[6] = { 2, 0, 0, 0, 0, 0xaa };
	struct stun_view m;

	cr_assert(receive(&out), "no answer");
	cr_assert(ip_endpoint_equal(&out.view.destination, &to));
	cr_assert(ip_endpoint_equal(&out.view.source, &from));
	cr_assert_arr_eq(out.bytes, sender_mac, 6);
	cr_assert_eq(stun_parse(out.bytes + out.view.payload_offset, out.view.payload_bytes, &m),
		     STUN_OK);
	cr_assert_eq(m.type, type);
	cr_assert_arr_eq(m.transaction_id, transaction_id, 12);
	expect_nothing_sent();
	return m;
}

static uint16_t error_code(const struct stun_view *m)
{
	struct stun_attr a;

	cr_assert(stun_attr_find(m, STUN_ATTR_ERROR_CODE, &a));
	cr_assert_geq(a.length_bytes, 4);
	return (uint16_t)(a.value[2] * 100 + a.value[3]);
}

static bool has(const struct stun_view *m, uint16_t type)
{
	struct stun_attr a;

	return stun_attr_find(m, type, &a);
}

// ---- Binding

Test(stun, rfc8489_6_3_binding_tells_the_reflexive_address)
{
	static const char *const client[] = { CLIENT_V4, CLIENT_V6 };

	for (uint32_t i = 0; i < 2; i++) {
		struct ip_endpoint expected = endpoint(client[i]);
		struct stun_builder b = begin(STUN_BINDING_REQUEST);
		struct ip_endpoint told;
		struct stun_view m;
		struct stun_attr a;

		send_message(client[i], &b);
		expect_only(DP_COUNTER_BINDING);
		m = expect_answer(client[i], STUN_BINDING_SUCCESS);
		cr_assert(stun_attr_find(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, &a));
		cr_assert_eq(stun_xor_address_get(&m, &a, &told), 0);
		cr_assert(ip_endpoint_equal(&told, &expected));
		cr_assert_not(has(&m, STUN_ATTR_FINGERPRINT), "longer than asked for");
	}
}

Test(stun, rfc8489_14_7_fingerprint_is_checked_and_answered)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	struct stun_builder b = begin(STUN_BINDING_REQUEST);
	struct stun_view m;
	struct stun_attr a;

	stun_build_fingerprint(&b);
	send_message(CLIENT_V4, &b);
	expect_only(DP_COUNTER_BINDING);
	m = expect_answer(CLIENT_V4, STUN_BINDING_SUCCESS);
	cr_assert(stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a));
	cr_assert(stun_fingerprint_ok(&m, &a));

	message[27] ^= 1;
	send_datagram(&d, message, 28);
	expect_only(DP_DROP_BAD_FINGERPRINT);
	expect_nothing_sent();
}

Test(stun, rfc8489_6_3_1_unknown_attribute_is_answered_420)
{
	struct stun_builder b = begin(STUN_BINDING_REQUEST);
	struct stun_view m;
	struct stun_attr a;

	stun_build_u32(&b, 0x7f01, 0);
	stun_build_u32(&b, 0xff01, 0);
	stun_build_u32(&b, 0x7f02, 0);
	send_message(CLIENT_V4, &b);
	expect_only(DP_COUNTER_BINDING);
	m = expect_answer(CLIENT_V4, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&m), 420);
	cr_assert(stun_attr_find(&m, STUN_ATTR_UNKNOWN_ATTRIBUTES, &a));
	cr_assert_eq(a.length_bytes, 4);
	cr_assert_eq(bytes_get_be16(a.value), 0x7f01);
	cr_assert_eq(bytes_get_be16(a.value + 2), 0x7f02);
}

Test(stun, binding_over_vlan_and_options_goes_back_the_same_way)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4, .vlan_id = 9, .option_bytes = 8 };
	struct stun_builder b = begin(STUN_BINDING_REQUEST);

	send_datagram(&d, message, (uint32_t)stun_build_end(&b));
	expect_only(DP_COUNTER_BINDING);
	expect_answer(CLIENT_V4, STUN_BINDING_SUCCESS);
	cr_assert_eq(out.view.vlan_tci, 9);
}

Test(stun, rfc8489_6_3_2_and_6_3_3_what_servers_do_not_take)
{
	static const uint16_t type[] = { STUN_BINDING_INDICATION, STUN_BINDING_SUCCESS,
					 STUN_BINDING_ERROR, TURN_DATA_INDICATION,
					 TURN_ALLOCATE_REQUEST | STUN_CLASS_SUCCESS };

	for (uint32_t i = 0; i < RTE_DIM(type); i++) {
		struct stun_builder b = begin(type[i]);

		send_message(CLIENT_V4, &b);
		expect_only(DP_DROP_UNEXPECTED_STUN);
	}
	expect_nothing_sent();
}

Test(stun, rfc8489_6_3_malformed_messages_are_not_answered)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	struct stun_builder b = begin(STUN_BINDING_REQUEST);
	uint32_t n;

	stun_build_attr(&b, STUN_ATTR_SOFTWARE, "test", 4);
	n = (uint32_t)stun_build_end(&b);
	for (uint32_t cut = 1; cut < n; cut++) {
		send_datagram(&d, message, cut);
		expect_only(DP_DROP_BAD_STUN);
	}
	message[4] ^= 1;
	send_datagram(&d, message, n);
	expect_only(DP_DROP_BAD_STUN);
	expect_nothing_sent();
}

Test(stun, rfc7983_first_bytes_of_other_protocols)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };

	for (uint32_t first = 4; first < 256; first++) {
		if (first == 64)
			first = 80;
		memset(message, (int)first, 40);
		send_datagram(&d, message, 40);
		expect_only(DP_DROP_UNKNOWN_FIRST_BYTE);
	}
	expect_nothing_sent();
}

// ---- challenge

static void add_credentials(struct stun_builder *b, const char *nonce, size_t nonce_bytes)
{
	size_t covered;
	uint8_t *tag;

	stun_build_attr(b, STUN_ATTR_USERNAME, "user", 4);
	stun_build_attr(b, STUN_ATTR_REALM, REALM, sizeof(REALM) - 1);
	stun_build_attr(b, STUN_ATTR_NONCE, nonce, (uint16_t)nonce_bytes);
	tag = stun_build_integrity(b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
	cr_assert_not_null(tag);
	memset(tag, 0x11, 20);
}

// The nonce that the worker gives this client.
static void nonce_get(const char *client, char nonce[CHALLENGE_NONCE_CHARS])
{
	struct stun_builder b = begin(TURN_ALLOCATE_REQUEST);
	struct stun_view m;
	struct stun_attr a;

	send_message(client, &b);
	expect_only(DP_COUNTER_CHALLENGE);
	m = expect_answer(client, TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR);
	cr_assert_eq(error_code(&m), 401);
	cr_assert(stun_attr_find(&m, STUN_ATTR_REALM, &a));
	cr_assert_eq(a.length_bytes, sizeof(REALM) - 1);
	cr_assert_arr_eq(a.value, REALM, sizeof(REALM) - 1);
	cr_assert(stun_attr_find(&m, STUN_ATTR_NONCE, &a));
	cr_assert_eq(a.length_bytes, CHALLENGE_NONCE_CHARS);
	memcpy(nonce, a.value, CHALLENGE_NONCE_CHARS);
}

static void send_with_nonce(const char *client, uint16_t type, const char *nonce)
{
	struct stun_builder b = begin(type);

	add_credentials(&b, nonce, CHALLENGE_NONCE_CHARS);
	send_message(client, &b);
}

Test(stun, rfc8489_9_2_4_request_without_integrity_is_answered_401)
{
	static const uint16_t type[] = { TURN_ALLOCATE_REQUEST,
					 TURN_REFRESH_REQUEST,
					 TURN_CREATE_PERMISSION_REQUEST,
					 TURN_CHANNEL_BIND_REQUEST,
					 0x000a,
					 0x02ef };

	for (uint32_t i = 0; i < RTE_DIM(type); i++) {
		struct stun_builder b = begin(type[i]);
		struct stun_view m;

		send_message(CLIENT_V4, &b);
		expect_only(DP_COUNTER_CHALLENGE);
		m = expect_answer(CLIENT_V4, type[i] | STUN_CLASS_ERROR);
		cr_assert_eq(error_code(&m), 401);
		cr_assert(has(&m, STUN_ATTR_NONCE) && has(&m, STUN_ATTR_REALM));
	}
}

Test(stun, rfc8489_9_2_4_integrity_without_the_rest_is_answered_400)
{
	struct stun_builder b = begin(TURN_ALLOCATE_REQUEST);
	struct stun_view m;
	size_t covered;

	memset(stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered), 1, 20);
	send_message(CLIENT_V4, &b);
	expect_only(DP_COUNTER_CHALLENGE);
	m = expect_answer(CLIENT_V4, TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR);
	cr_assert_eq(error_code(&m), 400);
}

Test(stun, rfc8489_9_2_4_stale_or_foreign_nonce_is_answered_438)
{
	char nonce[CHALLENGE_NONCE_CHARS];
	struct stun_view m;

	nonce_get(CLIENT_V4, nonce);
	// Another client's nonce.
	send_with_nonce(OTHER_V4, TURN_ALLOCATE_REQUEST, nonce);
	expect_only(DP_COUNTER_CHALLENGE);
	m = expect_answer(OTHER_V4, TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR);
	cr_assert_eq(error_code(&m), 438);
	cr_assert(has(&m, STUN_ATTR_NONCE) && has(&m, STUN_ATTR_REALM));
	// Its own, an hour too old.
	worker->wall_off_ns += 3600ull * 1000000000;
	worker->last_heartbeat_tsc = rte_rdtsc() + worker->tsc_hz;
	send_with_nonce(CLIENT_V4, TURN_REFRESH_REQUEST, nonce);
	expect_only(DP_COUNTER_CHALLENGE);
	m = expect_answer(CLIENT_V4, TURN_REFRESH_REQUEST | STUN_CLASS_ERROR);
	cr_assert_eq(error_code(&m), 438);
}

// Over any window bytes out stay below bytes in, but for the first answer to a source; counted in IP
// packets.
Test(stun, unauthenticated_source_gets_no_more_than_it_sent)
{
	char nonce[CHALLENGE_NONCE_CHARS];
	uint64_t bytes_in = 0;
	uint64_t bytes_out = 0;

	for (uint32_t i = 0; i < 5000; i++) {
		struct stun_builder b = begin(TURN_ALLOCATE_REQUEST);
		struct dress d = { .from = i % 2 ? CLIENT_V4 : "192.0.2.10:777", .to = LISTEN_V4 };

		stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
		bytes_in += 28 + 28;
		send_datagram(&d, message, (uint32_t)stun_build_end(&b));
		while (receive(&out))
			bytes_out += out.view.payload_bytes + 28;
	}
	cr_assert_gt(counted(DP_DROP_CHALLENGE_RATE), 1000);
	cr_assert_gt(counted(DP_COUNTER_CHALLENGE), 1000);
	cr_assert_leq(bytes_out, bytes_in);
	// Another source is not held responsible.
	forget_counted();
	nonce_get(OTHER_V4, nonce);
}

static bool allocate_from(const char *from)
{
	struct stun_builder b = begin(TURN_ALLOCATE_REQUEST);
	bool answered = false;

	stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	send_message(from, &b);
	while (receive(&out))
		answered = true;
	return answered;
}

// A spoofed flood from its prefix does not lock an honest client out: it sends again and is answered.
Test(stun, an_honest_client_behind_a_flooded_prefix_gets_in)
{
	uint32_t n_failed = 0;

	for (uint32_t client = 0; client < 50; client++) {
		uint32_t k = 0;

		do {
			for (uint32_t i = 0; i < 10 + k * client % 13; i++)
				allocate_from("192.0.2.10:777");
		} while (!allocate_from("192.0.2.10:2000") && ++k < 7);
		n_failed += k == 7;
	}
	cr_assert_leq(n_failed, 1);
}

// A header alone is no Allocate that a client would send, and its answer weighs over 1.9 times as much.
Test(stun, a_request_too_short_for_its_answer_gets_none)
{
	struct stun_builder b = begin(TURN_ALLOCATE_REQUEST);

	settings.flags |= SHM_SETTINGS_F_SHA256;
	settings_publish();
	send_message(CLIENT_V4, &b);
	expect_only(DP_DROP_CHALLENGE_SIZE);
	expect_nothing_sent();
}

Test(stun, rfc8489_9_2_4_challenges_offer_password_algorithms_and_take_their_nonce_back)
{
	char nonce[CHALLENGE_NONCE_CHARS_MAX];
	struct stun_builder b;
	struct stun_view m;
	struct stun_attr a;

	settings.flags |= SHM_SETTINGS_F_SHA256;
	settings_publish();
	b = begin(TURN_ALLOCATE_REQUEST);
	stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	send_message(CLIENT_V4, &b);
	expect_only(DP_COUNTER_CHALLENGE);
	m = expect_answer(CLIENT_V4, TURN_ALLOCATE_REQUEST | STUN_CLASS_ERROR);
	cr_assert(stun_attr_find(&m, STUN_ATTR_PASSWORD_ALGORITHMS, &a));
	cr_assert(challenge_algorithms_match(a.value, a.length_bytes));
	cr_assert(stun_attr_find(&m, STUN_ATTR_NONCE, &a));
	cr_assert_eq(a.length_bytes, sizeof(nonce));
	cr_assert_arr_eq(a.value, "obMatJos2gAAA", 13);
	memcpy(nonce, a.value, sizeof(nonce));
	b = begin(TURN_ALLOCATE_REQUEST);
	add_credentials(&b, nonce, sizeof(nonce));
	send_message(CLIENT_V4, &b);
	expect_only(DP_COUNTER_PUNT);
}

// ---- punt

Test(stun, punted_request_arrives_whole)
{
	char nonce[CHALLENGE_NONCE_CHARS];
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4, .vlan_id = 5 };
	struct ip_endpoint client = endpoint(CLIENT_V4);
	static const uint8_t sender_mac[6] = { 2, 0, 0, 0, 0, 0xaa };
	const struct shm_datagram *punted;
	struct stun_builder b;
	uint16_t length;
	uint32_t n;

	nonce_get(CLIENT_V4, nonce);
	b = begin(TURN_ALLOCATE_REQUEST);
	add_credentials(&b, nonce, sizeof(nonce));
	n = (uint32_t)stun_build_end(&b);
	send_datagram(&d, message, n);
	expect_only(DP_COUNTER_PUNT);
	expect_nothing_sent();

	punted = shm_ring_peek(worker->punt, &length);
	cr_assert_not_null(punted);
	cr_assert_eq(length, n);
	cr_assert_arr_eq(punted->data, message, n);
	cr_assert_arr_eq(punted->remote_address, client.address.bytes, 16);
	cr_assert_eq(punted->remote_port_be, client.port_be);
	cr_assert_eq(punted->local_idx, LISTENER_V4);
	cr_assert_eq(punted->local_port_be, endpoint(LISTEN_V4).port_be);
	cr_assert_eq(punted->kind, SHM_DATAGRAM_STUN);
	cr_assert_eq(punted->flags, 0);
	cr_assert_eq(punted->l2_word, shm_neighbour_word(sender_mac, 5, 0));
	cr_assert_gt(punted->at_ns, 0);
	shm_ring_release(worker->punt);
	cr_assert_null(shm_ring_peek(worker->punt, &length));
}

Test(stun, punt_marks_clients_with_an_allocation)
{
	const struct shm_datagram *punted;
	char nonce[CHALLENGE_NONCE_CHARS];
	uint16_t length;

	program_allocation(CLIENT_V4, RELAYED_V4, true);
	nonce_get(CLIENT_V4, nonce);
	send_with_nonce(CLIENT_V4, TURN_REFRESH_REQUEST, nonce);
	expect_only(DP_COUNTER_PUNT);
	punted = shm_ring_peek(worker->punt, &length);
	cr_assert_not_null(punted);
	cr_assert_eq(punted->flags, SHM_DATAGRAM_F_ESTABLISHED);
	shm_ring_release(worker->punt);
}

Test(stun, newcomers_cannot_fill_the_ring_of_the_established)
{
	char nonce_established[CHALLENGE_NONCE_CHARS];
	char nonce[CHALLENGE_NONCE_CHARS];
	uint32_t n_full = 0;

	settings.punt_per_source_per_sec = 0;
	settings_publish();
	program_allocation(CLIENT_V4, RELAYED_V4, true);
	nonce_get(CLIENT_V4, nonce_established);
	nonce_get(OTHER_V4, nonce);
	for (uint32_t i = 0; i < SHM_RING_SLOTS; i++)
		send_with_nonce(OTHER_V4, TURN_ALLOCATE_REQUEST, nonce);
	n_full = (uint32_t)counted(DP_DROP_PUNT_FULL);
	cr_assert_eq(n_full, SHM_RING_SLOTS / 2);
	for (uint32_t i = 0; i < SHM_RING_SLOTS; i++)
		send_with_nonce(CLIENT_V4, TURN_REFRESH_REQUEST, nonce_established);
	cr_assert_eq(counted(DP_COUNTER_PUNT), SHM_RING_SLOTS);
	cr_assert_eq(counted(DP_DROP_PUNT_FULL) - n_full, SHM_RING_SLOTS / 2);
	cr_assert_eq(n_received(), n_outcomes());
}

Test(stun, one_source_may_punt_so_often)
{
	char nonce[CHALLENGE_NONCE_CHARS];
	char other[CHALLENGE_NONCE_CHARS];

	settings.punt_per_source_per_sec = 1;
	settings.punt_burst_pkts = 10;
	settings_publish();
	nonce_get(CLIENT_V4, nonce);
	nonce_get(OTHER_V4, other);
	for (uint32_t i = 0; i < 30; i++)
		send_with_nonce(CLIENT_V4, TURN_ALLOCATE_REQUEST, nonce);
	cr_assert_eq(counted(DP_COUNTER_PUNT), 10);
	cr_assert_eq(counted(DP_DROP_PUNT_RATE), 20);
	send_with_nonce(OTHER_V4, TURN_ALLOCATE_REQUEST, other);
	cr_assert_eq(counted(DP_COUNTER_PUNT), 11);
}

Test(stun, request_larger_than_a_slot_is_dropped)
{
	char nonce[CHALLENGE_NONCE_CHARS];
	static uint8_t filler[1900];
	struct stun_builder b;
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint8_t frame[FRAME_BYTES_MAX];
	uint32_t n;

	nonce_get(CLIENT_V4, nonce);
	b = begin(TURN_ALLOCATE_REQUEST);
	stun_build_attr(&b, STUN_ATTR_SOFTWARE, filler, sizeof(filler));
	add_credentials(&b, nonce, sizeof(nonce));
	n = (uint32_t)stun_build_end(&b);
	cr_assert_gt(n, SHM_DATAGRAM_BYTES_MAX);
	send_bytes(0, frame, frame_build(frame, &d, message, n));
	expect_only(DP_DROP_PUNT_TOO_BIG);
	expect_nothing_sent();
}

// ---- inject

static struct shm_datagram *inject(uint16_t n)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x77 };
	struct ip_endpoint client = endpoint(CLIENT_V4);
	struct shm_datagram *d = shm_ring_reserve(worker->inject);

	cr_assert_not_null(d);
	*d = (struct shm_datagram){
		.remote_port_be = client.port_be,
		.local_port_be = endpoint(LISTEN_V4).port_be,
		.local_idx = LISTENER_V4,
		.kind = SHM_DATAGRAM_STUN,
		.l2_word = shm_neighbour_word(mac, 33, 0),
		.length_bytes = n,
	};
	memcpy(d->remote_address, client.address.bytes, 16);
	memset(d->data, 0x5a, n);
	return d;
}

Test(stun, injected_answer_is_sent_on_the_path_it_names)
{
	uint8_t expected[1984];

	memset(expected, 0x5a, sizeof(expected));
	inject(100);
	shm_ring_commit(worker->inject);
	poll_once();
	expect_datagram(&out, LISTEN_V4, CLIENT_V4, expected, 100);
	cr_assert_eq(counted(DP_COUNTER_INJECT), 1);
	cr_assert_eq(out.bytes[5], 0x77);
	cr_assert_eq(out.view.vlan_tci, 33);
	cr_assert_eq(out.view.ttl, 64);
	cr_assert_neq(out.view.udp_checksum_be, 0);
}

Test(stun, largest_injected_answer_over_ipv6_and_vlan)
{
	struct ip_endpoint client = endpoint(CLIENT_V6);
	struct shm_datagram *d = inject(SHM_DATAGRAM_BYTES_MAX);
	uint32_t n_frames = 0;

	d->local_idx = LISTENER_V6;
	memcpy(d->remote_address, client.address.bytes, 16);
	shm_ring_commit(worker->inject);
	poll_once();
	cr_assert_eq(counted(DP_COUNTER_INJECT), 1);
	while (receive(&out))
		n_frames++;
	cr_assert_eq(n_frames, 2);
}

Test(stun, inject_that_names_what_is_not_ours_is_refused)
{
	for (uint32_t fault = 0; fault < 8; fault++) {
		struct shm_datagram *d = inject(20);

		switch (fault) {
		case 0:
			d->local_idx = LOCALS;
			break;
		case 1:
			d->local_idx = RELAY_V4;
			break;
		case 2:
			d->local_port_be = 1;
			break;
		case 3:
			d->l2_word = 0;
			break;
		case 4:
			d->l2_word |= 0xf;
			break;
		case 5:
			d->remote_port_be = 0;
			break;
		case 6:
			d->kind = 99;
			break;
		default:
			memcpy(d->remote_address, endpoint(CLIENT_V6).address.bytes, 16);
		}
		shm_ring_commit(worker->inject);
		poll_once();
		cr_assert_eq(counted(DP_DROP_BAD_INJECT), fault + 1, "fault %u", fault);
	}
	expect_nothing_sent();
}

Test(stun, a_full_inject_ring_drains_in_bursts)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 100; i++) {
		inject((uint16_t)(20 + i));
		shm_ring_commit(worker->inject);
	}
	poll_once();
	while (receive(&out))
		n++;
	cr_assert_eq(n, DP_BURST);
	for (uint32_t i = 0; i < 3; i++)
		poll_once();
	while (receive(&out))
		n++;
	cr_assert_eq(n, 100);
}
