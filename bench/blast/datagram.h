// Single frames that are not part of the traffic: UDP datagrams for the TURN client, and the answers that make a
// neighbour of the generator (ARP, neighbour discovery). Pure, any thread.
#ifndef TP_BENCH_DATAGRAM_H
#define TP_BENCH_DATAGRAM_H

#include "bench/blast/frame.h"

#define DATAGRAM_FRAME_MAX 1514

// Writes a whole frame with right lengths and checksums; returns its length, 0 when it does not fit or families differ.
uint16_t datagram_write(uint8_t out[DATAGRAM_FRAME_MAX], const struct frame_macs *macs,
			const struct ip_endpoint *source, const struct ip_endpoint *destination,
			const void *data, uint16_t data_bytes);

// Answers an ARP request or a neighbour solicitation (RFC 4861 §7.2.3) for one of the plan's client or peer addresses with
// `mac`. Returns the answer's length, 0 when the frame asks for nothing that the generator has.
uint16_t neighbour_answer_write(const uint8_t *frame, uint32_t frame_bytes, const uint8_t mac[6],
				uint8_t out[DATAGRAM_FRAME_MAX]);

#endif
