// Transport-wide feedback of a receiver. One thread.
#include "bench/sfu/twcc_recorder.h"

#include <string.h>

#define REPORT_MAX 400 // statuses of one message

void twcc_recorder_init(struct twcc_recorder *r)
{
	memset(r, 0, sizeof(*r));
	for (uint32_t i = 0; i < TWCC_RECORDER_PKTS; i++)
		r->arrival_ticks[i] = RTCP_TWCC_LOST;
}

void twcc_recorder_take(struct twcc_recorder *r, uint16_t sequence, uint64_t now_ns)
{
	uint64_t full;

	if (!r->is_started) {
		r->is_started = true;
		r->next = r->highest = 65536 + sequence;
	}
	full = r->highest + (uint64_t)(int64_t)(int16_t)(sequence - (uint16_t)r->highest);
	if (full < r->next)
		return; // reported as lost already
	// A reader that was away for long starts over.
	if (full - r->next >= TWCC_RECORDER_PKTS) {
		uint8_t count = r->feedback_count;

		twcc_recorder_init(r);
		r->feedback_count = count;
		r->is_started = true;
		r->next = r->highest = full;
	}
	if (full > r->highest)
		r->highest = full;
	r->arrival_ticks[full % TWCC_RECORDER_PKTS] = (int64_t)(now_ns / RTCP_TWCC_TICK_NS);
}

bool twcc_recorder_put(struct twcc_recorder *r, uint32_t sender_ssrc, uint32_t media_ssrc,
		       struct bytes_writer *w)
{
	int64_t ticks[REPORT_MAX];
	uint32_t n = 0;
	uint32_t told;

	if (!r->is_started || r->next > r->highest)
		return false;
	while (n < REPORT_MAX && r->next + n <= r->highest) {
		ticks[n] = r->arrival_ticks[(r->next + n) % TWCC_RECORDER_PKTS];
		n++;
	}
	told = rtcp_twcc_put(w, sender_ssrc, media_ssrc, r->feedback_count, (uint16_t)r->next,
			     ticks, n);
	if (told == 0)
		return false;
	r->feedback_count++;
	for (uint32_t i = 0; i < told; i++)
		r->arrival_ticks[(r->next + i) % TWCC_RECORDER_PKTS] = RTCP_TWCC_LOST;
	r->next += told;
	return true;
}
