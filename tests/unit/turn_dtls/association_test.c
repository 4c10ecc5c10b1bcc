// TURN over DTLS (RFC 7350, RFC 6347) against a client of OpenSSL's over the rings of a worker, which the test
// plays.
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/turn/dtls/dtls.h"
#include "tests/unit/controlplane/turn_rig.h"

#define CLIENT  "192.0.2.1:4000"
#define L2_WORD 0x1234

struct dtls_rig {
	struct rig rig;
	struct turn_streams *streams;
	struct turn_dtls *dtls;
};

// A client, with a datagram socket pair between it and the test.
struct peer {
	struct ip_endpoint endpoint;
	SSL_CTX *context;
	SSL *ssl;
	int fd;
	int wire_fd;
	bool is_connected;
	uint32_t n_to_server;
	uint32_t n_to_client;
	uint32_t lose_to_server; // that datagram, counted from 1; 0 = none
	uint32_t lose_to_client;
	size_t sent_bytes;
	size_t received_bytes;
};

static SSL_CTX *server_context(void)
{
	SSL_CTX *context = SSL_CTX_new(DTLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *c = X509_new();

	X509_gmtime_adj(X509_getm_notBefore(c), 0);
	X509_gmtime_adj(X509_getm_notAfter(c), 86400);
	X509_set_pubkey(c, key);
	cr_assert_neq(X509_sign(c, key, EVP_sha256()), 0);
	cr_assert_eq(SSL_CTX_use_certificate(context, c), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(context, key), 1);
	X509_free(c);
	EVP_PKEY_free(key);
	return context;
}

static void open_rig(struct dtls_rig *r)
{
	struct config *config = rig_config();

	config->streams.max_connections = 4096;
	config->streams.per_source_max = 256;
	config->streams.allocation_timeout_s = 30;
	rig_open(&r->rig, config);
	cr_assert_eq(turn_streams_new(config, NULL, &r->rig.engine.tables, r->rig.engine.turn,
				      &r->streams),
		     0);
	cr_assert_eq(turn_dtls_new(server_context(), &r->rig.engine.tables, r->streams, &r->dtls),
		     0);
}

static void close_rig(struct dtls_rig *r)
{
	turn_dtls_free(r->dtls);
	turn_streams_free(r->streams);
	rig_close(&r->rig);
}

// OpenSSL gives up after a dozen of them, and the server waits half a second before it repeats itself.
static unsigned int quick_timer_us(SSL *ssl, unsigned int last_us)
{
	return last_us == 0 ? 20000 : 2 * last_us;
}

static void peer_open(struct peer *p, const char *endpoint, long mtu)
{
	uint8_t nowhere[32] = { 0 };
	int fds[2];
	BIO *bio;

	memset(p, 0, sizeof(*p));
	p->endpoint = rig_endpoint(endpoint);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	p->fd = fds[0];
	p->wire_fd = fds[1];
	p->context = SSL_CTX_new(DTLS_client_method());
	p->ssl = SSL_new(p->context);
	bio = BIO_new_dgram(p->fd, BIO_NOCLOSE);
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, nowhere);
	SSL_set_bio(p->ssl, bio, bio);
	SSL_set_options(p->ssl, SSL_OP_NO_QUERY_MTU);
	SSL_set_mtu(p->ssl, mtu);
	DTLS_set_timer_cb(p->ssl, quick_timer_us);
	SSL_set_connect_state(p->ssl);
}

static void peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->context);
	close(p->fd);
	close(p->wire_fd);
}

static void give(struct dtls_rig *r, const struct ip_endpoint *client, const uint8_t *bytes,
		 size_t n_bytes)
{
	_Alignas(struct shm_datagram) uint8_t slot[SHM_RING_SLOT_BYTES] = { 0 };
	struct shm_datagram *d = (struct shm_datagram *)slot;

	memcpy(d->remote_address, client->address.bytes, 16);
	d->remote_port_be = client->port_be;
	d->local_port_be = rig_endpoint(RIG_LISTENER).port_be;
	d->kind = SHM_DATAGRAM_DTLS;
	d->l2_word = L2_WORD;
	d->length_bytes = (uint16_t)n_bytes;
	memcpy(d->data, bytes, n_bytes);
	turn_dtls_receive(r->dtls, 0, d, (uint16_t)n_bytes, r->rig.now_ns, r->rig.wall_ns);
}

