// A DTLS session: feeding OpenSSL datagrams and timers, and telling what comes of it. The control plane's
// loop thread.
#include "controlplane/sfu/dtls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "controlplane/sfu/dtls_private.h"
#include "dataplane/contract/wire/bytes.h"

#define RECORD_HEADER_BYTES    13
#define HANDSHAKE_HEADER_BYTES 12
#define CONTENT_HANDSHAKE      22
#define CLIENT_HELLO           1
// A record's plaintext; a datagram of DTLS_MTU_BYTES cannot hold more, but a peer's may.
#define PLAINTEXT_BYTES_MAX 16384
// RFC 6347 §4.2.4.1 suggests 1 s to begin with and lets time-sensitive applications take less: the path was
// measured by ICE, and each lost flight delays the first picture by this.
#define TIMER_FIRST_US 150000
#define TIMER_MAX_US   3000000

bool dtls_is_client_hello(const uint8_t *datagram, size_t n_bytes, uint16_t *message_seq)
{
	struct bytes_reader r = bytes_reader_init(datagram, n_bytes);
	const uint8_t *record = bytes_take(&r, RECORD_HEADER_BYTES);
	const uint8_t *handshake = bytes_take(&r, HANDSHAKE_HEADER_BYTES);

	if (record == NULL || handshake == NULL)
		return false;
	// DTLS 1.0 stands in the record of a first ClientHello, for old servers; epoch 0.
	if (record[0] != CONTENT_HANDSHAKE || record[1] != 0xfe ||
	    (record[2] != 0xff && record[2] != 0xfd) || bytes_get_be16(record + 3) != 0)
		return false;
	// The record is whole, and its first fragment of the message too.
	if (bytes_get_be16(record + 11) < HANDSHAKE_HEADER_BYTES ||
	    bytes_get_be16(record + 11) > n_bytes - RECORD_HEADER_BYTES)
		return false;
	*message_seq = bytes_get_be16(handshake + 4);
	return handshake[0] == CLIENT_HELLO;
}

static unsigned int timer_us(SSL *ssl, unsigned int last_us)
{
	if (last_us == 0)
		return TIMER_FIRST_US;
	return last_us * 2 < TIMER_MAX_US ? last_us * 2 : TIMER_MAX_US;
}

static void send_datagram(void *arg, const uint8_t *datagram, size_t n_bytes)
{
	struct dtls_session *s = arg;

	if (!s->is_cookie_bad)
		s->callbacks.send(s->callbacks_context, datagram, n_bytes);
}

