// Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): RTPFB format 15, read
// and built. Times are in ticks of 250 us, the unit of the wire. Pure, any thread.
#ifndef TP_WIRE_RTCP_TWCC_H
#define TP_WIRE_RTCP_TWCC_H

#include "dataplane/contract/wire/rtcp_feedback.h"

#define RTCP_TWCC_TICK_NS        250000
#define RTCP_TWCC_TICKS_PER_UNIT 256  // of the reference time, 64 ms
#define RTCP_TWCC_STATUSES_MAX   1024 // of one message that we build
#define RTCP_TWCC_LOST           INT64_MIN
// The reference time is 24 bits signed, so ticks are known modulo 2 to the power of this (12 days).
#define RTCP_TWCC_TICKS_WRAP_LOG2 32

struct rtcp_twcc {
	uint32_t sender_ssrc;
	uint32_t media_ssrc;
	uint16_t base_sequence;
	uint16_t n_statuses;     // 1..65535
	uint16_t n_received;     // of these
	uint8_t feedback_count;  // modulo 256: a gap is a lost message
	int32_t reference_units; // 64 ms, 24 bits signed
	const uint8_t *chunks;
	const uint8_t *deltas;
};

// Checks the whole message. 0; -EINVAL for another message, a status count of 0, chunks that describe fewer packets than that
// count, a run of length 0, the reserved symbol, and deltas that are missing. Bytes behind the last delta are padding, and symbols behind
// the last status are ignored.
int rtcp_twcc_parse(const struct rtcp_view *v, struct rtcp_twcc *out);

// One packet's fate. arrival_ticks is meant only if received: when, on the clock of who sent the feedback, modulo 2^32.
struct rtcp_twcc_status {
	uint16_t sequence;
	bool received;
	int64_t arrival_ticks;
};

// A reading position in the statuses of a message that was parsed.
struct rtcp_twcc_reader {
	const uint8_t *chunk;
	const uint8_t *delta;
	int64_t ticks;
	uint16_t sequence;
	uint16_t n_left;
	uint16_t symbols_left; // of the current chunk
	uint16_t symbols;      // its 16 bits
};

struct rtcp_twcc_reader rtcp_twcc_reader_init(const struct rtcp_twcc *twcc);
bool rtcp_twcc_next(struct rtcp_twcc_reader *r, struct rtcp_twcc_status *out);

// Adds a message about the packets base_sequence, base_sequence + 1, …: arrival_ticks[i] is when the i-th arrived, of any
// monotonic clock (in any order), or RTCP_TWCC_LOST. Returns how many of the n were told: fewer when the room, the 1024 of
// one message or a gap over 8 s between two arrivals ended it, and the next message goes on there. 0, with nothing written,
// when n is 0, none of those that fit arrived, or the room does not hold a single status.
uint32_t rtcp_twcc_put(struct bytes_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc,
		       uint8_t feedback_count, uint16_t base_sequence, const int64_t *arrival_ticks,
		       uint32_t n);

#endif
