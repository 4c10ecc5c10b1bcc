// How much one subscriber's path carries: send-side congestion control (draft-ietf-rmcat-gcc-02) on
// transport-wide feedback, bounded by loss, with REMB (draft-alvestrand-rmcat-remb-03) or receiver
// reports alone for subscribers that send no transport-wide feedback.
//
// One estimator per subscriber transport, owned by the control plane's loop. Pure: no I/O, no
// clock; times come in as CLOCK_MONOTONIC nanoseconds. Whatever the peer reports is taken as a
// claim about its own path: nonsense makes a wrong estimate for that subscriber within [min_bps,
// max_bps], and nothing else.
//
// Use: bwe_estimator_feedback() with the records of each feedback message, ..._receiver_report()
// and ..._remb() as they come, bwe_estimator_tick() about ten times a second, then read target_bps,
// usage and reason.
#ifndef TP_BWE_ESTIMATOR_H
#define TP_BWE_ESTIMATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/sfu/bwe/loss_bound.h"
#include "controlplane/sfu/bwe/packet.h"
#include "controlplane/sfu/bwe/rate_control.h"
#include "controlplane/sfu/bwe/throughput.h"
#include "controlplane/sfu/bwe/trendline.h"

#define BWE_START_BPS 500000
#define BWE_MIN_BPS   50000
#define BWE_MAX_BPS   100000000

// What the target is bound by.
enum bwe_reason {
	BWE_REASON_STARTUP = 0,    // nothing measured yet
	BWE_REASON_RISING,         // nothing: it grows
	BWE_REASON_DELAY,          // a queue grew
	BWE_REASON_LOSS,           // more than 10 % was lost
	BWE_REASON_REMB,           // the subscriber said so
	BWE_REASON_APPLICATION,    // too little is sent to prove more
	BWE_REASON_STALE_FEEDBACK, // the subscriber reports nothing any more
	BWE_REASON_MAXIMUM,        // the configured maximum
	BWE_REASON_COUNT
};

struct bwe_estimator {
	// Results.
	uint64_t target_bps;
	enum bwe_usage usage;
	enum bwe_reason reason;
	uint64_t acked_bps; // what arrives, 0 while unknown
	uint64_t sent_bps;  // what is sent, 0 while unknown
	uint64_t rtt_ns;
	bool is_application_limited; // sends less than the target, so growth needs probes
	bool has_feedback;           // transport-wide feedback came within the last seconds

	// Workings.
	uint64_t start_bps;
	uint64_t min_bps;
	uint64_t max_bps;
	uint64_t feedback_ns; // the last transport-wide feedback, 0 = never
	uint64_t report_ns;   // the last sign of life of any kind, or when sending began
	uint64_t remb_ns;     // 0 = never
	uint64_t remb_bps;
	uint64_t decayed_ns;
	uint64_t stale_bps;       // UINT64_MAX unless feedback is stale
	uint64_t arrival_base_ns; // unwrapping of arrival_ticks
	uint32_t arrival_ticks;
	bool has_arrival;
	struct bwe_trendline trendline;
	struct bwe_rate_control rate;
	struct bwe_loss_bound loss;
	struct bwe_throughput acked;
	struct bwe_throughput sent;
};

// 0 stands for the defaults above.
void bwe_estimator_init(struct bwe_estimator *e, uint64_t start_bps, uint64_t min_bps,
			uint64_t max_bps);
// The records of one feedback message (or of a part), in the order of sending. Packets that a lost
// feedback message spoke of are simply missing.
void bwe_estimator_feedback(struct bwe_estimator *e, const struct bwe_packet *packets, uint32_t n,
			    uint64_t now_ns);
// A report block about anything that we send: fraction_lost of 256, round trip 0 if unknown.
void bwe_estimator_receiver_report(struct bwe_estimator *e, uint8_t fraction_lost, uint64_t rtt_ns,
				   uint64_t now_ns);
void bwe_estimator_remb(struct bwe_estimator *e, uint64_t bits_per_sec, uint64_t now_ns);
// What a probe measured. `is_saturated`: the path carried less than was sent, so this is its
// capacity even when it is below the target.
void bwe_estimator_probed(struct bwe_estimator *e, uint64_t bits_per_sec, bool is_saturated,
			  uint64_t now_ns);
// Time passes; `is_sending` if anything was sent to the subscriber since the last tick.
void bwe_estimator_tick(struct bwe_estimator *e, bool is_sending, uint64_t now_ns);

const char *bwe_reason_name(enum bwe_reason reason);
const char *bwe_usage_name(enum bwe_usage usage);

#endif
