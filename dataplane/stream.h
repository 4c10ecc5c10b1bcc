// Clients of TURN whose sockets the control plane holds (TCP, TLS, DTLS): "streams". Their messages come through the inject ring and
// leave through the stream ring; in between they are packets like all others. Worker thread.
#ifndef TP_DP_STREAM_H
#define TP_DP_STREAM_H

#include "dataplane/contract/shm/ring.h"
#include "dataplane/worker.h"

// Takes a ChannelData message or a Send indication of a stream client from the inject ring into a packet of the worker's. The
// datagram is untrusted; its length was checked against the slot. False: it is dropped and counted.
bool dp_stream_take(struct dp_worker *w, const struct shm_datagram *untrusted,
		    uint16_t length_bytes, struct dp_packet *p);

// Puts a whole message into the stream ring for that stream; the caller counts it. False: the ring is full.
bool dp_stream_put(struct dp_worker *w, const struct ip_address *stream, const void *message,
		   uint32_t message_bytes);

#endif
