// ICE and DTLS at the worker: checks answered and refused, clients that move, DTLS both ways.
#include <criterion/criterion.h>

#include "dataplane/sfu/reception.h"
#include "tests/burst/sfu_session.h"

TestSuite(sfu_inside, .init = pipeline_sfu_init, .fini = session_fini, .timeout = 60);
TestSuite(sfu_inside_pair, .init = pipeline_sfu_pair_init, .fini = session_fini, .timeout = 60);
TestSuite(sfu_ice, .init = pipeline_sfu_init, .fini = session_fini, .timeout = 60);

#define MOVED_V4   "192.0.2.99:6001"
#define CLIENT2_V6 "[2001:db8:c::10]:5000"

static uint16_t error_code(const struct stun_view *m)
{
	struct stun_attr a;

	cr_assert(stun_attr_find(m, STUN_ATTR_ERROR_CODE, &a));
	return (uint16_t)(a.value[2] * 100 + a.value[3]);
}

Test(sfu_ice, rfc8445_7_3_check_is_answered)
{
	static const char *const from[] = { PUBLISHER_V4, CLIENT2_V6 };

	for (uint32_t i = 0; i < 2; i++) {
		struct shm_sfu_transport_state *st = sfu_transport_state(3 + i);
		uint32_t serial = session_open(3 + i, SHM_SFU_TRANSPORT_F_PUBLISHES);

		session_check(3 + i, from[i], 0);
		expect_only(DP_COUNTER_SFU_CHECK);
		session_expect_answer(3 + i, from[i], STUN_BINDING_SUCCESS);
		cr_assert_eq(st->serial, serial);
		cr_assert_eq(st->owner, 1);
		cr_assert_eq(st->phase, SHM_SFU_CHECKED);
		cr_assert_eq(st->remote_port_be, endpoint(from[i]).port_be);
		cr_assert_gt(st->last_check_ns, 0);
		cr_assert_eq(session_event(3 + i), SHM_SFU_EVENT_CHECKED);
		// Consent (RFC 7675) is no news.
		session_check(3 + i, from[i], 0);
		expect_only(DP_COUNTER_SFU_CHECK);
		session_expect_answer(3 + i, from[i], STUN_BINDING_SUCCESS);
		cr_assert_eq(session_event(3 + i), SHM_SFU_EVENT_NONE);
	}
}

Test(sfu_ice, rfc8445_7_3_2_use_candidate_moves_the_client)
{
	struct shm_sfu_transport_state *st = sfu_transport_state(3);

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_connect(3, PUBLISHER_V4);
	cr_assert_eq(st->phase, SHM_SFU_NOMINATED);
	// A check of another pair proves an address and moves nothing.
	session_check(3, MOVED_V4, 0);
	session_expect_answer(3, MOVED_V4, STUN_BINDING_SUCCESS);
	cr_assert_eq(st->remote_port_be, endpoint(PUBLISHER_V4).port_be);
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_NONE);
	session_check(3, MOVED_V4, CHECK_USE_CANDIDATE);
	session_expect_answer(3, MOVED_V4, STUN_BINDING_SUCCESS);
	cr_assert_eq(st->remote_port_be, endpoint(MOVED_V4).port_be);
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_NOMINATED);
	// Again is no other pair.
	session_check(3, MOVED_V4, CHECK_USE_CANDIDATE);
	session_expect_answer(3, MOVED_V4, STUN_BINDING_SUCCESS);
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_NONE);
}

Test(sfu_ice, rfc8489_9_1_3_wrong_password_is_refused_401)
{
	struct stun_view m;
	struct stun_attr a;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_check(3, PUBLISHER_V4, CHECK_USE_CANDIDATE | CHECK_BAD_PASSWORD);
	expect_only(DP_COUNTER_SFU_CHECK_REFUSED);
	m = session_expect_answer(3, PUBLISHER_V4, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&m), 401);
	cr_assert_not(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a));
	cr_assert_eq(sfu_transport_state(3)->serial, 0, "claimed by a forged check");
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_NONE);
}

