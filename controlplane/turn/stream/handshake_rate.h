// How often TLS handshakes may begin: each costs the loop about a millisecond, in which nobody's Refresh is answered, so a flood of
// them must not have all of its time. Control plane's loop thread.
#ifndef TP_TURN_STREAM_HANDSHAKE_RATE_H
#define TP_TURN_STREAM_HANDSHAKE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/config/config.h"

#define TURN_HANDSHAKE_SOURCES 4096

// Times until which what was let in is paid for (GCRA), CLOCK_MONOTONIC ns; sources by keyed hash, so that some share one.
struct turn_handshake_rate {
	uint64_t paid_until_ns;
	uint64_t source_paid_until_ns[TURN_HANDSHAKE_SOURCES];
};

// False: not now; the connection is to be closed. A source is an IPv4 address or a /64; what it is refused costs the others
// nothing. `key` is secret. Bursts of three seconds' worth of a source, and of one second's of all, are let in.
bool turn_handshake_rate_take(struct turn_handshake_rate *r, const struct config_streams *limits,
			      const uint8_t key[16], const struct ip_address *source,
			      uint64_t now_ns);

#endif
