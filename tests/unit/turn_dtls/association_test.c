// TURN over DTLS (RFC 7350, RFC 6347) against a client of OpenSSL's over the rings of a worker, which the test
// plays.
#include "tests/unit/turn_dtls/dtls_rig.h"

Test(turn_dtls, rfc7350_4_4_1_each_record_is_a_message)
{
	static const uint8_t data[] = { 0x40, 0x00, 0, 5, 'h', 'e', 'l', 'l', 'o' }; // no padding
	uint8_t bytes[SHM_DATAGRAM_BYTES_MAX], address[16], answer[2048];
	struct turn_stream *s;
	struct ip_endpoint to;
	struct dtls_rig r;
	struct peer p;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	cr_assert(shake_hands(&r, &p));
	cr_assert_str_eq(SSL_get_version(p.end.ssl), "DTLSv1.2");
	cr_assert(answers_binding(&r, &p));

	// ChannelData goes to a worker as it came.
	s = turn_streams_next(r.streams, 0);
	cr_assert_not_null(s);
	cr_assert_eq(s->transport, SHM_TRANSPORT_DTLS);
	cr_assert_eq(SSL_write(p.end.ssl, data, sizeof(data)), (int)sizeof(data));
	cr_assert_gt(read(p.end.wire_fd, answer, sizeof(answer)), 0);
	give(&r, &p.endpoint, answer, 13u + (size_t)bytes_get_be16(answer + 11));
	cr_assert_eq(take(&r, SHM_DATAGRAM_STREAM, bytes, &to), sizeof(data));
	cr_assert_arr_eq(bytes, data, sizeof(data));

	// What a worker has for the client comes as one record.
	shm_stream_address(s->idx, s->serial, address);
	turn_streams_deliver(r.streams, address, (const uint8_t *)"\x40\x00\0\3abc\0", 8, 1);
	carry(&r, &p);
	cr_assert_eq(SSL_read(p.end.ssl, answer, sizeof(answer)), 8);
	cr_assert_arr_eq(answer + 4, "abc", 3);
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc7350_4_4_data_leaves_half_of_the_ring_to_answers)
{
	uint8_t address[16];
	struct turn_stream *s;
	struct dtls_rig r;
	struct peer p;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	cr_assert(shake_hands(&r, &p));
	s = turn_streams_next(r.streams, 0);
	shm_stream_address(s->idx, s->serial, address);
	for (uint32_t i = 0; i < SHM_RING_SLOTS; i++)
		turn_streams_deliver(r.streams, address, (const uint8_t *)"\x40\x00\0\0", 4, 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_dropped_inject_full, SHM_RING_SLOTS / 2);
	cr_assert(turn_streams_send(r.streams, s->idx, s->serial, (const uint8_t *)"\x40\x00\0\0",
				    4));
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_dropped_inject_full, SHM_RING_SLOTS / 2);
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc6347_4_2_1_spoofed_sources_leave_nothing_and_get_less_than_they_sent)
{
	uint8_t hello[2048], bytes[SHM_DATAGRAM_BYTES_MAX];
	struct ip_endpoint spoofed = rig_endpoint("203.0.113.1:1"), to;
	struct dtls_rig r;
	struct peer p;
	ssize_t n;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	SSL_do_handshake(p.end.ssl);
	n = read(p.end.wire_fd, hello, sizeof(hello));
	cr_assert_gt(n, 0);
	for (uint32_t i = 0; i < 5000; i++) {
		spoofed.port_be = (uint16_t)i;
		give(&r, &spoofed, hello, (size_t)n);
		cr_assert_lt(take(&r, SHM_DATAGRAM_DTLS, bytes, &to), (size_t)n);
	}
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_associations, 0);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_cookies, 5000);
	cr_assert_null(turn_streams_next(r.streams, 0));
	// Too short to be answered by something as long.
	give(&r, &spoofed, hello, 40);
	cr_assert_eq(take(&r, SHM_DATAGRAM_DTLS, bytes, &to), 0);
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc6347_4_2_1_cookie_of_another_address_is_refused)
{
	uint8_t hello[2048], bytes[SHM_DATAGRAM_BYTES_MAX];
	struct ip_endpoint other = rig_endpoint("203.0.113.1:4000"), to;
	struct dtls_rig r;
	struct peer p;
	ssize_t n;
	size_t got;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	SSL_do_handshake(p.end.ssl);
	n = read(p.end.wire_fd, hello, sizeof(hello));
	give(&r, &p.endpoint, hello, (size_t)n);
	got = take(&r, SHM_DATAGRAM_DTLS, bytes, &to);
	cr_assert_eq(write(p.end.wire_fd, bytes, got), (ssize_t)got);
	SSL_do_handshake(p.end.ssl);
	n = read(p.end.wire_fd, hello, sizeof(hello));
	give(&r, &other, hello, (size_t)n);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_cookies_refused, 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_associations, 0);
	cr_assert_eq(take(&r, SHM_DATAGRAM_DTLS, bytes, &to), got); // another HelloVerifyRequest
	give(&r, &p.endpoint, hello, (size_t)n);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_associations, 1);
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc6347_4_2_3_client_hello_in_fragments)
{
	char name[240];
	struct dtls_rig r;
	struct peer p;

	memset(name, 'a', sizeof(name));
	for (size_t i = 50; i < sizeof(name); i += 50)
		name[i] = '.';
	name[sizeof(name) - 1] = '\0';
	open_rig(&r);
	peer_open(&p, CLIENT, 228);
	SSL_set_tlsext_host_name(p.end.ssl, name);
	cr_assert(shake_hands(&r, &p));
	cr_assert_gt(p.n_to_server, 6); // two ClientHellos took more than one datagram each
	cr_assert(answers_binding(&r, &p));
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc6347_4_2_4_every_datagram_of_the_handshake_may_be_lost)
{
	struct dtls_rig r;

	open_rig(&r);
	for (uint32_t i = 1; i <= 4; i++) {
		for (uint32_t side = 0; side < 2; side++) {
			struct peer p;

			peer_open(&p, CLIENT, 1200);
			*(side == 0 ? &p.lose_to_server : &p.lose_to_client) = i;
			cr_assert(shake_hands(&r, &p), "datagram %u of side %u", i, side);
			p.lose_to_server = p.lose_to_client = 0;
			cr_assert(answers_binding(&r, &p), "datagram %u of side %u", i, side);
			peer_close(&p);
		}
	}
	close_rig(&r);
}

