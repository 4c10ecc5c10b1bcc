// TURN messages over TCP and TLS, see turn_stream.h.
#include "tests/e2e/turn_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/contract/wire/bytes.h"

#define BUFFER_BYTES (1 << 20)

struct turn_stream {
	int fd;
	SSL_CTX *context;
	SSL *ssl; // NULL: plain TCP
	bool is_over;
	size_t in_bytes;
	size_t out_bytes;
	uint8_t in[BUFFER_BYTES];
	uint8_t out[BUFFER_BYTES];
};

static int shake_hands(struct turn_stream *s)
{
	static const unsigned char protocol[] = "\x09stun.turn"; // RFC 7443

	s->context = SSL_CTX_new(TLS_client_method());
	if (s->context == NULL)
		return -ENOMEM;
	SSL_CTX_set_mode(s->context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	s->ssl = SSL_new(s->context);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		return -ENOMEM;
	SSL_set_alpn_protos(s->ssl, protocol, sizeof(protocol) - 1);
	return SSL_connect(s->ssl) == 1 ? 0 : -EPROTO;
}

int turn_stream_open(int fd, bool is_tls, struct turn_stream **out)
{
	struct turn_stream *s = calloc(1, sizeof(*s));
	int one = 1;
	int ret;

	if (s == NULL)
		return -ENOMEM;
	s->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ret = is_tls ? shake_hands(s) : 0;
	if (ret == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		ret = -errno;
	if (ret < 0) {
		turn_stream_close(s);
		return ret;
	}
	*out = s;
	return 0;
}

void turn_stream_close(struct turn_stream *s)
{
	if (s == NULL)
		return;
	SSL_free(s->ssl);
	SSL_CTX_free(s->context);
	free(s);
}

// > 0: bytes moved; 0: not now; < 0: the stream is over.
static ssize_t move(struct turn_stream *s, bool is_reading, void *bytes, size_t n)
{
	ssize_t moved;
	int why;

	if (s->ssl != NULL) {
		moved = is_reading ? SSL_read(s->ssl, bytes, (int)n)
				   : SSL_write(s->ssl, bytes, (int)n);
		if (moved > 0)
			return moved;
		why = SSL_get_error(s->ssl, (int)moved);
		return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -ECONNRESET;
	}
	moved = is_reading ? recv(s->fd, bytes, n, 0) : send(s->fd, bytes, n, MSG_NOSIGNAL);
	if (moved > 0)
		return moved;
	return moved < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -ECONNRESET;
}

static void flush(struct turn_stream *s)
{
	while (s->out_bytes > 0 && !s->is_over) {
		ssize_t n = move(s, false, s->out, s->out_bytes);

		if (n == 0)
			return;
		if (n < 0) {
			s->is_over = true;
			return;
		}
		s->out_bytes -= (size_t)n;
		memmove(s->out, s->out + n, s->out_bytes);
	}
}

int turn_stream_send(struct turn_stream *s, const uint8_t *message, size_t message_bytes)
{
	size_t padded = (message_bytes + 3) & ~(size_t)3;

	if (s->is_over)
		return -ECONNRESET;
	if (s->out_bytes + padded > sizeof(s->out))
		return -ENOBUFS;
	memcpy(s->out + s->out_bytes, message, message_bytes);
	memset(s->out + s->out_bytes + message_bytes, 0, padded - message_bytes);
	s->out_bytes += padded;
	flush(s);
	return s->is_over ? -ECONNRESET : 0;
}

ssize_t turn_stream_take(struct turn_stream *s, uint8_t *out, size_t out_bytes)
{
	size_t message_bytes;
	size_t padded;

	flush(s);
	while (!s->is_over && s->in_bytes < sizeof(s->in)) {
		ssize_t n = move(s, true, s->in + s->in_bytes, sizeof(s->in) - s->in_bytes);

		if (n == 0)
			break;
		if (n < 0)
			s->is_over = true;
		else
			s->in_bytes += (size_t)n;
	}
	if (s->in_bytes < 4)
		return s->is_over ? -ECONNRESET : 0;
	message_bytes = bytes_get_be16(s->in + 2);
	if (s->in[0] < 4)
		message_bytes += 20;
	else if (s->in[0] >= 64 && s->in[0] < 80)
		message_bytes += 4;
	else
		return -EBADMSG;
	padded = (message_bytes + 3) & ~(size_t)3;
	if (message_bytes > out_bytes)
		return -EBADMSG;
	if (s->in_bytes < padded)
		return s->is_over ? -ECONNRESET : 0;
	memcpy(out, s->in, message_bytes);
	s->in_bytes -= padded;
	memmove(s->in, s->in + padded, s->in_bytes);
	return (ssize_t)message_bytes;
}
