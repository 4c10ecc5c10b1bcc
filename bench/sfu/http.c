// The exchange itself. Blocks for at most 5 s per step.
#include "bench/sfu/http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define REDIRECTS_MAX 3

struct stream {
	int fd;
	SSL *ssl; // NULL without TLS
};

static SSL_CTX *tls_context(void)
{
	static SSL_CTX *context;

	if (!context)
		context = SSL_CTX_new(TLS_client_method());
	return context;
}

static int stream_open(const struct http_url *url, struct stream *out)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	struct timeval limit = { .tv_sec = 5 };
	int one = 1;

	out->fd = -1;
	out->ssl = NULL;
	if (getaddrinfo(url->host, url->port, &hints, &all) != 0)
		return -EHOSTUNREACH;
	for (struct addrinfo *a = all; a && out->fd < 0; a = a->ai_next) {
		out->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (out->fd < 0)
			continue;
		setsockopt(out->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(out->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		setsockopt(out->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (connect(out->fd, a->ai_addr, a->ai_addrlen) < 0) {
			close(out->fd);
			out->fd = -1;
		}
	}
	freeaddrinfo(all);
	if (out->fd < 0)
		return -ECONNREFUSED;
	if (!url->is_tls)
		return 0;
	out->ssl = SSL_new(tls_context());
	if (out->ssl && SSL_set_fd(out->ssl, out->fd) == 1 &&
	    SSL_set_tlsext_host_name(out->ssl, url->host) == 1 && SSL_connect(out->ssl) == 1)
		return 0;
	SSL_free(out->ssl);
	close(out->fd);
	return -EPROTO;
}

static void stream_close(struct stream *s)
{
	if (s->ssl) {
		SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
	}
	close(s->fd);
}

static int stream_write(struct stream *s, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = s->ssl ? SSL_write(s->ssl, bytes, (int)n)
				      : send(s->fd, bytes, n, MSG_NOSIGNAL);

		if (done <= 0)
			return -EIO;
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

// To the end of the connection, which "Connection: close" makes the end of the answer.
static size_t stream_read(struct stream *s, char *bytes, size_t room)
{
	size_t n = 0;

	while (n < room) {
		ssize_t done = s->ssl ? SSL_read(s->ssl, bytes + n, (int)(room - n))
				      : recv(s->fd, bytes + n, room - n, 0);

		if (done <= 0)
			break;
		n += (size_t)done;
	}
	return n;
}

static int exchange_once(const struct http_request *r, const char *url_text, struct http_reply *out)
{
	static char text[HTTP_BODY_BYTES + 16384];
	struct http_url url;
	struct stream stream;
	int ret = http_url_parse(url_text, &url);
	size_t n;
	int head;

	if (ret < 0)
		return ret;
	head = snprintf(
		text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\nContent-Length: %zu\r\n"
		"%s%s%s%s%s%s%s%s%s\r\n",
		r->method, url.path, url.host, url.port, r->body_bytes,
		r->token ? "Authorization: Bearer " : "", r->token ? r->token : "",
		r->token ? "\r\n" : "", r->content_type ? "Content-Type: " : "",
		r->content_type ? r->content_type : "", r->content_type ? "\r\n" : "",
		r->if_match ? "If-Match: " : "", r->if_match ? r->if_match : "",
		r->if_match ? "\r\n" : "");
	if (head < 0 || (size_t)head >= sizeof(text))
		return -EMSGSIZE;
	ret = stream_open(&url, &stream);
	if (ret < 0)
		return ret;
	ret = stream_write(&stream, text, (size_t)head);
	if (ret == 0)
		ret = stream_write(&stream, r->body, r->body_bytes);
	n = ret < 0 ? 0 : stream_read(&stream, text, sizeof(text));
	stream_close(&stream);
	return ret < 0 ? ret : http_reply_parse(url_text, text, n, out);
}

int http_exchange(const struct http_request *request, struct http_reply *out)
{
	char url[HTTP_URL_BYTES];
	int ret;

	if (snprintf(url, sizeof(url), "%s", request->url) >= (int)sizeof(url))
		return -EINVAL;
	for (uint32_t i = 0;; i++) {
		ret = exchange_once(request, url, out);
		if (ret < 0 || (out->status != 307 && out->status != 308) || i == REDIRECTS_MAX ||
		    out->location[0] == '\0')
			return ret;
		memcpy(url, out->location, sizeof(url));
	}
}
