// Pieces of a session description: slices of the text that was given, and why it was refused. Pure, any thread.
#ifndef TP_SFU_SDP_TEXT_H
#define TP_SFU_SDP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SDP_REASON_BYTES 160

// A slice of the parsed text, which must outlive it. Not NUL-terminated; n is 0 where there is nothing.
struct sdp_text {
	const char *at;
	uint32_t n;
};

// For printf's "%.*s".
#define SDP_TEXT_ARGS(text) (int)(text).n, (text).n > 0 ? (text).at : ""

// Why a description was refused. Line 0 stands for the description as a whole; else lines count from 1.
struct sdp_error {
	uint32_t line;
	char reason[SDP_REASON_BYTES];
};

// Writes the refusal (bytes that cannot be printed become '?') and returns -EINVAL.
int sdp_refuse(struct sdp_error *error, uint32_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool sdp_text_is(struct sdp_text text, const char *literal);
bool sdp_text_is_nocase(struct sdp_text text, const char *literal);
bool sdp_text_equal(struct sdp_text a, struct sdp_text b);
// Splits `rest` at the first `delimiter`: the part before it is returned and taken off, with the delimiter.
// Without one, everything is returned and `rest` is empty.
struct sdp_text sdp_text_cut(struct sdp_text *rest, char delimiter);
// A decimal number of digits only, min..max.
bool sdp_text_number(struct sdp_text text, uint64_t min, uint64_t max, uint64_t *out);
// One or more characters of RFC 8866's token.
bool sdp_text_is_token(struct sdp_text text);
// One or more letters, digits, '+' and '/' (RFC 8839 §5.4's ice-char).
bool sdp_text_is_ice(struct sdp_text text);
// The value of a hexadecimal digit, or -1.
int sdp_hex_digit(char c);

#endif
