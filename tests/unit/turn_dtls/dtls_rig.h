// A server over DTLS in a control plane without network, the rings of a worker that the test plays, and clients of OpenSSL's. For
// association_test.c alone.
#ifndef TP_TEST_DTLS_RIG_H
#define TP_TEST_DTLS_RIG_H

#include <malloc.h>
#include <openssl/err.h>
#include <unistd.h>

#include "controlplane/turn/dtls/dtls.h"
#include "tests/dtls/peer.h"
#include "tests/unit/controlplane/turn_rig.h"

#define CLIENT  "192.0.2.1:4000"
#define L2_WORD 0x1234

struct dtls_rig {
	struct rig rig;
	struct turn_streams *streams;
	struct turn_dtls *dtls;
};

struct peer {
	struct dtls_peer end;
	struct ip_endpoint endpoint;
	uint32_t n_to_server;
	uint32_t n_to_client;
	uint32_t lose_to_server; // that datagram, counted from 1; 0 = none
	uint32_t lose_to_client;
	size_t sent_bytes;
	size_t received_bytes;
};

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
	cr_assert_eq(turn_dtls_new(dtls_peer_context(DTLS_server_method()), &r->rig.engine.tables,
				   r->streams, &r->dtls),
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
	SSL_CTX *context = SSL_CTX_new(DTLS_client_method());

	memset(p, 0, sizeof(*p));
	p->endpoint = rig_endpoint(endpoint);
	dtls_peer_open(&p->end, context, mtu);
	SSL_CTX_free(context);
	DTLS_set_timer_cb(p->end.ssl, quick_timer_us);
	SSL_set_connect_state(p->end.ssl);
}

static void peer_close(struct peer *p)
{
	dtls_peer_close(&p->end);
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

	if (!p->end.is_connected) {
		ERR_clear_error();
		p->end.is_connected = SSL_do_handshake(p->end.ssl) == 1;
		DTLSv1_handle_timeout(p->end.ssl);
	}
	while ((n = read(p->end.wire_fd, bytes, sizeof(bytes))) > 0) {
		p->sent_bytes += (size_t)n;
		if (++p->n_to_server != p->lose_to_server)
			give(r, &p->endpoint, bytes, (size_t)n);
	}
	while ((got = take(r, SHM_DATAGRAM_DTLS, bytes, &to)) > 0) {
		cr_assert(ip_endpoint_equal(&to, &p->endpoint));
		p->received_bytes += got;
		if (++p->n_to_client != p->lose_to_client)
			cr_assert_eq(write(p->end.wire_fd, bytes, got), (ssize_t)got);
	}
}

static bool shake_hands(struct dtls_rig *r, struct peer *p)
{
	for (uint32_t i = 0; i < 400; i++) {
		carry(r, p);
		if (p->end.is_connected)
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
	cr_assert_eq(SSL_write(p->end.ssl, question, (int)n_bytes), (int)n_bytes);
	carry(r, p);
	return SSL_read(p->end.ssl, answer, 2048);
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

#endif
