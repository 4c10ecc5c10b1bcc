// When to send more than the media to learn whether the path carries more, and what the answer was.
//
// The video of an SFU fills the path in steps, so an estimate grows by probes: for a short time the
// worker paces at the rate that is asked, media and what fills it up, and the records of those
// packets say at what rate they arrived. Clusters are asked for at the start (three and six times the
// estimate), and whenever a subscriber wants more than its estimate allows: soon after a layer was
// taken away, then every few seconds, each success followed at once by the next step up. One probe
// per estimator, same owner. Pure.
//
// Use: bwe_probe_next() on every tick, handing what it fills to the worker; bwe_probe_feedback()
// with the same records as the estimator; bwe_probe_result() behind it, handing the result to
// bwe_estimator_probed().
#ifndef TP_BWE_PROBE_H
#define TP_BWE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/sfu/bwe/packet.h"
#include "controlplane/sfu/bwe/trendline.h"

enum bwe_probe_cause {
	BWE_PROBE_NONE = 0,
	BWE_PROBE_START,    // the first two
	BWE_PROBE_RECOVER,  // after bandwidth was taken away
	BWE_PROBE_PERIODIC, // something is wanted that does not fit
	BWE_PROBE_FURTHER,  // the last one succeeded
	BWE_PROBE_CAUSE_COUNT
};

// An order to the worker: from now until end_ns pace at target_bps, filling up with padding.
struct bwe_probe_cluster {
	enum bwe_probe_cause cause;
	uint32_t id; // 1, 2, …
	uint64_t begin_ns;
	uint64_t end_ns;
	uint64_t target_bps;
};

struct bwe_probe_input {
	uint64_t estimate_bps;
	uint64_t wanted_bps; // what all that this subscriber wants would need, headroom included
	enum bwe_usage usage;
	bool can_probe; // transport-wide feedback comes, and there is a stream to pad with
};

// Packets of one kind within the cluster.
struct bwe_probe_span {
	uint64_t first_send_ns;
	uint64_t last_send_ns;
	int64_t first_arrival; // ticks from the first record
	int64_t last_arrival;
	uint64_t bytes;
	uint32_t first_bytes; // of the packet that left first,
	uint32_t last_bytes;  // and last
	uint32_t n_sent;
	uint32_t n_received;
};

struct bwe_probe {
	struct bwe_probe_cluster cluster; // the current one; cause NONE without
	struct bwe_probe_span span;
	uint32_t first_ticks;
	bool has_ticks;
	bool is_marked;    // by the worker; then only marked packets count
	uint64_t heard_ns; // send time of the newest record
	uint64_t next_ns;  // not before
	uint64_t pause_ns; // between periodic ones; grows while they fail
	uint64_t last_estimate_bps;
	uint32_t n_started; // clusters of the start, 0..2
	uint32_t last_id;
	enum bwe_probe_cause next_cause;
	bool may_go_further; // ask for the next step at once
};

struct bwe_probe_result {
	struct bwe_probe_cluster cluster;
	uint64_t bps;      // what the path carried; 0: too few came back to tell
	bool is_saturated; // less arrived than was sent
};

void bwe_probe_init(struct bwe_probe *p);
// Whether to probe now; fills `out` if so.
bool bwe_probe_next(struct bwe_probe *p, const struct bwe_probe_input *in, uint64_t now_ns,
		    struct bwe_probe_cluster *out);
void bwe_probe_feedback(struct bwe_probe *p, const struct bwe_packet *packets, uint32_t n);
// Whether the current cluster has come to an end, and with what.
bool bwe_probe_result(struct bwe_probe *p, uint64_t now_ns, struct bwe_probe_result *out);
bool bwe_probe_is_running(const struct bwe_probe *p);

// Whether what came back of a cluster that is still sent says enough: a queue grows, or a good part
// is lost. Its time ends now, and what is known by then is its result. The worker is to be told.
bool bwe_probe_cut(struct bwe_probe *p, enum bwe_usage usage, uint64_t now_ns);

const char *bwe_probe_cause_name(enum bwe_probe_cause cause);

#endif
