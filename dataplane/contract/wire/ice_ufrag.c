// Credentials of ICE as text (RFC 8839 §5.4). Pure, any thread.
#include "dataplane/contract/wire/ice.h"

#include <assert.h>
#include <errno.h>

#define UFRAG_NAME_CHARS  6
#define TRANSPORT_IDX_LOG 20

static const char ice_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// 0..63, or -1 for what is no ice-char.
static int ice_char_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int ice_ufrag_make(uint32_t transport_idx, uint16_t node_id,
		   const uint8_t random[ICE_UFRAG_RANDOM_BYTES], char out[ICE_UFRAG_CHARS + 1])
{
	uint64_t name = (uint64_t)node_id << TRANSPORT_IDX_LOG | transport_idx;

	if (transport_idx >= ICE_TRANSPORT_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < UFRAG_NAME_CHARS; i++)
		out[i] = ice_chars[name >> 6 * (UFRAG_NAME_CHARS - 1 - i) & 63];
	for (uint32_t i = 0; i < ICE_UFRAG_RANDOM_BYTES; i++)
		out[UFRAG_NAME_CHARS + i] = ice_chars[random[i] & 63];
	out[ICE_UFRAG_CHARS] = '\0';
	return 0;
}

bool ice_ufrag_parse(const void *text, size_t text_bytes, uint32_t *transport_idx,
		     uint16_t *node_id)
{
	const uint8_t *c = text;
	uint64_t name = 0;

	if (text_bytes != ICE_UFRAG_CHARS)
		return false;
	for (uint32_t i = 0; i < ICE_UFRAG_CHARS; i++) {
		int value = ice_char_value(c[i]);

		if (value < 0)
			return false;
		if (i < UFRAG_NAME_CHARS)
			name = name << 6 | (uint32_t)value;
	}
	*transport_idx = (uint32_t)(name & (ICE_TRANSPORT_MAX - 1));
	*node_id = (uint16_t)(name >> TRANSPORT_IDX_LOG);
	return true;
}

void ice_pwd_make(const uint8_t random[ICE_PWD_RANDOM_BYTES], char out[ICE_PWD_CHARS + 1])
{
	static_assert(ICE_PWD_RANDOM_BYTES % 3 == 0 &&
			      ICE_PWD_RANDOM_BYTES / 3 * 4 == ICE_PWD_CHARS,
		      "three bytes make four characters");

	for (uint32_t i = 0; i < ICE_PWD_RANDOM_BYTES / 3; i++) {
		uint32_t bits = (uint32_t)random[3 * i] << 16 | (uint32_t)random[3 * i + 1] << 8 |
				random[3 * i + 2];

		for (uint32_t j = 0; j < 4; j++)
			out[4 * i + j] = ice_chars[bits >> (18 - 6 * j) & 63];
	}
	out[ICE_PWD_CHARS] = '\0';
}
