// Clients whose sockets the control plane has, seen from its side of the rings: what it hands to the worker, and what the worker
// has for it.
#ifndef TP_TESTS_STREAMING_H
#define TP_TESTS_STREAMING_H

#include "tests/burst/relaying.h"

extern uint8_t stream_traffic_class; // of what is injected

// One message of a stream client into the inject ring; `n` may be more than the message.
void stream_put(const char *client, const void *bytes, uint16_t n);
// The same, and a poll.
void stream_send(const char *client, const void *bytes, uint16_t n);
// ChannelData around `n` bytes of `data`, padded as over TCP.
void stream_send_channel(const char *client, uint16_t channel, uint16_t n);
// What the worker has for a stream client next; NULL when there is nothing. Valid until the next call.
const struct shm_datagram *streamed(uint16_t *length_bytes);
// Exactly one message is there, and it is this one.
void expect_streamed(const char *client, const void *bytes, uint16_t n);
// ChannelData with `data`, padded with zeros.
void expect_streamed_channel_data(const char *client, uint16_t channel, uint16_t n);
// A Data indication with `data` from that peer.
void expect_streamed_data(const char *client, const char *peer, uint16_t n);
void expect_nothing_streamed(void);

#endif