Test(turn_dtls, rfc6347_4_2_8_client_that_lost_its_state_gets_through)
{
	struct dtls_rig r;
	struct peer first, second;
	uint8_t hello[2048];
	ssize_t n;

	open_rig(&r);
	peer_open(&first, CLIENT, 1200);
	peer_open(&second, CLIENT, 1200);
	cr_assert(shake_hands(&r, &first));
	// A ClientHello alone ends nothing: anybody may have sent it.
	SSL_do_handshake(second.end.ssl);
	n = read(second.end.wire_fd, hello, sizeof(hello));
	give(&r, &second.endpoint, hello, (size_t)n);
	carry(&r, &first);
	cr_assert(answers_binding(&r, &first));
	// The cookie does.
	cr_assert(shake_hands(&r, &second));
	cr_assert(answers_binding(&r, &second));
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_associations, 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_restarted, 1);
	peer_close(&first);
	peer_close(&second);
	close_rig(&r);
}

Test(turn_dtls, rfc6347_4_1_2_7_damaged_records_are_ignored)
{
	uint8_t record[2048];
	struct dtls_rig r;
	struct peer p;
	ssize_t n;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	cr_assert(shake_hands(&r, &p));
	cr_assert_eq(SSL_write(p.end.ssl, "\x40\x00\0\0", 4), 4);
	n = read(p.end.wire_fd, record, sizeof(record));
	for (ssize_t i = 0; i < n; i++) {
		record[i] ^= 0x10;
		give(&r, &p.endpoint, record, (size_t)n);
		record[i] ^= 0x10;
	}
	for (ssize_t i = 0; i < n; i++)
		give(&r, &p.endpoint, record, (size_t)i);
	cr_assert_eq(turn_streams_stats(r.streams)->n_messages_in, 0);
	give(&r, &p.endpoint, record, (size_t)n);
	give(&r, &p.endpoint, record, (size_t)n); // a replay
	cr_assert_eq(turn_streams_stats(r.streams)->n_messages_in, 1);
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc6347_close_notify_ends_the_stream)
{
	struct dtls_rig r;
	struct peer p;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	cr_assert(shake_hands(&r, &p));
	SSL_shutdown(p.end.ssl);
	carry(&r, &p);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_associations, 0);
	cr_assert_eq(turn_streams_stats(r.streams)->n_closed[TURN_STREAM_CLOSE_CLIENT], 1);
	cr_assert_null(turn_streams_next(r.streams, 0));
	peer_close(&p);
	close_rig(&r);
}

