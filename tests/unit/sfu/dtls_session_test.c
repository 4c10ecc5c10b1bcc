// What happens to sessions besides a clean handshake: loss, garbage, data, closing.
#include "tests/unit/sfu/dtls_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define PROFILE "SRTP_AEAD_AES_128_GCM"

static struct dtls_rig rig;

static void connect_as(enum dtls_role role)
{
	dtls_rig_open(&rig, role, PROFILE);
	dtls_rig_session(&rig, NULL, 0);
	cr_assert(dtls_rig_handshake(&rig, 3000));
}

static bool loses_one(const struct dtls_rig *r, uint32_t datagram_idx)
{
	return datagram_idx == r->fault_idx;
}

// Each datagram of a handshake lost once: the timers of both sides repair it.
static void loss_of_each(enum dtls_role role)
{
	uint32_t n_datagrams;
	uint64_t n_retransmits = 0;

	connect_as(role);
	n_datagrams = rig.n_carried;
	cr_assert_geq(n_datagrams, 4);
	dtls_rig_close(&rig);
	for (uint32_t i = 0; i < n_datagrams; i++) {
		dtls_rig_open(&rig, role, PROFILE);
		dtls_rig_session(&rig, NULL, 0);
		rig.is_lost = loses_one;
		rig.fault_idx = i;
		cr_assert(dtls_rig_handshake(&rig, 5000), "datagram %u of %u", i, n_datagrams);
		dtls_rig_keys_agree(&rig);
		n_retransmits += dtls_context_counters(rig.context)->n_retransmits;
		dtls_rig_close(&rig);
	}
	cr_assert_gt(n_retransmits, 0);
}

Test(dtls_session, rfc6347_4_2_4_loss_of_each_flight_as_server)
{
	loss_of_each(DTLS_ROLE_SERVER);
}

Test(dtls_session, rfc6347_4_2_4_loss_of_each_flight_as_client)
{
	loss_of_each(DTLS_ROLE_CLIENT);
}

static bool loses_a_third(const struct dtls_rig *r, uint32_t datagram_idx)
{
	return (datagram_idx * 2654435761u ^ r->fault_idx * 40503u) % 3 == 0;
}

Test(dtls_session, rfc6347_4_2_4_heavy_loss)
{
	for (uint32_t seed = 0; seed < 4; seed++) {
		dtls_rig_open(&rig, DTLS_ROLE_SERVER, PROFILE);
		dtls_rig_session(&rig, NULL, 0);
		rig.is_lost = loses_a_third;
		rig.fault_idx = seed;
		cr_assert(dtls_rig_handshake(&rig, 20000), "seed %u", seed);
		dtls_rig_keys_agree(&rig);
		dtls_rig_close(&rig);
	}
}

Test(dtls_session, rfc6347_4_1_2_6_repeated_datagrams)
{
	for (enum dtls_role role = 0; role < DTLS_ROLE_COUNT; role++) {
		dtls_rig_open(&rig, role, PROFILE);
		dtls_rig_session(&rig, NULL, 0);
		rig.repeats_all = true;
		cr_assert(dtls_rig_handshake(&rig, 3000));
		cr_assert_eq(rig.n_keys, 1);
		// A record counts once, however often it comes.
		cr_assert_gt(SSL_write(rig.peer.ssl, "once", 4), 0);
		dtls_rig_carry(&rig);
		cr_assert_eq(rig.n_data_bytes, 4);
		dtls_rig_close(&rig);
	}
}

static bool loses_all(const struct dtls_rig *r, uint32_t datagram_idx)
{
	return true;
}

Test(dtls_session, rfc6347_4_2_4_timer_backs_off)
{
	int64_t first_ms;

	dtls_rig_open(&rig, DTLS_ROLE_CLIENT, PROFILE);
	dtls_rig_session(&rig, NULL, 0);
	rig.is_lost = loses_all;
	cr_assert_eq(dtls_session_start(rig.session), 0);
	first_ms = dtls_session_timeout_ms(rig.session);
	cr_assert(first_ms > 50 && first_ms <= 150, "%ld ms", (long)first_ms);
	cr_assert_not(dtls_rig_handshake(&rig, 600));
	cr_assert_gt(dtls_session_timeout_ms(rig.session), 150);
	cr_assert_geq(dtls_context_counters(rig.context)->n_retransmits, 2);
	cr_assert_eq(rig.n_closed, 0);
	dtls_rig_close(&rig);
}

