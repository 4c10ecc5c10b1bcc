// See link.h.
#include "controlplane/ctl/probe/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/stun_numbers.h"

// RFC 7443.
#define ALPN_TURN      "\x09stun.turn"
#define ALPN_DISCOVERY "\x12stun.nat-discovery"

uint64_t probe_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static const char *tls_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	return reason ? reason : "the peer ended it";
}

SSL_CTX *probe_tls_context(enum probe_transport t, const char *ca, bool is_turn, char *why,
			   size_t why_bytes)
{
	const char *alpn = is_turn ? ALPN_TURN : ALPN_DISCOVERY;
	SSL_CTX *c = SSL_CTX_new(t == PROBE_DTLS ? DTLS_client_method() : TLS_client_method());

	if (!c) {
		snprintf(why, why_bytes, "OpenSSL: %s", tls_reason());
		return NULL;
	}
	SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_default_verify_paths(c);
	if (ca && SSL_CTX_load_verify_locations(c, ca, NULL) != 1) {
		snprintf(why, why_bytes, "%s cannot be read as certificates (%s)", ca,
			 tls_reason());
		SSL_CTX_free(c);
		return NULL;
	}
	SSL_CTX_set_alpn_protos(c, (const unsigned char *)alpn, (unsigned)strlen(alpn));
	SSL_CTX_set_mode(c, SSL_MODE_AUTO_RETRY);
	return c;
}

// 1 when ready, 0 at the deadline.
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now_ns = probe_now_ns();
		struct pollfd p = { .fd = fd, .events = events };
		int ms = now_ns >= deadline_ns ? 0
					       : (int)((deadline_ns - now_ns + 999999) / 1000000);
		int n = poll(&p, 1, ms);

		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (probe_now_ns() >= deadline_ns)
			return 0;
	}
}

static int connect_socket(struct probe_link *l, bool is_stream, char *why, size_t why_bytes)
{
	struct sockaddr_storage address;
	socklen_t n = net_sockaddr_set(&l->server, &address);
	int error = 0, one = 1;
	socklen_t error_bytes = sizeof(error);

	l->fd = socket(address.ss_family,
		       (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		error = errno;
	else if (connect(l->fd, (struct sockaddr *)&address, n) < 0)
		error = errno;
	if (error == EINPROGRESS) {
		error = wait_for(l->fd, POLLOUT, probe_now_ns() + PROBE_CONNECT_NS) > 0 ? 0
											: ETIMEDOUT;
		if (error == 0)
			getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
	}
	if (error != 0) {
		snprintf(why, why_bytes, "%s",
			 error == ETIMEDOUT ? "no answer to the connection" : strerror(error));
		return -error;
	}
	if (is_stream)
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	n = sizeof(address);
	if (getsockname(l->fd, (struct sockaddr *)&address, &n) == 0)
		net_sockaddr_get(&address, &l->local);
	return 0;
}

static int shake_hands(struct probe_link *l, const char *host, SSL_CTX *tls, char *why,
		       size_t why_bytes)
{
	uint64_t deadline_ns = probe_now_ns() + PROBE_CONNECT_NS;
	BIO *bio;

	l->ssl = SSL_new(tls);
	if (!l->ssl)
		return -ENOMEM;
	if (l->transport == PROBE_DTLS) {
		struct sockaddr_storage address;

		net_sockaddr_set(&l->server, &address);
		bio = BIO_new_dgram(l->fd, BIO_NOCLOSE);
		if (!bio)
			return -ENOMEM;
		BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &address);
		SSL_set_bio(l->ssl, bio, bio);
	} else if (SSL_set_fd(l->ssl, l->fd) != 1) {
		return -ENOMEM;
	}
	if (host)
		SSL_set_tlsext_host_name(l->ssl, host);
	ERR_clear_error();
	for (;;) {
		int ret = SSL_connect(l->ssl), error;
		uint64_t step_ns = deadline_ns;

		if (ret == 1)
			return 0;
		error = SSL_get_error(l->ssl, ret);
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
			snprintf(why, why_bytes, "the handshake failed (%s)",
				 error == SSL_ERROR_SYSCALL && errno ? strerror(errno)
								     : tls_reason());
			return -EPROTO;
		}
		// Flights of DTLS that got lost are sent again each quarter of a second.
		if (l->transport == PROBE_DTLS && probe_now_ns() + 250000000ull < deadline_ns)
			step_ns = probe_now_ns() + 250000000ull;
		if (wait_for(l->fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, step_ns) > 0)
			continue;
		if (probe_now_ns() >= deadline_ns) {
			snprintf(why, why_bytes, "no answer to the handshake");
			return -ETIMEDOUT;
		}
		DTLSv1_handle_timeout(l->ssl);
	}
}

