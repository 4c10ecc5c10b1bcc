// Slices of SDP text. Pure, any thread; writes only to its out-parameters.
#include "controlplane/sfu/sdp/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int sdp_refuse(struct sdp_error *error, uint32_t line, const char *format, ...)
{
	va_list args;

	error->line = line;
	va_start(args, format);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
	va_end(args);
	for (char *c = error->reason; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	return -EINVAL;
}

bool sdp_text_is(struct sdp_text text, const char *literal)
{
	return text.n == strlen(literal) && memcmp(literal, text.n > 0 ? text.at : "", text.n) == 0;
}

bool sdp_text_is_nocase(struct sdp_text text, const char *literal)
{
	return text.n == strlen(literal) &&
	       strncasecmp(literal, text.n > 0 ? text.at : "", text.n) == 0;
}

bool sdp_text_equal(struct sdp_text a, struct sdp_text b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

struct sdp_text sdp_text_cut(struct sdp_text *rest, char delimiter)
{
	struct sdp_text head = *rest;
	const char *found = rest->n > 0 ? memchr(rest->at, delimiter, rest->n) : NULL;

	if (found == NULL) {
		*rest = (struct sdp_text){ 0 };
		return head;
	}
	head.n = (uint32_t)(found - rest->at);
	rest->at = found + 1;
	rest->n -= head.n + 1;
	return head;
}

bool sdp_text_number(struct sdp_text text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (text.n == 0 || text.n > 19)
		return false;
	for (uint32_t i = 0; i < text.n; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.at[i] - '0');
	}
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool consists_of(struct sdp_text text, const char *others)
{
	if (text.n == 0)
		return false;
	for (uint32_t i = 0; i < text.n; i++)
		if (!is_alphanumeric(text.at[i]) &&
		    (text.at[i] == '\0' || strchr(others, text.at[i]) == NULL))
			return false;
	return true;
}

bool sdp_text_is_token(struct sdp_text text)
{
	return consists_of(text, "!#$%&'*+-.^_`{|}~");
}

bool sdp_text_is_ice(struct sdp_text text)
{
	return consists_of(text, "+/");
}

int sdp_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}