Test(dtls_session, application_data_both_ways)
{
	uint8_t large[DTLS_DATA_BYTES_MAX + 1];

	for (enum dtls_role role = 0; role < DTLS_ROLE_COUNT; role++) {
		connect_as(role);
		cr_assert_eq(dtls_session_send(rig.session, (const uint8_t *)"hello", 5), 0);
		dtls_rig_carry(&rig);
		cr_assert_eq(rig.n_peer_data_bytes, 5);
		cr_assert_eq(memcmp(rig.peer_data, "hello", 5), 0);
		cr_assert_eq(SSL_write(rig.peer.ssl, "world!", 6), 6);
		dtls_rig_carry(&rig);
		cr_assert_eq(rig.n_data_bytes, 6);
		cr_assert_eq(memcmp(rig.data, "world!", 6), 0);
		// The largest datagram is as long as the MTU.
		memset(large, 'x', sizeof(large));
		cr_assert_eq(dtls_session_send(rig.session, large, sizeof(large)), -EMSGSIZE);
		rig.longest_to_peer_bytes = 0;
		cr_assert_eq(dtls_session_send(rig.session, large, sizeof(large) - 1), 0);
		cr_assert_eq(rig.longest_to_peer_bytes, DTLS_MTU_BYTES);
		dtls_rig_close(&rig);
	}
}

Test(dtls_session, no_data_before_the_handshake)
{
	dtls_rig_open(&rig, DTLS_ROLE_SERVER, PROFILE);
	dtls_rig_session(&rig, NULL, 0);
	cr_assert_eq(dtls_session_send(rig.session, (const uint8_t *)"x", 1), -ENOTCONN);
	dtls_rig_close(&rig);
}

Test(dtls_session, rfc5246_7_2_1_close_notify_of_the_peer)
{
	connect_as(DTLS_ROLE_SERVER);
	SSL_shutdown(rig.peer.ssl);
	dtls_rig_carry(&rig);
	cr_assert_eq(rig.n_closed, 1);
	cr_assert_eq(rig.closed, DTLS_CLOSE_BY_PEER);
	// Answered with ours.
	cr_assert(SSL_get_shutdown(rig.peer.ssl) & SSL_RECEIVED_SHUTDOWN);
	cr_assert_eq(dtls_session_send(rig.session, (const uint8_t *)"x", 1), -ENOTCONN);
	cr_assert_not(dtls_session_is_connected(rig.session));
	dtls_rig_close(&rig);
}

Test(dtls_session, rfc5246_7_2_1_close_notify_of_ours)
{
	connect_as(DTLS_ROLE_CLIENT);
	dtls_session_close(rig.session);
	dtls_session_close(rig.session);
	cr_assert_eq(rig.n_closed, 1);
	cr_assert_eq(rig.closed, DTLS_CLOSE_BY_US);
	dtls_rig_carry(&rig);
	cr_assert(SSL_get_shutdown(rig.peer.ssl) & SSL_RECEIVED_SHUTDOWN);
	dtls_rig_close(&rig);
}

Test(dtls_session, renegotiation_is_refused)
{
	connect_as(DTLS_ROLE_SERVER);
	SSL_renegotiate(rig.peer.ssl);
	rig.peer.is_connected = false;
	for (int i = 0; i < 3; i++)
		dtls_rig_carry(&rig);
	cr_assert_not(rig.peer.is_connected);
	cr_assert_eq(rig.n_keys, 1);
	dtls_rig_close(&rig);
}

// RFC 6347 §4.1.2.7: what is invalid is dropped in silence, at every stage.
static void throw_garbage(uint32_t seed)
{
	uint8_t bytes[1500];

	srandom(seed);
	for (int i = 0; i < 200; i++) {
		size_t n = (size_t)random() % sizeof(bytes);

		for (size_t j = 0; j < n; j++)
			bytes[j] = (uint8_t)random();
		if (n > 3 && i % 2 == 0) {
			bytes[0] = (uint8_t)(20 + random() % 5);
			bytes[1] = 0xfe;
			bytes[2] = 0xfd;
		}
		// A plaintext record that is whole and of the right epoch would be the peer's word (until the
		// handshake ends there is no telling); these are of a later one.
		if (n > 4)
			bytes[3] |= 0x80;
		dtls_session_receive(rig.session, bytes, n);
	}
}

