// The highest rate without loss (RFC 2544 §26.1): a binary search over trials. One thread.
#ifndef TP_BENCH_SEARCH_H
#define TP_BENCH_SEARCH_H

#include "bench/blast/trial.h"

struct search_options {
	struct trial_options trial; // its rate is the search's
	double max_pps;             // where to begin; 0: what a trial at full speed brings through
	double resolution;          // ends when the bracket is that share of its upper end; 0: 0.02
	double loss_tolerance;      // share of sent packets that may be lost; RFC 2544: 0
	uint32_t n_retries;         // a lossy trial is repeated that often before it counts
	bool is_quiet;
};

struct search_result {
	struct trial_result best; // of the highest passing trial; rate 0 when none passed
	double rate_pps;
	uint32_t n_trials;
};

int search_run(struct blast_port *port, struct flow_set *flows, struct mix *mix,
	       const struct search_options *o, struct search_result *out);

#endif