static unsigned int patient_timer_us(SSL *ssl, unsigned int last_us)
{
	return 600000000;
}

// The client's ClientHello with its cookie, and nothing after it.
static void begin_only(struct dtls_rig *r, struct peer *p)
{
	uint8_t bytes[SHM_DATAGRAM_BYTES_MAX];
	struct ip_endpoint to;
	ssize_t n;
	size_t got;

	// On a slow machine it would send its first ClientHello again, which is then read in place of the second.
	DTLS_set_timer_cb(p->end.ssl, patient_timer_us);
	SSL_do_handshake(p->end.ssl);
	n = read(p->end.wire_fd, bytes, sizeof(bytes));
	give(r, &p->endpoint, bytes, (size_t)n);
	got = take(r, SHM_DATAGRAM_DTLS, bytes, &to);
	cr_assert_eq(write(p->end.wire_fd, bytes, got), (ssize_t)got);
	SSL_do_handshake(p->end.ssl);
	n = read(p->end.wire_fd, bytes, sizeof(bytes));
	give(r, &p->endpoint, bytes, (size_t)n);
	while (take(r, SHM_DATAGRAM_DTLS, bytes, &to) > 0)
		;
}

Test(turn_dtls, rfc7350_handshakes_under_way_are_bounded_by_source_and_by_time)
{
	char endpoint[32];
	struct dtls_rig r;
	struct peer p;

	open_rig(&r);
	for (uint32_t i = 0; i < TURN_DTLS_HANDSHAKES_PER_SOURCE_MAX + 3; i++) {
		snprintf(endpoint, sizeof(endpoint), "192.0.2.1:%u", 5000 + i);
		peer_open(&p, endpoint, 1200);
		begin_only(&r, &p);
		peer_close(&p);
	}
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_handshakes, TURN_DTLS_HANDSHAKES_PER_SOURCE_MAX);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_refused_handshakes, 3);
	// Another source is not kept out by it.
	peer_open(&p, "192.0.2.2:5000", 1200);
	cr_assert(shake_hands(&r, &p));
	rig_advance(&r.rig, TURN_DTLS_HANDSHAKE_S);
	turn_dtls_tick(r.dtls, r.rig.now_ns);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_handshakes, 0);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_associations, 1);
	cr_assert(answers_binding(&r, &p));
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc7350_handshakes_that_never_end_keep_nobody_out, .timeout = 60)
{
	char endpoint[32];
	struct dtls_rig r;
	struct peer p;

	open_rig(&r);
	for (uint32_t i = 0; i < TURN_DTLS_HANDSHAKES_MAX; i++) {
		snprintf(endpoint, sizeof(endpoint), "192.0.2.%u:%u",
			 1 + i / TURN_DTLS_HANDSHAKES_PER_SOURCE_MAX, 5000 + i);
		peer_open(&p, endpoint, 1200);
		begin_only(&r, &p);
		peer_close(&p);
	}
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_handshakes, TURN_DTLS_HANDSHAKES_MAX);
	// Each has a moment of its own.
	peer_open(&p, "198.51.100.1:5000", 1200);
	begin_only(&r, &p);
	peer_close(&p);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_refused_handshakes, 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_displaced, 0);
	rig_advance(&r.rig, TURN_DTLS_HANDSHAKE_SURE_S);
	peer_open(&p, "198.51.100.1:5001", 1200);
	for (uint32_t i = 0; i < 400 && !p.end.is_connected; i++)
		carry(&r, &p);
	cr_assert(p.end.is_connected);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_displaced, 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_handshakes, TURN_DTLS_HANDSHAKES_MAX - 1);
	peer_close(&p);
	// A source that has its share displaces its own.
	peer_open(&p, "192.0.2.2:4000", 1200);
	begin_only(&r, &p);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_displaced, 2);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_handshakes, TURN_DTLS_HANDSHAKES_MAX - 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_refused_handshakes, 1);
	peer_close(&p);
	close_rig(&r);
}

