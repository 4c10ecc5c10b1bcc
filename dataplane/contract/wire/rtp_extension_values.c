// Text values of RTP header extensions: mid and rid (RFC 9143 §15.1, RFC 8852 §3). Pure, any thread.
#include "dataplane/contract/wire/rtp_extension_values.h"

static bool is_alphanumeric(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_rid_char(uint8_t c)
{
	return is_alphanumeric(c) || c == '-' || c == '_';
}

// token-char of RFC 8866 §9: visible ASCII without the separators.
static bool is_token_char(uint8_t c)
{
	return c > 0x20 && c < 0x7f && memchr("\"(),/:;<=>?@[\\]", c, 15) == NULL;
}

static bool text_read(const struct rtp_extension *e, bool (*is_legal)(uint8_t), const char **out,
		      uint8_t *out_chars)
{
	if (e->value_bytes == 0)
		return false;
	for (uint32_t i = 0; i < e->value_bytes; i++)
		if (!is_legal(e->value[i]))
			return false;
	*out = (const char *)e->value;
	*out_chars = e->value_bytes;
	return true;
}

bool rtp_mid_read(const struct rtp_extension *e, const char **out, uint8_t *out_chars)
{
	return text_read(e, is_token_char, out, out_chars);
}

bool rtp_rid_read(const struct rtp_extension *e, const char **out, uint8_t *out_chars)
{
	return text_read(e, is_rid_char, out, out_chars);
}