// What the worker would send next to anybody; 0: nothing.
static size_t take(struct dtls_rig *r, uint8_t kind, uint8_t out[SHM_DATAGRAM_BYTES_MAX],
		   struct ip_endpoint *to)
{
	struct shm_ring *ring = table_writer_ring(&r->rig.engine.tables, 0, SHM_RING_INJECT);
	const struct shm_datagram *d;
	uint16_t n_bytes;

	d = shm_ring_peek(ring, &n_bytes);
	if (d == NULL)
		return 0;
	cr_assert_eq(d->kind, kind);
	if (kind == SHM_DATAGRAM_DTLS) {
		cr_assert_eq(d->l2_word, L2_WORD);
		cr_assert_eq(d->transport_idx, 0);
		cr_assert_eq(d->local_port_be, rig_endpoint(RIG_LISTENER).port_be);
	}
	memcpy(out, d->data, n_bytes);
	memcpy(to->address.bytes, d->remote_address, 16);
	to->port_be = d->remote_port_be;
	shm_ring_release(ring);
	return n_bytes;
}

// One round between a client and the server.
static void carry(struct dtls_rig *r, struct peer *p)
{
	uint8_t bytes[SHM_DATAGRAM_BYTES_MAX];
	struct ip_endpoint to;
	ssize_t n;
	size_t got;

	if (!p->is_connected) {
		ERR_clear_error();
		p->is_connected = SSL_do_handshake(p->ssl) == 1;
		DTLSv1_handle_timeout(p->ssl);
	}
	while ((n = read(p->wire_fd, bytes, sizeof(bytes))) > 0) {
		p->sent_bytes += (size_t)n;
		if (++p->n_to_server != p->lose_to_server)
			give(r, &p->endpoint, bytes, (size_t)n);
	}
	while ((got = take(r, SHM_DATAGRAM_DTLS, bytes, &to)) > 0) {
		cr_assert(ip_endpoint_equal(&to, &p->endpoint));
		p->received_bytes += got;
		if (++p->n_to_client != p->lose_to_client)
			cr_assert_eq(write(p->wire_fd, bytes, got), (ssize_t)got);
	}
}

static bool shake_hands(struct dtls_rig *r, struct peer *p)
{
	for (uint32_t i = 0; i < 400; i++) {
		carry(r, p);
		if (p->is_connected)
			return true;
		usleep(5000);
		turn_dtls_tick(r->dtls, r->rig.now_ns);
	}
	return false;
}

// Sends as one record, and reads what comes back as one.
static int ask(struct dtls_rig *r, struct peer *p, const void *question, size_t n_bytes,
	       uint8_t answer[2048])
{
	cr_assert_eq(SSL_write(p->ssl, question, (int)n_bytes), (int)n_bytes);
	carry(r, p);
	return SSL_read(p->ssl, answer, 2048);
}

static size_t binding_request(uint8_t out[64])
{
	static const uint8_t id[12] = "abcdefghijk";
	struct stun_builder b;

	stun_build_begin(&b, out, 64, STUN_BINDING_REQUEST, id);
	return stun_build_end(&b);
}

