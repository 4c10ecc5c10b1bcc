// The command line of the generator.
#ifndef TP_BENCH_OPTIONS_H
#define TP_BENCH_OPTIONS_H

#include "bench/blast/flow_set.h"
#include "bench/blast/mix.h"
#include "bench/blast/port.h"

enum blast_verb {
	BLAST_PCAP = 0, // write a file
	BLAST_RUN,      // traffic at a rate, or the highest rate without loss
	BLAST_CYCLES, // allocate, permit, bind, delete, as fast as the control plane can or at a rate
	BLAST_BINDING, // STUN Binding requests
	BLAST_VERB_COUNT
};

struct blast_options {
	enum blast_verb verb;
	struct flow_plan plan;
	struct frame_use use;
	struct frame_macs macs;
	struct mix_options mix;
	struct port_options port;
	uint32_t n_frames;
	const char *out_path;
	const char *json_path; // NULL: standard output
	const char *user;      // NULL: the flows are in the tables already
	const char *password;
	double rate; // packets (or cycles) per second; 0: as many as go
	bool is_search;
	double seconds;
	double warmup_seconds;
	double loss_tolerance;
	double resolution;
	uint32_t n_retries;
	uint32_t window;
	uint32_t wait_seconds; // for the link
	bool is_quiet;
	bool is_held; // stays with its port open behind the report
};

// Fills `out`. On a mistake it prints one line with the remedy and returns -EINVAL.
int blast_options_parse(int argc, char **argv, struct blast_options *out);

#endif
