// Replay window and index arithmetic of SRTP and SRTCP (RFC 3711 §3.3.1, §3.3.2, appendix A). Pure; the state is
// plain data that may live in shared memory, and belongs to the one thread that owns the transport.
//
// The order of use is: estimate the index, check it, verify the packet, and only then record the index.
#ifndef TP_SRTP_REPLAY_H
#define TP_SRTP_REPLAY_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW_PKTS   128 // RFC 3711 asks for at least 64
#define REPLAY_WORDS         (REPLAY_WINDOW_PKTS / 64)
#define REPLAY_RTP_INDEX_MAX ((UINT64_C(1) << 48) - 1)

// All zero is the state before the first packet.
// off size field          writer  meaning
//   0    8 highest        worker  the highest index that was recorded
//   8   16 seen           worker  bit k of the whole: highest - k was recorded
//  24    1 is_started     worker  0 until the first record
struct replay_window {
	uint64_t highest;
	uint64_t seen[REPLAY_WORDS];
	uint8_t is_started;
	uint8_t reserved[7];
};
static_assert(sizeof(struct replay_window) == 32, "two windows a cache line");

enum replay_verdict {
	REPLAY_FRESH = 0,
	REPLAY_SEEN,
	REPLAY_TOO_OLD,
	REPLAY_VERDICT_COUNT,
};

// The 48-bit index that a sequence number most likely means. Before the first packet ROC is 0 (RFC 3711 §3.3.1).
// At the lower end of the index space nothing lies below ROC 0, and at its upper end nothing above the last ROC.
uint64_t replay_rtp_index(const struct replay_window *w, uint16_t sequence);
// Whether a packet of this index may be taken. Changes nothing.
enum replay_verdict replay_check(const struct replay_window *w, uint64_t index);
// Records an index whose packet was verified. One that replay_check() refuses is ignored.
void replay_record(struct replay_window *w, uint64_t index);

#endif
