// What one watcher's path is thought to carry, and what of each track it therefore gets. For the folder, and for
// the operators' verbs to read. One thread: the
// control plane's loop.
#ifndef TP_SFU_BANDWIDTH_H
#define TP_SFU_BANDWIDTH_H

#include "controlplane/sfu/bwe/allocator.h"
#include "controlplane/sfu/bwe/estimator.h"
#include "controlplane/sfu/bwe/probe.h"
#include "controlplane/sfu/state.h"

struct sfu_bandwidth {
	struct bwe_estimator estimator;
	struct bwe_probe probe;
	struct bwe_allocation allocation;
	struct bwe_track *tracks; // by slot
	uint32_t *track_idx;      // by slot: what `tracks` is about
	bool is_adaptive;         // the client tells of its path: TWCC or REMB was negotiated
	uint64_t report_at_ns;    // what was taken into account
	uint64_t remb_at_ns;
	uint64_t tx_pkts;
	uint64_t last_probe_bps; // what the last probe measured
	uint64_t pace_bps;
};

#endif