int probe_link_open(struct probe_link *l, enum probe_transport t, const struct ip_endpoint *server,
		    const char *host, SSL_CTX *tls, char *why, size_t why_bytes)
{
	int ret;

	l->transport = t;
	l->fd = -1;
	l->ssl = NULL;
	l->n_in = 0;
	l->server = *server;
	ret = connect_socket(l, t == PROBE_TCP || t == PROBE_TLS, why, why_bytes);
	if (ret == 0 && (t == PROBE_TLS || t == PROBE_DTLS))
		ret = shake_hands(l, host, tls, why, why_bytes);
	if (ret < 0)
		probe_link_close(l);
	return ret;
}

void probe_link_close(struct probe_link *l)
{
	if (l->ssl) {
		SSL_shutdown(l->ssl);
		SSL_free(l->ssl);
	}
	l->ssl = NULL;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

int probe_link_send(struct probe_link *l, const void *message, size_t n)
{
	uint64_t deadline_ns = probe_now_ns() + PROBE_CONNECT_NS;
	const uint8_t *at = message;

	while (n > 0) {
		ssize_t sent;
		bool would_wait;

		if (l->ssl) {
			int ret;

			ERR_clear_error();
			ret = SSL_write(l->ssl, at, (int)n);
			sent = ret;
			would_wait = ret <= 0 && SSL_get_error(l->ssl, ret) == SSL_ERROR_WANT_WRITE;
			if (ret <= 0 && !would_wait)
				return -EPIPE;
		} else {
			sent = send(l->fd, at, n, MSG_NOSIGNAL);
			would_wait = sent < 0 && (errno == EAGAIN || errno == EINTR);
			if (sent < 0 && !would_wait)
				return -errno;
		}
		if (would_wait) {
			if (wait_for(l->fd, POLLOUT, deadline_ns) <= 0)
				return -ETIMEDOUT;
			continue;
		}
		at += sent;
		n -= (size_t)sent;
	}
	return 0;
}

// What is there now: bytes, 0 for nothing yet, -errno.
static ssize_t read_some(struct probe_link *l, uint8_t *out, size_t out_bytes)
{
	ssize_t n;

	if (l->ssl) {
		int ret, error;

		ERR_clear_error();
		ret = SSL_read(l->ssl, out, (int)out_bytes);
		if (ret > 0)
			return ret;
		error = SSL_get_error(l->ssl, ret);
		return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -EPIPE;
	}
	n = recv(l->fd, out, out_bytes, 0);
	if (n > 0)
		return n;
	if (n == 0)
		return l->transport == PROBE_TCP ? -EPIPE : 0;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

// The first whole message of the stream: its length with padding in *taken, its own returned; 0 when it is not whole yet.
static ssize_t stream_message(const struct probe_link *l, size_t *taken)
{
	size_t n;

	if (l->n_in < 4)
		return 0;
	n = bytes_get_be16(l->in + 2);
	if ((l->in[0] & 0xc0) == 0x40) {
		n += TURN_CHANNEL_HEADER_BYTES;
		*taken = (n + 3) & ~(size_t)3;
	} else {
		n += STUN_HEADER_BYTES;
		*taken = n;
	}
	if (*taken > PROBE_MESSAGE_MAX)
		return -EBADMSG;
	return l->n_in >= *taken ? (ssize_t)n : 0;
}

ssize_t probe_link_receive(struct probe_link *l, uint8_t *out, size_t out_bytes,
			   uint64_t deadline_ns)
{
	bool is_stream = l->transport == PROBE_TCP || l->transport == PROBE_TLS;
	ssize_t n;
	int ret;

	for (;;) {
		if (is_stream) {
			size_t taken;

			n = stream_message(l, &taken);
			if (n < 0 || (size_t)n > out_bytes)
				return -EBADMSG;
			if (n > 0) {
				memcpy(out, l->in, (size_t)n);
				l->n_in -= taken;
				memmove(l->in, l->in + taken, l->n_in);
				return n;
			}
			n = read_some(l, l->in + l->n_in, sizeof(l->in) - l->n_in);
			if (n > 0) {
				l->n_in += (size_t)n;
				continue;
			}
		} else {
			n = read_some(l, out, out_bytes);
			if (n > 0)
				return n;
		}
		if (n < 0)
			return n;
		ret = wait_for(l->fd, POLLIN, deadline_ns);
		if (ret <= 0)
			return ret;
	}
}
