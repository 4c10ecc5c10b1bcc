// One trial: a mix at a rate for a time through one port, every packet checked. One polling thread.
#ifndef TP_BENCH_TRIAL_H
#define TP_BENCH_TRIAL_H

#include "bench/blast/flow_set.h"
#include "bench/blast/mix.h"
#include "bench/blast/port.h"
#include "bench/blast/tally.h"

// What else arrives: STUN for the TURN client, ARP. May send through the port.
typedef void (*trial_other_fn)(void *arg, const uint8_t *frame, uint32_t frame_bytes);

struct trial_options {
	double rate_pps; // 0: as many as the device takes
	double seconds;
	double warmup_seconds; // sent and judged before, but not counted
	trial_other_fn other;  // NULL: ignored
	void *other_arg;
};

struct trial_result {
	struct tally tally;
	double seconds;       // of sending
	double offered_pps;   // what was really sent
	double received_pps;  // distinct good packets over the time of sending
	double received_bps;  // bits of their frames, without FCS and gaps
	double rx_busy_share; // polls that returned packets
	double waited_share;  // of sending: kept from the CPU by others
};

// Runs a trial and waits until nothing arrives any more. 0, -EIO when the port gives no buffers.
int trial_run(struct blast_port *port, struct flow_set *flows, struct mix *mix,
	      const struct trial_options *o, struct trial_result *out);

// Receives what waits, at most `limit` packets; returns how many. For phases without traffic.
uint32_t trial_receive(struct blast_port *port, struct flow_set *flows, struct tally *t,
		       uint64_t tsc, const struct trial_options *o);

#endif
