// Replay window. Pure; see replay.h for who owns the state.
#include "dataplane/srtp/replay.h"

#include <string.h>

uint64_t replay_rtp_index(const struct replay_window *w, uint16_t sequence)
{
	uint64_t roc = w->highest >> 16;
	int32_t ahead = (int32_t)sequence - (int32_t)(w->highest & 0xffff);

	if (!w->is_started)
		return sequence;
	if (ahead > 0x8000 && roc > 0)
		roc--;
	else if (ahead < -0x8000 && roc < REPLAY_RTP_INDEX_MAX >> 16)
		roc++;
	return roc << 16 | sequence;
}

enum replay_verdict replay_check(const struct replay_window *w, uint64_t index)
{
	uint64_t behind;

	if (!w->is_started || index > w->highest)
		return REPLAY_FRESH;
	behind = w->highest - index;
	if (behind >= REPLAY_WINDOW_PKTS)
		return REPLAY_TOO_OLD;
	return w->seen[behind / 64] >> (behind % 64) & 1 ? REPLAY_SEEN : REPLAY_FRESH;
}

static void shift(struct replay_window *w, uint32_t by)
{
	uint32_t words = by / 64;
	uint32_t bits = by % 64;

	for (int32_t i = REPLAY_WORDS - 1; i >= 0; i--) {
		int32_t from = i - (int32_t)words;
		uint64_t v = from >= 0 ? w->seen[from] << bits : 0;

		if (bits > 0 && from >= 1)
			v |= w->seen[from - 1] >> (64 - bits);
		w->seen[i] = v;
	}
}

void replay_record(struct replay_window *w, uint64_t index)
{
	uint64_t behind;

	if (replay_check(w, index) != REPLAY_FRESH)
		return;
	if (!w->is_started || index > w->highest) {
		if (w->is_started && index - w->highest < REPLAY_WINDOW_PKTS)
			shift(w, (uint32_t)(index - w->highest));
		else
			memset(w->seen, 0, sizeof(w->seen));
		w->highest = index;
		w->is_started = 1;
	}
	behind = w->highest - index;
	w->seen[behind / 64] |= UINT64_C(1) << (behind % 64);
}
