// AV1 aggregation header (AV1 RTP payload format 1.0 §4.4), the first byte of every payload. Pure, any thread.
#ifndef TP_WIRE_AV1_PAYLOAD_H
#define TP_WIRE_AV1_PAYLOAD_H

#include "dataplane/contract/wire/bytes.h"

struct av1_aggregation_header {
	uint8_t n_elements;      // W: 1..3, or 0 when every element has its length
	bool continues_fragment; // Z
	bool continued_in_next;  // Y
	bool new_coded_sequence; // N: first packet of a coded video sequence, so of a key frame
};

// False when nothing follows the header, and for N with Z (§4.4: a sequence cannot start with a continuation). Reserved bits
// are ignored.
static inline bool av1_aggregation_header_parse(const uint8_t *payload, size_t len_bytes,
						struct av1_aggregation_header *out)
{
	if (len_bytes < 2)
		return false;
	out->continues_fragment = payload[0] & 0x80;
	out->continued_in_next = payload[0] & 0x40;
	out->n_elements = payload[0] >> 4 & 3;
	out->new_coded_sequence = payload[0] & 0x08;
	return !(out->new_coded_sequence && out->continues_fragment);
}

#endif
