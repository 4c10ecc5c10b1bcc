// Results as JSON, and as a line for people.
#ifndef TP_BENCH_REPORT_H
#define TP_BENCH_REPORT_H

#include "bench/blast/binding.h"
#include "bench/blast/options.h"
#include "bench/blast/trial.h"
#include "bench/blast/turn_client.h"

// Writes one JSON object to options->json_path or standard output. 0 or -errno.
int report_trial(const struct blast_options *o, const struct trial_result *r, uint32_t n_trials);
int report_cycles(const struct blast_options *o, const struct turn_client_stats *s,
		  double cycles_per_sec);
int report_binding(const struct blast_options *o, const struct binding_result *r);

#endif
