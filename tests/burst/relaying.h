// What the relay tests say: a client or a peer sends, the other side gets ChannelData, a Data
// indication or plain data.
#ifndef TP_TESTS_RELAYING_H
#define TP_TESTS_RELAYING_H

#include "tests/burst/pipeline.h"

#define CHANNEL 0x4001

extern uint8_t data[2048];    // application data of the last packet
extern uint8_t data_first;    // what it begins with from now on
extern uint8_t message[4096]; // what was put around it
extern struct frame out;      // the last frame that left

void data_fill(uint32_t n);
// From a client, with ChannelData around `n` bytes.
void send_channel(const char *client, uint16_t channel, uint16_t n);
void send_from_peer(const char *peer, const char *relayed, uint16_t n);
// One frame left: ChannelData to the client with `data`.
void expect_channel_data(const char *client, uint16_t channel, uint16_t n);
// One frame left: a Data indication to the client with `data` from that peer (RFC 8656 §11.4).
void expect_data_indication(const char *client, const char *peer, uint16_t n);
// A Data indication with the first n bytes of `data` from that peer, its padding zero.
void assert_data_indication(const uint8_t *bytes, size_t n_bytes, const char *peer, uint16_t n);

#endif
