// One association: OpenSSL fed with datagrams and timers, its records as messages of a stream, and the stream's
// messages as records. Control plane's loop thread.
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/dtls/dtls_private.h"

// A record's plaintext; workers punt no longer datagrams.
#define MESSAGE_BYTES_MAX SHM_DATAGRAM_BYTES_MAX
#define TIMER_FIRST_US    500000
#define TIMER_MAX_US      4000000

// A ClientHello without a cookie, as short as one can be. OpenSSL looks at its cookie only and forgets it.
static const uint8_t first_hello[] = {
	22,   0xfe, 0xff, 0,  0,    0,    0, 0, 0, 0, 0, 0,  54,    // record
	1,    0,    0,    42, 0,    0,    0, 0, 0, 0, 0, 42,        // handshake
	0xfe, 0xfd, 0,    0,  0,    0,    0, 0, 0, 0, 0, 0,  0,  0, // version, random
	0,    0,    0,    0,  0,    0,    0, 0, 0, 0, 0, 0,  0,  0, //
	0,    0,    0,    0,  0,    0,                              //
	0,    0,    0,    2,  0xc0, 0x2b, 1, 0, // no session, no cookie, one suite, no compression
};
static_assert(sizeof(first_hello) == 13 + 54, "record");

static unsigned int timer_us(SSL *ssl, unsigned int last_us)
{
	if (last_us == 0)
		return TIMER_FIRST_US;
	return last_us * 2 < TIMER_MAX_US ? last_us * 2 : TIMER_MAX_US;
}