Test(sfu_ice, fragments_of_nobody_are_refused_401)
{
	struct stun_view m;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	// The right index and password, and another random part.
	memcpy(sfu_keys(3)->old_ufrag, sfu_transport(3)->ufrag, ICE_UFRAG_CHARS);
	memcpy(sfu_keys(3)->old_ice_pwd, sfu_keys(3)->ice_pwd, ICE_PWD_CHARS);
	sfu_keys(3)->old_ufrag[ICE_UFRAG_CHARS - 1] ^= 1;
	session_check(3, PUBLISHER_V4, CHECK_OLD);
	expect_only(DP_COUNTER_SFU_CHECK_REFUSED);
	m = session_expect_answer(3, PUBLISHER_V4, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&m), 401);
	session_withdraw(3);
	session_check(3, PUBLISHER_V4, 0);
	expect_only(DP_COUNTER_SFU_CHECK_REFUSED);
	m = session_expect_answer(3, PUBLISHER_V4, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&m), 401);
}

Test(sfu_ice, rfc8445_7_3_1_1_role_conflict_is_answered_487)
{
	struct stun_view m;
	struct stun_attr a;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_check(3, PUBLISHER_V4, CHECK_CONTROLLED);
	expect_only(DP_COUNTER_SFU_CHECK_REFUSED);
	m = session_expect_answer(3, PUBLISHER_V4, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&m), 487);
	cr_assert(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a));
}

Test(sfu_ice, rfc8445_9_restart_keeps_the_old_pair_until_the_new_one)
{
	struct shm_sfu_transport_state *st = sfu_transport_state(3);

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_connect(3, PUBLISHER_V4);
	session_restart_ice(3);
	session_check(3, MOVED_V4, CHECK_OLD | CHECK_USE_CANDIDATE);
	expect_only(DP_COUNTER_SFU_CHECK);
	poll_once();
	{
		struct frame f;

		cr_assert(receive(&f), "an old fragment is not answered");
	}
	cr_assert_eq(st->remote_port_be, endpoint(PUBLISHER_V4).port_be, "an old fragment chose");
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_NONE);
	session_check(3, MOVED_V4, CHECK_USE_CANDIDATE);
	session_expect_answer(3, MOVED_V4, STUN_BINDING_SUCCESS);
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_CHECKED);
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_NOMINATED);
	cr_assert_eq(st->remote_port_be, endpoint(MOVED_V4).port_be);
}

Test(sfu_ice, unauthenticated_answers_never_exceed_what_came)
{
	uint64_t out_bytes = 0;
	uint64_t in_bytes = 0;
	struct frame f;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	for (uint32_t i = 0; i < 500; i++) {
		session_check(3, PUBLISHER_V4, CHECK_BAD_PASSWORD);
		in_bytes += 100;
		while (receive(&f))
			out_bytes += f.view.payload_bytes;
	}
	cr_assert_leq(out_bytes, in_bytes);
	cr_assert_eq(sfu_transport_state(3)->serial, 0);
}

Test(sfu_ice, plain_binding_is_answered_as_without_sfu)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };
	uint8_t message[64];
	struct stun_builder b;

	stun_build_begin(&b, message, sizeof(message), STUN_BINDING_REQUEST,
			 (const uint8_t *)"plain-stun-1");
	send_datagram(&d, message, (uint32_t)stun_build_end(&b));
	expect_only(DP_COUNTER_BINDING);
}

// The server of TURN would refuse it, for want of a realm, and nobody else would answer.
Test(sfu_ice, rfc8489_14_dtls_in_stun_is_ignored_and_the_check_answered)
{
	const struct shm_datagram *d;
	uint16_t n;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_check(3, PUBLISHER_V4, CHECK_DTLS);
	session_expect_answer(3, PUBLISHER_V4, STUN_BINDING_SUCCESS);
	while ((d = punted(0, &n)) != NULL)
		cr_expect_eq(d->kind, SHM_DATAGRAM_SFU_EVENT);
}

