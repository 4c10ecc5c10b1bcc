// URLs, and answers of HTTP/1.1 servers (RFC 9110, 9112, 3986). Pure.
#include "bench/sfu/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int http_url_parse(const char *text, struct http_url *out)
{
	const char *at;
	size_t n;

	memset(out, 0, sizeof(*out));
	if (strncasecmp(text, "http://", 7) == 0) {
		at = text + 7;
	} else if (strncasecmp(text, "https://", 8) == 0) {
		at = text + 8;
		out->is_tls = true;
	} else {
		return -EINVAL;
	}
	if (*at == '[') {
		n = strcspn(++at, "]");
		if (at[n] != ']')
			return -EINVAL;
	} else {
		n = strcspn(at, ":/?#");
	}
	if (n == 0 || n >= sizeof(out->host))
		return -EINVAL;
	memcpy(out->host, at, n);
	at += n;
	at += *at == ']';
	snprintf(out->port, sizeof(out->port), "%s", out->is_tls ? "443" : "80");
	if (*at == ':') {
		n = strspn(++at, "0123456789");
		if (n == 0 || n > 5)
			return -EINVAL;
		memcpy(out->port, at, n);
		out->port[n] = '\0';
		at += n;
	}
	if (*at && *at != '/' && *at != '?' && *at != '#')
		return -EINVAL;
	n = strcspn(at, "#");
	if ((size_t)snprintf(out->path, sizeof(out->path), "%s%.*s", *at == '/' ? "" : "/", (int)n,
			     at) >= sizeof(out->path))
		return -EINVAL;
	return 0;
}

int http_url_resolve(const char *base, const char *reference, char out[HTTP_URL_BYTES])
{
	struct http_url url;
	const char *end;
	int n;

	if (strstr(reference, "://"))
		n = snprintf(out, HTTP_URL_BYTES, "%s", reference);
	else if (http_url_parse(base, &url) < 0)
		return -EINVAL;
	else if (reference[0] == '/')
		n = snprintf(out, HTTP_URL_BYTES, "%s://%s%s%s:%s%s", url.is_tls ? "https" : "http",
			     strchr(url.host, ':') ? "[" : "", url.host,
			     strchr(url.host, ':') ? "]" : "", url.port, reference);
	else {
		end = strrchr(base, '/');
		n = snprintf(out, HTTP_URL_BYTES, "%.*s%s", (int)(end - base + 1), base, reference);
	}
	return n >= HTTP_URL_BYTES ? -EINVAL : 0;
}

static void take_field(const char *base, const char *name, size_t n_name, const char *value,
		       size_t n_value, struct http_reply *out, bool *is_chunked)
{
	char text[HTTP_URL_BYTES];

	if (n_value >= sizeof(text))
		return;
	memcpy(text, value, n_value);
	text[n_value] = '\0';
	if (n_name == 8 && strncasecmp(name, "Location", 8) == 0)
		(void)http_url_resolve(base, text, out->location);
	else if (n_name == 4 && strncasecmp(name, "ETag", 4) == 0)
		snprintf(out->etag, sizeof(out->etag), "%.127s", text);
	else if (n_name == 11 && strncasecmp(name, "Retry-After", 11) == 0)
		out->retry_after_s = (uint32_t)strtoul(text, NULL, 10);
	else if (n_name == 17 && strncasecmp(name, "Transfer-Encoding", 17) == 0)
		*is_chunked = strcasecmp(text, "chunked") == 0;
}

static int take_chunks(const char *at, const char *end, struct http_reply *out)
{
	for (;;) {
		char *behind;
		size_t n;
		const char *line_end = memchr(at, '\n', (size_t)(end - at));

		if (!line_end || !isxdigit((unsigned char)*at))
			return -EPROTO;
		n = strtoul(at, &behind, 16);
		at = line_end + 1;
		if (n == 0)
			return 0;
		if (n > (size_t)(end - at) || out->body_bytes + n >= sizeof(out->body))
			return -EPROTO;
		memcpy(out->body + out->body_bytes, at, n);
		out->body_bytes += n;
		at += n;
		if (end - at < 2 || at[0] != '\r')
			return -EPROTO;
		at += 2;
	}
}

int http_reply_parse(const char *base, const char *text, size_t n_bytes, struct http_reply *out)
{
	const char *end = text + n_bytes;
	const char *at;
	bool is_chunked = false;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (n_bytes < 12 || strncmp(text, "HTTP/1.", 7) != 0)
		return -EPROTO;
	out->status = atoi(text + 9);
	at = memchr(text, '\n', n_bytes);
	for (;;) {
		const char *line = at ? at + 1 : end;
		const char *line_end = memchr(line, '\n', (size_t)(end - line));
		const char *colon;
		size_t n;

		if (!line_end)
			return -EPROTO;
		at = line_end;
		n = (size_t)(line_end - line);
		n -= n > 0 && line[n - 1] == '\r';
		if (n == 0)
			break;
		colon = memchr(line, ':', n);
		if (colon) {
			const char *value = colon + 1;

			while (value < line + n && *value == ' ')
				value++;
			take_field(base, line, (size_t)(colon - line), value,
				   (size_t)(line + n - value), out, &is_chunked);
		}
	}
	at++;
	if (is_chunked) {
		ret = take_chunks(at, end, out);
	} else {
		out->body_bytes = (size_t)(end - at);
		if (out->body_bytes >= sizeof(out->body))
			return -EPROTO;
		memcpy(out->body, at, out->body_bytes);
	}
	out->body[out->body_bytes] = '\0';
	return ret;
}
