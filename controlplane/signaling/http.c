// Sockets, TLS and limits around evhttp. Control plane's loop thread.
#include "controlplane/signaling/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/ops/log.h"
#include "controlplane/signaling/connections.h"

#define METHODS                                                                                    \
	(EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH |  \
	 EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS)

struct http_server {
	struct event_base *base;
	struct evhttp *plain;
	struct evhttp *secure; // the same, behind TLS
	SSL_CTX *tls;
	struct connections *connections;
	http_handler_fn handler;
	void *handler_arg;
	uint16_t ports[SIGNALING_LISTENERS_MAX];
};

static enum http_method method_of(struct evhttp_request *request)
{
	switch (evhttp_request_get_command(request)) {
	case EVHTTP_REQ_GET:
		return HTTP_METHOD_GET;
	case EVHTTP_REQ_HEAD:
		return HTTP_METHOD_HEAD;
	case EVHTTP_REQ_POST:
		return HTTP_METHOD_POST;
	case EVHTTP_REQ_PUT:
		return HTTP_METHOD_PUT;
	case EVHTTP_REQ_PATCH:
		return HTTP_METHOD_PATCH;
	case EVHTTP_REQ_DELETE:
		return HTTP_METHOD_DELETE;
	case EVHTTP_REQ_OPTIONS:
		return HTTP_METHOD_OPTIONS;
	default:
		return HTTP_METHOD_OTHER;
	}
}

static const char *field(struct evhttp_request *request, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(request), name);
}

static void send_response(struct evhttp_request *to, const struct http_response *response)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(to);
	struct evbuffer *body = evbuffer_new();

	// RFC 9110 §9.3.2: evhttp would send it, and the next response on the connection would begin with it.
	if (body != NULL && response->body_bytes > 0 &&
	    evhttp_request_get_command(to) != EVHTTP_REQ_HEAD)
		evbuffer_add(body, response->body, response->body_bytes);
	for (unsigned i = 0; i < response->n_headers; i++)
		evhttp_add_header(headers, response->headers[i].name, response->headers[i].value);
	// The reason phrase is evhttp's own.
	evhttp_send_reply(to, response->status, NULL, body);
	if (body != NULL)
		evbuffer_free(body);
}

static void on_request(struct evhttp_request *from, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(from);
	struct evbuffer *body = evhttp_request_get_input_buffer(from);
	struct evhttp_connection *connection = evhttp_request_get_connection(from);
	struct http_server *server = arg;
	struct http_response response = { .status = 0 };
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	struct http_request request = {
		.method = method_of(from),
		.path = path != NULL ? path : "",
		.authorization = field(from, "Authorization"),
		.content_type = field(from, "Content-Type"),
		.if_match = field(from, "If-Match"),
		.origin = field(from, "Origin"),
		.preflight_method = field(from, "Access-Control-Request-Method"),
		.body = "",
	};

	connections_touch(server->connections,
			  (int)bufferevent_getfd(evhttp_connection_get_bufferevent(connection)));
	request.body_bytes = evbuffer_get_length(body);
	if (request.body_bytes > 0)
		request.body = (const char *)evbuffer_pullup(body, -1);
	if (request.body != NULL)
		server->handler(server->handler_arg, &request, &response);
	if (response.status == 0)
		response.status = 500;
	send_response(from, &response);
	http_response_reset(&response);
}

static struct bufferevent *new_plain(struct event_base *base, void *arg)
{
	struct http_server *server = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (bev != NULL)
		connections_expect(server->connections, bev, false);
	return bev;
}

static struct bufferevent *new_secure(struct event_base *base, void *arg)
{
	struct http_server *server = arg;
	struct bufferevent *bev;
	SSL *ssl = SSL_new(server->tls);

	// For want of a bufferevent evhttp would take a plain one: it gets one, to be ended.
	bev = ssl == NULL ? NULL
			  : bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
							   BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		SSL_free(ssl);
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
		if (bev != NULL)
			connections_expect(server->connections, bev, true);
		return bev;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	connections_expect(server->connections, bev, false);
	return bev;
}

static struct evhttp *new_evhttp(struct http_server *server,
				 struct bufferevent *(*new_bev)(struct event_base *, void *))
{
	struct evhttp *http = evhttp_new(server->base);

