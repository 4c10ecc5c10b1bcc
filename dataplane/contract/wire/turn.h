// TURN framing that the packet path needs (RFC 8656 §11, §12): ChannelData and Send/Data indications. Pure, any thread.
#ifndef TP_WIRE_TURN_H
#define TP_WIRE_TURN_H

#include "dataplane/contract/wire/stun.h"

// A ChannelData message in a datagram: channel number, and length of the application data behind the 4-byte header. Over UDP the
// datagram may be longer (padding), never shorter: false then, or when the channel is outside 0x4000..channel_max. RFC 5766 had
// numbers up to 0x7FFF (TURN_CHANNEL_RFC5766_MAX).
static inline bool turn_channel_data_parse_upto(const uint8_t *buf, size_t len_bytes,
						uint16_t channel_max, uint16_t *channel,
						uint16_t *data_bytes)
{
	if (len_bytes < TURN_CHANNEL_HEADER_BYTES)
		return false;
	*channel = bytes_get_be16(buf);
	*data_bytes = bytes_get_be16(buf + 2);
	return *channel >= TURN_CHANNEL_MIN && *channel <= channel_max &&
	       (size_t)*data_bytes + TURN_CHANNEL_HEADER_BYTES <= len_bytes;
}

// The same with RFC 8656's numbers, 0x4000..0x4FFF.
static inline bool turn_channel_data_parse(const uint8_t *buf, size_t len_bytes, uint16_t *channel,
					   uint16_t *data_bytes)
{
	return turn_channel_data_parse_upto(buf, len_bytes, TURN_CHANNEL_MAX, channel, data_bytes);
}

// What a Send indication asks for. `data` points into the datagram.
struct turn_send {
	struct ip_endpoint peer;
	const uint8_t *data;
	uint16_t data_bytes;
	bool dont_fragment;
};

enum turn_send_error {
	TURN_SEND_OK = 0,
	TURN_SEND_MALFORMED,         // no message, or an attribute runs past the end
	TURN_SEND_NO_PEER,           // XOR-PEER-ADDRESS missing or malformed
	TURN_SEND_NO_DATA,           // DATA missing (0 bytes are legal)
	TURN_SEND_UNKNOWN_ATTRIBUTE, // comprehension-required and unknown: the indication is dropped
	TURN_SEND_FINGERPRINT,       // FINGERPRINT present and wrong
	TURN_SEND_ERROR_COUNT
};

// One pass over a Send indication (RFC 8656 §11.2): the datagram must hold exactly one. The first of
// duplicate attributes wins; what follows MESSAGE-INTEGRITY is ignored; attributes that are known but mean
// nothing here are skipped (RFC 8489 §6.3). Of several faults one is told, in this
// order: malformed, unknown attribute, fingerprint, peer, data.
enum turn_send_error turn_send_parse(const uint8_t *buf, size_t len_bytes, struct turn_send *out);

// Bytes that a Data indication puts in front of `data_bytes` of payload: header, XOR-PEER-ADDRESS, DATA's header.
#define TURN_DATA_PREFIX_V4_BYTES (20 + 12 + 4)
#define TURN_DATA_PREFIX_V6_BYTES (20 + 24 + 4)

// Writes that prefix directly in front of the payload (so `prefix` has 36 or 48 bytes, by the peer's family) and returns
// its length. The caller appends 0..3 zero bytes so that the whole is a multiple of 4 (RFC 8656 §11.4), and
// gives no more data than a datagram holds behind the prefix.
uint16_t turn_data_prefix_write(uint8_t *prefix, const struct ip_endpoint *peer,
				uint16_t data_bytes, const uint8_t transaction_id[12]);

#endif
