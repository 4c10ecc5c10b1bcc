// The Data Channel Establishment Protocol (RFC 8832 §5): reading and building its two messages. Pure, any
// thread.
#ifndef TP_SFU_DCEP_H
#define TP_SFU_DCEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/sfu/sctp.h" // enum sctp_reliability

// RFC 8831 §8: payload protocol identifiers.
#define DCEP_PPID_CONTROL      50
#define DCEP_PPID_STRING       51
#define DCEP_PPID_BINARY       53
#define DCEP_PPID_STRING_EMPTY 56
#define DCEP_PPID_BINARY_EMPTY 57

#define DCEP_OPEN_HEADER_BYTES 12
// Label and protocol together; RFC 8832 lets each have 65535, and nobody uses that.
#define DCEP_NAME_BYTES_MAX 1024
#define DCEP_OPEN_BYTES_MAX (DCEP_OPEN_HEADER_BYTES + DCEP_NAME_BYTES_MAX)

// What a channel is, as both ends must know it. Label and protocol are UTF-8 of any bytes, without NUL at the
// end, and owned by somebody else.
struct dcep_open {
	const uint8_t *label;
	const uint8_t *protocol;
	uint16_t label_bytes;
	uint16_t protocol_bytes;
	uint16_t priority;
	bool is_unordered;
	enum sctp_reliability reliability;
	uint32_t reliability_value; // retransmissions or milliseconds
};

enum dcep_kind {
	DCEP_MALFORMED =
		0, // an unknown type, a length that does not fit, names above DCEP_NAME_BYTES_MAX
	DCEP_OPEN,
	DCEP_ACK,
	DCEP_KIND_COUNT
};

// Fills `open`, with pointers into the message, when it returns DCEP_OPEN.
enum dcep_kind dcep_parse(const uint8_t *message, size_t n_bytes, struct dcep_open *open);
// The message's bytes, 0 when it does not fit or the names are too long.
size_t dcep_open_build(const struct dcep_open *open, uint8_t *out, size_t out_bytes);
// One byte.
uint8_t dcep_ack(void);

#endif
