// Where a TURN message ends in a stream of bytes (RFC 8489 §6.2.2, RFC 8656 §12.5). Pure, any thread.
#ifndef TP_TURN_STREAM_FRAMING_H
#define TP_TURN_STREAM_FRAMING_H

#include <stddef.h>
#include <stdint.h>

// A STUN header and the longest length that it can announce.
#define TURN_FRAMING_MESSAGE_BYTES_MAX (20 + 65532)

enum turn_framing {
	TURN_FRAMING_MORE = 0, // *out_bytes: with how many in all it makes sense to look again
	TURN_FRAMING_MESSAGE,  // *out_bytes: its length, ChannelData's padding counted
	// Nothing behind these can be told apart any more: the connection must end.
	TURN_FRAMING_FIRST_BYTE, // neither STUN nor ChannelData
	TURN_FRAMING_STUN_LENGTH,
	TURN_FRAMING_STUN_COOKIE,
	TURN_FRAMING_COUNT
};

// Looks at the start of what came and was not taken yet. Says what is wrong as soon as the bytes show it. ChannelData of any
// channel that ever was one (0x4000 to 0x7FFF) has a length and passes; whether it is bound is others' to say.
enum turn_framing turn_framing_next(const uint8_t *bytes, size_t n_bytes, size_t *out_bytes);

#endif
