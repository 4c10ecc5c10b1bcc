// Framing of TURN over TCP: whatever arrives, and however it is cut up, the same messages come out; each is whole, and what
// ends a connection does so at the same place.
#include "controlplane/turn/stream/framing.h"
#include "dataplane/contract/wire/bytes.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	size_t at = 0, message_bytes, needed = 0;

	for (;;) {
		enum turn_framing f = turn_framing_next(data + at, n - at, &message_bytes);

		FUZZ_ASSERT(f < TURN_FRAMING_COUNT);
		if (f == TURN_FRAMING_MORE) {
			FUZZ_ASSERT(message_bytes > n - at);
			FUZZ_ASSERT(message_bytes <= TURN_FRAMING_MESSAGE_BYTES_MAX + 4);
			return;
		}
		// The same bytes, one more at a time: nothing is decided differently, or before its time.
		for (size_t seen = 0; at + seen <= n && seen < 64; seen++) {
			enum turn_framing g = turn_framing_next(data + at, seen, &needed);

			if (g != TURN_FRAMING_MORE) {
				FUZZ_ASSERT(g == f);
				break;
			}
			FUZZ_ASSERT(needed > seen);
		}
		if (f != TURN_FRAMING_MESSAGE)
			return;
		FUZZ_ASSERT(message_bytes >= 4 && message_bytes % 4 == 0);
		FUZZ_ASSERT(message_bytes <= n - at);
		FUZZ_ASSERT(message_bytes <= TURN_FRAMING_MESSAGE_BYTES_MAX + 4);
		at += message_bytes;
	}
}
