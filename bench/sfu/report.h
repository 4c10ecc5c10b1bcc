// What a run of sfu_load found, as text and as JSON, and whether it is good.
#ifndef TP_BENCH_SFU_REPORT_H
#define TP_BENCH_SFU_REPORT_H

#include "bench/sfu/options.h"

// What the watchers got, five times a second.
struct load_sample {
	uint32_t at_ms;                       // since counting began
	uint32_t kbps;                        // since the last sample, all watchers
	uint32_t n_at_layer[LOAD_LAYERS_MAX]; // watchers whose video is at that encoding
};

struct load_result {
	uint32_t n_publishers;
	uint32_t n_watchers;
	uint32_t n_failed; // that did not join, or fell out
	uint32_t
		n_in_the_dark; // watchers that received nothing while counting, or nothing in its last second
	uint64_t counted_ns;
	uint64_t waited_ns;      // kept from the CPU by others, while counting
	uint64_t server_cpu_ns;  // of --server-pid, while counting
	uint64_t published_pkts; // while counting
	uint64_t received_pkts;
	uint64_t received_bytes;
	uint64_t expected;
	uint64_t direct;
	uint64_t repaired;
	const char *profile;
	const char *engine;
	char first_failure[256];
	struct histogram join_us; // the HTTP request
	struct histogram ice_us;
	struct histogram gap_us;       // longest pause of each watcher
	struct histogram connected_us; // from the answer to SRTP
	struct load_sample *samples;
	uint32_t n_samples;
	struct load_transport_counters transport;
	struct load_session_counters session;
	struct rtp_sink_totals totals;
};

// 0 when all is as it must be, else 1.
int load_report(const struct load_options *o, const struct load_result *r);

#endif
