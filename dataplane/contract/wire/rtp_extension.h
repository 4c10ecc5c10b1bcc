// RTP header extensions: the elements of a one- or two-byte extension block (RFC 8285 §4.2, §4.3), read, changed in place,
// appended, and built anew. All numbers are in network order on the wire. Pure, any thread.
#ifndef TP_WIRE_RTP_EXTENSION_H
#define TP_WIRE_RTP_EXTENSION_H

#include "dataplane/contract/wire/rtp.h"

#define RTP_EXTENSION_ONE_BYTE     0xbede
#define RTP_EXTENSION_TWO_BYTE     0x1000 // and 0x1001..0x100f: the low 4 bits are "appbits"
#define RTP_EXTENSION_ONE_BYTE_MAX 14     // ids 1..14; 15 is reserved and ends the block

// An element. `value` points into the block.
struct rtp_extension {
	const uint8_t *value;
	uint8_t value_bytes; // 1..16 in one-byte form, 0..255 in two-byte form
	uint8_t id;          // 1..14, or 1..255
};

// A reading position in a block.
struct rtp_extension_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool two_byte;
	bool malformed; // an element ran past the end of the block; what came before it stands
};

static inline bool rtp_extension_is_two_byte(uint16_t profile)
{
	return (profile & 0xfff0) == RTP_EXTENSION_TWO_BYTE;
}

// Starts at the first element of a parsed packet. A packet without extension, or with one of another profile, has none.
struct rtp_extension_reader rtp_extension_reader_init(const struct rtp_view *rtp);

// Takes the next element; false at the end. Padding (bytes of 0) is skipped. In one-byte form an id of 15, or an id of 0 with a
// length, ends the block without being a fault (§4.2).
bool rtp_extension_next(struct rtp_extension_reader *r, struct rtp_extension *out);

// The first element with that id (1..255). False when there is none before the block ends or turns malformed.
bool rtp_extension_find(const struct rtp_view *rtp, uint8_t id, struct rtp_extension *out);

// Writes over the value of the first element with that id, in the writable packet that `rtp` is a view of; nothing moves. 0,
// -ENOENT without such an element, -EMSGSIZE when the value there has another length (and nothing was written).
int rtp_extension_overwrite(uint8_t *packet, const struct rtp_view *rtp, uint8_t id,
			    const uint8_t *value, uint8_t value_bytes);

// Changes the id of the first element that has `id` to `new_id`. 0, -ENOENT, or -EINVAL when the block's form cannot hold it.
int rtp_extension_renumber(uint8_t *packet, const struct rtp_view *rtp, uint8_t id, uint8_t new_id);

// Adds an element behind the others of a packet that starts at `packet` and has `headroom_bytes` of writable room before it. The
// payload stays where it is: the header moves up to 264 bytes down and the new start is *out. Padding at the block's end is
// used first. Without extension the packet gets a block, of one-byte form if the element fits one.
// 0; -EINVAL for an id or length that the block's form (or any) cannot hold, for another profile, and for a malformed block or
// one that ended early (an element behind id 15 would never be seen); -ENOSPC when the room or the block's 16-bit
// length does not suffice. Nothing is changed then. `rtp` is no view of the packet any more afterwards.
int rtp_extension_append(uint8_t *packet, size_t headroom_bytes, const struct rtp_view *rtp,
			 uint8_t id, const uint8_t *value, uint8_t value_bytes, uint8_t **out);

// A block under construction in the caller's buffer, 4-byte header included.
struct rtp_extension_writer {
	struct bytes_writer bytes;
	bool two_byte;
	bool invalid; // an element that the form cannot hold was put
};

struct rtp_extension_writer rtp_extension_writer_init(void *buf, size_t capacity_bytes,
						      bool two_byte);

// Adds an element and returns where its value stands (to be filled or stamped later); NULL when it does not fit or the form
// cannot hold it. `value` NULL leaves the value uninitialised.
uint8_t *rtp_extension_put(struct rtp_extension_writer *w, uint8_t id, const uint8_t *value,
			   uint8_t value_bytes);

// Pads to 4 bytes and writes the header. Returns the length of the block with its header, always a multiple of 4; 0 when
// no element was put (the packet then has no extension: X=0); -EINVAL or -ENOSPC when a put failed.
int rtp_extension_finish(struct rtp_extension_writer *w);

#endif
