// A small blocking HTTP/1.1 client for WHIP and WHEP: one connection per request, TLS by OpenSSL,
// redirects followed. Bench code: certificates are not verified. One thread.
#ifndef TP_BENCH_SFU_HTTP_H
#define TP_BENCH_SFU_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_URL_BYTES  512
#define HTTP_BODY_BYTES 65536

struct http_url {
	bool is_tls;
	char host[256];
	char port[8];
	char path[HTTP_URL_BYTES]; // with the query, at least "/"
};

struct http_request {
	const char *method;
	const char *url;
	const char *token;        // Bearer; NULL without
	const char *content_type; // NULL without a body
	const char *if_match;     // NULL without
	const char *body;
	size_t body_bytes;
};

struct http_reply {
	int status;
	uint32_t retry_after_s;
	char location[HTTP_URL_BYTES]; // made absolute; "" without
	char etag[128];
	char body[HTTP_BODY_BYTES]; // NUL-terminated
	size_t body_bytes;
};

// 0, or -EINVAL: no http or https URL, or too long.
int http_url_parse(const char *text, struct http_url *out);
// What `reference` (a Location) means seen from `base`. 0 or -EINVAL.
int http_url_resolve(const char *base, const char *reference, char out[HTTP_URL_BYTES]);
// Takes a whole answer apart, chunked or not. 0 or -EPROTO. `base` as above.
int http_reply_parse(const char *base, const char *text, size_t n_bytes, struct http_reply *out);
// 0 with an answer, whatever its status, else -errno. 307 and 308 are followed three times.
int http_exchange(const struct http_request *request, struct http_reply *out);

#endif
