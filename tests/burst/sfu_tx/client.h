// What a watcher makes of the frames: IP and UDP checked in full, SRTP opened by libsrtp2.
#ifndef TP_TESTS_SFU_TX_CLIENT_H
#define TP_TESTS_SFU_TX_CLIENT_H

#include "dataplane/contract/wire/rtp.h"
#include "tests/burst/sfu_tx/rig.h"

struct client_packet {
	struct rtp_view rtp;
	uint32_t n_bytes;
	uint8_t bytes[1600];
};

// The session of a transport, under a generation of keys.
void client_open(uint32_t transport_idx, uint32_t generation);
// The frame `i` that left, which must be authentic.
void client_read(uint32_t i, struct client_packet *out);
// An extension's value by id; NULL without.
const uint8_t *client_extension(const struct client_packet *p, uint8_t id, uint8_t *n_bytes);

#endif
