// When which transport-wide sequence number arrived, and the feedback that says so
// (draft-holmer-rmcat-transport-wide-cc-extensions-01). One thread.
#ifndef TP_BENCH_SFU_TWCC_RECORDER_H
#define TP_BENCH_SFU_TWCC_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/wire/rtcp_twcc.h"

#define TWCC_RECORDER_PKTS 4096

struct twcc_recorder {
	bool is_started;
	uint64_t next;    // to be reported, unwrapped
	uint64_t highest; // that arrived
	uint8_t feedback_count;
	int64_t arrival_ticks[TWCC_RECORDER_PKTS];
};

void twcc_recorder_init(struct twcc_recorder *r);
void twcc_recorder_take(struct twcc_recorder *r, uint16_t sequence, uint64_t now_ns);
// Adds feedback about all that is unreported, as far as it fits; false when there was nothing.
bool twcc_recorder_put(struct twcc_recorder *r, uint32_t sender_ssrc, uint32_t media_ssrc,
		       struct bytes_writer *w);

#endif