Test(sfu_ice, a_withdrawn_transport_leaves_nothing_to_its_successor)
{
	struct shm_sfu_transport_state *st = sfu_transport_state(3);
	uint32_t serial;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_connect(3, PUBLISHER_V4);
	st->srtcp_tx_index = 77;
	session_withdraw(3);
	session_wait_ms(30);
	serial = session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_check(3, MOVED_V4, 0);
	session_expect_answer(3, MOVED_V4, STUN_BINDING_SUCCESS);
	cr_assert_eq(st->serial, serial);
	cr_assert_eq(st->srtcp_tx_index, 0);
	cr_assert_eq(st->phase, SHM_SFU_CHECKED);
	cr_assert_eq(st->remote_port_be, endpoint(MOVED_V4).port_be);
	cr_assert_eq(session_event(3), SHM_SFU_EVENT_CHECKED);
}

// ---- DTLS

static const uint8_t record[] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xaa };

Test(sfu_ice, dtls_needs_a_proved_address)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };
	const struct shm_datagram *up;
	uint16_t n;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	send_datagram(&d, record, sizeof(record));
	expect_only(DP_DROP_SFU_NO_CLIENT);
	session_connect(3, PUBLISHER_V4);
	send_datagram(&d, record, sizeof(record));
	expect_only(DP_COUNTER_SFU_DTLS);
	up = punted(0, &n);
	cr_assert_not_null(up);
	cr_assert_eq(up->kind, SHM_DATAGRAM_DTLS);
	cr_assert_eq(up->transport_idx, 3);
	cr_assert_eq(n, sizeof(record));
	cr_assert_arr_eq(up->data, record, sizeof(record));
}

static void inject(uint32_t transport_idx)
{
	struct shm_datagram *d = shm_ring_reserve(worker->inject);

	*d = (struct shm_datagram){
		.kind = SHM_DATAGRAM_DTLS,
		.length_bytes = sizeof(record),
		.transport_idx = transport_idx,
	};
	memcpy(d->data, record, sizeof(record));
	shm_ring_commit(worker->inject);
	poll_once();
}

Test(sfu_ice, dtls_of_the_control_plane_goes_where_the_client_is)
{
	struct frame f;

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	inject(3);
	cr_assert_eq(counted(DP_DROP_SFU_NO_PATH), 1);
	inject(9999);
	cr_assert_eq(counted(DP_DROP_SFU_NO_PATH), 2);
	session_connect(3, PUBLISHER_V4);
	inject(3);
	expect_datagram(&f, LISTEN_V4, PUBLISHER_V4, record, sizeof(record));
	session_check(3, MOVED_V4, CHECK_USE_CANDIDATE);
	session_expect_answer(3, MOVED_V4, STUN_BINDING_SUCCESS);
	inject(3);
	expect_datagram(&f, LISTEN_V4, MOVED_V4, record, sizeof(record));
}

// An index that is used again: the client before knows nothing of it, and its association is not the new one's.
Test(sfu_ice, dtls_of_a_predecessor_is_not_its_successors)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_connect(3, PUBLISHER_V4);
	session_withdraw(3);
	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	// The worker has not looked at the table since.
	send_datagram(&d, record, sizeof(record));
	expect_only(DP_DROP_SFU_NO_CLIENT);
}

Test(sfu_ice, dtls_of_a_successor_does_not_go_to_its_predecessor)
{
	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_connect(3, PUBLISHER_V4);
	session_withdraw(3);
	session_wait_ms(30);
	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	inject(3);
	expect_nothing_sent();
	cr_assert_eq(counted(DP_DROP_SFU_NO_PATH), 1);
}

Test(sfu_ice, a_flood_of_dtls_leaves_room_for_others)
{
	struct dress d = { .from = PUBLISHER_V4, .to = LISTEN_V4 };

	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	session_connect(3, PUBLISHER_V4);
	for (uint32_t i = 0; i < 1200; i++)
		send_datagram(&d, record, sizeof(record));
	cr_assert_gt(counted(DP_DROP_PUNT_RATE) + counted(DP_DROP_PUNT_FULL), 0);
	cr_assert_gt(shm_ring_room(worker->punt), SHM_RING_SLOTS / 8);
}

// ---- clients behind our own relay

#define CHANNEL 0x4001

static void send_inside(const void *inner, uint16_t n)
{
	struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
	uint8_t outer[1024];

	send_datagram(&d, outer, channel_data(outer, CHANNEL, inner, n, 0));
}