Test(dtls_session, rfc6347_4_1_2_7_garbage_is_ignored)
{
	for (enum dtls_role role = 0; role < DTLS_ROLE_COUNT; role++) {
		dtls_rig_open(&rig, role, PROFILE);
		dtls_rig_session(&rig, NULL, 0);
		throw_garbage(1);
		if (role == DTLS_ROLE_SERVER) {
			cr_assert_eq(dtls_context_counters(rig.context)->n_ignored, 200);
			cr_assert_eq(rig.n_to_peer, 0);
		}
		cr_assert_eq(dtls_session_start(rig.session), 0);
		throw_garbage(2);
		cr_assert(dtls_rig_handshake(&rig, 3000));
		throw_garbage(3);
		cr_assert_eq(rig.n_closed, 0);
		cr_assert_eq(rig.n_data_bytes, 0);
		cr_assert_eq(SSL_write(rig.peer.ssl, "still", 5), 5);
		dtls_rig_carry(&rig);
		cr_assert_eq(rig.n_data_bytes, 5);
		dtls_rig_close(&rig);
	}
}

Test(dtls_session, rfc6347_4_1_2_7_truncated_and_altered_records_are_ignored)
{
	uint8_t bytes[256];
	ssize_t n;

	connect_as(DTLS_ROLE_SERVER);
	cr_assert_eq(SSL_write(rig.peer.ssl, "intact", 6), 6);
	n = read(rig.peer.wire_fd, bytes, sizeof(bytes));
	cr_assert_gt(n, 0);
	for (ssize_t i = 0; i < n; i++) {
		dtls_session_receive(rig.session, bytes, (size_t)i);
		bytes[i] ^= 1;
		dtls_session_receive(rig.session, bytes, (size_t)n);
		bytes[i] ^= 1;
	}
	cr_assert_eq(rig.n_data_bytes, 0);
	cr_assert_eq(rig.n_closed, 0);
	dtls_session_receive(rig.session, bytes, (size_t)n);
	cr_assert_eq(rig.n_data_bytes, 6);
	dtls_rig_close(&rig);
}

// After a restart of the control plane a session has no association: records of the old one are nothing.
Test(dtls_session, records_without_an_association_are_ignored)
{
	struct dtls_session *old;
	uint8_t bytes[256];
	ssize_t n;

	connect_as(DTLS_ROLE_SERVER);
	old = rig.session;
	dtls_rig_session(&rig, NULL, 0);
	cr_assert_eq(SSL_write(rig.peer.ssl, "hello?", 6), 6);
	SSL_shutdown(rig.peer.ssl);
	while ((n = read(rig.peer.wire_fd, bytes, sizeof(bytes))) > 0)
		dtls_session_receive(rig.session, bytes, (size_t)n);
	cr_assert_eq(dtls_context_counters(rig.context)->n_ignored, 2);
	cr_assert_eq(rig.n_closed, 0);
	cr_assert_eq(rig.n_to_peer, 0);
	dtls_session_free(old);
	dtls_rig_close(&rig);
}

Test(dtls_session, client_hello_is_told_from_the_rest)
{
	uint8_t hello[25] = { 22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1, 0, 0, 0, 0, 7 };
	uint16_t message_seq = 0;

	cr_assert(dtls_is_client_hello(hello, 25, &message_seq));
	cr_assert_eq(message_seq, 7);
	cr_assert_not(dtls_is_client_hello(hello, 24, &message_seq));
	cr_assert_not(dtls_is_client_hello(hello, 0, &message_seq));
	for (int i = 0; i < 14; i++) {
		// Sequence numbers may be anything.
		if (i >= 5 && i <= 10)
			continue;
		hello[i] ^= 0x40;
		cr_assert_not(dtls_is_client_hello(hello, 25, &message_seq), "byte %d", i);
		hello[i] ^= 0x40;
	}
}
