// blast: the load generator. Writes pcap files, or sends TURN traffic through a DPDK port and checks all that comes back.
// Exit code: 0 done (losses are in the result), 1 failed at run time, 2 wrong usage.
#include <stdio.h>
#include <unistd.h>

#include "bench/blast/allocate.h"
#include "bench/blast/options.h"
#include "bench/blast/pcap_out.h"
#include "bench/blast/report.h"
#include "bench/blast/search.h"

static int pcap_run(const struct blast_options *o, struct flow_set *flows, struct mix *mix)
{
	int ret = flow_set_fill(flows);

	if (ret == 0)
		ret = pcap_out_write(o->out_path, flows, mix, o->n_frames);
	if (ret < 0)
		fprintf(stderr, "blast: cannot write %s: %s\n", o->out_path, strerror(-ret));
	return ret;
}

static int traffic_run(const struct blast_options *o, struct allocate *a, struct flow_set *flows,
		       struct mix *mix)
{
	const struct trial_options trial = {
		.rate_pps = o->rate,
		.seconds = o->seconds,
		.warmup_seconds = o->warmup_seconds,
		.other = allocate_other,
		.other_arg = a,
	};
	static struct trial_result result;
	static struct search_result found;
	uint32_t n_trials = 1;
	int ret;

	if (o->is_search) {
		const struct search_options search = {
			.trial = trial,
			.resolution = o->resolution,
			.loss_tolerance = o->loss_tolerance,
			.n_retries = o->n_retries,
			.is_quiet = o->is_quiet,
		};

		ret = search_run(a->port, flows, mix, &search, &found);
		result = found.best;
		n_trials = found.n_trials;
	} else {
		ret = trial_run(a->port, flows, mix, &trial, &result);
	}
	return ret < 0 ? ret : report_trial(o, &result, n_trials);
}

static int port_run(const struct blast_options *o, struct flow_set *flows, struct mix *mix)
{
	struct blast_port port;
	struct allocate a;
	double per_sec;
	int ret = blast_port_open(&o->port, o->wait_seconds, &port);

	if (ret < 0)
		return ret;
	ret = flow_set_fill(flows);
	if (ret == 0)
		ret = allocate_create(&a, &port, flows, o->user, o->password, o->window);
	if (ret < 0)
		goto fail_close;
	if (o->verb == BLAST_BINDING) {
		struct binding_result r;

		ret = binding_run(&port, flows, o->rate, o->seconds, &r);
		if (ret == 0)
			ret = report_binding(o, &r);
	} else if (o->verb == BLAST_CYCLES) {
		ret = allocate_cycles(&a, o->rate, o->seconds, &per_sec);
		if (ret == 0)
			ret = report_cycles(o, turn_client_stats(a.client), per_sec);
		else
			fprintf(stderr, "blast: no cycle was completed; the last error was %u\n",
				turn_client_stats(a.client)->last_error);
	} else {
		if (o->user != NULL)
			ret = allocate_flows(&a);
		if (ret == 0)
			ret = traffic_run(o, &a, flows, mix);
		allocate_release(&a);
	}
	allocate_destroy(&a);
	// net_memif kills the end that is polled while the other one goes.
	if (ret == 0 && o->is_held)
		pause();
fail_close:
	blast_port_close(&port);
	return ret;
}

int main(int argc, char **argv)
{
	struct blast_options o;
	struct flow_set flows = { 0 };
	struct mix mix;
	int ret;

	if (blast_options_parse(argc, argv, &o) < 0)
		return 2;
	frame_pattern_init();
	if (mix_create(&o.mix, &mix) < 0) {
		fprintf(stderr, "blast: --size %s: give bytes from 60 to 1514, imix or av\n",
			o.mix.size);
		return 2;
	}
	flows.plan = o.plan;
	flows.use = o.use;
	flows.macs = o.macs;
	ret = o.verb == BLAST_PCAP ? pcap_run(&o, &flows, &mix) : port_run(&o, &flows, &mix);
	flow_set_free(&flows);
	mix_destroy(&mix);
	return ret < 0 ? 1 : 0;
}