static void association_free(struct turn_dtls_association *a)
{
	SSL_free(a->ssl); // wipes the master secret and the record keys
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

// ---- as a carrier of its stream

// One message, one record.
static void carrier_write(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes,
			  uint64_t at_ns)
{
	struct turn_dtls_association *a = s->carrier_arg;

	if (!a->is_connected)
		return;
	if (n_bytes + TURN_DTLS_OVERHEAD_BYTES > SHM_DATAGRAM_BYTES_MAX) {
		a->dtls->stats.n_dropped_size++;
		s->n_dropped_out++;
		return;
	}
	a->is_data = at_ns != 0;
	ERR_clear_error();
	SSL_write(a->ssl, bytes, (int)n_bytes);
	ERR_clear_error();
	a->is_data = false;
}

static void carrier_close(struct turn_stream *s, enum turn_stream_close_reason reason)
{
	struct turn_dtls_association *a = s->carrier_arg;

	a->stream = NULL;
	turn_dtls_unlink(a->dtls, a);
	ERR_clear_error();
	if (a->is_connected)
		SSL_shutdown(a->ssl);
	ERR_clear_error();
	if (!a->is_in_use)
		association_free(a);
}

static const struct turn_stream_carrier carrier = {
	.write = carrier_write,
	.close = carrier_close,
};

// ---- its life

// A full ring loses it, as the network may.
static void send_datagram(void *arg, const uint8_t *datagram, size_t n_bytes)
{
	struct turn_dtls_association *a = arg;

	if (!a->is_mute)
		turn_dtls_send(a->dtls, &a->ends, a->worker_idx, a->l2_word, a->is_data, datagram,
			       n_bytes);
}

// Brings OpenSSL to where it is after a HelloVerifyRequest.
static int prime(struct turn_dtls_association *a)
{
	int ret;

	a->datagrams.in = first_hello;
	a->datagrams.in_bytes = sizeof(first_hello);
	a->is_mute = true;
	ERR_clear_error();
	ret = SSL_do_handshake(a->ssl);
	a->is_mute = false;
	if (ret == 1 || SSL_get_error(a->ssl, ret) != SSL_ERROR_WANT_READ ||
	    a->datagrams.in != NULL) {
		ERR_clear_error();
		return -EIO;
	}
	return 0;
}

int turn_dtls_association_new(struct turn_dtls *d, const struct turn_dtls_ends *ends,
			      const struct turn_dtls_hello *hello, uint8_t realm_idx,
			      uint64_t now_ns, struct turn_dtls_association **out)
{
	struct turn_stream_params params = {
		.transport = SHM_TRANSPORT_DTLS,
		.realm_idx = realm_idx,
		.client = ends->client,
		.carrier = &carrier,
		.now_ns = now_ns,
	};
	struct turn_dtls_association *a = calloc(1, sizeof(*a));
	BIO *bio;
	int ret = -EIO;

	if (a == NULL)
		return -ENOMEM;
	a->dtls = d;
	a->ends = *ends;
	a->opened_at_ns = now_ns;
	memcpy(a->random, hello->random, sizeof(a->random));
	memcpy(a->cookie, hello->cookie, sizeof(a->cookie));
	a->ssl = SSL_new(d->context);
	a->datagrams.send = send_datagram;
	a->datagrams.arg = a;
	bio = dtls_datagram_bio_new(d->bio, &a->datagrams);
	if (a->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		goto fail;
	}
	SSL_set_bio(a->ssl, bio, bio);
	SSL_set_app_data(a->ssl, a);
	SSL_set_mtu(a->ssl, TURN_DTLS_MTU_BYTES);
	DTLS_set_timer_cb(a->ssl, timer_us);
	SSL_set_accept_state(a->ssl);
	ret = prime(a);
	if (ret < 0)
		goto fail;
	params.carrier_arg = a;
	params.server.address =
		ip_address_from_v6(d->tables->settings.local[ends->local_idx].address);
	params.server.port_be = ends->local_port_be;
	ret = turn_streams_open(d->streams, &params, &a->stream);
	if (ret < 0)
		goto fail;
	turn_dtls_link(d, a);
	*out = a;
	return 0;
fail:
	association_free(a);
	return ret;
}

// After OpenSSL returned `ret`: the stream ends but for where it only waits for more.
static void look_at_end(struct turn_dtls_association *a, int ret)
{
	int error = SSL_get_error(a->ssl, ret);

	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return;
	if (!a->is_connected)
		a->dtls->stats.n_failed++;
	turn_stream_close(a->stream, error == SSL_ERROR_ZERO_RETURN ? TURN_STREAM_CLOSE_CLIENT
								    : TURN_STREAM_CLOSE_TLS);
}

void turn_dtls_association_receive(struct turn_dtls_association *a, const uint8_t *datagram,
				   size_t n_bytes, uint64_t now_ns, uint64_t wall_ns)
{
	uint8_t message[MESSAGE_BYTES_MAX];
	int ret;

	a->is_in_use = true;
	a->datagrams.in = datagram;
	a->datagrams.in_bytes = n_bytes;
	ERR_clear_error();
	if (!a->is_connected) {
		ret = SSL_do_handshake(a->ssl);
		if (ret == 1) {
			a->is_connected = true;
			a->dtls->stats.n_connected++;
			turn_dtls_handshake_done(a->dtls, a);
		} else {
			look_at_end(a, ret);
		}
	}
	// A message may end the stream.
	while (a->stream != NULL && a->is_connected) {
		ret = SSL_read(a->ssl, message, sizeof(message));
		if (ret <= 0) {
			look_at_end(a, ret);
			break;
		}
		turn_streams_receive(a->stream, message, (size_t)ret, now_ns, wall_ns);
	}
	OPENSSL_cleanse(message, sizeof(message));
	a->datagrams.in = NULL;
	a->is_in_use = false;
	if (a->stream == NULL)
		association_free(a);
}

void turn_dtls_association_timer(struct turn_dtls_association *a)
{
	int ret;

	ERR_clear_error();
	ret = DTLSv1_handle_timeout(a->ssl);
	ERR_clear_error();
	if (ret > 0) {
		a->dtls->stats.n_retransmits++;
	} else if (ret < 0) {
		a->dtls->stats.n_failed++;
		turn_stream_close(a->stream, TURN_STREAM_CLOSE_NO_HANDSHAKE);
	}
}
