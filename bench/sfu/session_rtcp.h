// The RTCP of a session: what it hears, and what it says by itself (RFC 3550, 4585, 5104, 5506).
// One thread.
#ifndef TP_BENCH_SFU_SESSION_RTCP_H
#define TP_BENCH_SFU_SESSION_RTCP_H

#include "bench/sfu/session.h"

// The transport's handler; `context` is the session.
void load_session_rtcp(void *context, const uint8_t *packet, size_t n_bytes, uint64_t now_ns);

#endif