static bool answers_binding(struct dtls_rig *r, struct peer *p)
{
	uint8_t question[64], answer[2048];
	struct ip_endpoint mapped;
	struct stun_attr a;
	struct stun_view v;
	int n = ask(r, p, question, binding_request(question), answer);

	return n > 0 && stun_parse(answer, (size_t)n, &v) == STUN_OK &&
	       v.type == STUN_BINDING_SUCCESS &&
	       stun_attr_find(&v, STUN_ATTR_XOR_MAPPED_ADDRESS, &a) &&
	       stun_xor_address_get(&v, &a, &mapped) == 0 &&
	       ip_endpoint_equal(&mapped, &p->endpoint);
}

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
	cr_assert_str_eq(SSL_get_version(p.ssl), "DTLSv1.2");
	cr_assert(answers_binding(&r, &p));

	// ChannelData goes to a worker as it came.
	s = turn_streams_next(r.streams, 0);
	cr_assert_not_null(s);
	cr_assert_eq(s->transport, SHM_TRANSPORT_DTLS);
	cr_assert_eq(SSL_write(p.ssl, data, sizeof(data)), (int)sizeof(data));
	cr_assert_gt(read(p.wire_fd, answer, sizeof(answer)), 0);
	give(&r, &p.endpoint, answer, 13u + (size_t)bytes_get_be16(answer + 11));
	cr_assert_eq(take(&r, SHM_DATAGRAM_STREAM, bytes, &to), sizeof(data));
	cr_assert_arr_eq(bytes, data, sizeof(data));

	// What a worker has for the client comes as one record.
	shm_stream_address(s->idx, s->serial, address);
	turn_streams_deliver(r.streams, address, (const uint8_t *)"\x40\x00\0\3abc\0", 8, 1);
	carry(&r, &p);
	cr_assert_eq(SSL_read(p.ssl, answer, sizeof(answer)), 8);
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
	SSL_do_handshake(p.ssl);
	n = read(p.wire_fd, hello, sizeof(hello));
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
	SSL_do_handshake(p.ssl);
	n = read(p.wire_fd, hello, sizeof(hello));
	give(&r, &p.endpoint, hello, (size_t)n);
	got = take(&r, SHM_DATAGRAM_DTLS, bytes, &to);
	cr_assert_eq(write(p.wire_fd, bytes, got), (ssize_t)got);
	SSL_do_handshake(p.ssl);
	n = read(p.wire_fd, hello, sizeof(hello));
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
	SSL_set_tlsext_host_name(p.ssl, name);
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
	SSL_do_handshake(second.ssl);
	n = read(second.wire_fd, hello, sizeof(hello));
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
	cr_assert_eq(SSL_write(p.ssl, "\x40\x00\0\0", 4), 4);
	n = read(p.wire_fd, record, sizeof(record));
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
	SSL_shutdown(p.ssl);
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
	DTLS_set_timer_cb(p->ssl, patient_timer_us);
	SSL_do_handshake(p->ssl);
	n = read(p->wire_fd, bytes, sizeof(bytes));
	give(r, &p->endpoint, bytes, (size_t)n);
	got = take(r, SHM_DATAGRAM_DTLS, bytes, &to);
	cr_assert_eq(write(p->wire_fd, bytes, got), (ssize_t)got);
	SSL_do_handshake(p->ssl);
	n = read(p->wire_fd, bytes, sizeof(bytes));
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
	for (uint32_t i = 0; i < 400 && !p.is_connected; i++)
		carry(&r, &p);
	cr_assert(p.is_connected);
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
	cr_assert_leq(SSL_read(p.ssl, &(uint8_t){ 0 }, 1), 0);
	cr_assert(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN);
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
	cr_assert_eq(turn_dtls_reload(r.dtls, server_context()), 0);
	cr_assert(answers_binding(&r, &before));
	cr_assert(shake_hands(&r, &after));
	a = SSL_get1_peer_certificate(before.ssl);
	b = SSL_get1_peer_certificate(after.ssl);
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
	SSL_do_handshake(p.ssl);
	n = read(p.wire_fd, hello, sizeof(hello));
	memcpy(d->data, hello, (size_t)n);
	d->local_port_be = 1;
	d->local_idx = 0xff;
	turn_dtls_receive(r.dtls, 0, d, (uint16_t)n, r.rig.now_ns, r.rig.wall_ns);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_ignored, 1);
	cr_assert_eq(turn_dtls_stats(r.dtls)->n_cookies, 0);
	peer_close(&p);
	close_rig(&r);
}
