// Writing results. Cold; main thread.
#include "bench/blast/report.h"

#include <errno.h>
#include <stdio.h>

#include <rte_cycles.h>

static FILE *report_open(const struct blast_options *o)
{
	FILE *f = o->json_path == NULL ? stdout : fopen(o->json_path, "w");

	if (f == NULL)
		fprintf(stderr, "blast: cannot write %s\n", o->json_path);
	return f;
}

static int report_close(const struct blast_options *o, FILE *f)
{
	int failed = ferror(f);

	if (f != stdout)
		failed |= fclose(f);
	else
		failed |= fflush(f);
	return failed ? -EIO : 0;
}

static void quantiles_write(FILE *f, const struct histogram *h, double unit_per_tick)
{
	static const struct {
		const char *name;
		double share;
	} wanted[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99_9", 0.999 } };

	fprintf(f, "{");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		fprintf(f, "\"%s\":%.0f,", wanted[i].name,
			(double)histogram_quantile(h, wanted[i].share) * unit_per_tick);
	fprintf(f, "\"max\":%.0f}", (double)h->max * unit_per_tick);
}

int report_trial(const struct blast_options *o, const struct trial_result *r, uint32_t n_trials)
{
	const struct tally *t = &r->tally;
	FILE *f = report_open(o);

	if (f == NULL)
		return -errno;
	fprintf(f,
		"{\"flows\":%u,\"size\":\"%s\",\"seconds\":%.3f,\"trials\":%u,"
		"\"offered_pps\":%.0f,\"received_pps\":%.0f,\"received_bps\":%.0f,",
		o->plan.n_flows, o->mix.size, r->seconds, n_trials, r->offered_pps, r->received_pps,
		r->received_bps);
	fprintf(f,
		"\"sent\":%lu,\"received\":%lu,\"lost\":%lu,\"duplicates\":%lu,\"reordered\":%lu,"
		"\"late\":%lu,\"corrupted\":%lu,\"bad_checksum\":%lu,\"misdirected\":%lu,"
		"\"not_ours\":%lu,\"rx_busy_share\":%.3f,\"waited_share\":%.4f,\"latency_ns\":",
		(unsigned long)t->sent, (unsigned long)t->received, (unsigned long)tally_lost(t),
		(unsigned long)t->duplicates, (unsigned long)t->reordered, (unsigned long)t->late,
		(unsigned long)t->corrupted, (unsigned long)t->bad_checksum,
		(unsigned long)t->misdirected, (unsigned long)t->not_ours, r->rx_busy_share,
		r->waited_share);
	quantiles_write(f, &t->latency, 1e9 / (double)rte_get_tsc_hz());
	fprintf(f, "}\n");
	return report_close(o, f);
}

int report_cycles(const struct blast_options *o, const struct turn_client_stats *s,
		  double cycles_per_sec)
{
	FILE *f = report_open(o);

	if (f == NULL)
		return -errno;
	fprintf(f,
		"{\"clients\":%u,\"window\":%u,\"cycles_per_sec\":%.0f,\"cycles\":%lu,"
		"\"transactions\":%lu,\"retransmitted\":%lu,\"failed\":%lu,\"last_error\":%u,"
		"\"cycle_ns\":",
		o->plan.n_flows, o->window, cycles_per_sec, (unsigned long)s->n_cycles,
		(unsigned long)s->n_transactions, (unsigned long)s->n_retransmitted,
		(unsigned long)s->n_failed, s->last_error);
	quantiles_write(f, &s->cycle, 1);
	fprintf(f, "}\n");
	return report_close(o, f);
}

int report_binding(const struct blast_options *o, const struct binding_result *r)
{
	FILE *f = report_open(o);

	if (f == NULL)
		return -errno;
	fprintf(f,
		"{\"clients\":%u,\"seconds\":%.3f,\"offered_pps\":%.0f,\"answers_per_sec\":%.0f,"
		"\"sent\":%lu,\"answered\":%lu,\"wrong\":%lu,\"waited_share\":%.4f}\n",
		o->plan.n_flows, r->seconds, (double)r->sent / r->seconds,
		(double)r->answered / r->seconds, (unsigned long)r->sent,
		(unsigned long)r->answered, (unsigned long)r->wrong, r->waited_share);
	return report_close(o, f);
}
