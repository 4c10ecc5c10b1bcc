// Builds responses. Control plane's loop thread; writes only the response.
#include "controlplane/signaling/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void http_response_add(struct http_response *r, const char *name, const char *format, ...)
{
	char *value = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&value, format, args);
	va_end(args);
	if (n < 0 || r->n_headers == HTTP_HEADERS_MAX) {
		if (n >= 0)
			free(value);
		r->status = 500;
		return;
	}
	r->headers[r->n_headers].name = name;
	r->headers[r->n_headers++].value = value;
}

void http_response_body(struct http_response *r, int status, const char *content_type, char *body,
			size_t body_bytes)
{
	free(r->body);
	r->status = status;
	r->body = body;
	r->body_bytes = body_bytes;
	http_response_add(r, "Content-Type", "%s", content_type);
}

void http_response_text(struct http_response *r, int status, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		r->status = 500;
		return;
	}
	for (int i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] >= 0x7f)
			text[i] = '?';
	// The place of the NUL becomes the line's end.
	text[n] = '\n';
	http_response_body(r, status, "text/plain; charset=utf-8", text, (size_t)n + 1);
}

void http_response_not_allowed(struct http_response *r, const char *allow)
{
	http_response_text(r, 405, "this resource does not take the method; it takes %s", allow);
	http_response_add(r, "Allow", "%s", allow);
}

bool http_is_read(const struct http_request *request, struct http_response *r)
{
	static const char allow[] = "GET, HEAD, OPTIONS";

	switch (request->method) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
		return true;
	case HTTP_METHOD_OPTIONS:
		r->status = 200;
		http_response_add(r, "Allow", "%s", allow);
		return false;
	default:
		http_response_not_allowed(r, allow);
		return false;
	}
}

const char *http_response_header(const struct http_response *r, const char *name)
{
	for (unsigned i = 0; i < r->n_headers; i++)
		if (strcasecmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

void http_response_reset(struct http_response *r)
{
	for (unsigned i = 0; i < r->n_headers; i++)
		free(r->headers[i].value);
	free(r->body);
	memset(r, 0, sizeof(*r));
}

bool http_media_type_is(const char *content_type, const char *media_type)
{
	size_t n = strlen(media_type);

	if (content_type == NULL || strncasecmp(content_type, media_type, n) != 0)
		return false;
	content_type += n;
	content_type += strspn(content_type, " \t");
	return *content_type == '\0' || *content_type == ';';
}
