// The controlling side of ICE, as far as a load generator needs it (RFC 8445): checks with
// USE-CANDIDATE on one candidate at a time, consent (RFC 7675), and answers to the checks of a full
// agent. Pure; the caller carries bytes.
#ifndef TP_BENCH_SFU_ICE_H
#define TP_BENCH_SFU_ICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/wire/stun.h"

#define LOAD_UFRAG_CHARS 8
#define LOAD_PWD_CHARS   24

struct load_ice {
	char ufrag[LOAD_UFRAG_CHARS + 1];
	char pwd[LOAD_PWD_CHARS + 1];
	const char *remote_ufrag;
	const char *remote_pwd;
	uint64_t tie_breaker;
	uint8_t transaction[12]; // of the newest check
};

enum load_ice_event {
	LOAD_ICE_NOTHING = 0, // not for us, or not authentic
	LOAD_ICE_VALID,       // our check was answered
	LOAD_ICE_REQUEST,     // a check of the peer's: send the answer
	LOAD_ICE_REFUSED,     // an error response
	LOAD_ICE_EVENT_COUNT
};

// Random credentials.
void load_ice_init(struct load_ice *ice);
// A check with a fresh transaction id; its bytes.
size_t load_ice_check(struct load_ice *ice, uint8_t *out, size_t room);
// `answer` is filled when the event says so (room for 256 bytes); `source` is where the message
// came from.
enum load_ice_event load_ice_receive(struct load_ice *ice, const uint8_t *message, size_t n_bytes,
				     const struct ip_endpoint *source, uint8_t *answer,
				     size_t *answer_bytes);

#endif