SSL *dtls_ssl_new(struct dtls_session *s)
{
	SSL *ssl = SSL_new(s->context->ssl);
	BIO *bio;

	s->datagrams.send = send_datagram;
	s->datagrams.arg = s;
	bio = dtls_datagram_bio_new(s->context->bio, &s->datagrams);
	if (ssl == NULL || bio == NULL) {
		SSL_free(ssl);
		BIO_free(bio);
		return NULL;
	}
	SSL_set_bio(ssl, bio, bio);
	SSL_set_app_data(ssl, s);
	SSL_set_mtu(ssl, DTLS_MTU_BYTES);
	DTLS_set_timer_cb(ssl, timer_us);
	if (s->role == DTLS_ROLE_SERVER)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

int dtls_session_new(struct dtls_context *c, enum dtls_role role,
		     const struct sdp_fingerprint *fingerprints, uint32_t n_fingerprints,
		     const struct dtls_callbacks *callbacks, void *context,
		     struct dtls_session **out)
{
	enum sdp_hash strongest = SDP_HASH_SHA1;
	struct dtls_session *s;

	*out = NULL;
	for (uint32_t i = 0; i < n_fingerprints; i++)
		if (fingerprints[i].hash > strongest)
			strongest = fingerprints[i].hash;
	if (strongest < SDP_HASH_SHA256 || strongest >= SDP_HASH_COUNT ||
	    n_fingerprints > SDP_FINGERPRINTS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_fingerprints; i++)
		if (fingerprints[i].hash == strongest)
			s->expected[s->n_expected++] = fingerprints[i];
	s->context = c;
	s->role = role;
	s->callbacks = *callbacks;
	s->callbacks_context = context;
	s->serial = ++c->n_sessions;
	*out = s;
	return 0;
}

static void ssl_drop(struct dtls_session *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->is_hello_verify_sent = false;
	s->is_cookie_good = false;
	s->is_cookie_bad = false;
}

void dtls_session_free(struct dtls_session *s)
{
	if (s == NULL)
		return;
	SSL_free(s->ssl); // wipes the master secret and the record keys
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static void end(struct dtls_session *s, enum dtls_close_reason reason, const char *detail)
{
	if (s->closed != DTLS_CLOSE_NONE)
		return;
	s->closed = reason;
	s->context->counters.n_closed[reason]++;
	s->callbacks.closed(s->callbacks_context, reason, detail);
}

// A static text for an error of OpenSSL, empty when it knows none.
static const char *error_text(unsigned long error)
{
	const char *text = error != 0 ? ERR_reason_error_string(error) : NULL;

	return text != NULL ? text : "";
}

// After OpenSSL returned `ret`: false when it only waits for more.
static bool has_ended(struct dtls_session *s, int ret)
{
	unsigned long error;
	const char *text;

	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return false;
	case SSL_ERROR_ZERO_RETURN:
		SSL_shutdown(s->ssl); // answers close_notify with ours
		end(s, DTLS_CLOSE_BY_PEER, "close_notify");
		return true;
	default:
		break;
	}
	error = ERR_peek_last_error();
	text = error_text(error);
	if (s->is_cookie_bad)
		ssl_drop(s); // as if it had never come
	else if (s->is_fingerprint_bad)
		end(s, DTLS_CLOSE_FINGERPRINT, text);
	else if (s->is_connected || (ERR_GET_LIB(error) == ERR_LIB_SSL &&
				     ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET))
		end(s, DTLS_CLOSE_ALERT, text);
	else
		end(s, DTLS_CLOSE_HANDSHAKE, text);
	ERR_clear_error();
	return true;
}

static void announce_keys(struct dtls_session *s)
{
	struct dtls_keys keys;

	if (dtls_keys_export(s->ssl, s->role, &keys) < 0) {
		end(s, DTLS_CLOSE_HANDSHAKE, error_text(ERR_peek_last_error()));
		ERR_clear_error();
		return;
	}
	s->is_connected = true;
	s->context->counters.n_connected++;
	s->callbacks.keys(s->callbacks_context, &keys);
	OPENSSL_cleanse(&keys, sizeof(keys));
}

// Handshakes and reads until OpenSSL wants another datagram.
static void advance(struct dtls_session *s)
{
	uint8_t plaintext[PLAINTEXT_BYTES_MAX];
	int ret;

	ERR_clear_error();
	if (!s->is_connected) {
		ret = SSL_do_handshake(s->ssl);
		if (ret != 1) {
			has_ended(s, ret);
			return;
		}
		announce_keys(s);
	}
	while (s->closed == DTLS_CLOSE_NONE) {
		ret = SSL_read(s->ssl, plaintext, sizeof(plaintext));
		if (ret <= 0) {
			has_ended(s, ret);
			break;
		}
		s->callbacks.data(s->callbacks_context, plaintext, (size_t)ret);
	}
}

int dtls_session_start(struct dtls_session *s)
{
	if (s->role == DTLS_ROLE_SERVER || s->ssl != NULL || s->closed != DTLS_CLOSE_NONE)
		return 0;
	s->ssl = dtls_ssl_new(s);
	if (s->ssl == NULL)
		return -EIO;
	advance(s);
	return 0;
}

// Whether the server has, or now gets, the SSL that this datagram is for.
static bool is_prepared(struct dtls_session *s, const uint8_t *datagram, size_t n_bytes)
{
	uint16_t message_seq;
	bool is_hello;

	if (s->role == DTLS_ROLE_CLIENT || s->is_connected || s->is_cookie_good)
		return s->ssl != NULL;
	is_hello = dtls_is_client_hello(datagram, n_bytes, &message_seq);
	// When our HelloVerifyRequest is lost, the client repeats its first ClientHello, which OpenSSL would
	// take for an old message. Nothing is kept until the cookie returns, so the exchange begins anew.
	if (s->ssl != NULL && s->is_hello_verify_sent && is_hello && message_seq == 0)
		ssl_drop(s);
	if (s->ssl == NULL && is_hello && message_seq == 0)
		s->ssl = dtls_ssl_new(s);
	return s->ssl != NULL;
}

void dtls_session_receive(struct dtls_session *s, const uint8_t *datagram, size_t n_bytes)
{
	if (s->closed != DTLS_CLOSE_NONE)
		return;
	if (n_bytes < RECORD_HEADER_BYTES || n_bytes > UINT16_MAX ||
	    !is_prepared(s, datagram, n_bytes)) {
		s->context->counters.n_ignored++;
		return;
	}
	s->datagrams.in = datagram;
	s->datagrams.in_bytes = n_bytes;
	advance(s);
	s->datagrams.in = NULL;
}

int64_t dtls_session_timeout_ms(struct dtls_session *s)
{
	struct timeval left;

	if (s->ssl == NULL || s->closed != DTLS_CLOSE_NONE ||
	    DTLSv1_get_timeout(s->ssl, &left) != 1)
		return -1;
	return (int64_t)left.tv_sec * 1000 + (left.tv_usec + 999) / 1000;
}

void dtls_session_timer(struct dtls_session *s)
{
	int ret;

	if (s->ssl == NULL || s->closed != DTLS_CLOSE_NONE)
		return;
	ERR_clear_error();
	ret = DTLSv1_handle_timeout(s->ssl);
	if (ret > 0) {
		s->context->counters.n_retransmits++;
	} else if (ret < 0) {
		end(s, DTLS_CLOSE_TIMEOUT, error_text(ERR_peek_last_error()));
		ERR_clear_error();
	}
}

int dtls_session_send(struct dtls_session *s, const uint8_t *bytes, size_t n_bytes)
{
	int ret;

	if (!s->is_connected || s->closed != DTLS_CLOSE_NONE)
		return -ENOTCONN;
	if (n_bytes == 0 || n_bytes > DTLS_DATA_BYTES_MAX)
		return -EMSGSIZE;
	ERR_clear_error();
	ret = SSL_write(s->ssl, bytes, (int)n_bytes);
	if (ret > 0)
		return 0;
	return has_ended(s, ret) ? -ENOTCONN : -EAGAIN;
}

void dtls_session_close(struct dtls_session *s)
{
	if (s->closed != DTLS_CLOSE_NONE)
		return;
	ERR_clear_error();
	if (s->is_connected)
		SSL_shutdown(s->ssl);
	ERR_clear_error();
	end(s, DTLS_CLOSE_BY_US, "close_notify");
}

bool dtls_session_is_connected(const struct dtls_session *s)
{
	return s->is_connected && s->closed == DTLS_CLOSE_NONE;
}

const char *dtls_close_reason_name(enum dtls_close_reason reason)
{
	static const char *const names[DTLS_CLOSE_REASON_COUNT] = {
		[DTLS_CLOSE_NONE] = "none",           [DTLS_CLOSE_BY_US] = "us",
		[DTLS_CLOSE_BY_PEER] = "peer",        [DTLS_CLOSE_FINGERPRINT] = "fingerprint",
		[DTLS_CLOSE_HANDSHAKE] = "handshake", [DTLS_CLOSE_TIMEOUT] = "timeout",
		[DTLS_CLOSE_ALERT] = "alert",
	};

	return reason < DTLS_CLOSE_REASON_COUNT ? names[reason] : "unknown";
}
