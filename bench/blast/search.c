// RFC 2544's throughput search. One thread.
#include "bench/blast/search.h"

#include <stdio.h>
#include <string.h>

#define RESOLUTION_DEFAULT 0.02
#define TRIALS_MAX         40
// A generator that cannot send what a trial asks for has found its own limit, not the relay's.
#define OFFERED_SHARE_MIN 0.98

// NULL when the trial passes, else why not.
static const char *trial_fault(const struct search_options *o, const struct trial_result *r,
			       double rate)
{
	const struct tally *t = &r->tally;

	if (r->offered_pps < rate * OFFERED_SHARE_MIN)
		return " (more than the generator could send)";
	if (t->corrupted + t->bad_checksum + t->misdirected + t->duplicates > 0)
		return " (and what came back was not right)";
	return (double)tally_lost(t) > o->loss_tolerance * (double)t->sent ? " (too many)" : NULL;
}

int search_run(struct blast_port *port, struct flow_set *flows, struct mix *mix,
	       const struct search_options *o, struct search_result *out)
{
	double resolution = o->resolution > 0 ? o->resolution : RESOLUTION_DEFAULT;
	struct trial_options trial = o->trial;
	struct trial_result r;
	double low = 0;
	double high = o->max_pps;
	double rate;
	int ret;

	memset(out, 0, sizeof(*out));
	if (high <= 0) {
		trial.rate_pps = 0;
		ret = trial_run(port, flows, mix, &trial, &r);
		if (ret < 0)
			return ret;
		out->n_trials++;
		high = r.received_pps * 1.05;
	}
	rate = high;
	while (out->n_trials < TRIALS_MAX && high > 0) {
		const char *fault = "";

		trial.rate_pps = rate;
		trial.warmup_seconds = 0;
		for (uint32_t i = 0; i <= o->n_retries && fault != NULL; i++) {
			ret = trial_run(port, flows, mix, &trial, &r);
			if (ret < 0)
				return ret;
			out->n_trials++;
			fault = trial_fault(o, &r, rate);
			if (!o->is_quiet)
				fprintf(stderr, "  %12.0f pps: lost %lu of %lu%s\n", rate,
					(unsigned long)tally_lost(&r.tally),
					(unsigned long)r.tally.sent, fault == NULL ? "" : fault);
		}
		if (fault == NULL) {
			low = rate;
			out->best = r;
			out->rate_pps = r.received_pps;
			if (rate >= high)
				break;
		} else {
			high = rate;
		}
		if (high - low <= resolution * high)
			break;
		rate = (low + high) / 2;
	}
	return 0;
}