// What OpenSSL keeps of messages in fragments is not for a client to choose that has only returned a cookie.
Test(turn_dtls, rfc6347_4_2_3_what_fragments_announce_is_bounded)
{
	uint8_t fragment[64] = { 22, 0xfe, 0xfd };
	struct dtls_rig r;
	size_t before;
	struct peer p;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	begin_only(&r, &p);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_handshakes, 1);
	before = mallinfo2().uordblks;
	// The beginnings of messages of 100000 bytes.
	bytes_put_be16(fragment + 11, sizeof(fragment) - 13);
	fragment[13] = 16;
	fragment[14] = 1;
	bytes_put_be16(fragment + 15, 0x8600);
	fragment[24] = sizeof(fragment) - 25;
	for (uint16_t i = 0; i < 32; i++) {
		bytes_put_be16(fragment + 9, 1000 + i);
		bytes_put_be16(fragment + 17, i);
		give(&r, &p.endpoint, fragment, sizeof(fragment));
	}
	cr_assert_lt(mallinfo2().uordblks, before + (400u << 10));
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, rfc7350_associations_without_an_allocation_end)
{
	struct dtls_rig r;
	struct peer p;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	cr_assert(shake_hands(&r, &p));
	rig_advance(&r.rig, 31);
	turn_streams_tick(r.streams, r.rig.now_ns);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_associations, 0);
	// Its client is told.
	carry(&r, &p);
	cr_assert_leq(SSL_read(p.end.ssl, &(uint8_t){ 0 }, 1), 0);
	cr_assert(SSL_get_shutdown(p.end.ssl) & SSL_RECEIVED_SHUTDOWN);
	peer_close(&p);
	close_rig(&r);
}

Test(turn_dtls, reload_gives_new_associations_the_new_certificate)
{
	struct peer before, after;
	struct dtls_rig r;
	X509 *a, *b;

	open_rig(&r);
	peer_open(&before, CLIENT, 1200);
	peer_open(&after, "192.0.2.1:4001", 1200);
	cr_assert(shake_hands(&r, &before));
	cr_assert_eq(turn_dtls_reload(r.dtls, dtls_peer_context(DTLS_server_method())), 0);
	cr_assert(answers_binding(&r, &before));
	cr_assert(shake_hands(&r, &after));
	a = SSL_get1_peer_certificate(before.end.ssl);
	b = SSL_get1_peer_certificate(after.end.ssl);
	cr_assert_neq(X509_cmp(a, b), 0);
	X509_free(a);
	X509_free(b);
	peer_close(&before);
	peer_close(&after);
	close_rig(&r);
}

Test(turn_dtls, no_listener_no_answer)
{
	uint8_t hello[2048], slot[SHM_RING_SLOT_BYTES] __attribute__((aligned(64))) = { 0 };
	struct shm_datagram *d = (struct shm_datagram *)slot;
	struct dtls_rig r;
	struct peer p;
	ssize_t n;

	open_rig(&r);
	peer_open(&p, CLIENT, 1200);
	SSL_do_handshake(p.end.ssl);
	n = read(p.end.wire_fd, hello, sizeof(hello));
	memcpy(d->data, hello, (size_t)n);
	d->local_port_be = 1;
	d->local_idx = 0xff;
	turn_dtls_receive(r.dtls, 0, d, (uint16_t)n, r.rig.now_ns, r.rig.wall_ns);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_ignored, 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_cookies, 0);
	peer_close(&p);
	close_rig(&r);
}
