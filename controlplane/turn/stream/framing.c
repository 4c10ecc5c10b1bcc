// Where a TURN message ends in a stream of bytes. Pure, any thread.
#include "controlplane/turn/stream/framing.h"

#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/stun_numbers.h"

#define LENGTH_END_BYTES 4 // of both headers, behind the length
#define COOKIE_END_BYTES 8

static enum turn_framing more(size_t bytes, size_t *out_bytes)
{
	*out_bytes = bytes;
	return TURN_FRAMING_MORE;
}

static enum turn_framing whole(size_t n_bytes, size_t message_bytes, size_t *out_bytes)
{
	*out_bytes = message_bytes;
	return n_bytes < message_bytes ? TURN_FRAMING_MORE : TURN_FRAMING_MESSAGE;
}

enum turn_framing turn_framing_next(const uint8_t *bytes, size_t n_bytes, size_t *out_bytes)
{
	uint16_t length_bytes;

	*out_bytes = 0;
	if (n_bytes == 0)
		return more(LENGTH_END_BYTES, out_bytes);
	if (bytes[0] > 3 && (bytes[0] < 0x40 || bytes[0] > 0x7f))
		return TURN_FRAMING_FIRST_BYTE;
	if (n_bytes < LENGTH_END_BYTES)
		return more(LENGTH_END_BYTES, out_bytes);
	length_bytes = bytes_get_be16(bytes + 2);
	if (bytes[0] >= 0x40)
		// RFC 8656 §12.5: a multiple of 4, the padding not counted in the length.
		return whole(n_bytes, (LENGTH_END_BYTES + (size_t)length_bytes + 3) & ~(size_t)3,
			     out_bytes);
	if (length_bytes % 4 != 0)
		return TURN_FRAMING_STUN_LENGTH;
	if (n_bytes < COOKIE_END_BYTES)
		return more(COOKIE_END_BYTES, out_bytes);
	if (bytes_get_be32(bytes + 4) != STUN_MAGIC_COOKIE)
		return TURN_FRAMING_STUN_COOKIE;
	return whole(n_bytes, STUN_HEADER_BYTES + (size_t)length_bytes, out_bytes);
}
