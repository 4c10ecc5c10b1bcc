// The HTTP server: sockets, TLS and limits around evhttp. Control plane's loop thread.
#ifndef TP_SIGNALING_HTTP_H
#define TP_SIGNALING_HTTP_H

#include <openssl/ssl.h>

#include "controlplane/signaling/exchange.h"
#include "controlplane/signaling/signaling.h"

struct http_server;

// Header section and body; what is larger is refused while it arrives. The handlers' own limits are lower, so that
// their sentence is what a client usually gets.
#define HTTP_HEADERS_BYTES_MAX          16384
#define HTTP_BODY_BYTES_MAX             131072
#define HTTP_TIMEOUT_S                  15 // without a byte
#define HTTP_IDLE_S                     30 // a whole request has to come in this time
#define HTTP_CONNECTIONS_MAX            1024
#define HTTP_CONNECTIONS_PER_SOURCE_MAX 64

typedef void (*http_handler_fn)(void *arg, const struct http_request *request,
				struct http_response *response);

// Binds all listeners of the configuration. `tls` may be NULL if none wants it; a reference is taken.
int http_server_new(const struct signaling_config *c, struct event_base *base, SSL_CTX *tls,
		    http_handler_fn handler, void *handler_arg, struct http_server **out,
		    char *error, size_t error_bytes);
// Connections from now on get this certificate.
void http_server_set_tls(struct http_server *server, SSL_CTX *tls);
SSL_CTX *http_server_tls(const struct http_server *server);
uint16_t http_server_port(const struct http_server *server, uint32_t listener_idx);
void http_server_free(struct http_server *server);

#endif
