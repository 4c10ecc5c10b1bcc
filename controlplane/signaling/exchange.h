// One request and its response, without sockets: what the handlers see, and what tests and fuzzers feed them.
// Control plane's loop thread.
#ifndef TP_SIGNALING_EXCHANGE_H
#define TP_SIGNALING_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

enum http_method {
	HTTP_METHOD_OTHER = 0,
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_COUNT
};

// Field values as they were sent, NULL where the field is missing. Bodies are not NUL-terminated.
struct http_request {
	enum http_method method;
	const char *path; // as sent: not percent-decoded, without the query
	const char *authorization;
	const char *content_type;
	const char *if_match;
	const char *origin;
	const char *preflight_method; // Access-Control-Request-Method
	const char *body;
	size_t body_bytes;
};

#define HTTP_HEADERS_MAX 48

struct http_response {
	int status; // 0 = nothing was said yet
	struct {
		const char *name; // static
		char *value;
	} headers[HTTP_HEADERS_MAX];
	unsigned n_headers;
	char *body; // malloc'd
	size_t body_bytes;
};

// Adds a header field. What cannot be stored turns the response into a 500.
void http_response_add(struct http_response *r, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// Sets status and a body of plain text: one sentence for a person. What came from the client and would not
// print is shown as '?'.
void http_response_text(struct http_response *r, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// Sets status and body; takes over the malloc'd body.
void http_response_body(struct http_response *r, int status, const char *content_type, char *body,
			size_t body_bytes);
// 405 with what is allowed instead (RFC 9110 §15.5.6).
void http_response_not_allowed(struct http_response *r, const char *allow);
// Whether a resource that can only be read is asked for, by GET or HEAD. If not, the response stands: OPTIONS
// is told what is allowed (RFC 9110 §9.3.7), and every other method that it is not.
bool http_is_read(const struct http_request *request, struct http_response *r);
// The value of a header field, or NULL.
const char *http_response_header(const struct http_response *r, const char *name);
void http_response_reset(struct http_response *r);

// Whether a Content-Type field names this media type, whatever its parameters (RFC 9110 §8.3.1).
bool http_media_type_is(const char *content_type, const char *media_type);

#endif