	if (http == NULL)
		return NULL;
	evhttp_set_bevcb(http, new_bev, server);
	evhttp_set_gencb(http, on_request, server);
	evhttp_set_allowed_methods(http, METHODS);
	evhttp_set_default_content_type(http, NULL);
	evhttp_set_max_headers_size(http, HTTP_HEADERS_BYTES_MAX);
	evhttp_set_max_body_size(http, HTTP_BODY_BYTES_MAX);
	evhttp_set_timeout(http, HTTP_TIMEOUT_S);
	return http;
}

static int bind_listener(const struct ip_endpoint *e, uint16_t *port)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = e->port_be };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = e->port_be };
	bool is_v4 = ip_address_is_v4(&e->address);
	struct sockaddr *name = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t n = is_v4 ? sizeof(v4) : sizeof(v6);
	const int on = 1;
	int fd, ret;

	if (is_v4)
		memcpy(&v4.sin_addr, ip_address_v4_bytes(&e->address), 4);
	else
		memcpy(&v6.sin6_addr, e->address.bytes, 16);
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!is_v4)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, name, n) < 0 || listen(fd, SOMAXCONN) < 0 || getsockname(fd, name, &n) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*port = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
	return fd;
}

static int add_listener(struct http_server *server, const struct signaling_listener *l,
			uint32_t idx, char *error, size_t error_bytes)
{
	char text[64];
	int fd = bind_listener(&l->endpoint, &server->ports[idx]);

	if (fd < 0) {
		snprintf(error, error_bytes, "cannot listen for HTTP on %s: %s; %s",
			 ip_endpoint_format(&l->endpoint, text, sizeof(text)), strerror(-fd),
			 fd == -EADDRINUSE ? "another program has the port, take another in http: "
					     "listen"
					   : "check http: listen and the host's addresses");
		return fd;
	}
	if (evhttp_accept_socket(l->is_tls ? server->secure : server->plain, fd) < 0) {
		close(fd);
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

// accept() at the limit of descriptors would fail over and over.
static void raise_descriptor_limit(uint32_t n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= 2ul * n + 256)
		return;
	limit.rlim_cur = limit.rlim_max < 2ul * n + 256 ? limit.rlim_max : 2ul * n + 256;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("cannot raise the limit of open files to %lu: %s",
			    (unsigned long)limit.rlim_cur, strerror(errno));
}

int http_server_new(const struct signaling_config *c, struct event_base *base, SSL_CTX *tls,
		    http_handler_fn handler, void *handler_arg, struct http_server **out,
		    char *error, size_t error_bytes)
{
	uint32_t max = c->connections_max != 0 ? c->connections_max : HTTP_CONNECTIONS_MAX;
	uint32_t per_source_max = c->connections_per_source_max != 0
					  ? c->connections_per_source_max
					  : HTTP_CONNECTIONS_PER_SOURCE_MAX;
	struct http_server *server = calloc(1, sizeof(*server));
	int ret = -ENOMEM;

	snprintf(error, error_bytes, "out of memory");
	if (server == NULL)
		return -ENOMEM;
	server->base = base;
	server->handler = handler;
	server->handler_arg = handler_arg;
	if (connections_new(base, max, per_source_max, c->idle_s != 0 ? c->idle_s : HTTP_IDLE_S,
			    &server->connections) < 0)
		goto fail;
	server->plain = new_evhttp(server, new_plain);
	server->secure = new_evhttp(server, new_secure);
	if (server->plain == NULL || server->secure == NULL)
		goto fail;
	if (tls != NULL)
		http_server_set_tls(server, tls);
	raise_descriptor_limit(max);
	// A client that leaves while we write is no reason to die.
	signal(SIGPIPE, SIG_IGN);
	for (uint32_t i = 0; i < c->n_listeners; i++) {
		ret = add_listener(server, &c->listeners[i], i, error, error_bytes);
		if (ret < 0)
			goto fail;
	}
	*out = server;
	error[0] = '\0';
	return 0;
fail:
	http_server_free(server);
	return ret;
}

void http_server_set_tls(struct http_server *server, SSL_CTX *tls)
{
	SSL_CTX_up_ref(tls);
	SSL_CTX_free(server->tls);
	server->tls = tls;
}

SSL_CTX *http_server_tls(const struct http_server *server)
{
	return server->tls;
}

uint16_t http_server_port(const struct http_server *server, uint32_t listener_idx)
{
	return server->ports[listener_idx];
}

void http_server_free(struct http_server *server)
{
	if (server == NULL)
		return;
	if (server->plain != NULL)
		evhttp_free(server->plain);
	if (server->secure != NULL)
		evhttp_free(server->secure);
	connections_free(server->connections);
	SSL_CTX_free(server->tls);
	free(server);
}
