// What the ICMP tests say: an error about a packet came or left, a client is told by a Data indication.
#ifndef TP_TESTS_ICMPING_H
#define TP_TESTS_ICMPING_H

#include "tests/burst/pipeline.h"

extern uint8_t sent[FRAME_BYTES_MAX]; // the frame that an error of ours has to be about
extern uint32_t sent_bytes;
extern const uint8_t *error_frame; // the last error that left, up to the next one
extern uint32_t error_bytes;
extern uint32_t error_port_idx;

// Exactly one frame left: an ICMP error about `sent`, with as much of it as there is room for.
void expect_error(const char *from, const char *to, uint8_t type, uint8_t code, uint32_t mtu_bytes);
// Exactly one frame left: a Data indication with XOR-PEER-ADDRESS, ICMP and nothing else (RFC 8656 §11.5, §18.13).
void expect_indication(const char *from, const char *client, const char *peer, uint8_t type,
		       uint8_t code, uint32_t error_data);
// The same of a message.
void check_indication(const uint8_t *bytes, uint32_t n, const char *peer, uint8_t type,
		      uint8_t code, uint32_t error_data);

#endif
