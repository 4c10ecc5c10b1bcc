// What a subscriber's transport-wide feedback says of one packet, joined with what the worker
// remembered of sending it (draft-holmer-rmcat-transport-wide-cc-extensions-01). Bandwidth
// estimation takes arrays of these, in the order of the transport-wide sequence number. Pure.
#ifndef TP_BWE_PACKET_H
#define TP_BWE_PACKET_H

#include <assert.h>
#include <stdint.h>

#define BWE_PACKET_F_LOST  0x01 // the feedback says "not received"; arrival_ticks means nothing
#define BWE_PACKET_F_PROBE 0x02 // sent as part of a probe cluster, padding or not

#define BWE_TICK_NS 250000 // of arrival_ticks, on the subscriber's clock

struct bwe_packet {
	uint64_t send_ns;       // our CLOCK_MONOTONIC
	uint32_t arrival_ticks; // modulo 2^32
	uint16_t size_bytes;    // of the RTP packet, headers and tag included
	uint8_t flags;          // BWE_PACKET_F_*
	uint8_t reserved;
};
static_assert(sizeof(struct bwe_packet) == 16, "records are punted as they are");

#endif
