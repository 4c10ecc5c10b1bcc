// STUN Binding requests through a port, and their answers counted: the load for whoever answers them. One polling thread.
#ifndef TP_BENCH_BINDING_H
#define TP_BENCH_BINDING_H

#include "bench/blast/allocate.h"

struct binding_result {
	uint64_t sent;
	uint64_t answered; // success responses that name the sender's address
	uint64_t wrong;    // answers that do not
	double seconds;
	double waited_share; // kept from the CPU by others
};

// From the plan's clients in turn, at a rate (0: as many as the port takes). 0 or -ENOMEM.
int binding_run(struct blast_port *port, struct flow_set *flows, double rate_pps, double seconds,
		struct binding_result *out);

#endif