static void open_inside(void)
{
	settings.local[LISTENER_V4].flags |= SHM_LOCAL_F_SFU;
	settings_publish();
	program_flow(CLIENT_V4, RELAYED_V4, LISTEN_V4, CHANNEL);
}

static uint16_t request_build(uint8_t *out, uint32_t room_bytes, uint16_t type)
{
	struct stun_builder b;

	stun_build_begin(&b, out, room_bytes, type, (const uint8_t *)"relayed-stun");
	return (uint16_t)stun_build_end(&b);
}

// RFC 8656 §21: no TURN over TURN, nor anything else of ours but the SFU.
Test(sfu_inside, only_what_is_the_sfus_is_taken)
{
	static const uint16_t types[] = { STUN_BINDING_REQUEST, STUN_BINDING_SUCCESS,
					  TURN_ALLOCATE_REQUEST, TURN_SEND_INDICATION };
	uint8_t inner[256];
	uint16_t n;

	open_inside();
	for (uint32_t i = 0; i < RTE_DIM(types); i++) {
		send_inside(inner, request_build(inner, sizeof(inner), types[i]));
		expect_only(DP_DROP_NO_RELAY);
	}
	n = (uint16_t)channel_data(inner, CHANNEL, "x", 1, 0);
	send_inside(inner, n);
	expect_only(DP_DROP_NO_RELAY);
	send_inside(inner, 0);
	expect_only(DP_DROP_NO_RELAY);
	expect_nothing_sent();
	cr_assert_null(punted(0, &n));
}

// What is sent from the wire under the relayed address is not inside.
Test(sfu_inside, our_own_address_on_the_wire_is_nobody)
{
	struct dress d = { .from = RELAYED_V4, .to = LISTEN_V4 };

	open_inside();
	send_datagram(&d, record, sizeof(record));
	expect_only(DP_DROP_BAD_SOURCE);
	expect_nothing_sent();
}

Test(sfu_inside, without_the_sfu_a_listener_is_no_peer)
{
	open_inside();
	settings.local[LISTENER_V4].flags &= (uint8_t)~SHM_LOCAL_F_SFU;
	settings_publish();
	send_inside(record, sizeof(record));
	expect_only(DP_DROP_PEER_DENIED);
	expect_nothing_sent();
}

Test(sfu_inside_pair, what_another_worker_owns_is_charged_once)
{
	static const uint8_t rtp[24] = { 0x80, 96 };
	struct ip_endpoint relayed = endpoint(RELAYED_V4);
	struct ip_endpoint client = endpoint(CLIENT_V4);
	struct shm_flow_key key = {
		.port_be = client.port_be,
		.local_port_be = endpoint(LISTEN_V4).port_be,
		.local_idx = LISTENER_V4,
		.kind = SHM_FLOW_CHANNEL,
		.channel_be = __builtin_bswap16(CHANNEL),
	};
	struct dp_sfu_remote_key remote;
	struct dp_sfu_client *c;
	const struct shm_flow *f;
	uint32_t at;

	open_inside();
	poll_once();
	session_open(3, SHM_SFU_TRANSPORT_F_PUBLISHES);
	c = dp_sfu_client_claim(worker2, 3);
	cr_assert_not_null(c);
	remote = dp_sfu_remote_key(&relayed, LISTENER_V4, endpoint(LISTEN_V4).port_be);
	dp_sfu_remote_prove(worker2, c, &remote);
	send_inside(rtp, sizeof(rtp));
	poll_once();
	cr_assert_eq(counted(DP_COUNTER_SFU_PASSED), 1);
	cr_assert_eq(worker2->state->counter[DP_DROP_SFU_NO_KEYS], 1);
	memcpy(key.address, client.address.bytes, 16);
	f = shm_flow_lookup(&worker->shared->flows, &key);
	cr_assert_not_null(f);
	at = dp_flow_idx(worker, f);
	cr_assert_eq(worker->usage[at].pkts, 1);
	cr_assert_eq(worker2->usage[at].pkts, 0);
	cr_assert_eq(worker2->state->counter[DP_COUNTER_UP_CHANNEL], 0);
}
